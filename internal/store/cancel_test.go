package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

func (w world) cancel(t *testing.T, target store.Target) store.Withdrawal {
	t.Helper()
	done, err := w.Cancel(t.Context(), target, somebody)
	if err != nil {
		t.Fatalf("Cancel: %v", err)
	}
	return done
}

func (w world) plan(t *testing.T, target store.Target) store.Withdrawal {
	t.Helper()
	plan, err := w.PlanCancel(t.Context(), target)
	if err != nil {
		t.Fatalf("PlanCancel: %v", err)
	}
	return plan
}

func TestCancelOfSourceAndEverything(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		target store.Target
		want   store.Withdrawal
		spared int // jobs
	}{
		{store.Target{Scope: store.ScopeSource, Name: "mine"}, store.Withdrawal{Jobs: 2, Rows: 2, Revokes: 1, Unknown: 1, InFlight: 1}, 1},
		{store.Target{Scope: store.ScopeAll}, store.Withdrawal{Jobs: 3, Rows: 3, Revokes: 1, Unknown: 1, InFlight: 1}, 0},
	} {
		t.Run(tt.target.String(), func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			job := mixed("mine", access.SmartqAuthorize, access.SmartqAuthorize, access.SmartqAuthorize)
			job.Tasks[1].Operation, job.Tasks[2].Unsure = access.Revoke, true
			mine := w.create(t, job)
			job = mixed("mine", access.AddShareReport)
			job.IdempotencyKey = "second"
			second := w.create(t, job)
			other := w.create(t, mixed("other", access.SmartqAuthorize))
			inFlight := w.claim(t, store.TaskRef{Job: mine.Number, No: 1}, 0)
			call := w.begin(t, inFlight.Claim)

			if diff := cmp.Diff(tt.want, w.plan(t, tt.target)); diff != "" {
				t.Errorf("the plan (-want +got):\n%s", diff)
			}
			w.pause(t, store.Target{Scope: store.ScopeAll}) // what is paused can be canceled
			if diff := cmp.Diff(tt.want, w.cancel(t, tt.target)); diff != "" {
				t.Errorf("withdrawn (-want +got):\n%s", diff)
			}
			if again := w.cancel(t, tt.target); again.Jobs != 0 || again.Rows != 0 {
				t.Errorf("canceling twice withdraws %+v", again)
			}
			if diff := cmp.Diff(store.Counts{Total: 3, Canceled: 1, Unknown: 1, Pending: 1}, w.counts(t, mine.ID)); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
			if err := w.Finish(t.Context(), inFlight.Claim, store.Answer{Call: call, Class: "ok"}, store.Ending{}); err != nil {
				t.Fatalf("Finish: %v", err)
			}
			if err := w.Finalize(t.Context(), mine.Number); err != nil {
				t.Fatalf("Finalize: %v", err)
			}
			spared := 0
			for _, id := range []string{mine.ID, second.ID, other.ID} {
				if w.status(t, id) != store.JobCanceled {
					spared++
				}
			}
			if spared != tt.spared {
				t.Errorf("%d jobs were spared, want %d", spared, tt.spared)
			}
			var noted int
			err := w.sql.QueryRow(t.Context(), `SELECT count(*) FROM audit WHERE event = 'job.canceled' AND actor = 'somebody'
				AND detail ->> 'reason' = 'maintenance' AND detail ->> 'scope' = $1`, string(tt.target.Scope)).Scan(&noted)
			if err != nil || noted != tt.want.Jobs {
				t.Errorf("%d audit rows (%v), want one a job", noted, err)
			}
		})
	}
}

func TestCancelOfAnAction(t *testing.T) {
	t.Parallel()
	w := setup(t)

	shares := store.Target{Scope: store.ScopeAction, Name: "AddShareReport"}
	job := mixed("mine", access.SmartqAuthorize, access.AddShareReport, access.AddShareReport, access.AddShareReport, access.AddShareReport)
	job.Tasks[4].Unsure = true
	mine := w.create(t, job)
	ref := func(no int) store.TaskRef { return store.TaskRef{Job: mine.Number, No: no} }
	returns, ends := w.claim(t, ref(2), 0), w.claim(t, ref(3), 0)
	call := w.begin(t, ends.Claim)

	want := store.Withdrawal{Jobs: 1, Rows: 1, Unknown: 1, InFlight: 2}
	if diff := cmp.Diff(want, w.plan(t, shares)); diff != "" {
		t.Errorf("the plan (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, w.cancel(t, shares)); diff != "" {
		t.Errorf("withdrawn (-want +got):\n%s", diff)
	}
	if again := w.cancel(t, shares); again.Jobs != 0 {
		t.Errorf("canceling twice withdraws %+v", again)
	}
	_, err := w.BeginCall(t.Context(), store.NewCall{Claim: returns.Claim, Action: access.AddShareReport})
	if !errors.Is(err, store.ErrStale) || errors.Is(err, store.ErrPaused) {
		t.Errorf("BeginCall of what is withdrawn = %v, want ErrStale and no pause", err)
	}
	if _, ok, err := w.GiveBack(t.Context(), returns.Claim, store.Again{}); ok || err != nil {
		t.Errorf("GiveBack of what is withdrawn = %t, %v, want it not to be queued", ok, err)
	}
	claim := store.ClaimRequest{TaskRef: ref(2), Generation: returns.Generation + 1, Worker: "w", Lease: time.Minute}
	if _, err := w.Claim(t.Context(), claim); !errors.Is(err, store.ErrStale) {
		t.Errorf("Claim of what is withdrawn = %v, want ErrStale", err)
	}
	if diff := cmp.Diff([]store.TaskRef{ref(1)}, w.due(t)); diff != "" {
		t.Errorf("due tasks (-want +got):\n%s", diff)
	}
	if err := w.Finish(t.Context(), ends.Claim, store.Answer{Call: call, Class: "ok"}, store.Ending{}); err != nil {
		t.Fatalf("Finish: %v", err)
	}
	if err := w.Finalize(t.Context(), mine.Number); err != nil {
		t.Fatalf("Finalize: %v", err)
	}
	wantStatuses := map[int]store.Status{2: store.Pending, 3: store.Canceled, 4: store.Succeeded, 5: store.Canceled, 6: store.Unknown}
	if diff := cmp.Diff(wantStatuses, w.statuses(t, mine.ID)); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}

	rest := w.claim(t, ref(1), 0)
	if err := w.Finish(t.Context(), rest.Claim, store.Answer{Call: w.begin(t, rest.Claim), Class: "ok"}, store.Ending{}); err != nil {
		t.Fatalf("Finish: %v", err)
	}
	if err := w.Finalize(t.Context(), mine.Number); err != nil {
		t.Fatalf("Finalize: %v", err)
	}
	if got := w.status(t, mine.ID); got != store.JobCompleted {
		t.Errorf("the job is %s, want completed: the rest of it went on", got)
	}
	later := w.create(t, mixed("later", access.AddShareReport))
	w.claim(t, store.TaskRef{Job: later.Number, No: 1}, 0) // what comes later is not concerned
}

func TestPartsOfWhatIsWithdrawnAreCanceled(t *testing.T) {
	t.Parallel()
	w := setup(t)

	job := w.create(t, grid([]string{"u1", "u2", "u3", "u4"}, []string{"r1"}))
	task := w.claim(t, store.TaskRef{Job: job.Number, No: 1}, 0)
	call := w.begin(t, task.Claim)
	w.cancel(t, store.Target{Scope: store.ScopeAction, Name: "SmartqAuthorize"})
	a, rest := task.Halves()
	b, c := rest.Halves()
	queued, err := w.Split(t.Context(), task.Claim, store.Answer{Call: call, Class: "user"},
		[]store.Part{{Rectangle: a, Done: true}, {Rectangle: b}, {Rectangle: c, Unsure: true}})
	if len(queued) > 0 || err != nil {
		t.Fatalf("Split = %+v, %v; want none to queue", queued, err)
	}
	if err := w.Finalize(t.Context(), job.Number); err != nil {
		t.Fatalf("Finalize: %v", err)
	}
	if diff := cmp.Diff(store.Counts{Total: 4, Succeeded: 2, Canceled: 1, Unknown: 1}, w.counts(t, job.ID)); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

// A worker that dies with a task in its hands that was withdrawn meanwhile must
// not bring it back to life.
func TestWithdrawnTaskOfADeadWorkerEnds(t *testing.T) {
	t.Parallel()
	w := setup(t)

	job := w.create(t, mixed("mine", access.SmartqAuthorize, access.SmartqAuthorize))
	w.claim(t, store.TaskRef{Job: job.Number, No: 1}, 0)
	w.begin(t, w.claim(t, store.TaskRef{Job: job.Number, No: 2}, 0).Claim)
	w.cancel(t, store.Target{Scope: store.ScopeAction, Name: "SmartqAuthorize"})
	if _, err := w.sql.Exec(t.Context(), `UPDATE tasks SET claimed_until = now() - interval '1 second'`); err != nil {
		t.Fatal(err)
	}
	w.reclaim(t, "w")
	if due := w.due(t); len(due) > 0 {
		t.Errorf("%v are due again", due)
	}
	if err := w.Finalize(t.Context(), job.Number); err != nil {
		t.Fatalf("Finalize: %v", err)
	}
	if diff := cmp.Diff(store.Counts{Total: 2, Canceled: 1, Unknown: 1}, w.counts(t, job.ID)); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}
