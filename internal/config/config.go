// Package config turns environment variables into one struct, and reports all
// that is wrong with them at once, by name. It reads nothing but what the
// caller's lookup function gives it.
package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Rate is a number of calls per second.
type Rate float64

// String returns the form in which rates are written, such as "50/s".
func (r Rate) String() string { return strconv.FormatFloat(float64(r), 'f', -1, 64) + "/s" }

// Config is every setting of the product. Secrets in it cannot be printed.
type Config struct {
	DatabaseURL Secret // where a program does not need it: as it is set, wrong or not, or empty
	RedisURL    Secret // likewise

	Endpoint string        // of Quick BI: a URL or a host
	Timeout  time.Duration // of one call
	LateFor  time.Duration // a call without an answer may still be carried out

	Credentials     string // the provider: env, ecs_ram_role, oidc_role_arn or credentials_uri
	AccessKeyID     string
	AccessKeySecret Secret
	SecurityToken   Secret
	RoleName        string // for ecs_ram_role
	RoleARN         string // for oidc_role_arn
	OIDCProviderARN string
	OIDCTokenFile   string
	CredentialsURI  Secret // for credentials_uri

	Rate  Rate            // of every action without one of its own
	Rates map[string]Rate // by upper-case action name

	AccountMaxAge time.Duration // for so long it is believed who has an account
	UnknownMaxAge time.Duration // likewise that nobody has it, or several users

	Guards Guards // of what is submitted without limits of its own

	WebhookPrivate bool // webhooks may be at private addresses

	MinShare float64 // of the calls, for each lane that others go before

	Concurrency int           // tasks at once per action and lane; 0: as many as its rate needs
	MaxStrikes  int           // calls in a row that a repeat may cure, before a task is split or fails
	Lease       time.Duration // a claim is lost after that long
	Alive       time.Duration // a worker that was not heard of for that long loses its claims
	DrainFor    time.Duration // calls in flight may finish within that on SIGTERM
	Sweep       time.Duration // between two rounds of the reconciler
	ProbeFirst  time.Duration // after a stop, the first probe
	ProbeMost   time.Duration // the longest time between two probes

	Inbox string // the folder whose files schedules may name; "" for none

	WorkerListen  string
	EnqueueListen string
	MaxRows       int // of one job

	TLSCert    string        // a file, for enqueue serve; "" for no TLS
	TLSKey     string        // likewise
	MaxBytes   int64         // of a body, inflated
	MaxBacklog int           // tasks that wait, before all but urgent jobs are refused
	TokenRate  Rate          // requests of each token
	ServeDrain time.Duration // requests under way may finish within that on SIGTERM
	LogLevel   string
	LogFormat  string
	Location   *time.Location // where a day ends for Quick BI
}

// RateOf returns the rate of one action.
func (c Config) RateOf(action string) Rate {
	if r, ok := c.Rates[strings.ToUpper(action)]; ok {
		return r
	}
	return c.Rate
}

// Program says which settings must be there.
type Program int

// The programs that are configured from the environment.
const (
	Worker  Program = iota + 1 // needs everything
	Enqueue                    // needs Postgres and Redis
	Migrate                    // needs Postgres
	Query                      // needs Postgres: commands that read or cancel jobs
	Offline                    // needs nothing: dry runs and help
	Serve                      // needs Postgres and Redis: the HTTP intake
)

// Load reads the settings that program uses. lookup is os.Getenv in programs.
// environ is os.Environ's list, to find QUICKBI_RATE_<ACTION>; nil means none.
// The error joins one [SettingError] per setting that is missing or malformed.
func Load(program Program, lookup func(string) string, environ []string) (Config, error) {
	r := reader{lookup: lookup}
	var c Config
	c.DatabaseURL, c.RedisURL = Secret(r.text("DATABASE_URL")), Secret(r.text("REDIS_URL")) // as they are, where they are not needed
	if program != Offline {
		c.DatabaseURL = r.server("DATABASE_URL", "the Postgres to keep jobs in, e.g. postgres://usher@localhost/usher", "postgres", "postgresql")
	}
	if program == Worker || program == Enqueue || program == Serve {
		c.RedisURL = r.server("REDIS_URL", "the Redis to queue in, e.g. redis://localhost:6379/0", "redis", "rediss", "redis-socket", "unix", "redis-sentinel")
	}
	c.Rate = r.rate("QUICKBI_RATE", r.text("QUICKBI_RATE"))
	c.Rates = r.ratesByAction(environ)
	c.MinShare = r.share("LANE_MIN_SHARE", 30)
	c.Guards = r.guards()
	c.AccountMaxAge, c.UnknownMaxAge = r.duration("ACCOUNT_MAX_AGE"), r.duration("ACCOUNT_UNKNOWN_MAX_AGE")
	c.WebhookPrivate = r.oneOf("WEBHOOK_ALLOW_PRIVATE", "false", "true") == "true"
	c.EnqueueListen = r.text("ENQUEUE_LISTEN")
	c.MaxRows = r.number("ENQUEUE_MAX_ROWS", mostRows)
	c.Location = r.location("QUICKBI_TIMEZONE")
	c.LogLevel = r.oneOf("LOG_LEVEL", "trace", "debug", "info", "warn", "error")
	c.LogFormat = r.oneOf("LOG_FORMAT", "auto", "json", "console")
	switch program {
	case Worker:
		r.worker(&c)
	case Serve:
		r.serve(&c)
	default:
	}
	return c, errors.Join(r.problems...)
}

// LoadQuickBI reads what is needed to call Quick BI, and nothing else. Programs
// that need it at times only load it then.
func LoadQuickBI(lookup func(string) string) (Config, error) {
	r := reader{lookup: lookup}
	var c Config
	r.quickBI(&c)
	return c, errors.Join(r.problems...)
}

func (r *reader) quickBI(c *Config) {
	c.Endpoint = r.text("QUICKBI_ENDPOINT")
	c.Timeout = r.duration("QUICKBI_TIMEOUT")
	r.credentials(c)
}

// worker reads what only the worker uses.
func (r *reader) worker(c *Config) {
	r.quickBI(c)
	c.LateFor = r.duration("QUICKBI_LATE")
	c.Concurrency = r.countOrAuto("WORKER_CONCURRENCY")
	c.MaxStrikes = r.count("WORKER_MAX_ATTEMPTS")
	c.Lease = r.duration("WORKER_LEASE")
	c.Alive = r.duration("WORKER_ALIVE")
	c.DrainFor = r.duration("WORKER_DRAIN")
	c.Sweep = r.duration("WORKER_SWEEP")
	c.ProbeFirst = r.duration("WORKER_PROBE_FIRST")
	c.ProbeMost = r.duration("WORKER_PROBE_MOST")
	c.Inbox = r.text("WORKER_INBOX")
	c.WorkerListen = r.address("WORKER_LISTEN")
	if c.Lease > 0 && c.Lease < 2*c.Timeout {
		r.problem("WORKER_LEASE", fmt.Sprintf("%s is less than twice QUICKBI_TIMEOUT (%s); a claim must outlive its call", c.Lease, c.Timeout))
	}
	if c.LateFor > 0 && c.LateFor < 2*c.Timeout {
		r.problem("QUICKBI_LATE", fmt.Sprintf("%s is less than twice QUICKBI_TIMEOUT (%s); a call in flight may take that long by itself", c.LateFor, c.Timeout))
	}
	if c.Alive > 0 && c.Alive < aliveLeast {
		r.problem("WORKER_ALIVE", fmt.Sprintf("%s is less than %s; a worker that lives may be late", c.Alive, aliveLeast))
	}
	if c.DrainFor > 0 && c.DrainFor < c.Timeout {
		r.problem("WORKER_DRAIN", fmt.Sprintf("%s is less than QUICKBI_TIMEOUT (%s); calls in flight must be able to finish", c.DrainFor, c.Timeout))
	}
}

// mostRows is more than anybody has, and fewer than can be counted.
const mostRows = 100_000_000

// serve reads what only the HTTP intake uses.
func (r *reader) serve(c *Config) {
	c.EnqueueListen = r.address("ENQUEUE_LISTEN")
	c.TLSCert, c.TLSKey = r.text("ENQUEUE_TLS_CERT"), r.text("ENQUEUE_TLS_KEY")
	if (c.TLSCert == "") != (c.TLSKey == "") {
		r.problem("ENQUEUE_TLS_CERT", "set it and ENQUEUE_TLS_KEY, or neither")
	}
	c.MaxBytes = r.mebibytes("ENQUEUE_MAX_BODY")
	c.MaxBacklog = r.number("ENQUEUE_MAX_BACKLOG", 1_000_000_000)
	c.TokenRate = r.rate("ENQUEUE_TOKEN_RATE", r.text("ENQUEUE_TOKEN_RATE"))
	c.ServeDrain = r.duration("ENQUEUE_DRAIN")
}

// aliveLeast leaves room for the beats of a busy worker.
const aliveLeast = 2 * time.Second

func (r *reader) credentials(c *Config) {
	c.Credentials = r.oneOf("QUICKBI_CREDENTIALS", "env", "ecs_ram_role", "oidc_role_arn", "credentials_uri")
	switch c.Credentials {
	case "env":
		c.AccessKeyID = r.required("ALIBABA_CLOUD_ACCESS_KEY_ID", "the access key of an organization administrator")
		c.AccessKeySecret = Secret(r.required("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "the secret of that key"))
		c.SecurityToken = Secret(r.text("ALIBABA_CLOUD_SECURITY_TOKEN"))
	case "ecs_ram_role":
		c.RoleName = r.text("ALIBABA_CLOUD_ECS_METADATA")
	case "oidc_role_arn":
		c.RoleARN = r.required("ALIBABA_CLOUD_ROLE_ARN", "the RAM role to assume")
		c.OIDCProviderARN = r.required("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "the OIDC provider of that role")
		c.OIDCTokenFile = r.required("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "the file that holds the OIDC token")
	case "credentials_uri":
		c.CredentialsURI = Secret(r.required("ALIBABA_CLOUD_CREDENTIALS_URI", "the URL that answers with credentials"))
	}
}

// ratePrefix and an action in capitals name the setting of its rate.
const ratePrefix = "QUICKBI_RATE_"

// ratesByAction reads QUICKBI_RATE_<ACTION>.
func (r *reader) ratesByAction(environ []string) map[string]Rate {
	rates := map[string]Rate{}
	for _, entry := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(entry, "=")
		if action, ok := strings.CutPrefix(name, ratePrefix); ok && value != "" {
			rates[action] = r.rate(name, value)
		}
	}
	return rates
}
