package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/view"
)

const workRows = `row_id,action,principal,principal_type,resource_type,resource_id,role,expires_on
a,grant,u1,,dashboard,w1,view,2026-12-31
b,grant,u2,,report,w1,edit,
c,revoke,u1,,dashboard,w2,,
d,revoke,u2,,share,w2,,
e,grant,u2,,cube,w3,view,2026-12-31
f,grant,g1,group,dashboard,w1,view,2026-12-31
g,grant,u3,,qa_resource,res-1,,2026-12-31
h,grant,u4,,share,w4,view,2026-12-31
i,grant,u5,,share,w4,view,2026-12-31
`

// worksJob gives the bench an ended job about works, the outcome of two changes
// unknown, and what Quick BI has of it now: w1 was never given to u2, and w2
// not taken from u1.
func worksJob(t *testing.T) (b *bench, id string) {
	t.Helper()
	b = setup(t)
	id = b.submit(workRows)
	lost := store.Exception{Status: store.Unknown, Code: "outcome_unknown", Retryable: true}
	b.work(refusing(map[string]store.Exception{"u4": lost, "u5": lost}))
	b.works = map[string][]store.SharedWork{"u1": {{WorksID: "w1"}, {WorksID: "w2"}}, "u4": {{WorksID: "w4"}}}
	b.tick = func() { b.work(allGood) }
	return b, id
}

// verification is what worksJob comes to.
var verification = &store.Verification{Verified: 3, Missing: 2, StillThere: 1, Unverifiable: 2, Settled: 2}

func TestVerifyComparesAJobWithQuickBI(t *testing.T) {
	t.Parallel()

	b, id := worksJob(t)
	b.run("failures", id).want(t, exitOK).says(t, "enqueue verify "+id)
	o := b.run("verify", id).want(t, exitRowsFailed).says(t, "4 rows in 4 tasks", "Next: enqueue shares --job ", "enqueue failures "+id)
	for _, part := range []string{
		"verified      3 ", "missing       2 ", "still there   1 ", "unverifiable  2 ", "settled       2 ",
		"line 3 (b): grant of report w1 to user u2 is missing\n",
		"line 4 (c): revoke of dashboard w2 to user u1 is still_there\n",
		"line 7 (f): grant of dashboard w1 to group g1 is unverifiable\n",
	} {
		if !strings.Contains(o.out, part) {
			t.Errorf("stdout lacks %q:\n%s", part, o.out)
		}
	}
	read := b.newestJob()
	if read.Source != "verify" || read.ParentID == nil || *read.ParentID != id || read.Calls.Sent != 4 {
		t.Errorf("the read is %+v", read)
	}
	if got := b.job(id).Counts; got.Unknown != 0 || got.Failed != 1 || got.Succeeded != 8 {
		t.Errorf("counts are %+v", got)
	}
	groups := decode[view.Failures](t, b.run("failures", id, "--json").want(t, exitOK)).Groups
	if len(groups) != 1 || groups[0].Code != "not_applied" || !strings.HasPrefix(groups[0].Hint, "Retry: ") {
		t.Errorf("failures are %+v", groups)
	}
}

func TestVerifyAsJSON(t *testing.T) {
	t.Parallel()

	b, id := worksJob(t)
	d := decode[verifyDocument](t, b.run("verify", id, "--json").want(t, exitRowsFailed))
	if diff := cmp.Diff(verification, d.Verification); diff != "" || d.JobID != id || d.ReadJobID == nil || d.Error != nil {
		t.Errorf("%+v (-want +got):\n%s", d, diff)
	}
	var got []string
	for _, c := range d.Changes {
		got = append(got, fmt.Sprint(c.Line, c.RowID, " ", c.Action, " ", c.Principal, " ", c.PrincipalType, " ", c.ResourceType, " ", c.ResourceID, " ", c.Role, " ", c.Verdict))
	}
	want := []string{
		"3b grant u2 user report w1 edit missing", "4c revoke u1 user dashboard w2  still_there", "6e grant u2 user cube w3 view unverifiable",
		"7f grant g1 group dashboard w1 view unverifiable", "10i grant u5 user share w4 view missing",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	again := decode[verifyDocument](t, b.run("verify", id, "--read", *d.ReadJobID, "--json").want(t, exitRowsFailed))
	if *again.ReadJobID != *d.ReadJobID || again.Verification.Settled != 0 || again.Verification.Missing != 2 {
		t.Errorf("compared again: %+v", again.Verification)
	}
}

func TestVerifyFindsEverythingAsItShouldBe(t *testing.T) {
	t.Parallel()

	b, id := worksJob(t)
	b.works = map[string][]store.SharedWork{
		"u1": {{WorksID: "w1"}}, "u2": {{WorksID: "w1"}}, "u4": {{WorksID: "w4"}}, "u5": {{WorksID: "w4"}},
	}
	b.run("verify", id).want(t, exitOK)
	if got := b.job(id).Outcome; got != store.OutcomeSucceeded {
		t.Errorf("the outcome is %s", got)
	}
}

// Who has left has nothing, so that alone is no reason to ask somebody to look.
func TestVerifyNamesWhomItCouldNotRead(t *testing.T) {
	t.Parallel()

	for _, tt := range []struct {
		refused store.Exception
		code    int
	}{{gone, exitOK}, {broken, exitRowsFailed}} {
		b := setup(t)
		id := b.submit("action,principal,resource_type,resource_id\nrevoke,u1,share,w1\nrevoke,u2,share,w1\n")
		b.work(allGood)
		b.tick = func() { b.work(refusing(map[string]store.Exception{"u2": tt.refused})) }
		o := b.run("verify", id).want(t, tt.code).says(t, "u2 was not read: "+tt.refused.Message)
		if !strings.Contains(o.out, "line 3 (line-3): revoke of share w1 to user u2 is unverifiable") {
			t.Errorf("stdout is\n%s", o.out)
		}
		d := decode[verifyDocument](t, b.run("verify", id, "--json").want(t, tt.code))
		if len(d.Failures) != 1 || d.Failures[0].UserID != "u2" || d.Verification.Verified != 1 || d.Verification.Unverifiable != 1 {
			t.Errorf("the document is %+v", d)
		}
	}
}

func TestVerifyOfAJobWithoutWorks(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows)
	b.work(allGood)
	o := b.run("verify", id).want(t, exitOK).says(t, "nothing to verify in this way", "Next: enqueue results "+id)
	if !strings.Contains(o.out, "verified      0 ") {
		t.Errorf("stdout is\n%s", o.out)
	}
	o = b.run("verify", id, "--json").want(t, exitOK)
	want := `{"job_id":"` + id + `","read_job_id":null,"verification":{"verified":0,"missing":0,"still_there":0,"unverifiable":0,"settled":0},"changes":[],"failures":[]}` + "\n"
	if diff := cmp.Diff(want, o.out); diff != "" {
		t.Errorf("stdout (-want +got):\n%s", diff)
	}
	if got := b.newestJob().ID; got != id {
		t.Errorf("job %s was submitted", got)
	}
}

func TestVerifyOfAJobThatHasNotEnded(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(workRows)
	b.run("verify", id).want(t, exitUsage).says(t, "job "+id+" has not ended: it is queued", "Next: enqueue verify "+id+" --wait")
	b.run("verify", id, "--wait=2s").want(t, exitWaitOver).says(t, "The wait of 2s is over; job "+id+" goes on.", "Next: enqueue verify "+id+" --wait")
	if got := b.newestJob().ID; got != id {
		t.Errorf("job %s was submitted", got)
	}
	b.works = map[string][]store.SharedWork{"u1": {{WorksID: "w1"}}, "u2": {{WorksID: "w1"}}, "u4": {{WorksID: "w4"}}, "u5": {{WorksID: "w4"}}}
	b.tick = func() { b.work(allGood) }
	b.run("verify", id, "--wait").want(t, exitOK)
}

func TestVerifyGoesOnWithAReadThatWasLeft(t *testing.T) {
	t.Parallel()

	b, id := worksJob(t)
	ctx, cancel := context.WithCancel(t.Context())
	b.tick = cancel
	o := b.runCtx(ctx, "verify", id).want(t, exitInterrupted)
	read := b.newestJob().ID
	o.says(t, "Interrupted; the job goes on.", "Next: enqueue verify "+id+" --read "+read)
	b.tick = func() {}
	d := decode[verifyDocument](t, b.run("verify", id, "--read", read, "--wait=2s", "--json").want(t, exitWaitOver))
	if d.Verification != nil || d.Error.Code != "wait_over" || *d.ReadJobID != read || d.Changes == nil {
		t.Errorf("the document is %+v", d)
	}
	b.tick = func() { b.work(allGood) }
	d = decode[verifyDocument](t, b.run("verify", id, "--read", read, "--json").want(t, exitRowsFailed))
	if diff := cmp.Diff(verification, d.Verification); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	other := b.submit(workRows, "--source", "other")
	b.work(allGood)
	b.run("verify", other, "--read", read).want(t, exitUsage).says(t, "was not read to verify "+other)
}

func TestVerifyWithACanceledRead(t *testing.T) {
	t.Parallel()

	b, id := worksJob(t)
	b.tick = func() {
		if _, err := b.store.Cancel(t.Context(), store.OfJob(b.newestJob().ID), store.Order{Actor: "somebody"}); err != nil {
			t.Error(err)
		}
	}
	b.run("verify", id).want(t, exitJobFailed).says(t, "so nothing was compared")
	if got := b.job(id).Counts.Unknown; got != 2 {
		t.Errorf("%d changes are unknown, want 2 as before", got)
	}
}
