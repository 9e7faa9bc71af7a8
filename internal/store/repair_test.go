package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/store"
)

func TestStandings(t *testing.T) {
	t.Parallel()
	w := setup(t)
	created := w.create(t, grid([]string{"u1"}, []string{"r1"}))
	ref := store.TaskRef{Job: created.Number, No: 1}
	look := func() []store.Standing {
		t.Helper()
		standings, err := w.Standings(t.Context(), []store.Queued{
			{TaskRef: ref}, {TaskRef: ref, Generation: 1}, {TaskRef: store.TaskRef{Job: 99, No: 1}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return standings
	}
	want := func(when string, standings ...store.Standing) {
		t.Helper()
		if diff := cmp.Diff(append(standings, store.Over), look()); diff != "" {
			t.Errorf("%s, generations 0 and 1, and a task that is none (-want +got):\n%s", when, diff)
		}
	}
	want("queued", store.Waiting, store.Over)
	task := w.claim(t, ref, 0)
	want("claimed", store.Working, store.Over)
	renewed, err := w.Renew(t.Context(), []store.Queued{{TaskRef: ref, Generation: 1}})
	if err != nil || len(renewed) > 0 {
		t.Errorf("renewing a claimed task: %v, %v; want it left alone", renewed, err)
	}
	if _, _, err := w.GiveBack(t.Context(), task.Claim, store.Again{}); err != nil {
		t.Fatal(err)
	}
	want("given back", store.Over, store.Over)
	if renewed, err = w.Renew(t.Context(), []store.Queued{{TaskRef: ref, Generation: 2}}); err != nil || len(renewed) != 1 || renewed[0].Generation != 3 {
		t.Errorf("renewing a waiting task: %v, %v; want generation 3", renewed, err)
	}
}

func TestForsakenJobEndsOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	forsaken := w.create(t, grid([]string{"u1"}, []string{"r1"}))
	other := grid([]string{"u2"}, []string{"r1"})
	other.IdempotencyKey = "other"
	open := w.create(t, other)
	task := w.claim(t, store.TaskRef{Job: forsaken.Number, No: 1}, 0)
	if err := w.Finish(t.Context(), task.Claim, store.Answer{Call: w.begin(t, task.Claim), Class: "ok"}, store.Ending{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range [][]int64{{forsaken.Number}, nil} {
		if ended, err := w.FinalizeForsaken(t.Context()); err != nil || !cmp.Equal(ended, want) {
			t.Errorf("ended %v, %v; want %v", ended, err, want)
		}
	}
	if job, err := w.Job(t.Context(), open.ID); err != nil || job.Status.Final() {
		t.Errorf("a job with an open task is %s, %v", job.Status, err)
	}
}
