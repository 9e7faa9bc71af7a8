package e2e_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

// TestThrottling lets Quick BI allow less than the worker believes. That may
// cost time and nothing else.
func TestThrottling(t *testing.T) {
	t.Parallel()

	rows := apart(50)
	world := worldOf(rows)
	world.Rate = 20
	d := setup(t, world)
	d.work("QUICKBI_RATE=50/s", "WORKER_MAX_ATTEMPTS=1") // a single attempt that counted would be the last

	job := d.enqueue("csv", d.file("rows.csv", rows), "--wait", "--json").want(0).job()
	d.wantCounts(job, "succeeded", counts{Succeeded: 50})
	if job.Calls.Throttled == 0 || job.Calls.Sent != 50+job.Calls.Throttled {
		t.Errorf("calls = %+v, want 50 that count and some throttled ones", job.Calls)
	}
	for line, r := range d.results(job.ID) {
		if r["result__attempts"] != "1" {
			t.Errorf("line %d took %s attempts", line, r["result__attempts"])
		}
	}
	d.wantHeld(held{}.apply(rows...))
	d.wantCalls(rows)
	d.wantOnce()
}

// TestAccountRefused is nobody's fault: rows wait, people are told, and when
// the account is well again the job goes on without anybody's help.
func TestAccountRefused(t *testing.T) {
	t.Parallel()

	rows := apart(30)
	world := worldOf(rows)
	world.Faults = []quickbitest.Fault{{Kind: quickbitest.Refuse, Code: "Instance.Expired", Message: "Your instance has expired."}}
	d := setup(t, world)
	w := d.work("WORKER_PROBE_FIRST=300ms", "WORKER_PROBE_MOST=1s", "WORKER_MAX_ATTEMPTS=1")

	id := d.submit(rows).ID
	d.eventually("the action is stopped and probed", func() bool {
		return d.count("SELECT count(*) FROM action_stops WHERE probes > 1") == 1
	})
	job := d.status(id)
	d.wantCounts(job, "none", counts{Pending: 30})
	if len(job.Stopped) != 1 || job.Stopped[0].Code != "instance_expired" || job.Stopped[0].APICode != "Instance.Expired" {
		t.Errorf("stopped_actions of status --json = %+v", job.Stopped)
	}
	if text := d.enqueue("status", id).want(0).stdout; !strings.Contains(text, "Your instance has expired") || !strings.Contains(text, "Renew") {
		t.Errorf("status does not say what is wrong and what to do:\n%s", text)
	}
	ready := w.ready()
	if !ready.Ready || len(ready.Stopped) != 1 || ready.Stopped[0].Code != "instance_expired" {
		t.Errorf("/readyz = %+v, want ready, with the stop named", ready)
	}
	calls := len(d.sandbox.calls())
	if probes := d.count("SELECT probes FROM action_stops"); calls > 8+probes {
		t.Errorf("%d calls reached an expired instance; want at most the 8 in flight and %d probes", calls, probes)
	}

	d.sandbox.clearFaults()
	job = d.finish(id)
	d.wantCounts(job, "succeeded", counts{Succeeded: 30})
	if len(job.Stopped) != 0 {
		t.Errorf("stopped_actions = %+v, after the end", job.Stopped)
	}
	d.wantHeld(held{}.apply(rows...))
	d.wantOnce()
}

// TestWaiting ends the waiting and not the job.
func TestWaiting(t *testing.T) {
	t.Parallel()

	rows := grants(ids("u", 3), ids("r", 1))
	d := setup(t, worldOf(rows))
	file := d.file("rows.csv", rows)
	over := d.enqueue("csv", file, "--json", "--wait=400ms").want(8).job() // nobody works
	if over.Error.Code != "wait_over" || over.Status != "queued" {
		t.Errorf("after the wait the job is %s, error %+v", over.Status, over.Error)
	}
	waiting := d.begin(invocation{program: "enqueue", args: []string{"csv", file, "--json", "--wait"}})
	d.eventually("it has found the job", func() bool { return strings.Contains(waiting.stderr.String(), over.ID) })
	waiting.signal(syscall.SIGINT)
	if j := waiting.end().want(130).job(); j.Error.Code != "interrupted" || j.Status != "queued" {
		t.Errorf("after the interruption the job is %s, error %+v", j.Status, j.Error)
	}
	d.work()
	d.enqueue("status", over.ID, "--watch").want(0)
	d.wantHeld(held{}.apply(rows...))
}
