package store_test

import (
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

func TestTaskIsClaimedOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)

	created := w.create(t, grid([]string{"u1"}, []string{"r1"}))
	var (
		won   = make(chan store.Task, 16)
		group sync.WaitGroup
	)
	for range 16 {
		group.Go(func() {
			task, err := w.Claim(t.Context(), store.ClaimRequest{TaskRef: store.TaskRef{Job: created.Number, No: 1}, Worker: "w", Lease: time.Minute})
			if err == nil {
				won <- task
			} else if !errors.Is(err, store.ErrStale) {
				t.Errorf("Claim: %v", err)
			}
		})
	}
	group.Wait()
	if len(won) != 1 {
		t.Fatalf("%d of 16 claims succeeded, want 1", len(won))
	}
	job, err := w.Job(t.Context(), created.ID)
	if err != nil {
		t.Fatal(err)
	}
	if job.Status != store.JobRunning || job.StartedAt == nil {
		t.Errorf("a job with a claimed task is %s, want running", job.Status)
	}
}

func TestFinishFailsExactlyTheNamedCells(t *testing.T) {
	t.Parallel()
	w := setup(t)

	created := w.create(t, grid([]string{"u1", "u2", "u3"}, []string{"r1", "r2"}))
	task := w.claim(t, store.TaskRef{Job: created.Number, No: 1}, 0)
	answer := store.Answer{Call: w.begin(t, task.Claim), Class: "partial", HTTPStatus: 200, RequestID: "REQ-1", Took: time.Millisecond}
	failure := store.CellException{Principal: "u2", Resource: qa("r2"), Exception: store.Exception{
		Status: store.Failed, Code: "user_not_in_organization", Message: "gone", APICode: "User.Not.In.Organization", RequestID: "REQ-1",
	}}
	if err := w.Finish(t.Context(), task.Claim, answer, store.Ending{Exceptions: []store.CellException{failure}}); err != nil {
		t.Fatalf("Finish: %v", err)
	}
	if err := w.Finalize(t.Context(), created.Number); err != nil {
		t.Fatalf("Finalize: %v", err)
	}

	if diff := cmp.Diff(store.Counts{Total: 6, Succeeded: 5, Failed: 1}, w.counts(t, created.ID)); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[int]store.Status{5: store.Failed}, w.statuses(t, created.ID, store.Failed, store.Unknown)); diff != "" {
		t.Errorf("failed rows (-want +got):\n%s", diff)
	}
	groups, err := w.FailureGroups(t.Context(), created.ID, 0)
	if err != nil {
		t.Fatalf("FailureGroups: %v", err)
	}
	want := []store.FailureGroup{{
		Code: "user_not_in_organization", APICode: "User.Not.In.Organization", Message: "gone", Count: 1, SampleLines: []int{5}, RequestID: "REQ-1",
	}}
	if diff := cmp.Diff(want, groups); diff != "" {
		t.Errorf("failure groups (-want +got):\n%s", diff)
	}
	var viewed int
	if err := w.sql.QueryRow(t.Context(), `SELECT count(*) FROM failures WHERE job = $1 AND principal = 'u2' AND request_id = 'REQ-1'`, created.ID).Scan(&viewed); err != nil {
		t.Fatal(err)
	}
	if viewed != 1 {
		t.Errorf("the failures view shows %d rows, want 1", viewed)
	}
}

// Of a job with many failures the first are shown, for all are too many to count
// each time.
func TestFailureGroupsOfTheFirst(t *testing.T) {
	t.Parallel()
	w := setup(t)
	created := w.create(t, grid([]string{"u1", "u2", "u3"}, []string{"r1"}))
	task := w.claim(t, store.TaskRef{Job: created.Number, No: 1}, 0)
	answer := store.Answer{Call: w.begin(t, task.Claim), Class: "partial", HTTPStatus: 200, Took: time.Millisecond}
	var failures []store.CellException
	for i, code := range []string{"b", "a", "a"} {
		failures = append(failures, store.CellException{
			Principal: task.Principals[i].ID, Resource: qa("r1"), Exception: store.Exception{Status: store.Failed, Code: code},
		})
	}
	if err := w.Finish(t.Context(), task.Claim, answer, store.Ending{Exceptions: failures}); err != nil {
		t.Fatalf("Finish: %v", err)
	}
	for most, want := range map[int]string{0: "a×2 b×1 ", 1: "b×1 ", 2: "a×1 b×1 ", 3: "a×2 b×1 ", 4: "a×2 b×1 "} {
		groups, err := w.FailureGroups(t.Context(), created.ID, most)
		var got strings.Builder
		for _, g := range groups {
			fmt.Fprintf(&got, "%s×%d ", g.Code, g.Count)
		}
		if err != nil || got.String() != want {
			t.Errorf("of the first %d: %q (%v), want %q", most, got.String(), err, want)
		}
	}
}

func TestExceptionOfAForeignCellIsRefusedWhole(t *testing.T) {
	t.Parallel()
	w := setup(t)

	created := w.create(t, grid([]string{"u1"}, []string{"r1"}))
	task := w.claim(t, store.TaskRef{Job: created.Number, No: 1}, 0)
	answer := store.Answer{Call: w.begin(t, task.Claim), Class: "partial"}
	foreign := store.CellException{Principal: "somebody", Resource: qa("r1"), Exception: store.Exception{Status: store.Failed}}
	if err := w.Finish(t.Context(), task.Claim, answer, store.Ending{Exceptions: []store.CellException{foreign}}); err == nil {
		t.Error("Finish took an exception of a cell that the task does not hold")
	}
	if got := w.counts(t, created.ID); got.Pending != 1 {
		t.Errorf("counts = %+v, want the row still pending", got)
	}
}

func TestLostClaimCanWriteNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)

	created := w.create(t, grid([]string{"u1", "u2"}, []string{"r1"}))
	ref := store.TaskRef{Job: created.Number, No: 1}
	lost := w.claim(t, ref, 0)
	call := w.begin(t, lost.Claim)
	if _, err := w.sql.Exec(t.Context(), `UPDATE tasks SET claimed_until = now() - interval '1 second'`); err != nil {
		t.Fatal(err)
	}
	if _, err := w.BeginCall(t.Context(), store.NewCall{Claim: lost.Claim, Action: access.SmartqAuthorize}); !errors.Is(err, store.ErrStale) {
		t.Errorf("BeginCall after the lease = %v, want ErrStale", err)
	}
	if lost := w.reclaim(t, "w"); len(lost) != 1 {
		t.Fatalf("reclaimed %v, want 1 task", lost)
	}
	current := w.claim(t, ref, lost.Generation+1)
	if current.Attempts != 1 || !current.Unsure {
		t.Errorf("a task whose call was never answered has attempts %d, unsure %t; want 1, true", current.Attempts, current.Unsure)
	}

	answer := store.Answer{Call: call, Class: "ok"}
	if err := w.Finish(t.Context(), lost.Claim, answer, store.Ending{}); !errors.Is(err, store.ErrStale) {
		t.Errorf("Finish = %v, want ErrStale", err)
	}
	if _, _, err := w.GiveBack(t.Context(), lost.Claim, store.Again{}); !errors.Is(err, store.ErrStale) {
		t.Errorf("GiveBack = %v, want ErrStale", err)
	}
	first, second := lost.Halves()
	if _, err := w.Split(t.Context(), lost.Claim, answer, []store.Part{{Rectangle: first}, {Rectangle: second}}); !errors.Is(err, store.ErrStale) {
		t.Errorf("Split = %v, want ErrStale", err)
	}
	if err := w.Finish(t.Context(), current.Claim, store.Answer{Call: w.begin(t, current.Claim), Class: "ok"}, store.Ending{}); err != nil {
		t.Errorf("Finish by the current claim: %v", err)
	}
	if got := w.counts(t, created.ID); got.Succeeded != 2 {
		t.Errorf("counts = %+v, want both succeeded", got)
	}
}

func TestReclaimRemembersWhatMayHaveHappened(t *testing.T) {
	t.Parallel()
	for class, want := range map[string]bool{"unknown_outcome": true, "transient": true, "throttled": false, "ok": false} {
		t.Run(class, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			created := w.create(t, grid([]string{"u1"}, []string{"r1"}))
			lost := w.claim(t, store.TaskRef{Job: created.Number, No: 1}, 0)
			if err := w.Answered(t.Context(), lost.TaskRef, store.Answer{Call: w.begin(t, lost.Claim), Class: class}); err != nil {
				t.Fatalf("Answered: %v", err)
			}
			if _, err := w.sql.Exec(t.Context(), `UPDATE tasks SET claimed_until = now() - interval '1 second'`); err != nil {
				t.Fatal(err)
			}
			w.reclaim(t, "w")
			if task := w.claim(t, lost.TaskRef, lost.Generation+1); task.Unsure != want {
				t.Errorf("after a worker died with an answer of class %s: unsure = %t, want %t", class, task.Unsure, want)
			}
		})
	}
}

func TestSplitKeepsEveryCell(t *testing.T) {
	t.Parallel()
	w := setup(t)

	created := w.create(t, grid([]string{"u1", "u2", "u3", "u4"}, []string{"r1", "r2"}))
	task := w.claim(t, store.TaskRef{Job: created.Number, No: 1}, 0)
	first, second := task.Halves()
	failed := store.CellException{Principal: "u1", Resource: qa("r2"), Exception: store.Exception{Status: store.Failed, Code: "c"}}
	queued, err := w.Split(t.Context(), task.Claim, store.Answer{Call: w.begin(t, task.Claim), Class: "partial", RequestID: "REQ-1"},
		[]store.Part{{Rectangle: first, Done: true, Exceptions: []store.CellException{failed}}, {Rectangle: second}})
	if err != nil {
		t.Fatalf("Split: %v", err)
	}
	want := []store.Queued{{TaskRef: store.TaskRef{Job: created.Number, No: 3}, Action: access.SmartqAuthorize, Lane: store.Normal}}
	if diff := cmp.Diff(want, queued); diff != "" {
		t.Fatalf("queued (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(store.Counts{Total: 8, Succeeded: 3, Failed: 1, Pending: 4}, w.counts(t, created.ID)); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}

	// The open part is cut once more; its halves end in different ways.
	part := w.claim(t, queued[0].TaskRef, 0)
	a, b := part.Halves()
	queued, err = w.Split(t.Context(), part.Claim, store.Answer{Call: w.begin(t, part.Claim), Class: "user"}, []store.Part{{Rectangle: a}, {Rectangle: b}})
	if err != nil || len(queued) != 2 {
		t.Fatalf("Split() = %d tasks, %v, want 2", len(queued), err)
	}
	gone := w.claim(t, queued[0].TaskRef, 0)
	exceptions := []store.CellException{
		{Principal: "u3", Resource: qa("r1"), Exception: store.Exception{Status: store.Unknown, Code: "outcome_unknown", RequestID: "REQ-9"}},
	}
	if err := w.Finish(t.Context(), gone.Claim, store.Answer{Call: w.begin(t, gone.Claim), Class: "ok"}, store.Ending{Exceptions: exceptions}); err != nil {
		t.Fatalf("Finish: %v", err)
	}
	statuses := map[int]store.Status{
		2: store.Succeeded, 3: store.Failed, 4: store.Succeeded, 5: store.Succeeded,
		6: store.Unknown, 7: store.Succeeded, 8: store.Pending, 9: store.Pending,
	}
	if diff := cmp.Diff(statuses, w.statuses(t, created.ID)); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(store.Counts{Total: 8, Succeeded: 4, Failed: 1, Unknown: 1, Pending: 2}, w.counts(t, created.ID)); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}
