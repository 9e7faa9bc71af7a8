package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/testenv"
)

func TestCancelWithdrawsWhatWasNotSent(t *testing.T) {
	t.Parallel()
	w := setup(t)

	job := grid([]string{"u1"}, []string{"r1"})
	other := grid([]string{"u2"}, []string{"r1"})
	other.Tasks[0].FirstChange = 1
	other.Changes[0].Task, other.Changes[0].Line = 1, 3
	job.Tasks, job.Changes = append(job.Tasks, other.Tasks...), append(job.Changes, other.Changes...)
	created := w.create(t, job)

	inFlight := w.claim(t, store.TaskRef{Job: created.Number, No: 1}, 0)
	call := w.begin(t, inFlight.Claim)
	for range 2 { // twice is the same as once
		if _, err := w.Cancel(t.Context(), store.OfJob(created.ID), store.Order{Actor: "tester"}); err != nil {
			t.Fatalf("Cancel: %v", err)
		}
	}
	if diff := cmp.Diff(store.Counts{Total: 2, Canceled: 1, Pending: 1}, w.counts(t, created.ID)); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if _, err := w.BeginCall(t.Context(), store.NewCall{Claim: inFlight.Claim, Action: access.SmartqAuthorize}); !errors.Is(err, store.ErrStale) {
		t.Errorf("BeginCall in a canceled job = %v, want ErrStale", err)
	}
	if err := w.Finish(t.Context(), inFlight.Claim, store.Answer{Call: call, Class: "ok"}, store.Ending{}); err != nil {
		t.Fatalf("Finish: %v", err)
	}
	if err := w.Finalize(t.Context(), created.Number); err != nil {
		t.Fatalf("Finalize: %v", err)
	}
	got, err := w.Job(t.Context(), created.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.Status != store.JobCanceled || got.Outcome != store.OutcomePartial {
		t.Errorf("job is %s, %s; want canceled, partial", got.Status, got.Outcome)
	}
}

func TestCancelOfWhatReturnsToTheQueue(t *testing.T) {
	t.Parallel()
	w := setup(t)

	created := w.create(t, grid([]string{"u1"}, []string{"r1"}))
	task := w.claim(t, store.TaskRef{Job: created.Number, No: 1}, 0)
	if _, err := w.Cancel(t.Context(), store.OfJob(created.ID), store.Order{Actor: "tester"}); err != nil {
		t.Fatalf("Cancel: %v", err)
	}
	if _, ok, err := w.GiveBack(t.Context(), task.Claim, store.Again{}); ok || err != nil {
		t.Fatalf("GiveBack in a canceled job = %t, %v, want false", ok, err)
	}
	if err := w.Finalize(t.Context(), created.Number); err != nil {
		t.Fatalf("Finalize: %v", err)
	}
	if got := w.counts(t, created.ID); got.Canceled != 1 {
		t.Errorf("counts = %+v, want the row canceled", got)
	}
	if _, err := w.Cancel(t.Context(), store.OfJob("01ARZ3NDEKTSV4RRFFQ69G5FAV"), store.Order{Actor: "tester"}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Cancel of no job = %v, want ErrNotFound", err)
	}
}

func TestStopIsOneProbeAtATime(t *testing.T) {
	t.Parallel()
	w := setup(t)

	stop := store.Stop{Action: access.SmartqAuthorize, Code: "instance_expired", APICode: "Instance.Expired", RequestID: "REQ-1"}
	for i, want := range []bool{true, false} {
		if first, err := w.StopAction(t.Context(), stop, time.Hour); first != want || err != nil {
			t.Errorf("StopAction, time %d = %t, %v, want %t", i+1, first, err, want)
		}
	}
	created := w.create(t, grid([]string{"u1"}, []string{"r1"}))
	task := w.claim(t, store.TaskRef{Job: created.Number, No: 1}, 0)
	if _, err := w.BeginCall(t.Context(), store.NewCall{Claim: task.Claim, Action: access.SmartqAuthorize}); !errors.Is(err, store.ErrStale) {
		t.Errorf("BeginCall of a stopped action = %v, want ErrStale", err)
	}
	if _, err := w.BeginCall(t.Context(), store.NewCall{Claim: task.Claim, Action: access.SmartqAuthorize, Probe: true}); err != nil {
		t.Errorf("BeginCall of a probe: %v", err)
	}
	if turn, err := w.TakeProbe(t.Context(), access.SmartqAuthorize, time.Hour, time.Hour); turn || err != nil {
		t.Errorf("TakeProbe before its time = %t, %v, want false", turn, err)
	}
	if _, err := w.sql.Exec(t.Context(), `UPDATE action_stops SET next_probe_at = now()`); err != nil {
		t.Fatal(err)
	}
	if was, err := w.ProbeNow(t.Context(), access.SmartqAuthorize, "somebody"); !was || err != nil {
		t.Errorf("ProbeNow = %t, %v, want true", was, err)
	}
	var asked int
	if err := w.sql.QueryRow(t.Context(), `SELECT count(*) FROM audit WHERE event = 'action.probe_asked' AND actor = 'somebody'`).Scan(&asked); err != nil || asked != 1 {
		t.Errorf("%d audit rows of who asked for the probe (%v), want 1", asked, err)
	}
	for i, want := range []bool{true, false} {
		if turn, err := w.TakeProbe(t.Context(), access.SmartqAuthorize, time.Hour, time.Hour); turn != want || err != nil {
			t.Errorf("TakeProbe, time %d = %t, %v, want %t", i+1, turn, err, want)
		}
	}
	if was, err := w.ResumeAction(t.Context(), access.SmartqAuthorize, "w"); !was || err != nil {
		t.Errorf("ResumeAction = %t, %v, want true", was, err)
	}
	if stops, err := w.Stops(t.Context()); len(stops) != 0 || err != nil {
		t.Errorf("Stops = %v, %v, want none", stops, err)
	}
}

func TestOneLeaderAtATime(t *testing.T) {
	t.Parallel()
	w := setup(t)

	led, err := w.AsLeader(t.Context(), func(ctx context.Context) error {
		second, err := w.AsLeader(ctx, func(context.Context) error { return errors.New("two leaders") })
		if second {
			t.Error("a second leader was let in")
		}
		return err
	})
	if !led || err != nil {
		t.Errorf("AsLeader = %t, %v, want true", led, err)
	}
	if led, err := w.AsLeader(t.Context(), func(context.Context) error { return nil }); !led || err != nil {
		t.Errorf("AsLeader after the first = %t, %v, want true", led, err)
	}
}

// TestLeaderThatStandsStillIsReplaced has a leader of which Postgres hears
// nothing, and which finds out when it moves again.
func TestLeaderThatStandsStillIsReplaced(t *testing.T) {
	t.Parallel()
	w := setup(t)

	led, err := w.LeadSilently(t.Context(), time.Second, func(ctx context.Context) error {
		testenv.Eventually(t, "somebody else leads", func() bool {
			second, err := w.AsLeader(ctx, func(context.Context) error { return nil })
			return second && err == nil
		})
		<-ctx.Done()
		return ctx.Err()
	})
	if !led || !errors.Is(err, context.Canceled) {
		t.Errorf("the leader that stood still = %t, %v, want true and that it was canceled", led, err)
	}
	if led, err := w.AsLeader(t.Context(), func(context.Context) error { return nil }); !led || err != nil {
		t.Errorf("AsLeader after it = %t, %v, want true", led, err)
	}
}
