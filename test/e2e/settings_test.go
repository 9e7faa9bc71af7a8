package e2e_test

import (
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/usher-bi/usher/internal/testenv"
)

// prepareOffline is for programs that need no server.
func prepareOffline(t *testing.T) *deployment {
	t.Helper()
	d := &deployment{t: t}
	return d.in(t)
}

// in is d for another test, with a folder of its own.
func (d *deployment) in(t *testing.T) *deployment {
	t.Helper()
	own := *d
	own.t, own.dir = t, t.TempDir()
	own.env = append(slices.Clone(d.env), "HOME="+own.dir, "GORACE=atexit_sleep_ms=0")
	return &own
}

func TestMissingSettings(t *testing.T) {
	t.Parallel()

	worker := []string{"DATABASE_URL", "REDIS_URL", "ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"}
	for _, tt := range []struct {
		name, program string
		args          []string
		env           []string
		names         []string
	}{
		{"worker run", "worker", []string{"run"}, nil, worker},
		{"worker migrate", "worker", []string{"migrate"}, nil, worker[:1]},
		{"enqueue csv", "enqueue", []string{"csv", "FILE"}, nil, worker[:2]},
		{"enqueue status", "enqueue", []string{"status", "JOB"}, nil, worker[:1]},
		{
			"malformed", "worker",
			[]string{"run"},
			[]string{"DATABASE_URL=mysql://x", "REDIS_URL=localhost", "QUICKBI_RATE=fast", "QUICKBI_TIMEOUT=15", "LOG_LEVEL=loud"},
			append([]string{"QUICKBI_RATE", "QUICKBI_TIMEOUT", "LOG_LEVEL"}, worker...),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			d := prepareOffline(t)
			file := d.write("rows.csv", "action,principal,resource_type,resource_id,expires_on\nrevoke,u1,qa_resource,r1,\n")
			for i, arg := range tt.args {
				tt.args[i] = strings.ReplaceAll(arg, "FILE", file)
			}
			said := d.begin(invocation{program: tt.program, args: tt.args, env: tt.env}).end().want(2).says(tt.names...)
			if strings.Contains(said.stderr, "goroutine") || said.stdout != "" {
				t.Errorf("more than a sentence: %s%s", said.stdout, said.stderr)
			}
			for _, name := range worker {
				if !slices.Contains(tt.names, name) && strings.Contains(said.stderr, name) {
					t.Errorf("%s is asked for, and is not needed:\n%s", name, said.stderr)
				}
			}
		})
	}
}

// deadAddress is one that nobody listens on.
func deadAddress(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestServersAway is answered with a sentence that says which, and nothing is
// half-written. A worker waits for what may come back.
func TestServersAway(t *testing.T) {
	t.Parallel()

	rows := apart(1)
	d := setup(t, worldOf(rows))
	file := d.file("rows.csv", rows)
	const password = "s3cret"
	noPostgres := "DATABASE_URL=postgres://usher:" + password + "@" + deadAddress(t) + "/usher?sslmode=disable"
	noRedis := "REDIS_URL=redis://:" + password + "@" + deadAddress(t) + "/0"
	unmigrated := "DATABASE_URL=" + testenv.EmptyPostgres(t)
	for _, tt := range []struct {
		name  string
		env   string
		code  string // of enqueue's error document
		words []string
	}{
		{"Postgres", noPostgres, "postgres_unavailable", []string{"Postgres cannot be reached", "DATABASE_URL"}},
		{"Redis", noRedis, "redis_unavailable", []string{"Redis cannot be reached", "REDIS_URL"}},
		{"schema", unmigrated, "schema_outdated", []string{"worker migrate"}},
	} {
		worker := d.begin(invocation{program: "worker", args: []string{"run"}, env: []string{tt.env}})
		submitted := d.begin(invocation{program: "enqueue", args: []string{"csv", file}, env: []string{tt.env}}).end().want(11).says(tt.words...)
		if tt.env != unmigrated {
			d.eventually("the worker says what it waits for", func() bool {
				_, told := worker.stderr.logged(tt.name + " is away; waiting for it")
				return told || worker.gone()
			})
			worker.stop()
		} else {
			worker.end().want(11).says(tt.words...)
		}
		for _, said := range []string{submitted.stderr, worker.stderr.String()} {
			if strings.Contains(said, "goroutine") || strings.Contains(said, password) {
				t.Errorf("%s away: a program says\n%s", tt.name, said)
			}
		}
		var refused job
		d.begin(invocation{program: "enqueue", args: []string{"csv", file, "--json"}, env: []string{tt.env}}).end().want(11).document(&refused)
		if refused.Error.Code != tt.code {
			t.Errorf("%s away: error = %+v, want %s", tt.name, refused.Error, tt.code)
		}
	}
	d.begin(invocation{program: "worker", args: []string{"migrate"}, env: []string{noPostgres}}).end().want(11).says("Postgres cannot be reached")
	d.wantNothingKept()

	d.migrate().want(0) // once more changes nothing
	d.work()
	d.enqueue("csv", file, "--wait").want(0)
	d.wantHeld(held{}.apply(rows...))
}
