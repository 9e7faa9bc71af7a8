package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/config"
)

func lookup(env map[string]string) func(string) string {
	return func(name string) string { return env[name] }
}

var complete = map[string]string{ //nolint:gosec // made up, to look for in what is printed
	"DATABASE_URL": "postgres://u:pw@db/usher", "REDIS_URL": "redis://:pw@redis/0",
	"ALIBABA_CLOUD_ACCESS_KEY_ID": "key", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "pw",
}

// with returns complete, changed.
func with(changes map[string]string) map[string]string {
	env := maps.Clone(complete)
	maps.Copy(env, changes)
	return env
}

func TestDefaultsAreTheDocumentedOnes(t *testing.T) {
	t.Parallel()

	c, err := config.Load(config.Worker, lookup(complete), nil)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	if c.Rate != 50 || c.MinShare != 0.05 || c.Timeout != 15*time.Second || c.WorkerListen != "127.0.0.1:9090" || c.Location.String() != "Asia/Shanghai" {
		t.Errorf("defaults = %+v", c)
	}
}

func TestEveryProblemIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		program config.Program
		env     map[string]string
		want    []string // names, in order
	}{
		{"nothing set", config.Worker, nil, []string{"DATABASE_URL", "REDIS_URL", "ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"}},
		{"migrate needs Postgres only", config.Migrate, nil, []string{"DATABASE_URL"}},
		{"a dry run needs nothing", config.Offline, nil, nil},
		{"malformed", config.Worker, with(map[string]string{
			"QUICKBI_RATE": "fast", "QUICKBI_TIMEZONE": "Mars/Base", "LOG_LEVEL": "loud", "QUICKBI_TIMEOUT": "15", "WORKER_CONCURRENCY": "0",
		}), []string{"QUICKBI_RATE", "QUICKBI_TIMEZONE", "LOG_LEVEL", "QUICKBI_TIMEOUT", "WORKER_CONCURRENCY"}},
		{"too large a share for a lane", config.Worker, with(map[string]string{"LANE_MIN_SHARE": "31%"}), []string{"LANE_MIN_SHARE"}},
		{"a share that is no number", config.Worker, with(map[string]string{"LANE_MIN_SHARE": "NaN"}), []string{"LANE_MIN_SHARE"}},
		{"no share for a lane", config.Worker, with(map[string]string{"LANE_MIN_SHARE": "0%"}), nil},
		{"late calls forgotten too early", config.Worker, with(map[string]string{"QUICKBI_LATE": "20s"}), []string{"QUICKBI_LATE"}},
		{"a lease shorter than its call", config.Worker, with(map[string]string{"WORKER_LEASE": "20s"}), []string{"WORKER_LEASE"}},
		{"a worker that is silent too soon", config.Worker, with(map[string]string{"WORKER_ALIVE": "1s"}), []string{"WORKER_ALIVE"}},
		{"a drain shorter than its call", config.Worker, with(map[string]string{"WORKER_DRAIN": "10s"}), []string{"WORKER_DRAIN"}},
		{"a drain as long as its call", config.Worker, with(map[string]string{"WORKER_DRAIN": "15s"}), nil},
		{"an address without a port", config.Worker, with(map[string]string{"WORKER_LISTEN": "localhost"}), []string{"WORKER_LISTEN"}},
		{"a port that is none", config.Worker, with(map[string]string{"WORKER_LISTEN": "localhost:70000"}), []string{"WORKER_LISTEN"}},
		{"every interface", config.Worker, with(map[string]string{"WORKER_LISTEN": ":0"}), nil},
		{"a provider's own settings", config.Worker, with(map[string]string{"QUICKBI_CREDENTIALS": "credentials_uri"}), []string{"ALIBABA_CLOUD_CREDENTIALS_URI"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(tt.program, lookup(tt.env), nil)
			if diff := cmp.Diff(tt.want, atFault(err)); diff != "" {
				t.Errorf("settings at fault (-want +got):\n%s\n%v", diff, err)
			}
		})
	}
}

// atFault lists the settings that err names.
func atFault(err error) []string {
	var names []string
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			name, _, _ := strings.Cut(line, ":")
			names = append(names, name)
		}
	}
	return names
}

func TestJoinNamesASettingOnce(t *testing.T) {
	t.Parallel()

	_, loaded := config.Load(config.Enqueue, lookup(map[string]string{"DATABASE_URL": "mysql://x"}), nil)
	strange := errors.New("strange")
	err := config.Join(loaded, config.Blame("DATABASE_URL", strange), config.Blame("WORKER_LISTEN", strange), config.Blame("REDIS_URL", nil), strange)
	if diff := cmp.Diff([]string{"DATABASE_URL", "REDIS_URL", "WORKER_LISTEN", "strange"}, atFault(err)); diff != "" {
		t.Errorf("settings at fault (-want +got):\n%s\n%v", diff, err)
	}
	if !errors.Is(err, strange) {
		t.Error("an error that names no setting was lost")
	}
	if err := config.Join(nil, config.Blame("REDIS_URL", nil)); err != nil {
		t.Errorf("of nothing comes %v", err)
	}
}

func TestRatesOfNoAction(t *testing.T) {
	t.Parallel()

	c, err := config.Load(config.Offline, lookup(nil), []string{
		"QUICKBI_RATE_SMARTQAUTHORISE=10/s", "QUICKBI_RATE_SmartqAuthorize=10/s", "QUICKBI_RATE_SMARTQAUTHORIZE=10/s", "QUICKBI_RATE_EMPTY=",
	})
	if err != nil {
		t.Fatal(err)
	}
	err = config.CheckRates(c, []string{"SmartqAuthorize", "AddShareReport"})
	if diff := cmp.Diff([]string{"QUICKBI_RATE_SMARTQAUTHORISE", "QUICKBI_RATE_SmartqAuthorize"}, atFault(err)); diff != "" {
		t.Errorf("settings at fault (-want +got):\n%s", diff)
	}
	if !strings.Contains(fmt.Sprint(err), "SMARTQAUTHORIZE, ADDSHAREREPORT") {
		t.Errorf("the known ones are not named: %v", err)
	}
}

func TestRateOfAnActionOverridesTheDefault(t *testing.T) {
	t.Parallel()

	c, err := config.Load(config.Offline, lookup(map[string]string{"QUICKBI_RATE": "30"}), []string{"QUICKBI_RATE_SMARTQAUTHORIZE=90/m", "HOME=/"})
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	if got := c.RateOf("SmartqAuthorize"); got != 1.5 {
		t.Errorf("RateOf(SmartqAuthorize) = %v, want 1.5/s", got)
	}
	if got := c.RateOf("AddShareReport"); got != 30 {
		t.Errorf("RateOf(AddShareReport) = %v, want 30/s", got)
	}
	if _, err := config.Load(config.Offline, lookup(nil), []string{"QUICKBI_RATE_X=none"}); err == nil || !strings.HasPrefix(err.Error(), "QUICKBI_RATE_X:") {
		t.Errorf("a malformed rate of an action: %v, want it named", err)
	}
}

func TestSecretsCannotBePrinted(t *testing.T) {
	t.Parallel()

	c, err := config.Load(config.Worker, lookup(with(map[string]string{"ALIBABA_CLOUD_SECURITY_TOKEN": "pw"})), nil)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	asJSON, err := json.Marshal(c) //nolint:musttag // nothing marshals it but this test
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), fmt.Sprintf("%d", c.AccessKeySecret), string(asJSON)} {
		if strings.Contains(shown, "pw") {
			t.Errorf("a secret shows in %s", shown)
		}
	}
	if c.AccessKeySecret.Reveal() != "pw" {
		t.Error("Reveal does not reveal")
	}
}
