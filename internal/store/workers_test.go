package store_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

// alive is how long a worker of these tests is believed to live: they move its
// times instead of waiting.
const alive = time.Minute

func (w world) beat(tb testing.TB, worker string) store.Census {
	tb.Helper()
	census, err := w.Beat(tb.Context(), store.Heartbeat{Worker: worker, For: alive})
	if err != nil {
		tb.Fatalf("Beat: %v", err)
	}
	return census
}

// silence makes a worker one that was last heard so long ago.
func (w world) silence(t *testing.T, worker string, since time.Duration) {
	t.Helper()
	w.exec(t, `UPDATE workers SET alive_until = now() - $2::interval + $3::interval WHERE name = $1`, worker, since, alive)
}

// steady makes a worker one that has been heard for long.
func (w world) steady(t *testing.T, worker string) {
	t.Helper()
	w.exec(t, `UPDATE workers SET beating_since = now() - interval '1 hour' WHERE name = $1`, worker)
}

// reclaim has a worker that has been heard for long look for lost tasks.
func (w world) reclaim(t *testing.T, worker string) []store.Queued {
	t.Helper()
	w.beat(t, worker)
	w.steady(t, worker)
	return w.reclaimAs(t, worker, 0)
}

func (w world) reclaimAs(t *testing.T, worker string, flight time.Duration) []store.Queued {
	t.Helper()
	lost, err := w.Reclaim(t.Context(), store.ReclaimRequest{Worker: worker, Alive: alive, Flight: flight, LateFor: time.Minute})
	if err != nil {
		t.Fatalf("Reclaim: %v", err)
	}
	return lost
}

func (w world) workers(t *testing.T) []string {
	t.Helper()
	var names []string
	if err := w.sql.QueryRow(t.Context(), `SELECT array_agg(name ORDER BY name) FROM workers`).Scan(&names); err != nil {
		t.Fatal(err)
	}
	return names
}

func TestSilentWorkerLosesItsClaims(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		do   func(*testing.T, world) // to the worker w, which holds a claim
		lost int
	}{
		{"it lives", func(*testing.T, world) {}, 0},
		{"it is late", func(t *testing.T, w world) { t.Helper(); w.silence(t, "w", alive-time.Second) }, 0},
		{"it is silent", func(t *testing.T, w world) { t.Helper(); w.silence(t, "w", alive+time.Second) }, 1},
		{"it is gone", func(t *testing.T, w world) {
			t.Helper()
			if err := w.Leave(t.Context(), "w"); err != nil {
				t.Fatal(err)
			}
		}, 1},
		{"it lives and holds on for too long", func(t *testing.T, w world) {
			t.Helper()
			w.exec(t, `UPDATE tasks SET claimed_until = now() - interval '1 second'`)
		}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			created := w.create(t, grid([]string{"u1"}, []string{"r1"}))
			task := w.claim(t, store.TaskRef{Job: created.Number, No: 1}, 0)
			tt.do(t, w)
			lost := w.reclaim(t, "other")
			if len(lost) != tt.lost {
				t.Fatalf("reclaimed %v, want %d", lost, tt.lost)
			}
			_, err := w.BeginCall(t.Context(), store.NewCall{Claim: task.Claim, Action: access.SmartqAuthorize})
			if stale := errors.Is(err, store.ErrStale); stale != (tt.lost > 0) {
				t.Errorf("BeginCall afterwards = %v", err)
			}
			if tt.lost == 0 {
				return
			}
			want := []store.Queued{{TaskRef: task.TaskRef, Generation: task.Generation + 1, Action: access.SmartqAuthorize, Lane: store.Normal}}
			if diff := cmp.Diff(want, lost); diff != "" {
				t.Errorf("to queue (-want +got):\n%s", diff)
			}
			var noted int
			if err := w.sql.QueryRow(t.Context(), `SELECT count(*) FROM audit WHERE event = $1 AND detail->>'worker' = 'w'`, store.EventReclaimed).Scan(&noted); err != nil || noted != 1 {
				t.Errorf("%d audit rows (%v), want 1", noted, err)
			}
		})
	}
}

func TestNoCallBeginsOnceItsWorkerIsSilent(t *testing.T) {
	t.Parallel()
	w := setup(t)

	created := w.create(t, grid([]string{"u1"}, []string{"r1"}))
	task := w.claim(t, store.TaskRef{Job: created.Number, No: 1}, 0)
	call := store.NewCall{Claim: task.Claim, Action: access.SmartqAuthorize}
	w.silence(t, "w", alive+time.Second)
	if _, err := w.BeginCall(t.Context(), call); !errors.Is(err, store.ErrStale) {
		t.Errorf("BeginCall of a silent worker = %v, want ErrStale", err)
	}
	w.beat(t, "w") // before anybody took the task away
	if _, err := w.BeginCall(t.Context(), call); err != nil {
		t.Errorf("BeginCall of a worker that is back: %v", err)
	}
}

// After an outage of Postgres everybody looks silent, and every lease has run
// out.
func TestWhoWasAwayCallsNobodySilent(t *testing.T) {
	t.Parallel()
	w := setup(t)

	created := w.create(t, grid([]string{"u1"}, []string{"r1"}))
	w.claim(t, store.TaskRef{Job: created.Number, No: 1}, 0)
	w.beat(t, "other")
	w.steady(t, "other")
	w.exec(t, `UPDATE tasks SET claimed_until = now() - interval '1 hour'`)
	w.silence(t, "w", time.Hour)

	for _, gap := range []time.Duration{time.Hour, alive*2/3 - time.Second} { // the second is no silence, but a gap
		w.steady(t, "other")
		w.silence(t, "other", gap)
		if census := w.beat(t, "other"); census.Silent {
			t.Errorf("a worker that was away for %v is told that another is silent", gap)
		}
		if lost := w.reclaimAs(t, "other", 0); len(lost) > 0 {
			t.Errorf("a worker that was away for %v reclaimed %v", gap, lost)
		}
	}
	w.steady(t, "other")
	w.silence(t, "other", alive/3) // the usual time between two beats
	if census := w.beat(t, "other"); !census.Silent || census.Alive != 1 {
		t.Errorf("after a whole period without a gap: %+v, want another one silent", census)
	}
	if lost := w.reclaimAs(t, "other", 0); len(lost) != 1 {
		t.Errorf("reclaimed %v, want the task", lost)
	}
	if lost := w.reclaimAs(t, "nobody", 0); len(lost) > 0 {
		t.Errorf("who never said that it lives reclaimed %v", lost)
	}
}

func TestSilentWorkersAreForgottenLast(t *testing.T) {
	t.Parallel()
	w := setup(t)

	created := w.create(t, grid([]string{"u1"}, []string{"r1"}))
	task := w.claim(t, store.TaskRef{Job: created.Number, No: 1}, 0)
	w.begin(t, task.Claim) // its call may still be on its way
	w.silence(t, "w", time.Hour)
	w.exec(t, `UPDATE tasks SET claimed_until = now() - interval '1 hour'`)
	w.beat(t, "other")
	w.steady(t, "other")
	if lost := w.reclaimAs(t, "other", time.Minute); len(lost) > 0 {
		t.Errorf("reclaimed %v while the call may be on its way", lost)
	}
	if diff := cmp.Diff([]string{"other", "w"}, w.workers(t)); diff != "" {
		t.Errorf("workers (-want +got):\n%s", diff)
	}
	lost := w.reclaimAs(t, "other", 0)
	if len(lost) != 1 {
		t.Fatalf("reclaimed %v after the call's time, want the task", lost)
	}
	if diff := cmp.Diff([]string{"other"}, w.workers(t)); diff != "" {
		t.Errorf("workers (-want +got):\n%s", diff)
	}
	if again := w.claim(t, lost[0].TaskRef, lost[0].Generation); !again.Unsure || again.Attempts != 1 {
		t.Errorf("unsure = %t, attempts = %d; want true, 1", again.Unsure, again.Attempts)
	}
}

func TestClaimThatWasNotHeardIsTheSameClaim(t *testing.T) {
	t.Parallel()
	w := setup(t)

	created := w.create(t, grid([]string{"u1"}, []string{"r1"}))
	request := store.ClaimRequest{TaskRef: store.TaskRef{Job: created.Number, No: 1}, Worker: "w", Lease: time.Minute, Token: math.MaxInt64}
	first, err := w.Claim(t.Context(), request)
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	again, err := w.Claim(t.Context(), request)
	if err != nil {
		t.Fatalf("Claim once more: %v", err)
	}
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("the claim (-first +second):\n%s", diff)
	}
	for _, token := range []int64{0, 43} {
		request.Token = token
		if _, err := w.Claim(t.Context(), request); !errors.Is(err, store.ErrStale) {
			t.Errorf("Claim with token %d = %v, want ErrStale", token, err)
		}
	}
	request.Token = math.MaxInt64
	if _, _, err := w.GiveBack(t.Context(), first.Claim, store.Again{}); err != nil {
		t.Fatalf("GiveBack: %v", err)
	}
	if _, err := w.Claim(t.Context(), request); !errors.Is(err, store.ErrStale) {
		t.Errorf("Claim of what was given back = %v, want ErrStale", err)
	}
}

func TestCallThatWasNotSentIsNone(t *testing.T) {
	t.Parallel()
	w := setup(t)

	created := w.create(t, grid([]string{"u1"}, []string{"r1"}))
	lost := w.claim(t, store.TaskRef{Job: created.Number, No: 1}, 0)
	w.begin(t, lost.Claim)
	for range 2 { // twice is the same as once
		if err := w.NotSent(t.Context(), lost.Claim, "Postgres was away"); err != nil {
			t.Fatalf("NotSent: %v", err)
		}
	}
	job, err := w.Job(t.Context(), created.ID)
	if err != nil || job.Calls.Sent != 0 {
		t.Errorf("%d calls sent (%v), want none", job.Calls.Sent, err)
	}
	w.exec(t, `DELETE FROM workers`)
	w.reclaim(t, "other")
	w.beat(t, "w")
	if task := w.claim(t, lost.TaskRef, lost.Generation+1); task.Unsure || task.Attempts != 0 {
		t.Errorf("unsure = %t, attempts = %d; want false, 0", task.Unsure, task.Attempts)
	}
}
