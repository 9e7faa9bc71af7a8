package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

// asking makes a job of one task that grants or revokes users one resource.
func asking(op access.Operation, key string, users ...string) draft {
	job := grid(users, []string{"r1"})
	job.IdempotencyKey, job.Fingerprint = key, key
	rect := &job.Tasks[0].Rectangle
	rect.Operation = op
	if op == access.Revoke {
		rect.Terms = access.Terms{}
	}
	for i := range job.Changes {
		job.Changes[i].Change.Operation, job.Changes[i].Change.Terms = op, rect.Terms
	}
	return job
}

func first(c store.Created) store.TaskRef { return store.TaskRef{Job: c.Number, No: 1} }

func call(task store.Task) store.NewCall {
	return store.NewCall{Claim: task.Claim, Action: access.SmartqAuthorize, Repeatable: true}
}

// supersededBy returns the principals that newer jobs superseded, with the job.
func supersededBy(t *testing.T, err error) map[string]string {
	t.Helper()
	newer, ok := errors.AsType[*store.SupersededError](err)
	if !ok {
		t.Fatalf("BeginCall = %v, want that cells are superseded", err)
	}
	by := map[string]string{}
	for _, c := range newer.Cells {
		by[c.Principal] = c.By
	}
	return by
}

func TestTheNewestAcceptedChangeWins(t *testing.T) {
	t.Parallel()
	w := setup(t)

	grant := w.create(t, asking(access.Grant, "grant", "u1", "u2", "u3"))
	older := w.claim(t, first(grant), 0)
	revoke := w.create(t, asking(access.Revoke, "revoke", "u1", "u2"))
	again := w.create(t, asking(access.Grant, "again", "u2"))
	w.create(t, asking(access.Revoke, "somebody else", "u9"))

	_, err := w.BeginCall(t.Context(), call(older))
	if diff := cmp.Diff(map[string]string{"u1": revoke.ID, "u2": again.ID}, supersededBy(t, err)); diff != "" {
		t.Errorf("superseded by (-want +got):\n%s", diff)
	}
	_, err = w.BeginCall(t.Context(), call(w.claim(t, first(revoke), 0)))
	if diff := cmp.Diff(map[string]string{"u2": again.ID}, supersededBy(t, err)); diff != "" {
		t.Errorf("superseded by (-want +got):\n%s", diff)
	}
	w.begin(t, w.claim(t, first(again), 0).Claim)
	if n := w.number(t, `SELECT count(*) FROM calls`); n != 1 {
		t.Errorf("%d calls were written down, want that of the newest job alone", n)
	}
}

func TestWhatWasWithdrawnSupersedesNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)

	grant := w.create(t, asking(access.Grant, "grant", "u1", "u2"))
	whole := w.create(t, asking(access.Revoke, "whole", "u1"))
	cut := w.create(t, asking(access.Revoke, "cut", "u1", "u2"))
	task := w.claim(t, first(cut), 0)
	one, two := task.Halves()
	parts := []store.Part{{Rectangle: one}, {Rectangle: two, Done: true}}
	if _, err := w.Split(t.Context(), task.Claim, store.Answer{Call: w.begin(t, task.Claim), Class: "partial"}, parts); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{whole.ID, cut.ID} { // of the second, the part about u2 was done
		if _, err := w.Cancel(t.Context(), store.OfJob(id), store.Order{Actor: "tester"}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.BeginCall(t.Context(), call(w.claim(t, first(grant), 0)))
	if diff := cmp.Diff(map[string]string{"u2": cut.ID}, supersededBy(t, err)); diff != "" {
		t.Errorf("superseded by (-want +got):\n%s", diff)
	}
}

func TestARetryKeepsItsPlaceInTheOrder(t *testing.T) {
	t.Parallel()
	w := setup(t)

	grant := w.create(t, asking(access.Grant, "grant", "u1", "u2"))
	revoke := w.create(t, asking(access.Revoke, "revoke", "u1"))
	retry := asking(access.Grant, "retry", "u1", "u2")
	retry.ParentID, retry.Retry = grant.ID, true
	retried := w.create(t, retry)
	retry.IdempotencyKey, retry.Fingerprint, retry.ParentID = "twice", "twice", retried.ID
	twice := w.create(t, retry)

	_, err := w.BeginCall(t.Context(), call(w.claim(t, first(twice), 0)))
	if diff := cmp.Diff(map[string]string{"u1": revoke.ID}, supersededBy(t, err)); diff != "" {
		t.Errorf("the retry is superseded by (-want +got):\n%s", diff)
	}
	_, err = w.BeginCall(t.Context(), call(w.claim(t, first(grant), 0)))
	if diff := cmp.Diff(map[string]string{"u1": revoke.ID, "u2": twice.ID}, supersededBy(t, err)); diff != "" {
		t.Errorf("the retried job is superseded by (-want +got):\n%s", diff)
	}
	w.begin(t, w.claim(t, first(revoke), 0).Claim)
}

func TestDroppedCellsEndWithoutACall(t *testing.T) {
	t.Parallel()
	w := setup(t)

	created := w.create(t, asking(access.Grant, "grant", "u1", "u2", "u3"))
	task := w.claim(t, first(created), 0)
	one, rest := task.Rectangle, task.Rectangle
	one.Principals, rest.Principals = task.Principals[:1], task.Principals[1:]
	gone := func(user string) store.CellException {
		return store.CellException{Principal: user, Resource: qa("r1"), Exception: store.Exception{Status: store.Superseded, Code: "superseded"}}
	}
	queued, err := w.Split(t.Context(), task.Claim, store.Answer{}, []store.Part{
		{Rectangle: one, Done: true, Exceptions: []store.CellException{gone("u1")}}, {Rectangle: rest},
	})
	if err != nil || len(queued) != 1 {
		t.Fatalf("Split() = %v, %v, want one part to queue", queued, err)
	}
	left := w.claim(t, queued[0].TaskRef, 0)
	if left.Attempts != 0 {
		t.Errorf("what is left counts %d attempts, want none", left.Attempts)
	}
	end := store.Ending{Exceptions: []store.CellException{gone("u2"), gone("u3")}}
	if err := w.Finish(t.Context(), left.Claim, store.Answer{}, end); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(store.Counts{Total: 3, Superseded: 3}, w.counts(t, created.ID)); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if n := w.number(t, `SELECT count(*) + (SELECT count(*) FROM answers) FROM calls`); n != 0 {
		t.Errorf("%d calls and answers were written down, want none", n)
	}
}

// wantOlder fails t unless err says that an older call may still take effect,
// and for at least so long.
func wantOlder(t *testing.T, err error, atLeast time.Duration) {
	t.Helper()
	if older, ok := errors.AsType[*store.OlderCallError](err); !ok || older.For < atLeast {
		t.Errorf("got %v, want that an older call may still take effect for %v", err, atLeast)
	}
}

func TestARevokeOvertakesAnOlderCallAndComesAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)

	grant, other := w.create(t, asking(access.Grant, "grant", "u1", "u2")), w.create(t, asking(access.Grant, "other", "u3"))
	inFlight := w.claim(t, first(grant), 0)
	answer := store.Answer{Call: w.begin(t, inFlight.Claim), Class: "ok"}
	w.begin(t, w.claim(t, first(other), 0).Claim)
	revoke := w.create(t, asking(access.Revoke, "revoke", "u1"))

	task := w.claim(t, first(revoke), 0)
	begun, err := w.BeginCall(t.Context(), call(task))
	if err != nil || begun.Overtakes == nil {
		t.Fatalf("BeginCall = %+v, %v, want a call that overtakes", begun, err)
	}
	if err := w.Answered(t.Context(), task.TaskRef, store.Answer{Call: begun.Call, Class: "ok"}); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := w.GiveBack(t.Context(), task.Claim, store.Again{Overtook: true}); !ok || err != nil {
		t.Fatalf("GiveBack = %v, %v", ok, err)
	}
	again := w.claim(t, first(revoke), task.Generation+1)
	if !again.Unsure || again.Attempts != 1 || again.Strikes != 0 {
		t.Errorf("after overtaking: unsure %v, %d attempts, %d strikes; want unsure, 1, 0", again.Unsure, again.Attempts, again.Strikes)
	}
	_, err = w.BeginCall(t.Context(), call(again))
	wantOlder(t, err, 0)
	if err := w.Finish(t.Context(), inFlight.Claim, answer, store.Ending{}); err != nil {
		t.Fatal(err)
	}
	if begun, err := w.BeginCall(t.Context(), call(again)); err != nil || begun.Overtakes != nil {
		t.Errorf("BeginCall after the older call ended = %+v, %v", begun, err)
	}
}

func TestAGrantWaitsForAnOlderCall(t *testing.T) {
	t.Parallel()
	sooner := asking(access.Grant, "older", "u1", "u2")
	sooner.Tasks[0].Terms.ExpiresOn.Year--
	for name, older := range map[string]draft{"revoke": asking(access.Revoke, "older", "u1", "u2"), "grant with another expiry": sooner} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			older := w.claim(t, first(w.create(t, older)), 0)
			answer := store.Answer{Call: w.begin(t, older.Claim), Class: "ok"}
			task := w.claim(t, first(w.create(t, asking(access.Grant, "newer", "u2", "u3"))), 0)
			_, err := w.BeginCall(t.Context(), call(task))
			wantOlder(t, err, 0)
			if err := w.Finish(t.Context(), older.Claim, answer, store.Ending{}); err != nil {
				t.Fatal(err)
			}
			w.begin(t, task.Claim)
		})
	}
}

// Whatever order two calls that ask for the same take effect in, it comes to
// the same, unless the second of them would double the first.
func TestTheSameTwiceNeedsNoOrder(t *testing.T) {
	t.Parallel()
	w := setup(t)

	w.begin(t, w.claim(t, first(w.create(t, asking(access.Grant, "older", "u1"))), 0).Claim)
	task := w.claim(t, first(w.create(t, asking(access.Grant, "newer", "u1"))), 0)
	doubling := call(task)
	doubling.Repeatable = false
	_, err := w.BeginCall(t.Context(), doubling)
	wantOlder(t, err, 0)
	w.begin(t, task.Claim)
}

func TestTwoRevokesNeedNoOrder(t *testing.T) {
	t.Parallel()
	w := setup(t)

	w.begin(t, w.claim(t, first(w.create(t, asking(access.Revoke, "older", "u1"))), 0).Claim)
	task := w.claim(t, first(w.create(t, asking(access.Revoke, "newer", "u1"))), 0)
	if begun, err := w.BeginCall(t.Context(), call(task)); err != nil || begun.Overtakes != nil {
		t.Errorf("BeginCall = %+v, %v, want a call that overtakes nothing", begun, err)
	}
}

// A call that was never answered may still take effect after its task has ended,
// was given back, or was cut.
func TestACallWithoutAnAnswerStaysInFlight(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(w world, task store.Task, a store.Answer) error{
		"finished": func(w world, task store.Task, a store.Answer) error {
			return w.Finish(t.Context(), task.Claim, a, store.Ending{})
		},
		"given back": func(w world, task store.Task, a store.Answer) error {
			_, _, err := w.GiveBack(t.Context(), task.Claim, store.Again{Unsure: true})
			return errors.Join(w.Answered(t.Context(), task.TaskRef, a), err)
		},
		"cut": func(w world, task store.Task, a store.Answer) error {
			one, two := task.Halves()
			_, err := w.Split(t.Context(), task.Claim, a, []store.Part{{Rectangle: one}, {Rectangle: two}})
			return err
		},
		"lost": func(w world, _ store.Task, _ store.Answer) error {
			_, err := w.sql.Exec(t.Context(), `UPDATE tasks SET claimed_until = now() - interval '1 second'`)
			w.reclaim(t, "w")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			task := w.claim(t, first(w.create(t, asking(access.Grant, "older", "u1", "u2"))), 0)
			answer := store.Answer{Call: w.begin(t, task.Claim), Class: "unknown_outcome", LateFor: time.Minute}
			if err := end(w, task, answer); err != nil {
				t.Fatal(err)
			}
			revoke := w.claim(t, first(w.create(t, asking(access.Revoke, "revoke", "u1"))), 0)
			begun, err := w.BeginCall(t.Context(), call(revoke))
			if err != nil || begun.Overtakes == nil {
				t.Fatalf("BeginCall = %+v, %v, want a call that overtakes", begun, err)
			}
			wantOlder(t, begun.Overtakes, 50*time.Second)
			sooner := asking(access.Grant, "grant", "u2")
			sooner.Tasks[0].Terms.ExpiresOn.Year--
			grant := w.claim(t, first(w.create(t, sooner)), 0)
			_, err = w.BeginCall(t.Context(), call(grant))
			wantOlder(t, err, 50*time.Second)
			if _, err := w.sql.Exec(t.Context(), `UPDATE tasks SET late_until = now() WHERE late_until IS NOT NULL`); err != nil {
				t.Fatal(err)
			}
			w.begin(t, grant.Claim)
		})
	}
}

// A call that is being written down holds a job's acceptance up: otherwise
// neither would see the other.
func TestAcceptanceWaitsForCallsBeingWrittenDown(t *testing.T) {
	t.Parallel()
	w := setup(t)

	task := w.claim(t, first(w.create(t, asking(access.Grant, "older", "u1"))), 0)
	tx, err := w.sql.Begin(t.Context()) // a slow BeginCall
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`SELECT pg_advisory_xact_lock_shared(7201884418)`,
		`INSERT INTO calls (job_id, task_no, generation, action, cells, worker) SELECT job_id, no, generation, action, cells, 'w' FROM tasks`,
	} {
		if _, err := tx.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	accepted := make(chan store.Created, 1)
	go func() {
		created, err := w.CreateJob(t.Context(), asking(access.Revoke, "newer", "u1").job())
		if err != nil {
			t.Errorf("CreateJob: %v", err)
		}
		accepted <- created
	}()
	w.eventually(t, "the submission waits at the gate", func() bool {
		return w.number(t, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`) == 1
	})
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	begun, err := w.BeginCall(t.Context(), call(w.claim(t, first(<-accepted), 0)))
	if err != nil || begun.Overtakes == nil {
		t.Errorf("BeginCall = %+v, %v, want that it overtakes the call that was written down first", begun, err)
	}
	_, err = w.BeginCall(t.Context(), call(task))
	supersededBy(t, err)
}
