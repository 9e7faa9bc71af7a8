package main

import (
	"strings"
	"testing"

	"github.com/usher-bi/usher/internal/store"
)

const twoLeavers = `row_id,action,principal,resource_type,resource_id
a,revoke,user-1,qa_resource,res-1
b,revoke,user-2,qa_resource,res-1
`

func TestASubmissionBeyondAGuardIsHeldUntilItIsReleased(t *testing.T) {
	t.Parallel()
	b := setup(t)
	path := b.file(twoLeavers)
	const why = "it revokes 2 times, and 1 is the most for one job [too_many_revokes]"
	o := b.run("csv", path, "--max-revokes", "1").want(t, exitGuard).says(t, why, "enqueue release 01", "Next: enqueue release")
	id := strings.TrimSpace(o.out)

	b.run("csv", path, "--wait").want(t, exitGuard).says(t, why) // a replay: it is held still
	b.run("status", id, "--watch").want(t, exitGuard).says(t, why)
	if o := b.run("status", id).want(t, exitOK).says(t, "Next: enqueue release "+id); !strings.Contains(o.out, why) || !strings.Contains(o.out, "paused") {
		t.Errorf("status says\n%s", o.out)
	}
	b.run("jobs").want(t, exitOK).says(t, id+" is held by a guard")
	b.run("pause", id).want(t, exitOK).says(t, "enqueue release "+id)
	document := decode[jobDocument](t, b.run("csv", path, "--json").want(t, exitGuard))
	if document.Error == nil || document.Error.Code != codeHeld || len(document.Paused) != 1 || document.Paused[0].Guard != store.GuardRevokes {
		t.Errorf("the document is %+v", document)
	}
	b.run("resume", id).want(t, exitGuard).says(t, "enqueue release JOB")
	b.run("resume", "--all").want(t, exitOK)

	b.run("release", id).want(t, exitUsage).says(t, "--reason")
	b.run("release", id, "--reason", " ").want(t, exitUsage)
	if o := b.run("release", id, "--reason", "checked", "--requested-by", "ann").want(t, exitOK); !strings.Contains(o.out, "released; 1 waiting task may be sent") {
		t.Errorf("release says\n%s", o.out)
	}
	if o := b.run("release", id, "--reason", "checked").want(t, exitOK); !strings.Contains(o.out, "nothing to release") {
		t.Errorf("release says\n%s", o.out)
	}
	b.work(allGood)
	b.run("status", id, "--watch").want(t, exitOK)
	b.run("release", id, "--reason", "checked").want(t, exitUsage).says(t, "it is completed")

	id = strings.TrimSpace(b.run("csv", path, "--max-revokes", "1", "--key", "again").want(t, exitGuard).out)
	b.run("cancel", id).want(t, exitOK)
	b.run("release", id, "--reason", "checked").want(t, exitUsage).says(t, "it is canceled")
	if d := decode[errorDocument](t, b.run("release", id, "--reason", "checked", "--json").want(t, exitUsage)); d.Error.Code != "job_ended" {
		t.Errorf("the document is %+v", d)
	}
}

func TestGuardsAreConfiguredAndOverridden(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.vars["GUARD_MAX_REVOKES"] = "1"
	path := b.file(twoLeavers)
	b.run("csv", path, "--key", "a").want(t, exitGuard)
	b.run("csv", path, "--key", "b", "--max-revokes", "none").want(t, exitOK)
	b.run("csv", path, "--key", "c", "--max-revokes", "2", "--max-revokes-per-day", "3").want(t, exitGuard).says(t, "csv revokes 4 times within 24 hours")
	b.run("csv", path, "--max-revokes", "0").want(t, exitUsage)
	b.run("csv", path, "--max-shrink", "33").want(t, exitUsage)
	b.vars["GUARD_MAX_SHRINK"] = "some"
	b.run("csv", path).want(t, exitUsage).says(t, "GUARD_MAX_SHRINK: ")
}
