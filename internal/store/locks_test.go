package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/testenv"
)

// behind runs f while the test's own connection holds a job's row, as Cancel,
// Split and a late answer do before they come to its tasks; it then takes those,
// and returns what f did.
func (w world) behind(t *testing.T, job int64, f func(context.Context) error) error {
	t.Helper()
	tx, err := w.sql.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT id FROM jobs WHERE id = $1 FOR NO KEY UPDATE`, job); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- f(t.Context()) }()
	testenv.Eventually(t, "somebody waits for the job", func() bool {
		var n int
		if _, err := tx.Exec(t.Context(), `SELECT pg_stat_clear_snapshot()`); err != nil { // else a transaction sees what it saw first
			t.Fatal(err)
		}
		if err := tx.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n == 1
	})
	if _, err := tx.Exec(t.Context(), `UPDATE tasks SET strikes = strikes WHERE job_id = $1`, job); err != nil {
		t.Errorf("taking the tasks of a job that is held: %v", err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Error(err)
	}
	return <-done
}

func TestReclaimLocksTheJobFirst(t *testing.T) {
	t.Parallel()
	w := setup(t)
	created := w.create(t, grid([]string{"u1"}, []string{"r1"}))
	w.begin(t, w.claim(t, first(created), 0).Claim) // and never answers
	w.silence(t, "w", 2*alive)
	w.beat(t, "judge")
	w.steady(t, "judge")
	err := w.behind(t, created.Number, func(ctx context.Context) error {
		lost, err := w.Reclaim(ctx, store.ReclaimRequest{Worker: "judge", Alive: alive, LateFor: time.Minute})
		if len(lost) != 1 {
			t.Errorf("reclaimed %v, want the task", lost)
		}
		return err
	})
	if err != nil {
		t.Errorf("Reclaim: %v", err)
	}
}

func TestFinalizeLocksTheJobFirst(t *testing.T) {
	t.Parallel()
	w := setup(t)
	created := w.create(t, grid([]string{"u1"}, []string{"r1"}))
	w.exec(t, `UPDATE tasks SET withdrawn = true`) // it came back after its action was canceled
	if err := w.behind(t, created.Number, func(ctx context.Context) error { return w.Finalize(ctx, created.Number) }); err != nil {
		t.Errorf("Finalize: %v", err)
	}
}

// However long calls wait to be written down, a worker that lives says so.
func TestBeatsDoNotQueueBehindTheWork(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	s, err := store.Open(t.Context(), url, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	w := world{Store: s, sql: conn}
	w.beat(t, "w")
	task := w.claim(t, first(w.create(t, grid([]string{"u1"}, []string{"r1"}))), 0)
	w.exec(t, `SELECT pg_advisory_lock(7201884418)`) // a submission that does not come to its end
	waiting := make(chan error, 1)
	go func() {
		_, err := s.BeginCall(t.Context(), call(task))
		waiting <- err
	}()
	testenv.Eventually(t, "the only connection waits at the gate", func() bool {
		return w.number(t, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`) == 1
	})
	w.beat(t, "w")
	w.exec(t, `SELECT pg_advisory_unlock(7201884418)`)
	if err := <-waiting; err != nil {
		t.Errorf("BeginCall: %v", err)
	}
}

// What was canceled before anything of it was sent asks for nothing, though a
// worker still has it in hand.
func TestACanceledChangeInHandSupersedesNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	older := w.claim(t, first(w.create(t, asking(access.Grant, "grant", "u1"))), 0)
	newer := w.create(t, asking(access.Revoke, "revoke", "u1"))
	w.claim(t, first(newer), 0)
	w.cancel(t, store.OfJob(newer.ID))
	w.begin(t, older.Claim)
}

// While somebody cancels, and so holds many jobs, those of others end.
func TestNobodyWaitsForTheJobsOfOthers(t *testing.T) {
	t.Parallel()
	w := setup(t)
	conn, err := pgx.ConnectConfig(t.Context(), w.sql.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	for i := range 4 { // one more than go at once
		created := w.create(t, asking(access.Grant, string(rune('a'+i)), "u1"))
		task := w.claim(t, first(created), 0)
		if err := w.Finish(t.Context(), task.Claim, store.Answer{Call: w.begin(t, task.Claim), Class: "ok"}, store.Ending{}); err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), `SELECT FROM jobs WHERE id = $1 FOR NO KEY UPDATE`, created.Number); err != nil {
			t.Fatal(err)
		}
		go func() { _ = w.Finalize(t.Context(), created.Number) }()
	}
	queued := w.create(t, asking(access.Revoke, "queued", "u1"))
	if _, err := tx.Exec(t.Context(), `SELECT FROM jobs WHERE id = $1 FOR NO KEY UPDATE`, queued.Number); err != nil {
		t.Fatal(err)
	}
	w.claim(t, first(queued), 0) // which would start it
	other := w.create(t, grid([]string{"u2"}, []string{"r2"}))
	task := w.claim(t, first(other), 0)
	if err := w.Finish(t.Context(), task.Claim, store.Answer{Call: w.begin(t, task.Claim), Class: "ok"}, store.Ending{}); err != nil {
		t.Fatal(err)
	}
	if err := w.Finalize(t.Context(), other.Number); err != nil {
		t.Errorf("Finalize of another job: %v", err)
	}
	if job, err := w.Job(t.Context(), other.ID); err != nil || job.Status != store.JobCompleted {
		t.Errorf("the other job is %s (%v), want completed", job.Status, err)
	}
}
