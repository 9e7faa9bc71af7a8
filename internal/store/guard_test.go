package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

// leavers is a job of a source that revokes so often, and grants so often, a
// task each.
func leavers(source string, revokes, grants int) draft {
	job := grid([]string{"u0"}, []string{"r"})
	job.Source, job.IdempotencyKey, job.Tasks, job.Changes = source, fmt.Sprint(revokes, grants), nil, nil
	for i := range revokes + grants {
		one := grid([]string{fmt.Sprint("u", i)}, []string{"r"})
		if i < revokes {
			one.Tasks[0].Operation, one.Tasks[0].Terms = access.Revoke, access.Terms{}
			one.Changes[0].Change.Operation, one.Changes[0].Change.Terms = access.Revoke, access.Terms{}
		}
		one.Tasks[0].FirstChange, one.Changes[0].Task, one.Changes[0].Line = i, i, i+2
		job.Tasks, job.Changes = append(job.Tasks, one.Tasks...), append(job.Changes, one.Changes...)
	}
	job.Input.Rows, job.Input.SHA256 = len(job.Changes), "of a file"
	return job
}

// held names the guard that holds a job; "" if none does.
func (w world) held(t *testing.T, id string) (guard, reason string) {
	t.Helper()
	pauses, err := w.PausesOf(t.Context(), id)
	if err != nil {
		t.Fatalf("PausesOf: %v", err)
	}
	for _, p := range pauses {
		if p.Guard != "" {
			return p.Guard, p.Reason
		}
	}
	return "", ""
}

func TestGuardsHoldWhatIsBeyondThem(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for i, tt := range []struct {
		name            string
		guards          store.Guards
		revokes, grants int
		want            string // the guard; "" where the job goes on
	}{
		{"no guard", store.Guards{}, 50, 0, ""},
		{"as many as allowed", store.Guards{MaxRevokes: 5}, 5, 5, ""},
		{"one too many", store.Guards{MaxRevokes: 5}, 6, 5, store.GuardRevokes},
		{"grants do not count", store.Guards{MaxRevokes: 5, MaxRevokesPerDay: 5}, 0, 20, ""},
		{"the share allowed", store.Guards{MaxRevokeShare: 0.5}, 10, 10, ""},
		{"above the share", store.Guards{MaxRevokeShare: 0.5}, 11, 10, store.GuardRevokeShare},
		{"too few for a share", store.Guards{MaxRevokeShare: 0.5}, 9, 0, ""},
		{"a share of something else", store.Guards{MaxRevokeShare: 0.1, RevokesOf: 200}, 20, 0, ""},
		{"too large a share of it", store.Guards{MaxRevokeShare: 0.1, RevokesOf: 100}, 11, 0, store.GuardRevokeShare},
		{"too many a day", store.Guards{MaxRevokesPerDay: 5}, 6, 0, store.GuardRevokesPerDay},
		{"nothing to compare with", store.Guards{MaxShrink: 0.3}, 1, 0, ""},
		{"what the caller found", store.Guards{Objections: []store.Objection{{Guard: store.GuardStale, Message: "old"}}}, 0, 1, store.GuardStale},
	} {
		job := leavers(fmt.Sprint("source", i), tt.revokes, tt.grants)
		job.Guards = tt.guards
		created := w.create(t, job)
		guard, reason := w.held(t, created.ID)
		if guard != tt.want || created.Held != (tt.want != "") || (reason != "") != created.Held {
			t.Errorf("%s: held by %q (%q), %v; want %q", tt.name, guard, reason, created.Held, tt.want)
		}
		if tt.want != "" {
			w.wantUnsendable(t, created)
		}
	}
}

// wantUnsendable fails the test if anything of a job could be sent.
func (w world) wantUnsendable(t *testing.T, job store.Created) {
	t.Helper()
	if waiting := w.waiting(t, store.OfJob(job.ID)); len(waiting) > 0 {
		t.Errorf("held, but %v wait to be sent", waiting)
	}
	_, err := w.Claim(t.Context(), store.ClaimRequest{TaskRef: store.TaskRef{Job: job.Number, No: 1}, Worker: "w", Lease: time.Minute})
	if !errors.Is(err, store.ErrStale) {
		t.Errorf("Claim of a held job: %v", err)
	}
}

func TestRevokesOfADayAddUp(t *testing.T) {
	t.Parallel()
	w := setup(t)
	submit := func(revokes, grants int) store.Created {
		job := leavers("hr", revokes, grants)
		job.Guards = store.Guards{MaxRevokesPerDay: 10}
		return w.create(t, job)
	}
	if submit(4, 1).Held || submit(6, 1).Held {
		t.Fatal("ten in a day are allowed")
	}
	third := submit(1, 1)
	if !third.Held {
		t.Fatal("the eleventh is not held")
	}
	w.exec(t, `UPDATE jobs SET created_at = created_at - interval '25 hours' WHERE source = 'hr' AND revokes = 4`)
	if submit(4, 2).Held {
		t.Error("what is older than a day, or held, counts")
	}
	if !submit(1, 3).Held {
		t.Error("ten in a day are exceeded")
	}
	if other := leavers("it", 4, 0); w.create(t, other).Held {
		t.Error("the revokes of another source count")
	}
}

func TestRevokesThatWereSentCountAlsoOfACanceledJob(t *testing.T) {
	t.Parallel()
	w := setup(t)
	submit := func(revokes, grants int) store.Created {
		job := leavers("hr", revokes, grants)
		job.Guards = store.Guards{MaxRevokesPerDay: 10}
		return w.create(t, job)
	}
	stopped := submit(9, 0)
	for no := 1; no <= 3; no++ {
		w.finish(t, store.TaskRef{Job: stopped.Number, No: no})
	}
	if _, err := w.Cancel(t.Context(), store.OfJob(stopped.ID), somebody); err != nil {
		t.Fatal(err)
	}
	if over := submit(8, 0); !over.Held {
		t.Error("after three that were sent, eight are within ten")
	}
	if within := submit(7, 0); within.Held {
		t.Error("what was canceled before it was sent counts")
	}
}

// Two submissions at once must not both find room for themselves.
func TestRevokesOfADayAreCountedOneByOne(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var both sync.WaitGroup
	held := make([]bool, 6)
	for i := range held {
		both.Go(func() {
			job := leavers("hr", 6, i)
			job.Guards = store.Guards{MaxRevokesPerDay: 10}
			created, err := w.CreateJob(context.WithoutCancel(t.Context()), job.job())
			if err != nil {
				t.Error(err)
			}
			held[i] = created.Held
		})
	}
	both.Wait()
	free := 0
	for _, h := range held {
		if !h {
			free++
		}
	}
	if free != 1 {
		t.Errorf("%d of 6 submissions found room for one", free)
	}
}

func TestShrunkenSubmission(t *testing.T) {
	t.Parallel()
	w := setup(t)
	submit := func(rows int) store.Created {
		job := leavers("hr", 0, rows)
		job.Guards = store.Guards{MaxShrink: 1.0 / 3}
		return w.create(t, job)
	}
	for i, rows := range []int{30, 20, 14} { // a third less, a third less
		if created := submit(rows); created.Held {
			_, reason := w.held(t, created.ID)
			t.Fatalf("job %d of %d rows is held: %s", i, rows, reason)
		}
	}
	held := submit(9)
	if guard, reason := w.held(t, held.ID); guard != store.GuardShrink || !strings.Contains(reason, "9 rows") {
		t.Errorf("held by %q: %q", guard, reason)
	}
	if !submit(8).Held {
		t.Error("a held job became the measure")
	}
	if released, err := w.Release(t.Context(), held.ID, somebody); !released || err != nil {
		t.Fatal(released, err)
	}
	if submit(7).Held {
		t.Error("the released job is no measure")
	}
}

func TestRelease(t *testing.T) {
	t.Parallel()
	w := setup(t)
	job := leavers("hr", 2, 0)
	job.Guards = store.Guards{MaxRevokes: 1}
	created := w.create(t, job)

	for _, target := range []store.Target{{Scope: store.ScopeAll}, {Scope: store.ScopeSource, Name: "hr"}} {
		w.pause(t, target)
		w.resume(t, target)
	}
	if _, err := w.Resume(t.Context(), store.OfJob(created.ID), somebody); !errors.Is(err, store.ErrHeld) {
		t.Fatalf("Resume of a held job: %v", err)
	}
	if w.pause(t, store.OfJob(created.ID)) {
		t.Error("a held job was paused once more")
	}
	w.wantUnsendable(t, created)
	if again := w.create(t, job); !again.Replayed || again.ID != created.ID {
		t.Errorf("the same submission again is %+v", again)
	}
	w.wantUnsendable(t, created)

	if released, err := w.Release(t.Context(), created.ID, somebody); !released || err != nil {
		t.Fatalf("Release = %v, %v", released, err)
	}
	if released, err := w.Release(t.Context(), created.ID, somebody); released || err != nil {
		t.Errorf("Release again = %v, %v", released, err)
	}
	if _, err := w.Release(t.Context(), "01JD3Z5S2M8H0T6W9K4Q7XBRNE", somebody); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Release of no job: %v", err)
	}
	w.finish(t, store.TaskRef{Job: created.Number, No: 1})
	var got []string
	rows, err := w.sql.Query(t.Context(), `SELECT actor || ' ' || event || ' ' || (detail ->> 'guard') || ': ' || (detail ->> 'reason') FROM audit WHERE event IN ('job.held', 'job.released') ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		got = append(got, line)
	}
	want := []string{
		"usher job.held too_many_revokes: it revokes 2 times, and 1 is the most for one job",
		"somebody job.released too_many_revokes: maintenance",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
}

// A retry sends rows that were judged before.
func TestRetriesAreNotHeld(t *testing.T) {
	t.Parallel()
	w := setup(t)
	parent := w.create(t, leavers("hr", 3, 0))
	retry := leavers("hr", 3, 0)
	retry.IdempotencyKey, retry.ParentID, retry.Retry, retry.Guards = "again", parent.ID, true, store.Guards{MaxRevokes: 1}
	if w.create(t, retry).Held {
		t.Error("a retry is held")
	}
}
