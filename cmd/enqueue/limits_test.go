package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/limit"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
	"github.com/usher-bi/usher/internal/view"
)

// limitOf is what Redis knows of an action.
func (b *bench) limitOf(action access.Action) limit.State {
	b.t.Helper()
	client, err := tasks.OpenRedis(b.t.Context(), b.vars["REDIS_URL"])
	if err != nil {
		b.t.Fatal(err)
	}
	defer client.Close()
	s, err := limit.Read(b.t.Context(), client, string(action))
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// alive has a worker live.
func (b *bench) alive() {
	b.t.Helper()
	if _, err := b.store.Beat(b.t.Context(), store.Heartbeat{Worker: "w", For: time.Hour}); err != nil {
		b.t.Fatal(err)
	}
}

// limited is what "enqueue limits" says of an action.
func (b *bench) limited(action access.Action) view.Limit {
	b.t.Helper()
	for _, v := range decode[view.LimitsDocument](b.t, b.run("limits", "--json").want(b.t, exitOK)).Limits {
		if v.Action == action {
			return v
		}
	}
	b.t.Fatalf("%s is not among the limits", action)
	return view.Limit{}
}

func TestLimitIsSetForEveryoneAtOnce(t *testing.T) {
	t.Parallel()

	b := setup(t)
	o := b.run("limits", "set", "smartqauthorize", "600/m", "--requested-by", "ops", "--reason", "quota\x1b[2J").want(t, exitOK)
	o.says(t, "Next: enqueue limits\n", "enqueue limits reset SmartqAuthorize")
	if want := "SmartqAuthorize is limited to 10/s, for all workers together.\n"; o.out != want {
		t.Errorf("stdout is %q, want %q", o.out, want)
	}
	if s := b.limitOf(access.SmartqAuthorize); !s.Overridden || s.Limit != 10 {
		t.Errorf("Redis knows %+v, want a limit of 10", s)
	}
	shown := b.limited(access.SmartqAuthorize)
	taken := true
	want := view.Limit{
		Action: access.SmartqAuthorize, Limit: 10, Set: &view.LimitSet{By: "ops", Reason: "quota\x1b[2J", TakenUp: &taken},
		Now: &view.LimitNow{Allowed: 10, Waiting: map[store.Lane]int{store.Urgent: 0, store.Normal: 0, store.Bulk: 0}},
	}
	if diff := cmp.Diff(want, shown, cmpopts.IgnoreFields(view.LimitSet{}, "At")); diff != "" {
		t.Errorf("limit (-want +got):\n%s", diff)
	}
	if o := b.run("limits").want(t, exitOK); !strings.Contains(o.out, "10/s") || !strings.Contains(o.out, "ops, ") || strings.Contains(o.out, "\x1b") ||
		!strings.Contains(o.out, "configured") {
		t.Errorf("stdout is\n%q", o.out)
	}

	same := decode[limitSetDocument](t, b.run("limits", "set", "SmartqAuthorize", "10/s", "--json").want(t, exitOK))
	reset := decode[limitSetDocument](t, b.run("limits", "reset", "SmartqAuthorize", "--json").want(t, exitOK))
	if same.Changed || same.Set == nil || same.Set.By != "ops" || !reset.Changed || reset.Set != nil || *reset.Was != 10 {
		t.Errorf("the same: %+v, reset: %+v", same, reset)
	}
	if s := b.limitOf(access.SmartqAuthorize); s.Overridden {
		t.Errorf("after the reset Redis knows %+v", s)
	}
	if o := b.run("limits", "reset", "SmartqAuthorize").want(t, exitOK); !strings.HasPrefix(o.out, "Nobody had set a limit") {
		t.Errorf("stdout is %q", o.out)
	}
}

func TestLimitIsSetWhileRedisIsAway(t *testing.T) {
	t.Parallel()

	b := setup(t)
	here := b.vars["REDIS_URL"]
	b.vars["REDIS_URL"] = "redis://:s3cret@127.0.0.1:1/0"
	o := b.run("limits", "set", "AddShareReport", "5/s").want(t, exitOK).says(t, "Redis is away: workers take it up within seconds of its return")
	if strings.Contains(o.err+o.out, "s3cret") {
		t.Errorf("the password was printed:\n%s", o.err)
	}
	shown := b.limited(access.AddShareReport)
	if shown.Limit != 5 || shown.Now != nil || shown.Set == nil || shown.Set.TakenUp != nil {
		t.Errorf("while Redis is away the limit is %+v", shown)
	}
	b.run("limits").want(t, exitOK).says(t, "Redis cannot be read")
	document := decode[limitSetDocument](t, b.run("limits", "set", "AddShareReport", "6/s", "--json").want(t, exitOK))
	if !document.Delayed || document.Limit.Limit != 6 || *document.Was != 5 {
		t.Errorf("the document is %+v", document)
	}

	b.vars["REDIS_URL"] = here
	if shown := b.limited(access.AddShareReport); *shown.Set.TakenUp {
		t.Errorf("nobody told Redis, and the limit is %+v", shown)
	}
	if o := b.run("limits").want(t, exitOK); !strings.Contains(o.out, "not taken up yet") {
		t.Errorf("stdout is\n%s", o.out)
	}
	b.run("limits", "set", "AddShareReport", "6/s").want(t, exitOK) // once more tells it
	if shown := b.limited(access.AddShareReport); !*shown.Set.TakenUp {
		t.Errorf("Redis was told, and the limit is %+v", shown)
	}
}

func TestStatusTellsRatesAndETA(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows)
	b.run("limits", "set", "SmartqAuthorize", "0.1/s").want(t, exitOK)
	if job := decode[jobDocument](t, b.run("status", id, "--json")); job.Progress.ETA != nil || len(job.Limits) != 1 || job.Limits[0].Limit != 0.1 {
		t.Errorf("without a worker: %+v, %+v", job.Progress, job.Limits)
	}
	b.alive()
	here := b.vars["REDIS_URL"]
	for _, redis := range []string{here, "redis://127.0.0.1:1/0", "", "nonsense", here} {
		b.vars["REDIS_URL"] = redis
		o := b.run("status", id).want(t, exitOK)
		if !strings.Contains(o.out, "0 of 3 rows (0%), about 20s left") || !strings.Contains(o.out, "SmartqAuthorize: ") || !strings.Contains(o.out, "6/m (tess@desk, ") ||
			strings.Contains(o.out, "none waiting") != (redis == here) {
			t.Errorf("with Redis at %q stdout is\n%s", redis, o.out)
		}
		job := decode[jobDocument](t, b.run("status", id, "--json").want(t, exitOK))
		list := decode[jobsDocument](t, b.run("jobs", "--json").want(t, exitOK))
		if job.Progress.ETA == nil || list.Jobs[0].Progress.ETA == nil {
			t.Errorf("with Redis at %q nothing is told: %+v, %+v", redis, job.Progress, list.Jobs[0].Progress)
		}
	}
	b.run("pause", id).want(t, exitOK)
	if job := decode[jobDocument](t, b.run("status", id, "--json")); job.Progress.ETA != nil {
		t.Errorf("a paused job: %+v", job.Progress)
	}
	b.run("cancel", id).want(t, exitOK)
	if job := decode[jobDocument](t, b.run("status", id, "--json")); job.Progress.ETA != nil || job.Limits != nil {
		t.Errorf("a job that has ended: %+v, %+v", job.Progress, job.Limits)
	}
}

func TestWaitTellsETA(t *testing.T) {
	t.Parallel()

	for _, tty := range []bool{false, true} {
		b := setup(t)
		b.alive()
		b.tty = tty
		b.run("limits", "set", "SmartqAuthorize", "0.1/s").want(t, exitOK)
		o := b.run("csv", b.file(threeRows), "--wait=15s").want(t, exitWaitOver)
		if !strings.Contains(o.err, ", about 20s left") {
			t.Errorf("on a terminal: %t; stderr is\n%s", tty, o.err)
		}
	}
}

func TestDryRunTellsWhenItWouldBeDone(t *testing.T) {
	t.Parallel()

	b := setup(t)
	dry := func() *float64 {
		t.Helper()
		return decode[planDocument](t, b.run("csv", b.file(threeRows), "--dry-run", "--lane", "bulk", "--json").want(t, exitOK)).ETASeconds
	}
	if eta := dry(); eta != nil {
		t.Errorf("without a worker it would take %v s", *eta)
	}
	b.alive()
	b.vars["QUICKBI_RATE"] = "1/s"
	b.submit(strings.ReplaceAll(threeRows, "user-", "other-"))
	if eta := dry(); eta == nil || *eta != 4 { // two calls, behind two in the lane above
		t.Errorf("it would take %v s, want 4", eta)
	}
	o := b.run("csv", b.file(threeRows), "--dry-run", "--lane", "bulk").want(t, exitOK)
	if !strings.Contains(o.out, "about 4s if submitted now in lane bulk, with what is queued before it") || !strings.Contains(o.out, "floor") {
		t.Errorf("stdout is\n%s", o.out)
	}
	b.vars["DATABASE_URL"] = "postgres://usher:s3cret@127.0.0.1:1/usher"
	if eta := dry(); eta != nil {
		t.Errorf("without Postgres it would take %v s", *eta)
	}
	if o := b.run("csv", b.file(threeRows), "--dry-run").want(t, exitOK); strings.Contains(o.out, "done in") {
		t.Errorf("stdout is\n%s", o.out)
	}
}

func TestRatesAreWrittenForPeople(t *testing.T) {
	t.Parallel()

	for perSecond, want := range map[float64]string{50: "50/s", 1: "1/s", 12.3456: "12.35/s", 0.5: "30/m", 1.0 / 60: "1/m"} {
		if got := rateText(perSecond); got != want {
			t.Errorf("rateText(%v) = %q, want %q", perSecond, got, want)
		}
	}
}

// A dry run counts with what operators set, where it can see it.
func TestDryRunKnowsWhatIsSet(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run("limits", "set", "SmartqAuthorize", "30/m", "--requested-by", "ann").want(t, exitOK)
	plan := decode[planDocument](t, b.run("csv", b.file(threeRows), "--dry-run", "--json").want(t, exitOK))
	if want := 2 * float64(plan.Calls["SmartqAuthorize"]); want == 0 || plan.FloorSeconds != want {
		t.Errorf("the floor of %v is %v s, want %v at 30/m", plan.Calls, plan.FloorSeconds, want)
	}
}
