package tasks_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/usher-bi/usher/internal/devstack"
	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
	"github.com/usher-bi/usher/internal/testenv"
)

// logged is what workers said.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) count(message string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), message)
}

func (l *logged) has(message string) bool { return l.count(message) > 0 }

// remarks are the lines that are not about a call, nor what every worker says
// once in its life.
func (l *logged) remarks() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for line := range strings.Lines(l.buf.String()) {
		var entry struct {
			Level   string `json:"level"`
			Message string `json:"message"`
		}
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Level != "debug" && !slices.Contains(usual, entry.Message) {
			out = append(out, line)
		}
	}
	return out
}

var usual = []string{"call answered", "audit checkpoint", "Redis is new or has lost what was in it: its queues are filled from Postgres"}

// fragile is a world whose servers can be taken away.
func fragile(t *testing.T, o quickbitest.Options) (*world, *devstack.Stack, *logged) {
	t.Helper()
	stack, err := devstack.Start(t.Context(), devstack.Options{Durable: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stack.Stop(); err != nil {
			t.Error(err)
		}
	})
	at := servers{postgres: stack.DatabaseURL("postgres"), redis: stack.RedisURL(0)}
	if err := store.Migrate(t.Context(), at.postgres); err != nil {
		t.Fatal(err)
	}
	w := setupOn(t, at, o)
	said := &logged{}
	w.log = zerolog.New(zerolog.MultiLevelWriter(said, zerolog.NewTestWriter(quiet{t})))
	return w, stack, said
}

// quiet is a test that hears nothing after its end.
type quiet struct{ *testing.T }

func (q quiet) Logf(format string, args ...any) {
	if q.Context().Err() == nil {
		q.T.Logf(format, args...)
	}
}

// freeze stops every process of a Postgres where it stands, and returns what
// lets them go on.
func freeze(t *testing.T, stack *devstack.Stack) (thaw func()) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(stack.Dir(), "postgres", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	postmaster, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	stopped := []int{postmaster}
	signal(t, postmaster, syscall.SIGSTOP) // first, so that it starts no other
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		signal(t, postmaster, syscall.SIGCONT)
		t.Skip("no /proc to find the processes of Postgres in")
	}
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, after, _ := strings.Cut(string(stat), ") ")
		fields := strings.Fields(after) // state, parent, …
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && len(fields) > 1 && fields[1] == first {
			signal(t, pid, syscall.SIGSTOP)
			stopped = append(stopped, pid)
		}
	}
	return func() {
		for _, pid := range stopped {
			signal(t, pid, syscall.SIGCONT)
		}
	}
}

func signal(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Errorf("sending %v to %d: %v", sig, pid, err)
	}
}

func TestOutageOfPostgresLosesNothing(t *testing.T) {
	t.Parallel()
	restart := func(t *testing.T, stack *devstack.Stack) func() {
		t.Helper()
		return func() {
			if err := stack.Postgres().Start(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
	for _, tt := range []struct {
		name string
		away func(*testing.T, *devstack.Stack) (back func())
	}{
		{"it is stopped", func(t *testing.T, stack *devstack.Stack) func() {
			t.Helper()
			if err := stack.Postgres().Stop(); err != nil {
				t.Fatal(err)
			}
			return restart(t, stack)
		}},
		{"it crashes", func(t *testing.T, stack *devstack.Stack) func() {
			t.Helper()
			if err := stack.Postgres().Kill(); err != nil {
				t.Fatal(err)
			}
			return restart(t, stack)
		}},
		{"it hangs", freeze},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			users := ids("u", 100)
			w, stack, said := fragile(t, quickbitest.Options{Users: users, QAResources: ids("r", 30), Latency: quickbitest.Duration(time.Second)})
			w.work(t, func(o *tasks.Options) { o.Concurrency = 4 })

			changes := grants(users, ids("r", 30))
			id := w.submit(t, changes)
			testenv.Eventually(t, "calls are in flight", func() bool { return w.job(t, id).Calls.Sent >= 2 })
			before := said.count("call answered")
			back := tt.away(t, stack)
			testenv.Eventually(t, "the worker says so", func() bool { return said.has("Postgres is away") })
			testenv.Eventually(t, "a call is answered meanwhile", func() bool { return said.count("call answered") > before })
			back()
			job := w.finish(t, id)
			if job.Outcome != store.OutcomeSucceeded || job.Calls.Sent != 30 || len(w.sandbox.Calls()) != 30 {
				t.Errorf("%s with %d calls recorded and %d sent; want success with 30, none sent twice", job.Outcome, job.Calls.Sent, len(w.sandbox.Calls()))
			}
			var guessed int
			err := w.sql(t).QueryRow(t.Context(), `SELECT count(*) FROM tasks WHERE unsure OR attempts <> 1`).Scan(&guessed)
			if err != nil || guessed > 0 {
				t.Errorf("%d tasks were guessed about (%v)", guessed, err)
			}
			w.wantGranted(t, changes)
			if lines := said.remarks(); len(lines) > 3 {
				t.Errorf("%d lines for one outage, want at most 3:\n%s", len(lines), strings.Join(lines, ""))
			}
		})
	}
}

func TestCutConnectionIsNoOutage(t *testing.T) {
	t.Parallel()
	users := ids("u", 100)
	w, _, said := fragile(t, quickbitest.Options{Users: users, QAResources: ids("r", 20), Latency: quickbitest.Duration(100 * time.Millisecond)})
	w.work(t, func(o *tasks.Options) { o.Concurrency = 2 })
	id := w.submit(t, grants(users, ids("r", 20)))
	conn := w.sql(t)
	for done := 1; done < 10; done += 3 {
		testenv.Eventually(t, "some tasks are done", func() bool {
			job, err := w.store.Job(t.Context(), id)
			return err == nil && job.Tasks.Done >= done
		})
		if _, err := conn.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'usher'`); err != nil {
			t.Fatal(err)
		}
	}
	testenv.Eventually(t, "the job ends", func() bool {
		job, err := w.store.Job(t.Context(), id)
		return err == nil && job.Status.Final()
	})
	if job := w.job(t, id); job.Outcome != store.OutcomeSucceeded || len(w.sandbox.Calls()) != 20 {
		t.Errorf("%s with %d calls sent; want success with 20", job.Outcome, len(w.sandbox.Calls()))
	}
	if said.has("is away") {
		t.Errorf("cut connections are taken for an outage:\n%s", strings.Join(said.remarks(), ""))
	}
}

func TestWorkerStopsWhilePostgresIsAway(t *testing.T) {
	t.Parallel()
	w, stack, said := fragile(t, quickbitest.Options{Users: ids("u", 2), QAResources: ids("r", 1)})
	stop := w.work(t)
	w.finish(t, w.submit(t, grants(ids("u", 2), ids("r", 1))))
	if err := stack.Postgres().Stop(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "the worker says so", func() bool { return said.has("Postgres is away") })
	stop()
}

func TestWorkersThatStopAreNotMissed(t *testing.T) {
	t.Parallel()
	w := setup(t, quickbitest.Options{})
	conn := w.sql(t)
	rows := func() (n int) {
		if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM workers`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	stop := w.work(t)
	testenv.Eventually(t, "the worker says that it lives", func() bool { return rows() == 1 })
	stop()
	if n := rows(); n != 0 {
		t.Errorf("%d workers left after a clean stop", n)
	}
}

func TestOutlastTellsAbsenceFromAnswers(t *testing.T) {
	t.Parallel()
	away, wrong := errors.New("away"), errors.New("wrong password")
	said := &logged{}
	tries := 0
	o := tasks.Outage{
		Name: "The thing", Log: zerolog.New(said), Passing: func(err error) bool { return errors.Is(err, away) },
		Ask: func(context.Context) error {
			if tries++; tries < 4 {
				return away
			}
			return nil
		},
	}
	if err := tasks.Outlast(t.Context(), o); err != nil || tries != 4 || len(said.remarks()) != 2 {
		t.Errorf("Outlast = %v after %d questions, and says %q; want the fourth answer and two lines", err, tries, said.remarks())
	}
	o.Ask = func(context.Context) error { return wrong }
	if err := tasks.Outlast(t.Context(), o); !errors.Is(err, wrong) {
		t.Errorf("Outlast = %v, want the answer", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	o.Ask = func(context.Context) error { cancel(); return away }
	if err := tasks.Outlast(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("Outlast after its end = %v", err)
	}
}
