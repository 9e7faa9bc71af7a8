package config

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // the zone must be known on machines without a zone database
)

// Setting documents one variable.
type Setting struct {
	Name    string
	Default string // "" where there is none
	Help    string
}

// Settings lists every variable that the programs read, in the order in which
// they are documented.
func Settings() []Setting {
	return []Setting{
		{"DATABASE_URL", "", "Postgres, e.g. postgres://usher@localhost/usher"},
		{"REDIS_URL", "", "Redis: redis://, rediss://, redis-socket:// or redis-sentinel://"},
		{"QUICKBI_ENDPOINT", "https://quickbi-public.cn-hangzhou.aliyuncs.com", "URL or host of Quick BI; http:// only for loopback"},
		{"QUICKBI_CREDENTIALS", "env", "where the access key comes from: env, ecs_ram_role, oidc_role_arn, credentials_uri"},
		{"ALIBABA_CLOUD_ACCESS_KEY_ID", "", "for env"},
		{"ALIBABA_CLOUD_ACCESS_KEY_SECRET", "", "for env"},
		{"ALIBABA_CLOUD_SECURITY_TOKEN", "", "for env with STS"},
		{"ALIBABA_CLOUD_ECS_METADATA", "", "for ecs_ram_role: the role's name; empty asks the machine"},
		{"ALIBABA_CLOUD_ROLE_ARN", "", "for oidc_role_arn"},
		{"ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "", "for oidc_role_arn"},
		{"ALIBABA_CLOUD_OIDC_TOKEN_FILE", "", "for oidc_role_arn"},
		{"ALIBABA_CLOUD_CREDENTIALS_URI", "", "for credentials_uri"},
		{"QUICKBI_RATE", "50/s", "calls a second for every action, of all workers together; QUICKBI_RATE_SMARTQAUTHORIZE=10/s overrides one"},
		{"LANE_MIN_SHARE", "5%", "of the calls, for the normal lane and for the bulk lane, while others go before them; 0% to 30%"},
		{"GUARD_MAX_REVOKES", "none", "a submission that revokes more often is held until it is released; schedules have limits of their own"},
		{"GUARD_MAX_REVOKE_SHARE", "none", "likewise one of whose rows more than this share revoke, from 10 revokes on"},
		{"GUARD_MAX_REVOKES_PER_DAY", "none", "likewise one with which its source revokes more often within 24 hours"},
		{"GUARD_MAX_SHRINK", "none", "likewise one that has lost more than this share of the rows of the one before from its source"},
		{"WEBHOOK_ALLOW_PRIVATE", "false", "true lets webhooks be at private and link-local addresses"},
		{"QUICKBI_TIMEOUT", "15s", "of one call"},
		{"QUICKBI_LATE", "60s", "a call that was never answered may still be carried out for that long; a newer change of the same access is then applied again"},
		{"QUICKBI_TIMEZONE", "Asia/Shanghai", "where a day ends for Quick BI"},
		{"ACCOUNT_MAX_AGE", "24h", "for so long it is believed who has an account; then it is looked up again"},
		{"ACCOUNT_UNKNOWN_MAX_AGE", "10m", "likewise that nobody has an account, or several users"},
		{"WORKER_LISTEN", "127.0.0.1:9090", "/healthz, /readyz, /metrics"},
		{"WORKER_INBOX", "", "the folder below which schedules find their files; without it this worker runs no schedule of files"},
		{"WORKER_CONCURRENCY", "auto", "tasks at once for each action and lane; auto: those of a second at its rate, 24 to 256"},
		{"WORKER_MAX_ATTEMPTS", "6", "calls in a row that fail for a passing reason, before a task is split or its change fails"},
		{"WORKER_LEASE", "2m", "a claim is lost after that long"},
		{"WORKER_ALIVE", "10s", "a worker that was not heard of for that long loses its claims; it says that it lives three times as often"},
		{"WORKER_DRAIN", "25s", "on SIGTERM, calls in flight may finish within that; at least QUICKBI_TIMEOUT"},
		{"WORKER_SWEEP", "15s", "between two rounds of repair"},
		{"WORKER_PROBE_FIRST", "1m", "after the account was refused, the first probe"},
		{"WORKER_PROBE_MOST", "15m", "the longest time between two probes"},
		{"ENQUEUE_LISTEN", "127.0.0.1:8080", "of enqueue serve"},
		{"ENQUEUE_MAX_ROWS", "5000000", "rows of one job; memory grows with them, by some 250 MB for a million"},
		{"ENQUEUE_TLS_CERT", "", "PEM file of enqueue serve's certificate; without one it speaks plain HTTP, for a proxy or loopback"},
		{"ENQUEUE_TLS_KEY", "", "PEM file of that certificate's key"},
		{"ENQUEUE_MAX_BODY", "256MiB", "of a submission over HTTP, inflated"},
		{"ENQUEUE_MAX_BACKLOG", "2000000", "tasks that wait; beyond it all but urgent jobs are refused over HTTP"},
		{"ENQUEUE_TOKEN_RATE", "300/s", "requests of each token, to one enqueue serve"},
		{"ENQUEUE_DRAIN", "25s", "on SIGTERM, requests under way may finish within that"},
		{"LOG_LEVEL", "info", "trace, debug, info, warn, error"},
		{"LOG_FORMAT", "auto", "json, console, or auto: console on a terminal"},
	}
}

// reader looks settings up and remembers what is wrong with them.
type reader struct {
	lookup   func(string) string
	problems []error
}

func (r *reader) problem(name, reason string) {
	r.problems = append(r.problems, &SettingError{Name: name, Reason: reason})
}

// text returns the value of a variable, or its documented default.
func (r *reader) text(name string) string {
	if v := strings.TrimSpace(r.lookup(name)); v != "" {
		return v
	}
	settings := Settings()
	return settings[slices.IndexFunc(settings, func(s Setting) bool { return s.Name == name })].Default
}

func (r *reader) required(name, what string) string {
	v := r.text(name)
	if v == "" {
		r.problem(name, "not set; it names "+what)
	}
	return v
}

// server reads the URL of a server, which may hold a password. What follows the
// scheme is judged by whoever connects.
func (r *reader) server(name, what string, schemes ...string) Secret {
	v := r.required(name, what)
	if scheme, _, ok := strings.Cut(v, "://"); v != "" && (!ok || !slices.Contains(schemes, scheme)) {
		r.problem(name, "does not begin with "+strings.Join(schemes, ":// or ")+"://; it names "+what)
	}
	return Secret(v)
}

func (r *reader) duration(name string) time.Duration {
	v := r.text(name)
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		r.problem(name, fmt.Sprintf("%q is not a duration; write e.g. 15s or 2m", v))
	}
	return d
}

func (r *reader) count(name string) int { return r.number(name, 10_000) }

// number reads a number from 1 to most.
func (r *reader) number(name string, most int) int {
	v := r.text(name)
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > most {
		r.problem(name, fmt.Sprintf("%q is not a number from 1 to %d", v, most))
	}
	return n
}

// mebibytes reads a size in whole mebibytes, as bytes.
func (r *reader) mebibytes(name string) int64 {
	const most = 4096
	v := r.text(name)
	n, err := strconv.ParseInt(strings.TrimSuffix(v, "MiB"), 10, 64)
	if err != nil || n < 1 || n > most || !strings.HasSuffix(v, "MiB") {
		r.problem(name, fmt.Sprintf("%q is not a size from 1MiB to %dMiB", v, most))
	}
	return n << 20
}

// countOrAuto is like count, and 0 for auto.
func (r *reader) countOrAuto(name string) int {
	if r.text(name) == "auto" {
		return 0
	}
	return r.count(name)
}

// share reads a percentage, as a share of one.
func (r *reader) share(name string, most float64) float64 {
	v := r.text(name)
	n, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(v, "%")), 64)
	if err != nil || !(n >= 0 && n <= most) {
		r.problem(name, fmt.Sprintf("%q is not a share; write e.g. 5%%, at most %v%%", v, most))
	}
	return n / 100
}

// address reads where to listen. Whether the host is one of this machine's and
// the port is free shows when somebody listens.
func (r *reader) address(name string) string {
	v := r.text(name)
	_, port, err := net.SplitHostPort(v)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		r.problem(name, fmt.Sprintf("%q is not an address; write HOST:PORT, e.g. 127.0.0.1:9090", v))
	}
	return v
}

func (r *reader) rate(name, value string) Rate {
	rate, err := ParseRate(value)
	if err != nil {
		r.problem(name, err.Error())
	}
	return rate
}

func (r *reader) oneOf(name string, allowed ...string) string {
	v := r.text(name)
	if !slices.Contains(allowed, v) {
		r.problem(name, fmt.Sprintf("%q is not one of %s", v, strings.Join(allowed, ", ")))
	}
	return v
}

func (r *reader) location(name string) *time.Location {
	v := r.text(name)
	loc, err := time.LoadLocation(v)
	if err != nil {
		r.problem(name, fmt.Sprintf("%q is not a time zone; write e.g. Asia/Shanghai", v))
		return time.UTC
	}
	return loc
}

// ParseRate reads a rate such as "50/s" or "30/m"; a bare number is per second.
func ParseRate(s string) (Rate, error) {
	number, unit, _ := strings.Cut(s, "/")
	n, err := strconv.ParseFloat(number, 64)
	if err == nil && n > 0 && n <= 100_000 {
		switch unit {
		case "", "s":
			return Rate(n), nil
		case "m":
			return Rate(n / 60), nil
		}
	}
	return 0, fmt.Errorf("%q is not a rate; write e.g. 50/s", s)
}
