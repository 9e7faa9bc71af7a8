package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

var normal = store.ActionLane{Action: access.SmartqAuthorize, Lane: store.Normal}

// large accepts a job of n tasks of SmartqAuthorize. Its tasks are all alike and
// its changes are missing.
func (w world) large(tb testing.TB, key string, n int) store.Created {
	tb.Helper()
	job := mixed(key, access.SmartqAuthorize)
	job.IdempotencyKey = key
	created := w.accept(tb, job)
	w.exec(tb, `
		INSERT INTO tasks (job_id, no, root_no, first_change, last_change, action, operation, principal_type, principals, resources, role, expires_on)
		SELECT job_id, n, root_no, first_change, last_change, action, operation, principal_type, principals, resources, role, expires_on
		FROM tasks, generate_series(2, $2::int) n WHERE job_id = $1`, created.Number, n)
	w.exec(tb, `UPDATE backlog SET last_no = $2 WHERE job_id = $1`, created.Number, n)
	w.exec(tb, `UPDATE jobs SET next_task = $2::int + 1 WHERE id = $1`, created.Number, n)
	return created
}

// small writes n jobs with a task each, of which nothing but the backlog is there.
func (w world) small(tb testing.TB, n int) {
	tb.Helper()
	w.exec(tb, `
		INSERT INTO jobs (ulid, source, requested_by, lane, idempotency_key, fingerprint, rows, header, next_task)
		SELECT '01ARZ3NDEKTSV4RRFFQ69' || lpad(n::text, 5, '0'), 'small', 'tester', 'normal', n::text, 'f', 1, '{action}', 2 FROM generate_series(1, $1::int) n`, n)
	w.exec(tb, `INSERT INTO backlog (job_id, action, lane, next_no, last_no, turn) SELECT id, 'SmartqAuthorize', 'normal', 1, 1, 100 FROM jobs WHERE source = 'small'`)
}

func kept(context.Context, []store.Queued) error { return nil }

// handOut takes tasks of the normal lane and names each by the letter of its job.
func (w world) handOut(t *testing.T, most int, letters map[int64]string) string {
	t.Helper()
	var got strings.Builder
	n, err := w.HandOut(t.Context(), normal, most, func(_ context.Context, tasks []store.Queued) error {
		for _, q := range tasks {
			got.WriteString(letters[q.Job])
		}
		return nil
	})
	if err != nil || n != got.Len() {
		t.Fatalf("HandOut = %d, %v; put were %q", n, err, got.String())
	}
	return got.String()
}

func TestTasksAreHandedOutInTurns(t *testing.T) {
	t.Parallel()
	w := setup(t)
	letters := map[int64]string{}
	join := func(letter string, n int) store.Created {
		created := w.large(t, letter, n)
		letters[created.Number] = letter
		return created
	}
	expect := func(most int, want string) {
		t.Helper()
		if got := w.handOut(t, most, letters); got != want {
			t.Errorf("of %d were handed out %q, want %q", most, got, want)
		}
	}
	a := join("a", 20_000)
	expect(5, "aaaaa")
	join("b", 10) // behind all of a
	expect(5, "babab")
	join("c", 3)
	expect(6, "cabcab")
	w.pause(t, store.OfJob(a.ID))
	expect(4, "cbbb")
	w.resume(t, store.OfJob(a.ID)) // it makes up for nothing
	expect(6, "aababa")
	expect(2, "aa")
	if left := w.backlog(t); left != 20_000-5-2-2-4-2 || w.rows(t) != 1 {
		t.Errorf("%d tasks in %d rows are left, want those of a in one", left, w.rows(t))
	}
}

// backlog counts the tasks in it, and rows its rows.
func (w world) backlog(t *testing.T) (n int) {
	t.Helper()
	if err := w.sql.QueryRow(t.Context(), `SELECT coalesce(sum(last_no - next_no + 1), 0) FROM backlog`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func (w world) rows(t *testing.T) (n int) {
	t.Helper()
	if err := w.sql.QueryRow(t.Context(), `SELECT count(*) FROM backlog`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestManyHandOutSideBySide(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const each = 300
	for _, key := range []string{"a", "b", "c"} {
		w.large(t, key, each)
	}
	var mu sync.Mutex
	times := map[store.TaskRef]int{}
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			for {
				mu.Lock()
				done := len(times) == 3*each
				mu.Unlock()
				if done {
					return
				}
				_, err := w.HandOut(t.Context(), normal, 37, func(_ context.Context, tasks []store.Queued) error {
					mu.Lock()
					defer mu.Unlock()
					for _, q := range tasks {
						times[q.TaskRef]++
					}
					return nil
				})
				if err != nil {
					t.Errorf("HandOut: %v", err)
					return
				}
			}
		})
	}
	group.Wait()
	for ref, n := range times {
		if n != 1 {
			t.Errorf("task %v was handed out %d times", ref, n)
		}
	}
}

func TestWhatCannotBePutIsHandedOutAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.large(t, "a", 5)
	away := errors.New("away")
	if _, err := w.HandOut(t.Context(), normal, 3, func(context.Context, []store.Queued) error { return away }); !errors.Is(err, away) || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("HandOut = %v, want the error of put and none of Postgres", err)
	}
	if left := w.backlog(t); left != 5 {
		t.Errorf("%d tasks are left, want all", left)
	}
	for range 2 {
		if n, err := w.HandOut(t.Context(), normal, 3, kept); err != nil || n == 0 {
			t.Errorf("HandOut = %d, %v", n, err)
		}
	}
	if lanes, err := w.Backlogs(t.Context()); w.rows(t) != 0 || len(lanes) != 0 || err != nil {
		t.Errorf("Backlogs = %v, %v with %d rows, want none", lanes, err, w.rows(t))
	}
}

func TestNothingThatStandsIsHandedOut(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		lanes int // that still seem to have something
		stand func(*testing.T, world, store.Created) (goOn func())
	}{
		{"stopped", 0, func(t *testing.T, w world, _ store.Created) func() {
			t.Helper()
			if _, err := w.StopAction(t.Context(), store.Stop{Action: normal.Action}, time.Hour); err != nil {
				t.Fatal(err)
			}
			return func() { _, _ = w.ResumeAction(t.Context(), normal.Action, "tester") }
		}},
		{"action", 0, paused(func(store.Created) store.Target {
			return store.Target{Scope: store.ScopeAction, Name: string(normal.Action)}
		})},
		{"all", 0, paused(func(store.Created) store.Target { return store.Target{Scope: store.ScopeAll} })},
		{"source", 1, paused(func(store.Created) store.Target { return store.Target{Scope: store.ScopeSource, Name: "mine"} })},
		{"job", 1, paused(func(job store.Created) store.Target { return store.OfJob(job.ID) })},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			job := w.large(t, "mine", 4)
			goOn := tt.stand(t, w, job)
			if lanes, err := w.Backlogs(t.Context()); len(lanes) != tt.lanes || err != nil {
				t.Errorf("Backlogs = %v, %v; want %d", lanes, err, tt.lanes)
			}
			if n, err := w.HandOut(t.Context(), normal, 10, kept); n != 0 || err != nil {
				t.Errorf("HandOut = %d, %v; want none", n, err)
			}
			goOn()
			if diff := cmp.Diff([]store.ActionLane{normal}, must(w.Backlogs(t.Context()))); diff != "" {
				t.Errorf("Backlogs (-want +got):\n%s", diff)
			}
			if n, err := w.HandOut(t.Context(), normal, 10, kept); n != 4 || err != nil {
				t.Errorf("HandOut = %d, %v; want 4", n, err)
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func paused(target func(store.Created) store.Target) func(*testing.T, world, store.Created) func() {
	return func(t *testing.T, w world, job store.Created) func() {
		t.Helper()
		w.pause(t, target(job))
		return func() { w.resume(t, target(job)) }
	}
}

func TestCancelEmptiesTheBacklog(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		scope store.Scope
		left  int // rows, of four
	}{{store.ScopeJob, 2}, {store.ScopeSource, 2}, {store.ScopeAction, 2}, {store.ScopeAll, 0}} {
		t.Run(string(tt.scope), func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			mine := w.accept(t, mixed("mine", access.SmartqAuthorize, access.AddShareReport))
			w.accept(t, mixed("other", access.SmartqAuthorize, access.AddShareReport))
			w.cancel(t, store.Target{Scope: tt.scope, Name: map[store.Scope]string{
				store.ScopeJob: mine.ID, store.ScopeSource: "mine", store.ScopeAction: "SmartqAuthorize",
			}[tt.scope]})
			if n := w.rows(t); n != tt.left {
				t.Errorf("%d rows are left, want %d", n, tt.left)
			}
			if tt.scope != store.ScopeAction && w.status(t, mine.ID) != store.JobCanceled {
				t.Errorf("the job is %s", w.status(t, mine.ID))
			}
		})
	}
}

// A probe sends a task that was never handed out.
func TestBacklogEndsWithItsJob(t *testing.T) {
	t.Parallel()
	w := setup(t)
	job := w.accept(t, mixed("mine", access.SmartqAuthorize))
	w.finish(t, store.TaskRef{Job: job.Number, No: 1})
	if n := w.rows(t); n != 0 || w.status(t, job.ID) != store.JobCompleted {
		t.Errorf("%d rows are left of a job that is %s", n, w.status(t, job.ID))
	}
}

func TestBacklogIsNotMissed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	job := w.accept(t, mixed("mine", access.SmartqAuthorize, access.SmartqAuthorize, access.SmartqAuthorize, access.AddShareReport, access.AddShareReport))
	old := w.create(t, mixed("old", access.SmartqAuthorize)) // as from before there was a backlog
	ref := func(no int) store.TaskRef { return store.TaskRef{Job: job.Number, No: no} }
	want := []store.TaskRef{{Job: old.Number, No: 1}}
	for _, step := range []struct {
		of    store.ActionLane
		first store.TaskRef
		left  int
	}{{normal, ref(1), 2}, {store.ActionLane{Action: access.AddShareReport, Lane: store.Normal}, ref(4), 1}, {normal, ref(2), 1}} {
		if n, err := w.HandOut(t.Context(), step.of, 1, kept); n != 1 || err != nil {
			t.Fatalf("HandOut = %d, %v", n, err)
		}
		want = append(want, step.first)
		slices.SortFunc(want, func(a, b store.TaskRef) int { return int(a.Job-b.Job)*10 + a.No - b.No })
		if diff := cmp.Diff(want, w.due(t)); diff != "" {
			t.Errorf("due (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want, w.waiting(t, store.Target{Scope: store.ScopeAll})); diff != "" {
			t.Errorf("waiting (-want +got):\n%s", diff)
		}
		for i, after := range want { // from wherever a walk goes on
			if got := must(w.DueTasks(t.Context(), -time.Minute, after, 1)); len(got) != min(1, len(want)-i-1) || len(got) == 1 && got[0].TaskRef != want[i+1] {
				t.Errorf("due behind %v: %v", after, got)
			}
		}
	}
	if n := must(w.CountWaiting(t.Context(), store.Target{Scope: store.ScopeAction, Name: "SmartqAuthorize"})); n != 4 {
		t.Errorf("%d tasks may be sent, want 4", n)
	}
	w.claim(t, ref(2), 0)
	left := []store.Left{
		{Job: job.Number, JobID: job.ID, Action: access.AddShareReport, Lane: store.Normal, Backlog: 1, Queued: 1},
		{Job: job.Number, JobID: job.ID, Action: access.SmartqAuthorize, Lane: store.Normal, Backlog: 1, Queued: 2},
		{Job: old.Number, JobID: old.ID, Action: access.SmartqAuthorize, Lane: store.Normal, Queued: 1},
	}
	if diff := cmp.Diff(left, must(w.WorkLeft(t.Context()))); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
}

func TestWorkLeftSaysWhatIsHeldAndWhatIsPutOff(t *testing.T) {
	t.Parallel()
	w := setup(t)
	job := w.accept(t, mixed("mine", access.SmartqAuthorize, access.SmartqAuthorize, access.AddShareReport))
	if n, err := w.HandOut(t.Context(), normal, 2, kept); n != 2 || err != nil {
		t.Fatalf("HandOut = %d, %v", n, err)
	}
	held := func() (actions []access.Action) {
		t.Helper()
		for _, l := range must(w.WorkLeft(t.Context())) {
			if l.Held {
				actions = append(actions, l.Action)
			}
		}
		return actions
	}
	all := []access.Action{access.AddShareReport, access.SmartqAuthorize}
	for _, target := range []store.Target{
		{Scope: store.ScopeAll}, {Scope: store.ScopeAction, Name: "AddShareReport"}, store.OfJob(job.ID), store.OfJob("another"),
	} {
		w.exec(t, `INSERT INTO pauses (scope, name, actor) VALUES ($1, $2, 'ops')`, target.Scope, target.Name)
		want := all
		switch target.Name {
		case "AddShareReport":
			want = all[:1]
		case "another":
			want = nil
		}
		if diff := cmp.Diff(want, held()); diff != "" {
			t.Errorf("held while %s is paused (-want +got):\n%s", target, diff)
		}
		w.exec(t, `DELETE FROM pauses`)
	}
	w.exec(t, `INSERT INTO action_stops (action, code, api_code, message, request_id, next_probe_at) VALUES ('SmartqAuthorize', 'c', '', '', '', now())`)
	if diff := cmp.Diff(all[1:], held()); diff != "" {
		t.Errorf("held while an action is stopped (-want +got):\n%s", diff)
	}
	w.exec(t, `UPDATE tasks SET due_at = now() + no * interval '1 hour' WHERE job_id = $1`, job.Number)
	for _, l := range must(w.WorkLeft(t.Context())) {
		want := 2 * time.Hour
		if l.Action == access.AddShareReport {
			want = 0 // never handed out
		}
		if (l.DueIn - want).Abs() > time.Minute {
			t.Errorf("%s is due in %s, want %s", l.Action, l.DueIn, want)
		}
	}
}

func TestTasksOfAnActionMustBeInARun(t *testing.T) {
	t.Parallel()
	w := setup(t)
	job := mixed("mine", access.SmartqAuthorize, access.AddShareReport, access.SmartqAuthorize)
	if _, err := w.CreateJob(t.Context(), job.job()); err == nil || w.rows(t) != 0 {
		t.Errorf("CreateJob = %v with %d rows of backlog, want it refused", err, w.rows(t))
	}
}

// touched is how many pages and rows Postgres looks at for a query.
func (w world) touched(tb testing.TB, query string, args ...any) (pages, rows int, plan string) {
	tb.Helper()
	lines, err := w.sql.Query(tb.Context(), `EXPLAIN (ANALYZE, BUFFERS, COSTS off, TIMING off) `+query, args...)
	if err != nil {
		tb.Fatal(err)
	}
	var line string
	var text strings.Builder
	for lines.Next() {
		if err := lines.Scan(&line); err != nil {
			tb.Fatal(err)
		}
		fmt.Fprintln(&text, line)
		var hit, read, n, loops int
		if _, rest, ok := strings.Cut(line, "Buffers: shared "); ok && pages == 0 { // the first line is of the whole
			for part := range strings.FieldsSeq(rest) {
				_, _ = fmt.Sscanf(part, "hit=%d", &hit)
				_, _ = fmt.Sscanf(part, "read=%d", &read)
			}
			pages = hit + read
		}
		if _, rest, ok := strings.Cut(line, "(actual rows="); ok {
			_, _ = fmt.Sscanf(rest, "%d loops=%d", &n, &loops)
			rows += n * loops
		}
	}
	if lines.Err() != nil {
		tb.Fatal(lines.Err())
	}
	return pages, rows, text.String()
}

// Whatever is asked every few moments costs the same behind a large backlog as
// behind none, and with many small jobs.
func TestBacklogIsPassedOver(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const large, small, handed = 20_000, 2000, 100
	created := w.large(t, "large", large)
	if n, err := w.HandOut(t.Context(), normal, handed, kept); n != handed || err != nil {
		t.Fatalf("HandOut = %d, %v", n, err)
	}
	w.exec(t, `ANALYZE`)
	check := func(name string, most int, query string, args ...any) {
		t.Helper()
		if pages, rows, plan := w.touched(t, query, args...); pages > most || rows > 20*most {
			t.Errorf("%s looks at %d pages and %d rows:\n%s", name, pages, rows, plan)
		}
	}
	check("what is due", 100, store.WaitingSQL, "all", "", int64(0), 0, 1000, -time.Minute)
	check("what is left", 100, store.WorkLeft, []int64{created.Number})
	w.small(t, small)
	w.exec(t, `ANALYZE`)
	check("whose turn it is", 200, store.NextInLine, "SmartqAuthorize", "normal", 25)
	check("where there is something", 100, store.ListBacklogs)
}
