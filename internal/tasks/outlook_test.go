package tasks_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/limit"
	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
	"github.com/usher-bi/usher/internal/testenv"
)

func rateOf(perSecond float64) func(access.Action) float64 {
	return func(access.Action) float64 { return perSecond }
}

// pairs submits n changes, none of which can share a call with another.
func (w *world) pairs(t *testing.T, n int, name string, adjust ...func(*tasks.Submission)) string {
	t.Helper()
	changes := make([]access.Change, n)
	for i := range changes {
		changes[i] = change(access.Grant, fmt.Sprintf("%s%d", name, i), access.QAResource, fmt.Sprintf("qa%d", i))
	}
	sub := submission(changes)
	for _, a := range adjust {
		a(&sub)
	}
	done, err := w.submitter.Submit(t.Context(), sub)
	if err != nil {
		t.Fatalf("submitting: %v", err)
	}
	return done.JobID
}

func inLane(lane store.Lane) func(*tasks.Submission) {
	return func(s *tasks.Submission) { s.Lane = lane }
}

// pairWorld knows so many users of each name.
func pairWorld(names map[string]int) quickbitest.Options {
	o := quickbitest.Options{}
	most := 0
	for name, n := range names {
		for i := range n {
			o.Users = append(o.Users, fmt.Sprintf("%s%d", name, i))
		}
		most = max(most, n)
	}
	for i := range most {
		o.QAResources = append(o.QAResources, fmt.Sprintf("qa%d", i))
	}
	return o
}

// left is what is told of a job.
func (w *world) left(t *testing.T, look tasks.Lookout, id string) *time.Duration {
	t.Helper()
	job := w.job(t, id)
	look.Tell(t.Context(), &job)
	if (job.Progress.Left == nil) != (job.Progress.ETA == nil) {
		t.Fatalf("an end without a time, or a time without an end: %+v", job.Progress)
	}
	return job.Progress.Left
}

// What is told of a job early on is what becomes of it, though others go before
// it and beside it. To go by its own progress, or by its own tasks alone, would
// tell less than half, or several times as much.
func TestETAIsTrue(t *testing.T) {
	t.Parallel()
	const rate, mine, beside, urgent = 25, 80, 160, 80 // (80 + 80 + 80) / 25 = 9.6 s
	w := setup(t, pairWorld(map[string]int{"mine": mine, "beside": beside, "urgent": urgent}))
	look := tasks.Lookout{Store: w.store, Redis: w.redis, Rate: rateOf(50), MinShare: 0.05} // a command that is configured otherwise
	w.pairs(t, beside, "beside")
	id := w.pairs(t, mine, "mine")
	first := w.pairs(t, urgent, "urgent", inLane(store.Urgent))
	if left := w.left(t, look, id); left != nil {
		t.Errorf("without a worker it is said to end in %s", left)
	}
	w.work(t, func(o *tasks.Options) { o.Rate, o.MinShare = rateOf(rate), 0.05 })
	type telling struct {
		left time.Duration
		at   time.Time
	}
	var told []telling
	for _, until := range []struct {
		job  string
		done int
	}{{first, 5}, {id, 1}, {id, mine / 2}} {
		testenv.Eventually(t, "some is sent", func() bool { return w.job(t, until.job).Tasks.Done >= until.done })
		left := w.left(t, look, id)
		if left == nil {
			t.Fatal("nothing is told")
		}
		told = append(told, telling{left: *left, at: time.Now()})
	}
	end := *w.finish(t, id).FinishedAt
	for _, was := range told {
		took := end.Sub(was.at)
		t.Logf("told %s, took %s", was.left, took)
		if off := (was.left - took).Abs(); off > took/4+time.Second {
			t.Errorf("told that it takes %s, and it took %s", was.left, took)
		}
	}
}

func TestNoETAOfWhatIsHeld(t *testing.T) {
	t.Parallel()
	w := setup(t, pairWorld(map[string]int{"mine": 20}))
	look := tasks.Lookout{Store: w.store, Rate: rateOf(10)}
	if _, err := w.store.Beat(t.Context(), store.Heartbeat{Worker: "w", For: time.Minute}); err != nil {
		t.Fatal(err)
	}
	id := w.pairs(t, 20, "mine")
	sub := submission(nil)
	foresee := func() bool {
		t.Helper()
		_, ok, err := look.Foresee(t.Context(), sub, map[access.Action]int{access.SmartqAuthorize: 20})
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if left := w.left(t, look, id); left == nil || *left != 2*time.Second {
		t.Fatalf("told %v, want 2s", left)
	}
	order := store.Order{Actor: "ops"}
	for _, target := range []store.Target{
		{Scope: store.ScopeAll}, {Scope: store.ScopeAction, Name: string(access.SmartqAuthorize)}, {Scope: store.ScopeSource, Name: sub.Source}, store.OfJob(id),
	} {
		if _, err := w.store.Pause(t.Context(), target, order); err != nil {
			t.Fatal(err)
		}
		if left := w.left(t, look, id); left != nil {
			t.Errorf("%s is paused, and the job is said to end in %s", target, left)
		}
		if ok := foresee(); ok != (target.Scope == store.ScopeJob) {
			t.Errorf("%s is paused; that another job ends is told: %t", target, ok)
		}
		if _, err := w.store.Resume(t.Context(), target, order); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.store.StopAction(t.Context(), store.Stop{Action: access.SmartqAuthorize, Code: "c"}, time.Minute); err != nil {
		t.Fatal(err)
	}
	if left := w.left(t, look, id); left != nil || foresee() {
		t.Errorf("the action is stopped, and the job is said to end in %v", left)
	}
}

func TestForeseeCountsWhatIsQueuedBefore(t *testing.T) {
	t.Parallel()
	w := setup(t, pairWorld(map[string]int{"mine": 50}))
	look := tasks.Lookout{Store: w.store, Redis: w.redis, Rate: rateOf(10)}
	calls := map[access.Action]int{access.SmartqAuthorize: 30}
	sub := submission(nil)
	if _, ok, err := look.Foresee(t.Context(), sub, calls); ok || err != nil {
		t.Errorf("without a worker something is told; %v", err)
	}
	if _, err := w.store.Beat(t.Context(), store.Heartbeat{Worker: "w", For: time.Minute}); err != nil {
		t.Fatal(err)
	}
	w.pairs(t, 50, "mine")
	for lane, want := range map[store.Lane]time.Duration{store.Urgent: 3 * time.Second, store.Normal: 6 * time.Second, store.Bulk: 8 * time.Second} {
		sub.Lane = lane
		got, ok, err := look.Foresee(t.Context(), sub, calls)
		if err != nil || !ok || got != want {
			t.Errorf("in lane %s it is told to take %s, %t, %v; want %s", lane, got, ok, err, want)
		}
	}
}

// The roles are looked up first, at a rate that is far lower than that of what
// follows.
func TestETACountsLookUps(t *testing.T) {
	t.Parallel()
	w := setup(t, office(ids("u", 3)))
	w.work(t)
	var changes []access.Change
	for _, user := range ids("u", 3) {
		changes = append(changes, give(access.User, user, place("ws1"), "Auditor"))
	}
	w.finish(t, w.submit(t, changes))
	if _, err := w.store.SetLimit(t.Context(), "ListWorkspaceRoles", 4, store.Order{Actor: "ops"}); err != nil {
		t.Fatal(err)
	}
	look := tasks.Lookout{Store: w.store, Redis: w.redis, Rate: rateOf(1000)}
	testenv.Eventually(t, "the look-ups are counted", func() bool {
		eta, ok, err := look.Foresee(t.Context(), submission(nil), map[access.Action]int{access.AddUserToWorkspace: 100})
		return err == nil && ok && (eta-25*time.Second).Abs() < time.Second
	})
}

// What an operator sets reaches workers also where Redis does not know it.
func TestWorkersLearnLimits(t *testing.T) {
	t.Parallel()
	w := setup(t, pairWorld(map[string]int{"mine": 30}))
	set, err := w.store.SetLimit(t.Context(), access.SmartqAuthorize, 40, store.Order{Actor: "ops"})
	if err != nil {
		t.Fatal(err)
	}
	w.work(t)
	w.finish(t, w.pairs(t, 20, "mine"))
	state, err := limit.Read(t.Context(), w.redis, string(access.SmartqAuthorize))
	if err != nil || !state.Overridden || state.Limit != 40 || state.Version != set.Version {
		t.Errorf("after the first calls the state is %+v, %v; want version %d at 40/s", state, err, set.Version)
	}
	if set, err = w.store.SetLimit(t.Context(), access.SmartqAuthorize, 0, store.Order{Actor: "ops"}); err != nil {
		t.Fatal(err)
	}
	if err := tasks.PublishLimit(t.Context(), w.redis, set.Limit); err != nil {
		t.Fatal(err)
	}
	if state, err := limit.Read(t.Context(), w.redis, string(access.SmartqAuthorize)); err != nil || state.Overridden || state.Limit != 1000 {
		t.Errorf("after the reset the state is %+v, %v; want 1000/s as configured", state, err)
	}
}
