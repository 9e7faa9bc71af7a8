package tasks_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
	"github.com/usher-bi/usher/internal/testenv"
)

var operator = store.Order{Actor: "operator", Reason: "month end"}

// apart is n users with a resource each, which no call can combine: n tasks.
func apart(n int) []access.Change {
	out := make([]access.Change, n)
	for i := range out {
		out[i] = change(access.Grant, fmt.Sprintf("u%d", i+1), access.QAResource, fmt.Sprintf("r%d", i+1))
	}
	return out
}

// running counts the tasks in the hands of workers.
func (w *world) running(t *testing.T) int {
	t.Helper()
	conn := w.sql(t)
	var n int
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM tasks WHERE state = 'running'`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close(t.Context())
	return n
}

// settle waits until the workers have come to rest after a pause: no call is on
// its way, and no task is left that one of them could still take from Redis.
func (w *world) settle(t *testing.T) {
	t.Helper()
	inspector := asynq.NewInspectorFromRedisClient(w.redis)
	testenv.Eventually(t, "no worker has or takes a task", func() bool {
		info, err := inspector.GetQueueInfo("smartqauthorize:normal")
		return err == nil && info.Active == 0 && (info.Paused || info.Pending+info.Scheduled == 0) && w.running(t) == 0
	})
}

func TestPauseInTheMiddleCostsTimeOnly(t *testing.T) {
	t.Parallel()
	const concurrency, total = 4, 60
	for _, scope := range []store.Scope{store.ScopeJob, store.ScopeSource, store.ScopeAction, store.ScopeAll} {
		t.Run(string(scope), func(t *testing.T) {
			t.Parallel()
			w := setup(t, quickbitest.Options{Users: ids("u", total), QAResources: ids("r", total), Latency: quickbitest.Duration(30 * time.Millisecond)})
			w.work(t, func(o *tasks.Options) {
				o.Concurrency, o.Sweep = concurrency, time.Hour           // no reconciler helps
				o.Rate = func(access.Action) float64 { return total / 2 } // and about half of the tasks are never queued before
			})
			changes := apart(total)
			id := w.submit(t, changes)
			target := store.Target{Scope: scope, Name: map[store.Scope]string{
				store.ScopeJob: id, store.ScopeSource: "test", store.ScopeAction: "SmartqAuthorize",
			}[scope]}

			testenv.Eventually(t, "some tasks are done", func() bool { return w.job(t, id).Tasks.Done >= 5 })
			if _, err := w.store.Pause(t.Context(), target, operator); err != nil {
				t.Fatalf("Pause: %v", err)
			}
			before := len(w.sandbox.Calls())
			w.settle(t)
			after := len(w.sandbox.Calls())
			if after > before+concurrency {
				t.Errorf("%d calls were sent after the pause, want at most the %d in flight", after-before, concurrency)
			}
			if job := w.job(t, id); job.Tasks.Done != after || job.Counts.Pending == 0 {
				t.Errorf("%d calls and %d tasks done, %d rows pending; want every call recorded and some rows left", after, job.Tasks.Done, job.Counts.Pending)
			}
			if err := w.redis.FlushDB(t.Context()).Err(); err != nil { // all that was queued is gone
				t.Fatal(err)
			}

			if _, err := w.store.Resume(t.Context(), target, operator); err != nil {
				t.Fatalf("Resume: %v", err)
			}
			if n, err := w.submitter.Requeue(t.Context(), target); n < 1 || n > total-after || err != nil {
				t.Errorf("Requeue = %d, %v; want the %d tasks that are left, or less if workers were faster", n, err, total-after)
			}
			job := w.finish(t, id)
			if job.Outcome != store.OutcomeSucceeded || job.Calls.Sent != total {
				t.Errorf("%s with %d calls; want success with %d", job.Outcome, job.Calls.Sent, total)
			}
			for _, r := range w.results(t, id) {
				if r.Attempts != 1 {
					t.Errorf("line %d took %d attempts", r.Line, r.Attempts)
				}
			}
			w.wantGranted(t, changes)
		})
	}
}

// pause pauses a target, and lift ends the pause as the command does.
func (w *world) pause(t *testing.T, target store.Target) {
	t.Helper()
	if _, err := w.store.Pause(t.Context(), target, operator); err != nil {
		t.Fatalf("Pause: %v", err)
	}
}

func (w *world) lift(t *testing.T, target store.Target) {
	t.Helper()
	if _, err := w.store.Resume(t.Context(), target, operator); err != nil {
		t.Fatalf("Resume: %v", err)
	}
	if _, err := w.submitter.Requeue(t.Context(), target); err != nil {
		t.Fatalf("Requeue: %v", err)
	}
}

func TestPauseLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	w := setup(t, quickbitest.Options{Users: ids("u", 30), QAResources: ids("r", 30)})
	feed := store.Target{Scope: store.ScopeSource, Name: "feed"}
	w.pause(t, feed)
	w.work(t)

	changes := apart(30)
	sub := submission(changes[:10])
	sub.Source = "feed"
	submitted, err := w.submitter.Submit(t.Context(), sub)
	if err != nil {
		t.Fatalf("submitting: %v", err)
	}
	held := submitted.JobID
	w.pause(t, store.OfJob(held))
	w.finish(t, w.submit(t, changes[10:20]))
	w.lift(t, feed) // the job's own pause stays
	w.finish(t, w.submit(t, changes[20:]))
	if job := w.job(t, held); job.Status != store.JobPaused || job.Counts.Pending != 10 || job.Calls.Sent != 0 {
		t.Errorf("the paused job is %s with %d calls and %+v", job.Status, job.Calls.Sent, job.Counts)
	}
	w.wantGranted(t, changes[10:])
	w.lift(t, store.OfJob(held))
	w.finish(t, held)
	w.wantGranted(t, changes)
}

func TestNoProbeOfWhatIsPaused(t *testing.T) {
	t.Parallel()
	w := setup(t, quickbitest.Options{Users: ids("u", 1), QAResources: ids("r", 1)})
	everything := store.Target{Scope: store.ScopeAll}
	w.pause(t, everything)
	if _, err := w.store.StopAction(t.Context(), store.Stop{Action: access.SmartqAuthorize, Code: "instance_expired"}, 0); err != nil {
		t.Fatalf("StopAction: %v", err)
	}
	id := w.submit(t, apart(1))
	w.work(t)
	all := access.Actions()
	last := strings.ToLower(string(all[len(all)-1])) + ":bulk"
	closed := func(queue string) bool {
		n, err := w.redis.Exists(t.Context(), "asynq:{"+queue+"}:paused").Result()
		return err == nil && n == 1
	}
	testenv.Eventually(t, "the worker has looked at every action", func() bool { return closed(last) })
	if !closed("smartqauthorize:normal") {
		t.Error("the queue is not closed")
	}
	stops, err := w.store.Stops(t.Context())
	if err != nil || len(stops) != 1 || stops[0].Probes != 0 || len(w.sandbox.Calls()) != 0 {
		t.Errorf("%d calls were sent, and the stop is %+v, %v; want no probe", len(w.sandbox.Calls()), stops, err)
	}
	w.lift(t, everything)
	if job := w.finish(t, id); job.Outcome != store.OutcomeSucceeded {
		t.Errorf("%s, %+v", job.Outcome, job.Counts)
	}
}

func TestCancelOfAnActionInTheMiddle(t *testing.T) {
	t.Parallel()
	w := setup(t, quickbitest.Options{
		Users: ids("u", 60), QAResources: ids("r", 60), Latency: quickbitest.Duration(30 * time.Millisecond),
		Faults: []quickbitest.Fault{{Kind: quickbitest.Refuse, Match: quickbitest.Match{Users: ids("u", 60)[40:]}}}, // those come back
	})
	w.work(t, func(o *tasks.Options) { o.Concurrency, o.MaxStrikes = 4, 100 })
	id := w.submit(t, apart(60))
	testenv.Eventually(t, "some tasks are done", func() bool { return w.job(t, id).Tasks.Done >= 5 })
	if _, err := w.store.Cancel(t.Context(), store.Target{Scope: store.ScopeAction, Name: "SmartqAuthorize"}, operator); err != nil {
		t.Fatalf("Cancel: %v", err)
	}
	before := len(w.sandbox.Calls())
	job := w.finish(t, id)
	if job.Status != store.JobCompleted || job.Counts.Canceled == 0 || job.Counts.Failed > 0 {
		t.Errorf("the job is %s with %+v", job.Status, job.Counts)
	}
	if after := len(w.sandbox.Calls()); after > before+4 {
		t.Errorf("%d calls were sent after the cancel, want at most the 4 in flight", after-before)
	}
	var done []access.Change
	for _, r := range w.results(t, id) {
		if r.Status == store.Succeeded {
			done = append(done, r.Change)
		}
	}
	w.wantGranted(t, done)
}
