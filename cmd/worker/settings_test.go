package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/devstack"
)

// wrong is a value of each setting that only its adapter can judge, and of some
// others.
var wrong = map[string]string{
	"DATABASE_URL": "postgres://u:s3cret@h:bad/x", "REDIS_URL": "redis://:s3cret@h:bad/0", "QUICKBI_ENDPOINT": "ftp://example.com",
	"WORKER_LEASE": "soon", "WORKER_LISTEN": "nowhere", "WORKER_DRAIN": "1s", "QUICKBI_RATE": "fast", "QUICKBI_RATE_SMARTQAUTHORISE": "10/s", "WORKER_INBOX": "/no/such/folder",
	"QUICKBI_CREDENTIALS": "credentials_uri", "ALIBABA_CLOUD_CREDENTIALS_URI": "s3cret",
}

// named lists the settings at fault that a message names, in its order.
func named(message string) []string {
	var names []string
	for line := range strings.Lines(message) {
		if name, _, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && strings.HasPrefix(line, "  ") {
			names = append(names, name)
		}
	}
	return names
}

func TestAllWrongSettingsAreNamedAtOnce(t *testing.T) {
	t.Parallel()

	everything := []string{
		"QUICKBI_RATE", "WORKER_LEASE", "WORKER_LISTEN", "ALIBABA_CLOUD_CREDENTIALS_URI", "WORKER_DRAIN", "QUICKBI_RATE_SMARTQAUTHORISE",
		"DATABASE_URL", "WORKER_INBOX", "REDIS_URL", "QUICKBI_ENDPOINT",
	}
	needed := []string{"DATABASE_URL", "REDIS_URL", "ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"}
	for _, tt := range []struct {
		name, command string
		vars          map[string]string
		want          []string
	}{
		{"nothing is set", "run", nil, needed},
		{"nothing is set to migrate", "migrate", nil, needed[:1]},
		{"all is wrong", "run", wrong, everything},
		{"migrate needs little", "migrate", wrong, []string{"QUICKBI_RATE", "QUICKBI_RATE_SMARTQAUTHORISE", "DATABASE_URL"}},
		{"another scheme is said once", "migrate", map[string]string{"DATABASE_URL": "mysql://" + "s3cret@h/x"}, needed[:1]},
		{"a secret is missing", "run", map[string]string{
			"DATABASE_URL": "postgres://h/x", "REDIS_URL": "redis://h", "ALIBABA_CLOUD_ACCESS_KEY_ID": "id",
		}, needed[3:]},
		{"an unknown provider", "run", map[string]string{
			"DATABASE_URL": "postgres://h/x", "REDIS_URL": "redis://h", "QUICKBI_CREDENTIALS": "default",
		}, []string{"QUICKBI_CREDENTIALS"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := execute(t.Context(), tt.vars, tt.command)
			got := named(stderr)
			slices.Sort(got)
			want := slices.Sorted(slices.Values(tt.want))
			if diff := cmp.Diff(want, got); diff != "" || code != exitUsage {
				t.Errorf("exit %d, want %d; settings at fault (-want +got):\n%s\n%s", code, exitUsage, diff, stderr)
			}
			if strings.Contains(stderr, "s3cret") || strings.Contains(stderr, "goroutine") || stdout != "" {
				t.Errorf("stdout %q, stderr holds a secret or a stack:\n%s", stdout, stderr)
			}
		})
	}
}

func TestRateOfAMisspelledActionNamesTheKnownOnes(t *testing.T) {
	t.Parallel()

	_, _, stderr := execute(t.Context(), wrong, "run")
	for _, action := range []string{"SMARTQAUTHORIZE", "ADDWORKSAUTHORIZATION", "QUERYSHARELIST"} {
		if !strings.Contains(stderr, action) {
			t.Errorf("%s is not named in:\n%s", action, stderr)
		}
	}
}

// A Redis that evicts is a setting to mend, not a server that is away.
func TestRedisMustNotEvict(t *testing.T) {
	t.Parallel()

	stack, err := devstack.Start(t.Context(), devstack.Options{NoPostgres: true, RedisArgs: []string{"--maxmemory-policy", "allkeys-lru"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stack.Stop(); err != nil {
			t.Error(err)
		}
	})
	vars := deployment(t)
	vars["REDIS_URL"] = stack.RedisURL(0)
	code, _, stderr := execute(t.Context(), vars, "run")
	if code != exitUsage || !slices.Contains(named(stderr), "REDIS_URL") || !strings.Contains(stderr, "noeviction") {
		t.Errorf("exit %d, want %d and what to set:\n%s", code, exitUsage, stderr)
	}
}
