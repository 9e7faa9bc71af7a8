package main

import (
	"strings"
	"testing"
	"time"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

func TestResumeHasAProbeSentAtOnce(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.submit(threeRows)
	stop := store.Stop{Action: access.SmartqAuthorize, Code: "instance_expired", APICode: "Instance.Expired"}
	if _, err := b.store.StopAction(t.Context(), stop, time.Hour); err != nil {
		t.Fatal(err)
	}
	probe := func() bool {
		t.Helper()
		turn, err := b.store.TakeProbe(t.Context(), access.SmartqAuthorize, time.Hour, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return turn
	}
	if probe() {
		t.Fatal("a probe is due already")
	}
	o := b.run("resume", "--action", "SmartqAuthorize").want(t, exitOK).says(t, "Next: enqueue jobs")
	if !strings.Contains(o.out, "sends one call of SmartqAuthorize at once") || !probe() {
		t.Errorf("no probe is due after\n%s", o.out)
	}
	if d := decode[resumeDocument](t, b.run("resume", "--action", "SmartqAuthorize", "--json").want(t, exitOK)); !d.WasStopped {
		t.Errorf("the document is %+v", d)
	}
	if stops, err := b.store.Stops(t.Context()); err != nil || len(stops) != 1 {
		t.Errorf("stops are %+v, %v; want the action to stay stopped until a call is accepted", stops, err)
	}
}

func TestResumeOfAnActionThatRuns(t *testing.T) {
	t.Parallel()

	b := setup(t)
	if o := b.run("resume", "--action", "AddShareReport").want(t, exitOK); !strings.Contains(o.out, "AddShareReport was not stopped") {
		t.Errorf("stdout is %q", o.out)
	}
	d := decode[resumeDocument](t, b.run("resume", "--action", "AddShareReport", "--json").want(t, exitOK))
	if d.WasStopped || d.Action != access.AddShareReport {
		t.Errorf("the document is %+v", d)
	}
}
