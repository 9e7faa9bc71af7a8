package tasks

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/usher-bi/usher/internal/devstack"
)

// checkedRedis checks a Redis of the test's own, started with args.
func checkedRedis(t *testing.T, args ...string) (warnings []string, err error) {
	t.Helper()
	stack, err := devstack.Start(t.Context(), devstack.Options{NoPostgres: true, RedisArgs: args})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stack.Stop(); err != nil {
			t.Error(err)
		}
	})
	client, err := OpenRedis(t.Context(), stack.RedisURL(0))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	return CheckRedis(t.Context(), client)
}

func TestCheckRedis(t *testing.T) {
	t.Parallel()

	const (
		nothingKept = "Redis keeps nothing on disk"
		noVersion   = "Redis does not tell its version"
		noPolicy    = "Redis does not tell its maxmemory-policy"
		noFile      = "Redis keeps no append-only file"
	)
	for _, tt := range []struct {
		name     string
		args     []string
		warnings []string // how they begin
		unfit    string
	}{
		{"nothing is kept", nil, []string{nothingKept}, ""},
		{"append-only file", []string{"--appendonly", "yes"}, nil, ""},
		{"snapshots", []string{"--save", "3600 1"}, nil, ""},
		{"evicts", []string{"--maxmemory-policy", "allkeys-lru"}, nil, "set maxmemory-policy noeviction"},
		{"evicts what expires", []string{"--maxmemory-policy", "volatile-ttl"}, nil, "volatile-ttl"},
		{"tells no settings", []string{"--rename-command", "CONFIG", ""}, []string{noFile}, ""},
		{"tells nothing", []string{"--rename-command", "INFO", ""}, []string{noVersion, noPolicy}, ""},
		{"may not be asked", []string{"--user", "default", "on", "nopass", "~*", "&*", "+@all", "-info"}, []string{noVersion, noPolicy}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			warnings, err := checkedRedis(t, tt.args...)
			if unfit := errors.Is(err, ErrRedisUnfit); unfit != (tt.unfit != "") || unfit && !strings.Contains(err.Error(), tt.unfit) || !unfit && err != nil {
				t.Errorf("error %v, want %q", err, tt.unfit)
			}
			if len(warnings) != len(tt.warnings) {
				t.Fatalf("warnings %q, want %q", warnings, tt.warnings)
			}
			for i, want := range tt.warnings {
				if !strings.HasPrefix(warnings[i], want) {
					t.Errorf("warning %q, want %q", warnings[i], want)
				}
			}
		})
	}
}

func TestCheckRedisThatIsAway(t *testing.T) {
	t.Parallel()

	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1})
	defer client.Close()
	if _, err := CheckRedis(t.Context(), client); !errors.Is(err, ErrRedisUnavailable) {
		t.Errorf("error %v, want %v", err, ErrRedisUnavailable)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := CheckRedis(ctx, client); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

func TestRedisVersions(t *testing.T) {
	t.Parallel()

	type verdict struct{ Old, Known bool }
	for version, want := range map[string]verdict{
		"6.2.0": {false, true}, "6.2": {false, true}, "7.0.15": {false, true}, "10.0.0": {false, true}, "7.2.4-rc1": {false, true},
		"6.0.20": {true, true}, "5.9.9": {true, true}, "2.8.19": {true, true},
		"": {}, "7": {}, "unstable": {}, "v7.0.1": {},
	} {
		old, known := tooOld(version)
		if diff := cmp.Diff(want, verdict{old, known}); diff != "" {
			t.Errorf("%q (-want +got):\n%s", version, diff)
		}
	}
	_, err := judgeRedis(map[string]string{"redis_version": "5.0.7", "maxmemory_policy": "allkeys-lru"})
	for _, want := range []string{"5.0.7", "6.2 or newer", "allkeys-lru"} {
		if !errors.Is(err, ErrRedisUnfit) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}
