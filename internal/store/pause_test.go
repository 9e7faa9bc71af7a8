package store_test

import (
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

var somebody = store.Order{Actor: "somebody", Reason: "maintenance"}

// mixed makes a job of a source with tasks of a cell each, one an action.
func mixed(source string, actions ...access.Action) draft {
	job := grid([]string{"u1"}, []string{"r1"})
	job.Source, job.Tasks, job.Changes = source, nil, nil
	for i, action := range actions {
		one := grid([]string{"u" + strconv.Itoa(i)}, []string{fmt.Sprint(source, actions)})
		one.Tasks[0].Action, one.Tasks[0].FirstChange = action, i
		one.Changes[0].Task, one.Changes[0].Line = i, i+2
		job.Tasks, job.Changes = append(job.Tasks, one.Tasks...), append(job.Changes, one.Changes...)
	}
	return job
}

func (w world) pause(t *testing.T, target store.Target) bool {
	t.Helper()
	changed, err := w.Pause(t.Context(), target, somebody)
	if err != nil {
		t.Fatalf("Pause: %v", err)
	}
	return changed
}

func (w world) resume(t *testing.T, target store.Target) bool {
	t.Helper()
	changed, err := w.Resume(t.Context(), target, somebody)
	if err != nil {
		t.Fatalf("Resume: %v", err)
	}
	return changed
}

// waiting lists the tasks of a target that may be sent.
func (w world) waiting(t *testing.T, of store.Target) []store.TaskRef {
	t.Helper()
	tasks, err := w.WaitingTasks(t.Context(), of, store.TaskRef{}, 100)
	if err != nil {
		t.Fatalf("WaitingTasks: %v", err)
	}
	var refs []store.TaskRef
	for _, q := range tasks {
		refs = append(refs, q.TaskRef)
	}
	return refs
}

// due lists what the reconciler looks after.
func (w world) due(t *testing.T) []store.TaskRef {
	t.Helper()
	tasks, err := w.DueTasks(t.Context(), -time.Minute, store.TaskRef{}, 100)
	if err != nil {
		t.Fatalf("DueTasks: %v", err)
	}
	var refs []store.TaskRef
	for _, q := range tasks {
		refs = append(refs, q.TaskRef)
	}
	return refs
}

func (w world) status(t *testing.T, id string) store.JobStatus {
	t.Helper()
	job, err := w.Job(t.Context(), id)
	if err != nil {
		t.Fatalf("Job: %v", err)
	}
	return job.Status
}

func TestPauseOfEveryScope(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		scope  store.Scope
		status store.JobStatus // of the job that is concerned
		others bool            // are concerned too
	}{
		{store.ScopeJob, store.JobPaused, false},
		{store.ScopeSource, store.JobPaused, false},
		{store.ScopeAction, store.JobRunning, false},
		{store.ScopeAll, store.JobPaused, true},
	} {
		t.Run(string(tt.scope), func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			mine := w.create(t, mixed("mine", access.SmartqAuthorize, access.SmartqAuthorize))
			other := w.create(t, mixed("other", access.AddShareReport))
			target := store.Target{Scope: tt.scope, Name: map[store.Scope]string{
				store.ScopeJob: mine.ID, store.ScopeSource: "mine", store.ScopeAction: "SmartqAuthorize",
			}[tt.scope]}
			first, second := store.TaskRef{Job: mine.Number, No: 1}, store.TaskRef{Job: mine.Number, No: 2}
			third := store.TaskRef{Job: other.Number, No: 1}

			claimed := w.claim(t, first, 0)
			inFlight := w.begin(t, claimed.Claim)
			w.pause(t, target)
			if _, err := w.BeginCall(t.Context(), store.NewCall{Claim: claimed.Claim, Action: access.QuerySharesToUserList}); !errors.Is(err, store.ErrPaused) {
				t.Errorf("BeginCall of what is paused = %v, want ErrPaused", err)
			}
			probe := store.NewCall{Claim: claimed.Claim, Action: access.SmartqAuthorize, Probe: true}
			if _, err := w.BeginCall(t.Context(), probe); !errors.Is(err, store.ErrPaused) {
				t.Errorf("BeginCall of a probe = %v, want ErrPaused", err)
			}
			if _, err := w.Claim(t.Context(), store.ClaimRequest{TaskRef: second, Worker: "w", Lease: time.Minute}); !errors.Is(err, store.ErrStale) {
				t.Errorf("Claim of what is paused = %v, want ErrStale", err)
			}
			if _, err := w.ReadyTask(t.Context(), access.SmartqAuthorize); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("ReadyTask = %v, want none to probe with", err)
			}
			if err := w.Answered(t.Context(), claimed.TaskRef, store.Answer{Call: inFlight, Class: "transient"}); err != nil {
				t.Errorf("what was in flight cannot be recorded: %v", err)
			}
			if _, ok, err := w.GiveBack(t.Context(), claimed.Claim, store.Again{}); ok || err != nil {
				t.Errorf("GiveBack of what is paused = %t, %v; want it not to be queued", ok, err)
			}
			due, listed := []store.TaskRef{third}, []store.Pause{{Target: target, Actor: "somebody", Reason: "maintenance"}}
			var held []store.Pause
			if tt.others {
				due, held = nil, listed
			}
			if diff := cmp.Diff(due, w.due(t)); diff != "" {
				t.Errorf("due tasks (-want +got):\n%s", diff)
			}
			if got := w.status(t, mine.ID); got != tt.status {
				t.Errorf("the job is %s, want %s", got, tt.status)
			}
			w.wantPauses(t, mine.ID, listed)
			w.wantPauses(t, other.ID, held)

			w.resume(t, target)
			if diff := cmp.Diff([]store.TaskRef{first, second}, w.waiting(t, store.OfJob(mine.ID))); diff != "" {
				t.Errorf("tasks that wait once it is resumed (-want +got):\n%s", diff)
			}
			if task := w.claim(t, first, claimed.Generation+1); task.Attempts != 0 || task.Strikes != 0 {
				t.Errorf("the pause used up attempts: %+v", task)
			}
			w.wantPauses(t, mine.ID, nil)
			if got := w.status(t, mine.ID); got != store.JobRunning {
				t.Errorf("the job is %s, want running", got)
			}
		})
	}
}

// wantPauses fails t unless exactly these keep a job from being sent.
func (w world) wantPauses(t *testing.T, id string, want []store.Pause) {
	t.Helper()
	got, err := w.PausesOf(t.Context(), id)
	if err != nil {
		t.Fatalf("PausesOf: %v", err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(store.Pause{}, "Since"), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("pauses (-want +got):\n%s", diff)
	}
}

func TestPausesOverlap(t *testing.T) {
	t.Parallel()
	w := setup(t)

	job := w.create(t, mixed("mine", access.SmartqAuthorize, access.AddShareReport))
	source, action, all := store.Target{Scope: store.ScopeSource, Name: "mine"},
		store.Target{Scope: store.ScopeAction, Name: "AddShareReport"}, store.Target{Scope: store.ScopeAll}
	for _, target := range []store.Target{store.OfJob(job.ID), source, action, all} {
		w.pause(t, target)
	}
	ref := func(no int) store.TaskRef { return store.TaskRef{Job: job.Number, No: no} }
	for _, step := range []struct {
		target  store.Target
		status  store.JobStatus
		waiting []store.TaskRef // once it is resumed
	}{
		{all, store.JobPaused, nil},
		{store.OfJob(job.ID), store.JobPaused, nil},
		{source, store.JobQueued, []store.TaskRef{ref(1)}},
		{action, store.JobQueued, []store.TaskRef{ref(1), ref(2)}},
	} {
		if !w.resume(t, step.target) {
			t.Errorf("%s was not paused", step.target)
		}
		if got := w.status(t, job.ID); got != step.status {
			t.Errorf("after %s is resumed the job is %s, want %s", step.target, got, step.status)
		}
		if diff := cmp.Diff(step.waiting, w.waiting(t, store.Target{Scope: store.ScopeAll})); diff != "" {
			t.Errorf("after %s is resumed wait (-want +got):\n%s", step.target, diff)
		}
	}
}

func TestPauseIsIdempotentAndAudited(t *testing.T) {
	t.Parallel()
	w := setup(t)

	job := w.create(t, mixed("mine", access.SmartqAuthorize))
	for _, target := range []store.Target{store.OfJob(job.ID), {Scope: store.ScopeSource, Name: "mine"}, {Scope: store.ScopeAction, Name: "X"}, {Scope: store.ScopeAll}} {
		if first, second := w.pause(t, target), w.pause(t, target); !first || second {
			t.Errorf("pausing %s twice changes %t, %t; want true, false", target, first, second)
		}
		if first, second := w.resume(t, target), w.resume(t, target); !first || second {
			t.Errorf("resuming %s twice changes %t, %t; want true, false", target, first, second)
		}
		for _, event := range []string{".paused", ".resumed"} {
			var rows int
			err := w.sql.QueryRow(t.Context(), `SELECT count(*) FROM audit WHERE event = $1 AND actor = 'somebody'
				AND detail ->> 'reason' = 'maintenance' AND detail ->> 'name' = $2 AND (job_id IS NOT NULL) = ($3 = 'job')`,
				string(target.Scope)+event, target.Name, string(target.Scope)).Scan(&rows)
			if err != nil || rows != 1 {
				t.Errorf("%d audit rows of %s%s (%v), want 1", rows, target.Scope, event, err)
			}
		}
	}
}

func TestOnlyWhatGoesOnCanBePaused(t *testing.T) {
	t.Parallel()
	w := setup(t)

	nobody := store.OfJob("01ARZ3NDEKTSV4RRFFQ69G5FAV")
	if _, err := w.Pause(t.Context(), nobody, somebody); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Pause of no job = %v, want ErrNotFound", err)
	}
	if _, err := w.Resume(t.Context(), nobody, somebody); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Resume of no job = %v, want ErrNotFound", err)
	}

	job := w.create(t, mixed("mine", access.SmartqAuthorize))
	task := w.claim(t, store.TaskRef{Job: job.Number, No: 1}, 0)
	call := w.begin(t, task.Claim)
	w.pause(t, store.OfJob(job.ID))
	if err := w.Finish(t.Context(), task.Claim, store.Answer{Call: call, Class: "ok"}, store.Ending{}); err != nil {
		t.Fatalf("Finish: %v", err)
	}
	if err := w.Finalize(t.Context(), job.Number); err != nil {
		t.Fatalf("Finalize: %v", err)
	}
	if got := w.status(t, job.ID); got != store.JobCompleted {
		t.Errorf("the job whose last call was in flight is %s, want completed", got)
	}
	if left, err := w.Pauses(t.Context()); len(left) > 0 || err != nil {
		t.Errorf("the pause outlives its job: %+v, %v", left, err)
	}
	if _, err := w.Pause(t.Context(), store.OfJob(job.ID), somebody); !errors.Is(err, store.ErrFinished) {
		t.Errorf("Pause of a job that has ended = %v, want ErrFinished", err)
	}
	if w.resume(t, store.OfJob(job.ID)) {
		t.Error("a job that has ended was resumed")
	}
}

func TestListsOfJobsKnowPaused(t *testing.T) {
	t.Parallel()
	w := setup(t)

	mine, other := w.create(t, mixed("mine", access.SmartqAuthorize)), w.create(t, mixed("other", access.SmartqAuthorize))
	w.pause(t, store.Target{Scope: store.ScopeSource, Name: "mine"})
	for status, want := range map[store.JobStatus]string{store.JobPaused: mine.ID, store.JobQueued: other.ID} {
		jobs, err := w.Jobs(t.Context(), store.JobFilter{Status: status})
		if err != nil || len(jobs) != 1 || jobs[0].ID != want || jobs[0].Status != status {
			t.Errorf("jobs that are %s: %+v, %v; want just %s", status, jobs, err, want)
		}
	}
}

func TestPartsOfWhatIsPausedAreNotQueued(t *testing.T) {
	t.Parallel()
	w := setup(t)

	job := w.create(t, grid([]string{"u1", "u2"}, []string{"r1"}))
	task := w.claim(t, store.TaskRef{Job: job.Number, No: 1}, 0)
	call := w.begin(t, task.Claim)
	w.pause(t, store.OfJob(job.ID))
	a, b := task.Halves()
	queued, err := w.Split(t.Context(), task.Claim, store.Answer{Call: call, Class: "user"}, []store.Part{{Rectangle: a}, {Rectangle: b}})
	if len(queued) > 0 || err != nil {
		t.Errorf("Split = %+v, %v; want none to queue", queued, err)
	}
	w.resume(t, store.OfJob(job.ID))
	if got := w.waiting(t, store.OfJob(job.ID)); len(got) != 2 {
		t.Errorf("%d parts wait once the job is resumed, want 2", len(got))
	}
}
