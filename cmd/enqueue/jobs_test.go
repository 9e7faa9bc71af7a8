package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/view"
)

func TestJobsAreListedInPages(t *testing.T) {
	t.Parallel()

	b := setup(t)
	var want []string
	for i := range 5 {
		id := b.submit(strings.ReplaceAll(threeRows, "user-1", fmt.Sprint("user-1", i)), "--source", "hr")
		want = append([]string{id}, want...)
	}
	b.submit(threeRows, "--source", "other")
	var got []string
	args := []string{"jobs", "--json", "--limit", "2", "--source", "hr"}
	for cursor := ""; ; {
		page := decode[jobsDocument](t, b.run(append(args, "--before="+cursor)...).want(t, exitOK))
		for _, j := range page.Jobs {
			got = append(got, j.ID)
		}
		if page.Next == nil {
			break
		}
		cursor = *page.Next
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
	o := b.run("jobs", "--limit", "4").want(t, exitOK).says(t, "Next: enqueue status ", "enqueue jobs --before "+want[2])
	if n := strings.Count(o.out, "\n"); n != 5 {
		t.Errorf("%d lines, want a header and 4:\n%s", n, o.out)
	}
}

func TestJobsAreFilteredByStatus(t *testing.T) {
	t.Parallel()

	b := setup(t)
	done := b.submit(threeRows)
	b.work(allGood)
	b.submit(threeRows, "--source", "other")
	page := decode[jobsDocument](t, b.run("jobs", "--status", "completed", "--json").want(t, exitOK))
	if len(page.Jobs) != 1 || page.Jobs[0].ID != done || page.Next != nil {
		t.Errorf("%+v", page)
	}
	page = decode[jobsDocument](t, b.run("jobs", "--status", "failed", "--json").want(t, exitOK))
	if page.Jobs == nil || len(page.Jobs) != 0 {
		t.Errorf("jobs are %#v, want an empty list", page.Jobs)
	}
	b.run("jobs", "--status", "failed").want(t, exitOK).says(t, "There are no such jobs.")
}

func TestFailuresAreGroupedByCause(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows + "d,grant,user-4,dataset,cube-1,2026-12-31\n")
	b.work(refusing(map[string]store.Exception{"user-1": gone, "user-2": gone, "user-3": broken}))
	document := decode[view.Failures](t, b.run("failures", id, "--json").want(t, exitOK))
	var got []string
	for _, g := range document.Groups {
		got = append(got, fmt.Sprint(g.Code, " ", g.APICode, " ", g.Count, " ", g.SampleLines, " retryable=", g.Retryable))
		if g.Hint == "" || g.HintZH == "" {
			t.Errorf("%s has no hint", g.Code)
		}
	}
	want := []string{
		"user_not_in_organization User.Not.In.Organization 2 [2 3] retryable=false",
		"server_error Internal.System.Error 1 [4] retryable=true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	o := b.run("failures", id).want(t, exitOK).says(t, "enqueue results "+id+" --status failed,unknown -o failed.csv", "enqueue retry "+id)
	for _, part := range []string{"2 rows: user_not_in_organization (User.Not.In.Organization), retrying does not help; lines 2, 3\n", "request id req-gone", "can be retried"} {
		if !strings.Contains(o.out, part) {
			t.Errorf("stdout lacks %q:\n%s", part, o.out)
		}
	}
}

func TestFailuresOfAJobWithoutAny(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows)
	b.work(allGood)
	b.run("failures", id).want(t, exitOK).says(t, "No row of "+id+" has failed; it is completed, succeeded.")
	if o := b.run("failures", id, "--json").want(t, exitOK); o.out != "{\"failure_groups\":[]}\n" {
		t.Errorf("stdout is %q", o.out)
	}
}

func TestCancelWithdrawsWhatWasNotSent(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows)
	o := b.run("cancel", id).want(t, exitOK)
	if !strings.Contains(o.out, id+" is canceled") || !strings.Contains(o.out, "3 rows withdrawn") {
		t.Errorf("stdout is %q", o.out)
	}
	job := decode[jobDocument](t, b.run("cancel", id, "--json").want(t, exitOK))
	if job.Status != store.JobCanceled || job.Counts.Canceled != 3 {
		t.Errorf("the job is %+v", job)
	}
}

func TestCancelComesTooLate(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows)
	b.work(allGood)
	b.run("cancel", id).want(t, exitUsage).says(t, "ended already")
}

func TestRetrySubmitsTheFailedRowsThatMaySucceed(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows)
	b.work(refusing(map[string]store.Exception{"user-1": gone, "user-2": broken}))
	first := decode[jobDocument](t, b.run("retry", id, "--json", "--requested-by", "ops").want(t, exitOK))
	if first.ParentID == nil || *first.ParentID != id || first.Counts.Total != 1 || first.RequestedBy != "ops" || *first.Replayed {
		t.Errorf("the job is %+v", first)
	}
	again := decode[jobDocument](t, b.run("retry", id, "--json").want(t, exitOK))
	if again.ID != first.ID || !*again.Replayed {
		t.Errorf("asking twice gave job %s, want %s", again.ID, first.ID)
	}
	b.work(allGood)
	results := b.run("results", first.ID).want(t, exitOK)
	if !strings.Contains(results.out, "b,grant,user-2,qa_resource,res-1,2026-12-31,3,succeeded") {
		t.Errorf("results are\n%s", results.out)
	}
	b.run("retry", first.ID).want(t, exitRejected).says(t, "no failed row fits")
}

func TestRetryByCode(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows)
	b.work(refusing(map[string]store.Exception{"user-1": gone, "user-2": broken}))
	b.run("retry", id, "--code", gone.Code).want(t, exitRejected).says(t, "--all")
	b.tick = func() { b.work(allGood) }
	always := make(chan time.Time)
	close(always)
	b.every = func(time.Duration) (<-chan time.Time, func()) { return always, func() {} }
	o := b.run("retry", id, "--code", gone.Code, "--all", "--wait", "--json").want(t, exitOK)
	job := decode[jobDocument](t, o)
	if first, _, _ := strings.Cut(o.err, " rows"); !strings.Contains(first, "reading: ") || !strings.Contains(first, " of 1") {
		t.Errorf("the stages begin with %q, want how many rows are read", first)
	}
	if job.Counts != (store.Counts{Total: 1, Succeeded: 1}) {
		t.Errorf("counts are %+v", job.Counts)
	}
}

func TestRetryRefusesWhatHasExpired(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows)
	b.work(refusing(map[string]store.Exception{"user-1": broken}))
	b.now = b.now.AddDate(0, 2, 0)
	b.run("retry", id).want(t, exitRejected).says(t, "line 2, expires_on:", "[expiry_in_the_past]", "nothing was written or sent")
	document := decode[rejectionDocument](t, b.run("retry", id, "--json").want(t, exitRejected))
	if len(document.Errors) != 1 || document.Errors[0].RowID != "a" || document.Error.Code != "input_rejected" {
		t.Errorf("%+v", document)
	}
	if jobs, _ := b.store.Jobs(t.Context(), store.JobFilter{}); len(jobs) != 1 {
		t.Errorf("%d jobs, want the first only", len(jobs))
	}
}
