package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
	"github.com/usher-bi/usher/internal/testenv"
)

// site is a deployment with a stand-in for Quick BI and a job of many calls.
type site struct {
	vars    map[string]string
	sandbox *quickbitest.Server
	store   *store.Store
	sql     *pgx.Conn
	job     string
	calls   int
}

func newSite(tb testing.TB, settings map[string]string) *site {
	tb.Helper()
	users := make([]string, 100)
	for i := range users {
		users[i] = fmt.Sprintf("u%d", i)
	}
	s := &site{calls: 40}
	resources := make([]string, s.calls)
	for i := range resources {
		resources[i] = fmt.Sprintf("r%d", i)
	}
	s.sandbox = quickbitest.New(&quickbitest.Options{Users: users, QAResources: resources, Latency: quickbitest.Duration(500 * time.Millisecond)})
	srv := httptest.NewServer(s.sandbox)
	tb.Cleanup(srv.Close)
	s.vars = deployment(tb)
	s.vars["QUICKBI_ENDPOINT"], s.vars["WORKER_CONCURRENCY"] = srv.URL, "8"
	maps.Copy(s.vars, settings)
	s.connect(tb)
	s.submit(tb, users, resources)
	return s
}

func (s *site) connect(tb testing.TB) {
	tb.Helper()
	var err error
	if s.store, err = store.Open(tb.Context(), s.vars["DATABASE_URL"], 4); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.store.Close)
	if s.sql, err = pgx.Connect(tb.Context(), s.vars["DATABASE_URL"]); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.sql.Close(context.WithoutCancel(tb.Context())) })
}

func (s *site) submit(tb testing.TB, users, resources []string) {
	tb.Helper()
	queue, err := tasks.OpenRedis(tb.Context(), s.vars["REDIS_URL"])
	if err != nil {
		tb.Fatal(err)
	}
	defer queue.Close()
	sub := tasks.Submission{
		Source: "test", RequestedBy: "tester", Lane: store.Normal, Fingerprint: "print", Header: []string{"principal"},
		Input: store.Input{Rows: len(users) * len(resources)},
	}
	var rows tasks.RowList
	for _, u := range users {
		for _, r := range resources {
			change := access.Change{
				Operation: access.Grant, Principal: access.Principal{Type: access.User, ID: u},
				Resource: access.Resource{Type: access.QAResource, ID: r},
				Terms:    access.Terms{ExpiresOn: access.Date{Year: 2099, Month: time.December, Day: 31}},
			}
			line := len(rows) + 2
			rows = append(rows, tasks.SubmittedRow{Row: store.Row{Line: line, RowID: strconv.Itoa(line), Change: change}})
		}
	}
	sub.Rows = rows
	out, err := tasks.NewSubmitter(s.store, tasks.NewQueue(queue)).Submit(tb.Context(), sub)
	if err != nil {
		tb.Fatal(err)
	}
	s.job = out.JobID
}

func (s *site) progress(tb testing.TB) store.Job {
	tb.Helper()
	job, err := s.store.Job(tb.Context(), s.job)
	if err != nil {
		tb.Fatal(err)
	}
	return job
}

// work starts the program itself.
func (s *site) work(tb testing.TB) *exec.Cmd {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), testenv.Build(tb, "./cmd/worker"), "run") //nolint:gosec // the test's own
	for name, value := range s.vars {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	return cmd
}

// kill ends a worker in the middle of its calls and returns how many tasks it
// leaves behind.
func (s *site) kill(tb testing.TB, cmd *exec.Cmd) (held int) {
	tb.Helper()
	if err := cmd.Process.Kill(); err != nil {
		tb.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) {
		tb.Fatalf("the killed worker ended with %v", err)
	}
	if err := s.sql.QueryRow(tb.Context(), `SELECT count(*) FROM tasks WHERE state = 'running'`).Scan(&held); err != nil {
		tb.Fatal(err)
	}
	return held
}

// takenUp reports whether nobody holds a task any more that was claimed before.
func (s *site) takenUp(tb testing.TB, held int) bool {
	tb.Helper()
	var again int
	err := s.sql.QueryRow(tb.Context(), `
		SELECT count(*) FROM audit a JOIN tasks t ON t.job_id = a.job_id AND t.no = a.task_no
		WHERE a.event = $1 AND t.generation > 2`, store.EventReclaimed).Scan(&again)
	return err == nil && again == held
}

func TestKilledWorkersTasksAreTakenUp(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"WORKER_ALIVE": "2s", "QUICKBI_TIMEOUT": "3s", "WORKER_SWEEP": "1h"}) // so that only silence can be what is noticed
	first := s.work(t)
	testenv.Eventually(t, "the worker is in the middle of its calls", func() bool { return s.progress(t).Tasks.Done >= 8 })
	held := s.kill(t, first)
	if held == 0 {
		t.Fatal("the worker held nothing when it was killed")
	}
	killed := time.Now()
	second := s.work(t)
	testenv.Eventually(t, "all its tasks are taken up", func() bool { return s.takenUp(t, held) })
	t.Logf("%d tasks taken up after %v", held, time.Since(killed))
	if err := second.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := second.Wait(); err != nil {
		t.Errorf("the second worker: %v", err)
	}
	s.vars["WORKER_SWEEP"] = "1s" // what was taken from the queue and not yet claimed takes a round
	second = s.work(t)
	testenv.Eventually(t, "another worker works", func() bool {
		var n int
		return s.sql.QueryRow(t.Context(), `SELECT count(*) FROM workers`).Scan(&n) == nil && n == 1
	})
	testenv.Eventually(t, "the job ends", func() bool { return s.progress(t).Status.Final() })
	if job := s.progress(t); job.Counts != (store.Counts{Total: 4000, Succeeded: 4000}) {
		t.Errorf("counts = %+v, want all succeeded", job.Counts)
	}
	if got := len(s.sandbox.Grants()); got != 4000 {
		t.Errorf("%d of 4000 grants at Quick BI", got)
	}
	if err := second.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := second.Wait(); err != nil {
		t.Errorf("the second worker: %v", err)
	}
	var left int
	if err := s.sql.QueryRow(t.Context(), `SELECT count(*) FROM workers`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d workers are on the list (%v), want none", left, err)
	}
}

// BenchmarkTakeUp is the time from the kill of the only worker until another
// one, started at once, has taken up all it held, with the default settings.
func BenchmarkTakeUp(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		s := newSite(b, nil)
		first := s.work(b)
		testenv.Eventually(b, "the worker is in the middle of its calls", func() bool { return s.progress(b).Tasks.Done >= 8 })
		held := s.kill(b, first)
		b.StartTimer()
		second := s.work(b)
		testenv.Eventually(b, "all its tasks are taken up", func() bool { return s.takenUp(b, held) })
		b.StopTimer()
		b.Logf("%d tasks taken up after %v", held, b.Elapsed())
		_ = second.Process.Kill()
		_ = second.Wait()
		b.StartTimer()
	}
}
