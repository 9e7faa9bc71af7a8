package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/testenv"
)

// closeGate keeps jobs from being accepted until open is called.
func (w world) closeGate(t *testing.T) (open func()) {
	t.Helper()
	w.exec(t, `SELECT pg_advisory_lock(7201884418)`)
	return func() { w.exec(t, `SELECT pg_advisory_unlock(7201884418)`) }
}

// waitAtGate waits until somebody waits for the gate.
func (w world) waitAtGate(t *testing.T) {
	t.Helper()
	testenv.Eventually(t, "a job waits at the gate", func() bool {
		return w.number(t, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`) == 1
	})
}

// Jobs that come while another is on its way share a transaction. Each has its
// own answer all the same.
func TestSmallJobsAreWrittenTogether(t *testing.T) {
	t.Parallel()
	w := setup(t)

	open := w.closeGate(t)
	var all sync.WaitGroup
	submit := func(ctx context.Context, job draft, judge func(store.Created, error)) {
		all.Go(func() { judge(w.CreateJob(ctx, job.job())) })
	}
	fine := func(store.Created, error) {}
	submit(t.Context(), asking(access.Grant, "first", "u"), fine)
	w.waitAtGate(t)
	const more = 20
	var mu sync.Mutex
	jobs := map[string]int{}
	for i := range more {
		job := asking(access.Grant, fmt.Sprint("key-", i), fmt.Sprint("u", i), fmt.Sprint("v", i))
		submit(t.Context(), job, func(c store.Created, err error) {
			if err != nil {
				t.Errorf("job %d: %v", i, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			jobs[c.ID] = i
		})
	}
	replays := make(chan bool, 2)
	for range 2 {
		submit(t.Context(), asking(access.Grant, "twice", "u"), func(c store.Created, err error) {
			if err != nil {
				t.Errorf("the same twice: %v", err)
			}
			replays <- c.Replayed
		})
	}
	other := asking(access.Grant, "first", "u")
	other.Fingerprint = "other"
	submit(t.Context(), other, func(_ store.Created, err error) {
		if !errors.Is(err, store.ErrKeyReused) {
			t.Errorf("a key of other rows: %v", err)
		}
	})
	gone, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	submit(gone, asking(access.Grant, "gone", "u"), func(_ store.Created, err error) { left <- err })
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("whoever leaves is told %v", err)
	}
	open()
	all.Wait()

	if a, b := <-replays, <-replays; a == b {
		t.Errorf("of two equal jobs, replayed are %t and %t", a, b)
	}
	if n := w.number(t, `SELECT count(DISTINCT xmin::text) FROM jobs`); n > 3 {
		t.Errorf("%d transactions wrote %d jobs", n, more+2)
	}
	if n := w.number(t, `SELECT count(*) FROM jobs`); n != more+2 {
		t.Errorf("%d jobs are there, want %d", n, more+2)
	}
	for id, i := range jobs {
		var rows []string
		if err := w.Results(t.Context(), id, nil, func(r store.Result) error {
			rows = append(rows, r.Change.Principal.ID)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{fmt.Sprint("u", i), fmt.Sprint("v", i)}, rows); diff != "" {
			t.Errorf("job %d (-want +got):\n%s", i, diff)
		}
	}
	if n := w.number(t, `SELECT count(*) FROM audit a JOIN jobs j ON j.id = a.job_id WHERE a.event = 'job.submitted' AND a.detail->>'id' = j.ulid`); n != more+2 {
		t.Errorf("%d jobs are in the audit, want %d", n, more+2)
	}
	if n := w.number(t, `SELECT sum(last_no - next_no + 1) FROM backlog`); n != more+2 {
		t.Errorf("%d tasks wait to be handed out, want %d", n, more+2)
	}
}

// What Postgres refuses of one job costs the others nothing.
func TestAJobThatIsRefusedTakesNoOthersWithIt(t *testing.T) {
	t.Parallel()
	w := setup(t)

	open := w.closeGate(t)
	var all sync.WaitGroup
	submit := func(job store.NewJob, want bool) {
		all.Go(func() {
			if _, err := w.CreateJob(t.Context(), job); (err == nil) != want {
				t.Errorf("job %s: %v", job.IdempotencyKey, err)
			}
		})
	}
	submit(asking(access.Grant, "first", "u").job(), true)
	w.waitAtGate(t)
	bad, short := asking(access.Grant, "bad", "u").job(), asking(access.Grant, "short", "u").job()
	bad.Lane, short.Changes.Len = "express", 2 // of which there is one
	submit(bad, false)
	submit(short, false)
	submit(asking(access.Revoke, "good", "u").job(), true)
	open()
	all.Wait()
	if n := w.number(t, `SELECT count(*) FROM jobs`); n != 2 {
		t.Errorf("%d jobs are there, want the two sound ones", n)
	}
}

// A job whose key is taken by one that is still being written waits for that one,
// and nobody waits with it.
func TestAKeyThatIsTakenHoldsNobodyElseUp(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.exec(t, `BEGIN`)
	w.exec(t, `INSERT INTO jobs (ulid, source, requested_by, lane, idempotency_key, fingerprint, rows, header, next_task)
		VALUES ('01' || repeat('0', 24), 'test', 'tester', 'normal', 'taken', 'large', 1, '{action}', 2)`)
	same := make(chan error, 1)
	go func() {
		_, err := w.CreateJob(t.Context(), asking(access.Grant, "taken", "u").job())
		same <- err
	}()
	testenv.Eventually(t, "the second job of the key waits", func() bool {
		return w.number(t, `SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted`) > 0
	})
	if _, err := w.CreateJob(t.Context(), asking(access.Grant, "other", "u").job()); err != nil {
		t.Errorf("another job: %v", err)
	}
	select {
	case err := <-same:
		t.Errorf("the second job of the key did not wait: %v", err)
	default:
	}
	w.exec(t, `COMMIT`)
	if err := <-same; !errors.Is(err, store.ErrKeyReused) {
		t.Errorf("the second job of the key: %v", err)
	}
}

// A new job is told as it would be read.
func TestANewJobIsToldAsItIsRead(t *testing.T) {
	t.Parallel()
	w := setup(t)

	same := func(name string, created store.Created) {
		t.Helper()
		job, err := w.Job(t.Context(), created.ID)
		if err != nil {
			t.Fatal(err)
		}
		pauses, err := w.PausesOf(t.Context(), created.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&store.NewlyCreated{Job: job, Pauses: pauses}, created.New); diff != "" {
			t.Errorf("%s (-read +told):\n%s", name, diff)
		}
	}
	job := asking(access.Grant, "plain", "u1", "u2")
	job.Reason, job.Input, job.UpdateRole = "why", store.Input{SHA256: "sum", Rows: 2, Encoding: "utf-8", Delimiter: ","}, true
	plain := w.accept(t, job)
	same("plain", plain)
	targets := []store.Target{
		{Scope: store.ScopeAction, Name: string(access.SmartqAuthorize)},
		{Scope: store.ScopeAction, Name: "AddShareReport"},
		{Scope: store.ScopeSource, Name: "another"},
		{Scope: store.ScopeSource, Name: "test"},
		store.OfJob(plain.ID),
		{Scope: store.ScopeAll},
	}
	for i, target := range targets {
		w.pause(t, target)
		same(target.String(), w.accept(t, asking(access.Grant, fmt.Sprint("paused-", i), "u")))
	}
	held := asking(access.Revoke, "held", "u1", "u2")
	held.Guards = store.Guards{MaxRevokes: 1}
	same("held", w.accept(t, held))
	retry := asking(access.Grant, "retry", "u1")
	retry.ParentID, retry.Retry = plain.ID, true
	same("retry", w.accept(t, retry))
	settled := asking(access.Grant, "settled", "u1")
	settled.Changes[0].Task, settled.Tasks = store.NoTask, nil
	settled.Changes[0].Exception = &store.Exception{Status: store.Failed, Code: "unknown_action", Message: "not an action"}
	if created := w.accept(t, settled); created.New != nil {
		t.Errorf("of a job with settled rows it is told %+v", created.New)
	}
}
