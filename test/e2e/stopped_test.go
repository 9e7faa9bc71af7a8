package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

// expired is what an instance answers to every call whose licence has run out.
var expired = quickbitest.Fault{Kind: quickbitest.Refuse, Code: "Instance.Expired", Message: "Your instance has expired."}

// The actions of the rows of underWay.
const (
	toWorks  = "AddWorksAuthorization"
	toShares = "AddShareReport"
)

// underWay starts a job of works and shares, a call each, and returns when it
// is in the middle.
func underWay(t *testing.T, env ...string) (d *deployment, w *worker, id string, rows []change) {
	t.Helper()
	users := ids("u", 40)
	for _, u := range users {
		rows = append(rows, lasting(expiry,
			change{grant, "user", u, "report", "own-report", "view", ""}, change{grant, "user", u, "share", "wide-report", "view", ""})...)
	}
	world := office(users)
	world.Latency = quickbitest.Duration(30 * time.Millisecond)
	d = setup(t, world)
	w = d.work(append(env, "WORKER_MAX_ATTEMPTS=1", "WORKER_CONCURRENCY=2")...)
	id = d.enqueue("csv", d.sheet("rows.csv", rows), "--json").want(0).job().ID
	d.tasksDone(10)
	return d, w, id, rows
}

// waitStopped waits until the actions are stopped, and no others.
func (d *deployment) waitStopped(actions ...string) {
	d.t.Helper()
	d.eventually("stopped are just "+strings.Join(actions, ", "), func() bool {
		return d.count("SELECT count(*) FROM action_stops WHERE action = ANY ($1)", actions) == len(actions) &&
			d.count("SELECT count(*) FROM action_stops") == len(actions)
	})
}

// wantStopped fails the test unless the programs say of a job and of a worker
// that these actions are stopped, for the reason that [expired] gives.
func (d *deployment) wantStopped(w *worker, id string, actions ...string) {
	d.t.Helper()
	told, ready := map[string]string{}, map[string]string{}
	for _, s := range d.status(id).Stopped {
		told[s.Action] = s.Code + " " + s.APICode
	}
	r := w.ready()
	for _, s := range r.Stopped {
		ready[s.Action] = s.Code
	}
	wantTold, wantReady := map[string]string{}, map[string]string{}
	for _, action := range actions {
		wantTold[action], wantReady[action] = "instance_expired Instance.Expired", "instance_expired"
	}
	if diff := cmp.Diff(wantTold, told); diff != "" {
		d.t.Errorf("stopped_actions of status --json (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(wantReady, ready); diff != "" || !r.Ready {
		d.t.Errorf("/readyz is ready: %t; stopped_actions (-want +got):\n%s", r.Ready, diff)
	}
}

// wantUntouched fails the test unless every row of a job was carried out with
// the first attempt that counts.
func (d *deployment) wantUntouched(id string, rows []change) {
	d.t.Helper()
	d.wantCounts(d.status(id), "succeeded", counts{Succeeded: len(rows)})
	for line, r := range d.results(id) {
		if r["result__attempts"] != "1" {
			d.t.Errorf("line %d took %s attempts", line, r["result__attempts"])
		}
	}
	d.wantGiven(given{}.apply(rows...))
}

// TestInstanceExpiresForAWhile in the middle of a job, which goes on by itself
// afterwards as if nothing had been.
func TestInstanceExpiresForAWhile(t *testing.T) {
	t.Parallel()

	d, w, id, rows := underWay(t, "WORKER_PROBE_FIRST=300ms", "WORKER_PROBE_MOST=1s")
	d.sandbox.addFaults(expired)
	d.waitStopped(toWorks, toShares)
	d.wantStopped(w, id, toWorks, toShares)
	d.eventually("Quick BI is asked whether it is over", func() bool {
		return d.count("SELECT min(probes) FROM action_stops") > 1
	})
	if c := d.status(id).Counts; c.Pending == 0 || c.Failed+c.Unknown > 0 {
		t.Errorf("meanwhile counts are %+v, want none failed and some pending", c)
	}

	d.sandbox.clearFaults()
	d.finish(id)
	d.wantUntouched(id, rows)
	d.wantStopped(w, id)
}

// TestResumeAction does not wait for a probe that is an hour away.
func TestResumeAction(t *testing.T) {
	t.Parallel()

	d, w, id, rows := underWay(t, "WORKER_PROBE_FIRST=1h", "WORKER_PROBE_MOST=2h")
	resume := func(action string) (wasStopped bool) {
		t.Helper()
		var doc struct {
			Action     string `json:"action"`
			WasStopped bool   `json:"was_stopped"`
		}
		d.enqueue("resume", "--action", action, "--json").want(0).document(&doc)
		if doc.Action != action {
			t.Errorf("resume --action %s answers for %q", action, doc.Action)
		}
		return doc.WasStopped
	}
	d.sandbox.addFaults(expired)
	d.waitStopped(toWorks, toShares)

	d.eventually("no call is on its way", func() bool {
		return d.count("SELECT count(*) FROM tasks WHERE state = 'running'") == 0
	})
	before := len(d.sandbox.calls())
	if !resume(toWorks) || resume("SmartqAuthorize") {
		t.Error("resume does not tell what is stopped from what is not")
	}
	d.eventually("one call finds that it is not over", func() bool { return len(d.sandbox.calls()) > before })
	d.wantStopped(w, id, toWorks, toShares)

	d.sandbox.clearFaults()
	resume(toWorks)
	d.waitStopped(toShares) // which nobody resumed
	d.wantStopped(w, id, toShares)
	resume(toShares)
	d.finish(id)
	d.wantUntouched(id, rows)
	if n := len(d.sandbox.calls()) - before; n > len(rows)+1 {
		t.Errorf("%d calls since the first resume for %d rows, want one in vain", n, len(rows))
	}
}
