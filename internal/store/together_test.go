package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/testenv"
)

// many creates a job of n tasks of one change each and returns their refs.
func (w world) many(tb testing.TB, n int) (store.Created, []store.TaskRef) {
	tb.Helper()
	users := make([]string, n)
	for i := range users {
		users[i] = fmt.Sprintf("u%d", i)
	}
	job := asking(access.Grant, "many")
	job.Tasks = nil
	for i, user := range users {
		one := asking(access.Grant, "", user)
		one.Tasks[0].FirstChange, one.Changes[0].Task = i, i
		job.Tasks, job.Changes = append(job.Tasks, one.Tasks...), append(job.Changes, one.Changes...)
	}
	created := w.create(tb, job)
	refs := make([]store.TaskRef, n)
	for i := range refs {
		refs[i] = store.TaskRef{Job: created.Number, No: i + 1}
	}
	return created, refs
}

// Three hundred tasks go through at once, so that many share a statement, and
// each gets what is its own.
func TestManyTogether(t *testing.T) {
	t.Parallel()
	w := setup(t)
	created, refs := w.many(t, 300)
	w.beat(t, "w")
	var group sync.WaitGroup
	for i, ref := range refs {
		group.Go(func() {
			task, err := w.Claim(t.Context(), store.ClaimRequest{TaskRef: ref, Worker: "w", Lease: time.Minute, Token: int64(i + 1)})
			if err != nil {
				t.Errorf("Claim: %v", err)
				return
			}
			if got, want := task.Principals[0].ID, fmt.Sprintf("u%d", ref.No-1); got != want || task.TaskRef != ref {
				t.Errorf("task %d came as %v with principal %s, want %s", ref.No, task.TaskRef, got, want)
			}
			begun, err := w.BeginCall(t.Context(), call(task))
			if err != nil {
				t.Errorf("BeginCall: %v", err)
				return
			}
			answer := store.Answer{Call: begun.Call, Class: "ok", HTTPStatus: 200, RequestID: fmt.Sprintf("REQ-%d", ref.No)}
			if err := w.Finish(t.Context(), task.Claim, answer, store.Ending{}); err != nil {
				t.Errorf("Finish: %v", err)
			}
			if err := w.Finalize(t.Context(), ref.Job); err != nil {
				t.Errorf("Finalize: %v", err)
			}
		})
	}
	group.Wait()
	job, err := w.Job(t.Context(), created.ID)
	if err != nil || job.Status != store.JobCompleted || job.Counts.Succeeded != 300 {
		t.Errorf("the job is %s with %+v (%v), want all 300 succeeded", job.Status, job.Counts, err)
	}
	mixed := w.number(t, `
SELECT count(*) FROM tasks t
LEFT JOIN calls c ON c.job_id = t.job_id AND c.task_no = t.no
LEFT JOIN answers a ON a.job_id = c.job_id AND a.call_id = c.id
WHERE t.request_id <> 'REQ-' || t.no OR a.request_id IS DISTINCT FROM t.request_id`)
	if mixed > 0 {
		t.Errorf("%d tasks have another's call or answer", mixed)
	}
}

// What Postgres refuses of one task fails that one, whoever goes with it.
func TestOneRefusalIsNobodyElses(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, refs := w.many(t, 60)
	var group sync.WaitGroup
	for _, ref := range refs {
		task := w.claim(t, ref, 0)
		begun := w.begin(t, task.Claim)
		bad := ref.No%20 == 0
		group.Go(func() {
			answer := store.Answer{Call: begun, Class: "ok", RequestID: "REQ"}
			if bad {
				answer.RequestID = "\x00" // no text in Postgres may hold it
			}
			if err := w.Finish(t.Context(), task.Claim, answer, store.Ending{}); (err != nil) != bad || errors.Is(err, store.ErrUnavailable) {
				t.Errorf("Finish of task %d: %v", ref.No, err)
			}
		})
	}
	group.Wait()
}

// Nobody who has another task to claim waits for one that is locked.
func TestClaimPassesOverWhatIsLocked(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, refs := w.many(t, 2)
	tx, err := w.sql.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := tx.Exec(t.Context(), `UPDATE tasks SET withdrawn = true WHERE no = 1`); err != nil {
		t.Fatal(err)
	}
	locked := store.ClaimRequest{TaskRef: refs[0], Worker: "w", Lease: time.Minute}
	if _, err := w.Claim(t.Context(), locked); !errors.Is(err, store.ErrStale) {
		t.Errorf("Claim of a locked task: %v, want ErrStale", err)
	}
	other := store.ClaimRequest{TaskRef: refs[1], Worker: "w", Lease: time.Minute}
	if _, err := w.Claim(t.Context(), other); err != nil {
		t.Errorf("Claim of another: %v", err)
	}
}

// A question whose asker has gone before anybody began with it is not done.
func TestWhoLeavesInTimeClaimsNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, refs := w.many(t, 10)
	w.exec(t, `SELECT pg_advisory_lock(7201884418)`)
	tasks := make([]store.Task, len(refs))
	for i, ref := range refs {
		tasks[i] = w.claim(t, ref, 0)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for i, task := range tasks {
		group.Go(func() {
			if _, err := w.BeginCall(ctx, call(task)); !errors.Is(err, context.Canceled) {
				t.Errorf("BeginCall: %v, want context.Canceled", err)
			}
		})
		if i < 3 { // as many as go at once
			testenv.Eventually(t, "it waits at the gate", func() bool {
				return w.number(t, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
					AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`) == i+1
			})
		}
	}
	cancel()
	group.Wait()
	w.exec(t, `SELECT pg_advisory_unlock(7201884418)`)
	testenv.Eventually(t, "nobody waits", func() bool {
		return w.number(t, `SELECT count(*) FROM pg_stat_activity WHERE state <> 'idle' AND pid <> pg_backend_pid() AND datname = current_database()`) == 0
	})
	if calls := w.number(t, `SELECT count(*) FROM calls`); calls != 3 {
		t.Errorf("%d calls were written down, want those of the three that were under way", calls)
	}
}
