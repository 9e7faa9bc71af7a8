package main

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/devstack"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/testenv"
)

// running is a worker in this process.
type running struct {
	stop        context.CancelFunc
	ended       chan int
	out, errOut buffer
}

func start(t *testing.T, vars map[string]string, args ...string) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &running{stop: stop, ended: make(chan int, 1)}
	go func() {
		r.ended <- run(ctx, environment{args: args, getenv: func(k string) string { return vars[k] }, stdout: &r.out, stderr: &r.errOut})
	}()
	t.Cleanup(stop)
	return r
}

func TestWhoIsAwayIsWaitedFor(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	mute, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mute.Close() })
	for _, tt := range []struct{ name, variable, value, other string }{
		{"Postgres", "DATABASE_URL", "postgres://u:secret@127.0.0.1:1/db", "Redis:"},
		{"Postgres", "DATABASE_URL", "postgres://u:secret@" + mute.Addr().String() + "/db?sslmode=disable", "Redis:"},
		{"Redis", "REDIS_URL", "redis://:secret@127.0.0.1:1/0", "Postgres:"},
		{"Redis", "REDIS_URL", "redis://:secret@" + mute.Addr().String() + "/0", "Postgres:"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			vars := deployment(t)
			vars[tt.variable] = tt.value
			r := start(t, vars, "run", "--json")
			address := listening(t, &r.errOut)
			testenv.Eventually(t, "the log says who is away", func() bool { return strings.Contains(r.errOut.String(), tt.name+" is away") })
			if status, _ := get(t, "http://"+address+"/healthz"); status != http.StatusOK {
				t.Errorf("/healthz answers %d", status)
			}
			if status, body := get(t, "http://"+address+"/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, tt.name+":") || strings.Contains(body, tt.other) {
				t.Errorf("/readyz answers %d: %s", status, body)
			}
			r.stop()
			if code := <-r.ended; code != exitOK {
				t.Errorf("exit %d when stopped while it waits, want %d:\n%s", code, exitOK, r.errOut.String())
			}
			if diff := cmp.Diff(map[string]any{"stopped": true}, decode(t, r.out.String())); diff != "" {
				t.Errorf("the document (-want +got):\n%s", diff)
			}
			if n := strings.Count(r.errOut.String(), "is away"); n != 1 || strings.Contains(r.errOut.String(), "secret@") {
				t.Errorf("the log says %d times who is away, want once, without a secret:\n%s", n, r.errOut.String())
			}
		})
	}
}

func TestWorkBeginsOnceBothAreThere(t *testing.T) {
	t.Parallel()
	stack, err := devstack.Start(t.Context(), devstack.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stack.Stop(); err != nil {
			t.Error(err)
		}
	})
	vars := deployment(t)
	vars["DATABASE_URL"], vars["REDIS_URL"] = stack.DatabaseURL("postgres"), stack.RedisURL(0)
	if err := store.Migrate(t.Context(), vars["DATABASE_URL"]); err != nil {
		t.Fatal(err)
	}
	for _, server := range []*devstack.Server{stack.Postgres(), stack.Redis()} {
		if err := server.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	r := start(t, vars, "run")
	for _, s := range []struct {
		name   string
		server *devstack.Server
	}{{"Postgres", stack.Postgres()}, {"Redis", stack.Redis()}} {
		testenv.Eventually(t, s.name+" is away", func() bool { return strings.Contains(r.errOut.String(), s.name+" is away") })
		if err := s.server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		testenv.Eventually(t, s.name+" is back", func() bool { return strings.Contains(r.errOut.String(), s.name+" is back") })
	}
	address := listening(t, &r.errOut)
	testenv.Eventually(t, "the worker is ready", func() bool {
		status, _ := get(t, "http://"+address+"/readyz")
		return status == http.StatusOK
	})
	r.stop()
	if code := <-r.ended; code != exitOK {
		t.Errorf("exit %d, want %d:\n%s", code, exitOK, r.errOut.String())
	}
}

// What waiting does not mend is said at once.
func TestWrongSettingsAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	vars := deployment(t)
	missing, err := url.Parse(vars["DATABASE_URL"])
	if err != nil {
		t.Fatal(err)
	}
	missing.Path = "/nowhere"
	for _, tt := range []struct {
		name, variable, value string
		code                  int
		want                  string
	}{
		{"no such database", "DATABASE_URL", missing.String(), exitError, "nowhere"},
		{"no migrations", "DATABASE_URL", testenv.EmptyPostgres(t), exitUnreachable, "worker migrate"},
		{"no such Redis database", "REDIS_URL", strings.Split(vars["REDIS_URL"], "?")[0] + "?db=100000", exitUnreachable, "DB index"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			vars := deployment(t)
			vars[tt.variable] = tt.value
			code, _, stderr := execute(t.Context(), vars, "run")
			if code != tt.code || !strings.Contains(stderr, tt.want) {
				t.Errorf("exit %d, want %d and %q:\n%s", code, tt.code, tt.want, stderr)
			}
		})
	}
}
