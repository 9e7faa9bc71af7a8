package e2e_test

import (
	"testing"
	"time"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

// slow makes the sandbox take its time, so that there is a middle to a job.
func slow(rows []row, latency time.Duration) quickbitest.Options {
	world := worldOf(rows)
	world.Latency = quickbitest.Duration(latency)
	return world
}

// TestRestart ends the worker in good order in the middle of a job: what was
// begun is finished and recorded, and nothing is sent twice.
func TestRestart(t *testing.T) {
	t.Parallel()

	rows := apart(120)
	d := setup(t, slow(rows, 30*time.Millisecond))
	first := d.work("QUICKBI_RATE=40/s") // so that tasks wait for their turn with a claim
	id := d.submit(rows).ID
	d.tasksDone(10)
	first.stop()
	left := d.status(id)
	if left.Counts.Pending == 0 {
		t.Fatal("the job ended before the restart")
	}
	if n := d.count("SELECT count(*) FROM tasks WHERE state = 'running'"); n > 0 {
		t.Errorf("%d tasks are still claimed by a worker that has gone", n)
	}
	if n := d.count("SELECT count(*) FROM calls WHERE id NOT IN (SELECT call_id FROM answers)"); n > 0 {
		t.Errorf("%d calls have no answer on record", n)
	}
	d.wantHeld(held{}.apply(d.succeeded(rows, d.results(id))...))

	d.work()
	job := d.finish(id)
	d.wantCounts(job, "succeeded", counts{Succeeded: 120})
	d.wantHeld(held{}.apply(rows...))
	d.wantOnce()
	if calls := len(d.wantCalls(rows)); calls != 120 || job.Calls.Sent != 120 {
		t.Errorf("%d calls were received and %d recorded, want 120", calls, job.Calls.Sent)
	}
}

// TestCrash kills the worker while it waits for the answers of four calls. Those
// are sent again when its claims have run out, and nothing else is.
func TestCrash(t *testing.T) {
	t.Parallel()

	rows := apart(24)
	d := setup(t, slow(rows, 800*time.Millisecond))
	brief := []string{"QUICKBI_TIMEOUT=2s", "WORKER_LEASE=5s", "WORKER_CONCURRENCY=4"}
	first := d.work(brief...)
	id := d.submit(rows).ID
	d.tasksDone(4)
	d.eventually("four calls are in flight, and will be for a while", func() bool {
		return d.count(`SELECT count(*) FROM calls WHERE id NOT IN (SELECT call_id FROM answers)
			AND sent_at > clock_timestamp() - interval '400 ms'`) == 4
	})
	first.kill()
	d.work(brief...)
	job := d.finish(id)
	d.wantCounts(job, "succeeded", counts{Succeeded: 24})
	d.wantHeld(held{}.apply(rows...))
	if n := d.count("SELECT count(*) FROM audit WHERE event = 'task.reclaimed' AND detail @> '{\"call_unanswered\": true}'"); n != 4 {
		t.Errorf("%d claims with an unanswered call were released, want 4", n)
	}
	if calls := len(d.wantCalls(rows)); calls > 28 || job.Calls.Sent != 28 {
		t.Errorf("%d calls were received and %d recorded; want 24 and the 4 repeated", calls, job.Calls.Sent)
	}
}

// TestTwoWorkers share a job and double nothing.
func TestTwoWorkers(t *testing.T) {
	t.Parallel()

	rows := apart(100)
	d := setup(t, slow(rows, 20*time.Millisecond))
	d.work("WORKER_CONCURRENCY=2")
	d.work("WORKER_CONCURRENCY=2")
	id := d.submit(rows).ID
	d.wantCounts(d.finish(id), "succeeded", counts{Succeeded: 100})
	d.wantHeld(held{}.apply(rows...))
	d.wantOnce()
	if calls := len(d.wantCalls(rows)); calls != 100 {
		t.Errorf("%d calls for 100 tasks", calls)
	}
	if n := d.count("SELECT count(DISTINCT worker) FROM calls"); n != 2 {
		t.Errorf("%d workers sent calls, want both", n)
	}
}

// TestCancel withdraws what was not sent, and what was sent stays.
func TestCancel(t *testing.T) {
	t.Parallel()

	rows := apart(200)
	d := setup(t, slow(rows, 40*time.Millisecond))
	d.work("WORKER_CONCURRENCY=2")
	waiting := d.begin(invocation{program: "enqueue", args: []string{"csv", d.file("rows.csv", rows), "--wait", "--json"}})
	d.tasksDone(5)
	id := d.jobID()
	canceled := d.enqueue("cancel", id, "--json").want(0).job()
	if canceled.Counts.Canceled == 0 || canceled.Counts.Pending > 2 {
		t.Errorf("right after the cancel the counts are %+v, want at most the 2 in flight pending", canceled.Counts)
	}
	job := waiting.end().want(6).job()
	if job.ID != id || job.Status != "canceled" || job.Outcome != "partial" {
		t.Errorf("who waited is told of %s, %s, %s", job.ID, job.Status, job.Outcome)
	}
	done := d.succeeded(rows, d.results(id))
	d.wantCounts(job, "partial", counts{Succeeded: len(done), Canceled: 200 - len(done)})
	d.wantHeld(held{}.apply(done...))
	if calls := len(d.wantCalls(rows)); calls != len(done) {
		t.Errorf("%d calls for %d rows that were carried out", calls, len(done))
	}
	d.enqueue("status", id, "--watch").want(6)

	again := d.enqueue("cancel", id, "--json").want(0).job() // once more changes nothing
	d.wantCounts(again, "partial", job.Counts)
}

// TestCancelBeforeAnyoneWorks leaves nothing to do.
func TestCancelBeforeAnyoneWorks(t *testing.T) {
	t.Parallel()

	rows := apart(5)
	d := setup(t, worldOf(rows))
	id := d.submit(rows).ID
	d.enqueue("cancel", id).want(0)
	job := d.status(id)
	d.wantCounts(job, "none", counts{Canceled: 5})
	if job.Status != "canceled" {
		t.Errorf("the job is %s", job.Status)
	}
	w, redis := d.work(), d.openRedis()
	d.eventually("the worker has emptied the queue", func() bool {
		keys, err := redis.Keys(t.Context(), "*:t:*").Result()
		return err == nil && len(keys) == 0
	})
	w.stop()
	if calls := d.sandbox.calls(); len(calls) > 0 {
		t.Errorf("%d calls were sent for a canceled job", len(calls))
	}
}

// TestCancelAfterTheEnd is refused: nothing can be withdrawn any more.
func TestCancelAfterTheEnd(t *testing.T) {
	t.Parallel()

	rows := apart(2)
	d := setup(t, worldOf(rows))
	d.work()
	id := d.enqueue("csv", d.file("rows.csv", rows), "--wait", "--json").want(0).job().ID
	var refused struct {
		Error struct{ Code, Message string }
	}
	d.enqueue("cancel", id, "--json").want(2).document(&refused)
	if refused.Error.Code != "job_ended" || refused.Error.Message == "" {
		t.Errorf("error = %+v", refused.Error)
	}
	d.enqueue("cancel", "01JD3Z5S2M8H0T6W9K4Q7XBRNE").want(2).says("not found")
	d.wantHeld(held{}.apply(rows...))
}
