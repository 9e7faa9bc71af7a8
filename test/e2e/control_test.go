package e2e_test

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

// paused is a pause as the programs tell of it.
type paused struct {
	Scope  string    `json:"scope"`
	Name   string    `json:"name"`
	Actor  string    `json:"actor"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
}

// pausedBy is what --json says of a job that is held up.
func (d *deployment) pausedBy(id string) (status string, pauses []paused) {
	d.t.Helper()
	var document struct {
		Status string   `json:"status"`
		Paused []paused `json:"paused"`
	}
	d.enqueue("status", id, "--json").want(0).document(&document)
	return document.Status, document.Paused
}

// atRest waits until no worker, alive or dead, holds a task.
func (d *deployment) atRest() {
	d.t.Helper()
	d.eventually("no task is claimed", func() bool {
		return d.count("SELECT count(*) FROM tasks WHERE state = 'running'") == 0
	})
}

// TestPauseEverything in the middle of a job that two workers share, one of
// which dies meanwhile: no call arrives any more until it is resumed, and the
// end is exact.
func TestPauseEverything(t *testing.T) {
	t.Parallel()

	rows := apart(200)
	d := setup(t, slow(rows, 100*time.Millisecond))
	brief := []string{"QUICKBI_TIMEOUT=1s", "WORKER_LEASE=2s", "WORKER_CONCURRENCY=3"}
	stays, dies := d.work(brief...), d.work(brief...)
	id := d.submit(rows).ID
	d.tasksDone(20)
	var pause struct {
		Changed  bool `json:"changed"`
		OpenJobs int  `json:"open_jobs"`
	}
	d.enqueue("pause", "--all", "--reason", "month end", "--json").want(0).document(&pause)
	before := len(d.sandbox.calls())
	dies.kill()
	if !pause.Changed || pause.OpenJobs != 1 {
		t.Errorf("pause --all says %+v", pause)
	}
	d.atRest()
	after := len(d.sandbox.calls())
	if after > before+6 {
		t.Errorf("%d calls arrived after the pause, want at most the 6 in flight", after-before)
	}
	left := d.status(id)
	if left.Counts.Pending == 0 {
		t.Fatal("the job ended before the pause")
	}
	status, pauses := d.pausedBy(id)
	if status != "paused" || len(pauses) != 1 || pauses[0].Scope != "all" || pauses[0].Reason != "month end" || pauses[0].Actor == "" {
		t.Errorf("the job is %s, held up by %+v", status, pauses)
	}
	if r := stays.ready(); !r.Ready || r.status != http.StatusOK || len(r.Paused) != 1 || r.Paused[0].Actor != "" {
		t.Errorf("/readyz = %+v; want ready, and the pause without who gave it", r)
	}
	// Whoever comes now, and whatever is submitted, sends nothing either.
	third := d.work(brief...)
	more := []row{{grant, "u1", qaResource, "r2", expiry}}
	second := d.submit(more).ID
	d.eventually("the new worker has looked at what is paused", func() bool {
		_, metrics := third.get("/metrics")
		return strings.Contains(metrics, `usher_action_paused{action="SmartqAuthorize"} 1`)
	})
	if n := len(d.sandbox.calls()); n != after {
		t.Errorf("%d calls arrived while everything was paused", n-after)
	}
	if diff := cmp.Diff(left.Counts, d.status(id).Counts); diff != "" {
		t.Errorf("counts moved while everything was paused (-before +after):\n%s", diff)
	}

	d.enqueue("resume", "--all").want(0)
	d.finish(second)
	job := d.finish(id)
	d.wantCounts(job, "succeeded", counts{Succeeded: 200})
	d.wantHeld(held{}.apply(append(rows, more...)...))
	lost := d.count("SELECT count(*) FROM calls WHERE id NOT IN (SELECT call_id FROM answers)")
	if lost > 3 || job.Calls.Sent != 200+lost {
		t.Errorf("%d calls are on record and %d of them lost with the worker; want 200 and those", job.Calls.Sent, lost)
	}
	for line, r := range d.results(id) {
		if attempts := r["result__attempts"]; attempts != "1" && attempts != "2" {
			t.Errorf("line %d took %s attempts", line, attempts)
		}
	}
}

// TestPauseOfOneJob holds up that job and no other.
func TestPauseOfOneJob(t *testing.T) {
	t.Parallel()

	rows := apart(60)
	d := setup(t, slow(rows, 30*time.Millisecond))
	d.work("WORKER_CONCURRENCY=2")
	id := d.submit(rows[:40]).ID
	d.tasksDone(5)
	d.enqueue("pause", id).want(0)
	d.atRest()
	other := d.submit(rows[40:]).ID
	waiting := d.begin(invocation{program: "enqueue", args: []string{"status", id, "--watch"}})
	d.wantCounts(d.finish(other), "succeeded", counts{Succeeded: 20})
	if job := d.status(id); job.Status != "paused" || job.Counts.Pending == 0 {
		t.Errorf("the paused job is %s with %+v", job.Status, job.Counts)
	}
	d.eventually("who waits is told", func() bool { return strings.Contains(waiting.stderr.String(), "to go on: enqueue resume "+id) })
	d.enqueue("resume", id).want(0)
	waiting.end().want(0)
	d.wantHeld(held{}.apply(rows...))
	d.wantOnce()
	if calls := len(d.wantCalls(rows)); calls != 60 {
		t.Errorf("%d calls for 60 tasks", calls)
	}
}

// TestSecondSignal ends a worker at once that waits for calls in flight, and
// they are settled afterwards: what may be repeated is, and what may not is
// looked up first.
func TestSecondSignal(t *testing.T) {
	t.Parallel()

	rows := lasting(expiry,
		change{grant, "user", "u1", "share", "wide-report", "view", ""}, change{grant, "user", "u1", qaResource, "q1", "", ""},
		change{grant, "user", "u1", "report", "own-report", "view", ""})
	world := office(ids("u", 2))
	world.Latency = quickbitest.Duration(time.Second)
	world.RepeatedGrant = quickbitest.RepeatDuplicate // shows who repeats blindly
	d := setup(t, world)
	brief := []string{"QUICKBI_TIMEOUT=3s", "WORKER_LEASE=8s"}
	first := d.work(brief...)
	id := d.enqueue("csv", d.sheet("rows.csv", rows), "--json").want(0).job().ID
	const unanswered = "SELECT count(*) FROM calls WHERE id NOT IN (SELECT call_id FROM answers)"
	d.eventually("the calls are in flight", func() bool { return d.count(unanswered) == len(rows) })
	first.signal(syscall.SIGTERM)
	d.eventually("the worker drains", func() bool {
		_, draining := first.stderr.logged("stopping: calls in flight finish, the rest is given back")
		return draining
	})
	first.signal(syscall.SIGTERM)
	first.wait()
	if state, ok := first.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || state.Signal() != syscall.SIGTERM {
		t.Errorf("the worker ended with %s, want it ended by the signal", first.cmd.ProcessState)
	}
	if n := d.count(unanswered); n != len(rows) {
		t.Errorf("%d calls are unanswered, want all %d: the worker was to end before the answers", n, len(rows))
	}

	d.work(brief...)
	d.wantCounts(d.finish(id), "succeeded", counts{Succeeded: len(rows)})
	d.wantGiven(given{}.apply(rows...))
	sent := map[string]int{}
	for _, c := range d.sandbox.calls() {
		sent[c.Action]++
	}
	if sent[toShares] != 1 || sent[toWorks] != 1 || sent["SmartqAuthorize"] != 2 {
		t.Errorf("calls by action: %v; want the share and the authorization sent once, and the Q&A grant repeated", sent)
	}
}
