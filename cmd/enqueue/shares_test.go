package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/usher-bi/usher/internal/store"
)

// everything is a work of which every field is told.
func everything() store.SharedWork {
	created, modified := time.UnixMilli(1_700_000_000_123).UTC(), time.UnixMilli(1_700_000_001_000).UTC()
	return store.SharedWork{
		UserID: "u1", WorksID: "w1", WorkName: "=SUM(A1)", WorkType: "PAGE", Status: "1", ThirdPartAuthFlag: "0", SecurityLevel: "12",
		Description: "two\nlines, \"quoted\"", WorkspaceID: "ws", WorkspaceName: "财务", OwnerID: "o", OwnerName: "Ou", ModifyName: "Mo",
		CreateTime: &created, ModifyTime: &modified,
		DirectoryID: "d", DirectoryName: "dir", DirectoryPathID: "r/d", DirectoryPathName: "-root/dir",
	}
}

// reads gives the bench users to read, and workers that read them.
func (b *bench) reads(refused map[string]store.Exception) {
	b.works = map[string][]store.SharedWork{"u1": {everything(), {WorksID: "w2"}}, "u2": {{WorksID: "w1"}}}
	b.tick = func() { b.work(refusing(refused)) }
}

// records reads a CSV text, its header first.
func records(t *testing.T, text string) [][]string {
	t.Helper()
	all, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return all
}

func (b *bench) newestJob() store.Job {
	b.t.Helper()
	jobs, err := b.store.Jobs(b.t.Context(), store.JobFilter{Limit: 1})
	if err != nil || len(jobs) != 1 {
		b.t.Fatalf("jobs are %+v, %v", jobs, err)
	}
	return jobs[0]
}

func TestSharesReadsUsersAndWritesTheirWorks(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.reads(nil)
	o := b.run("shares", "u2", "u1", "u3", "u1", "--reason", "audit", "--lane", "bulk").want(t, exitOK).says(t, "Read 3 of 3 users: 3 works.")
	job := b.newestJob()
	if job.Source != "shares" || job.RequestedBy != "tess@desk" || job.Reason != "audit" || job.Lane != store.Bulk || job.Counts.NoChange != 1 {
		t.Errorf("the job is %+v", job)
	}
	rows := records(t, o.out)
	if diff := cmp.Diff(shareColumns, rows[0]); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	want := [][]string{
		{
			"u1", "w1", "'=SUM(A1)", "PAGE", "1", "0", "12", "two\nlines, \"quoted\"", "ws", "财务", "o", "Ou", "Mo",
			"2023-11-14T22:13:20.123Z", "2023-11-14T22:13:21Z", "d", "dir", "r/d", "'-root/dir",
		},
		{"u1", "w2", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", ""},
		{"u2", "w1", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", ""},
	}
	for i, row := range rows[1:] {
		readAt, err := time.Parse(time.RFC3339Nano, row[len(row)-1])
		if diff := cmp.Diff(want[i], row[:len(row)-1]); diff != "" || err != nil || time.Since(readAt) > time.Hour {
			t.Errorf("work %d, read at %v, %v (-want +got):\n%s", i, readAt, err, diff)
		}
	}
	before := job.Calls.Sent
	again := b.run("shares", "--job", job.ID).want(t, exitOK)
	if again.out != o.out || b.job(job.ID).Calls.Sent != before {
		t.Errorf("exported again:\n%s\nwant\n%s", again.out, o.out)
	}
}

func TestSharesAsJSON(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.reads(map[string]store.Exception{"u2": gone, "u4": broken})
	d := decode[sharesDocument](t, b.run("shares", "u1", "u2", "u3", "u4", "--json").want(t, exitRowsFailed))
	if len(d.Works) != 2 || d.JobID != d.Job.ID || d.Job.Outcome != store.OutcomePartial || d.Error != nil {
		t.Fatalf("the document is %+v", d)
	}
	if diff := cmp.Diff(everything(), d.Works[0], cmpopts.IgnoreFields(store.SharedWork{}, "ReadAt")); diff != "" || d.Works[0].ReadAt.IsZero() {
		t.Errorf("the work, read at %s (-want +got):\n%s", d.Works[0].ReadAt, diff)
	}
	var got []string
	for _, f := range d.Failures {
		got = append(got, fmt.Sprint(f.UserID, " ", f.Status, " ", f.Code, " ", f.APICode, " ", f.RequestID, " ", f.Retryable))
		if f.Hint == "" || f.HintZH == "" {
			t.Errorf("%s has no hint", f.Code)
		}
	}
	want := []string{
		"u2 failed user_not_in_organization User.Not.In.Organization req-gone false",
		"u4 failed server_error Internal.System.Error req-broken true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
	none := b.run("shares", "u9", "--json").want(t, exitOK)
	if d := decode[sharesDocument](t, none); d.Works == nil || d.Failures == nil || len(d.Works)+len(d.Failures) > 0 {
		t.Errorf("the document is %s", none.out)
	}
}

// The results of a read name the users, so those who failed can be read again
// from them; a retry reads them too.
func TestSharesNamesWhomItCouldNotRead(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.reads(map[string]store.Exception{"u2": broken})
	o := b.run("shares", "u1", "u2").want(t, exitRowsFailed)
	id := b.newestJob().ID
	o.says(t, "Read 1 of 2 users: 2 works.", "u2 was not read: try again [server_error]", "Next: enqueue failures "+id, "enqueue retry "+id+" --wait")
	failed := filepath.Join(t.TempDir(), "failed.csv")
	b.run("results", id, "--status", "failed", "-o", failed).want(t, exitOK)
	b.reads(nil)
	if rows := records(t, b.run("shares", "-f", failed).want(t, exitOK).out); len(rows) != 2 || rows[1][0] != "u2" {
		t.Errorf("works are %q", rows)
	}
	b.run("retry", id, "--wait").want(t, exitOK).says(t, "enqueue shares --job ")
	if rows := records(t, b.run("shares", "--job", b.newestJob().ID).want(t, exitOK).out); len(rows) != 2 || rows[1][0] != "u2" {
		t.Errorf("works are %q", rows)
	}
}

func TestSharesWritesAFile(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.reads(map[string]store.Exception{"u3": gone})
	path := filepath.Join(t.TempDir(), "shares.csv")
	b.run("shares", "u1", "u2", "-o", path).want(t, exitOK).says(t, "Wrote 3 works to "+path)
	if content := read(t, path); !strings.HasPrefix(content, byteOrderMark+"user_id,works_id,") || strings.Count(content, "w1") != 2 {
		t.Errorf("the file is %q", content)
	}
	d := decode[struct {
		JobID    string       `json:"job_id"`
		File     string       `json:"file"`
		Rows     int          `json:"rows"`
		Failures []unreadUser `json:"failures"`
		Job      store.Job    `json:"job"`
	}](t, b.run("shares", "u1", "u3", "-o", path, "--json").want(t, exitRowsFailed))
	if d.File != path || d.Rows != 2 || len(d.Failures) != 1 || d.Job.ID != d.JobID {
		t.Errorf("the document is %+v", d)
	}
	b.run("shares", "u1", "-o", filepath.Dir(path)).want(t, exitUsage).says(t, "not a plain file")
}

func TestSharesRefusesBadIDs(t *testing.T) {
	t.Parallel()

	b := setup(t)
	o := b.run("shares", "u1", "u 2", "u,3").want(t, exitRejected).says(t, "user 2, principal: ", "user 3, principal: ", "[invalid_id]", "2 errors in 3 users")
	if o.out != "" {
		t.Errorf("stdout is %q", o.out)
	}
	path := b.file("Name,user_id\nBo,u1\nAl,7.3E+10\n\nCy,\n")
	b.run("shares", "-f", path).want(t, exitRejected).says(t, "line 3, principal: ", "[excel_mangled_id]", "line 5, principal: ", "nothing was written or sent")
	document := decode[rejectionDocument](t, b.run("shares", "-f", path, "--json").want(t, exitRejected))
	if document.Error.Code != "input_rejected" || document.Rows != 3 || len(document.Errors) != 2 || document.Errors[1].Line != 5 {
		t.Errorf("the document is %+v", document)
	}
	b.run("shares", "-f", b.file("name,mail\nBo,b@x\n")).want(t, exitRejected).says(t, "principal or user_id")
	b.wantNothing()
}

func TestSharesReadsAHundredThousandUsersFromStdin(t *testing.T) {
	t.Parallel()

	const users = 100_000
	b := setup(t)
	var list strings.Builder
	for i := range users {
		fmt.Fprintf(&list, "user-%06d\n", i)
	}
	b.stdin = strings.NewReader(list.String())
	o := b.run("shares", "-f", "-", "--no-wait", "--json").want(t, exitOK)
	if job := decode[jobDocument](t, o); job.Counts.Total != users || job.Tasks.Total != users || job.Status != store.JobQueued {
		t.Errorf("the job is %+v", job)
	}
}

func TestSharesWithoutWaiting(t *testing.T) {
	t.Parallel()

	b := setup(t)
	o := b.run("shares", "u1", "--no-wait").want(t, exitOK)
	id := strings.TrimSpace(o.out)
	o.says(t, "1 row in 1 task", "Next: enqueue shares --job "+id)
	b.reads(nil)
	if rows := records(t, b.run("shares", "--job", id).want(t, exitOK).out); len(rows) != 3 {
		t.Errorf("works are %q", rows)
	}
	if got := b.run("status", id).want(t, exitOK); !strings.Contains(got.err, "Next: enqueue shares --job "+id) {
		t.Errorf("stderr is %q", got.err)
	}
}

// A part of what is asked for must not look like all of it.
func TestSharesWritesNothingUnlessTheReadHasEnded(t *testing.T) {
	t.Parallel()

	b := setup(t)
	path := filepath.Join(t.TempDir(), "shares.csv")
	o := b.run("shares", "u1", "--wait=3s", "-o", path).want(t, exitWaitOver)
	id := b.newestJob().ID
	o.says(t, "The wait of 3s is over; the job goes on.", "Next: enqueue shares --job "+id)
	if _, err := os.Stat(path); err == nil || o.out != "" {
		t.Errorf("%s is there, or stdout is %q", path, o.out)
	}
	interrupted := func() context.Context {
		ctx, cancel := context.WithCancel(t.Context())
		b.tick = cancel
		return ctx
	}
	b.runCtx(interrupted(), "shares", "--job", id).want(t, exitInterrupted).says(t, "Interrupted; the job goes on.", "Next: enqueue shares --job "+id)
	d := decode[sharesDocument](t, b.runCtx(interrupted(), "shares", "--job", id, "--json").want(t, exitInterrupted))
	if d.Error == nil || d.Error.Code != "interrupted" || d.JobID != id || len(d.Works) != 0 {
		t.Errorf("the document is %+v", d)
	}
}

func TestSharesOfACanceledRead(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := strings.TrimSpace(b.run("shares", "u1", "--no-wait").want(t, exitOK).out)
	b.run("cancel", id).want(t, exitOK)
	b.run("shares", "--job", id).want(t, exitJobFailed).says(t, "u1 was not read: canceled")
}

func TestSharesUnderAKeyAreReadOnce(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.reads(nil)
	first := decode[sharesDocument](t, b.run("shares", "u1", "--key", "k", "--json").want(t, exitOK))
	again := decode[sharesDocument](t, b.run("shares", "u1", "--key", "k", "--json").want(t, exitOK))
	if first.JobID != again.JobID || again.Job.Calls.Sent != 1 {
		t.Errorf("jobs %s and %s, %d calls", first.JobID, again.JobID, again.Job.Calls.Sent)
	}
	b.run("shares", "u2", "--key", "k").want(t, exitKeyReused)
	anew := decode[sharesDocument](t, b.run("shares", "u1", "--json").want(t, exitOK))
	if anew.JobID == first.JobID {
		t.Error("without a key nothing was read anew")
	}
}

func TestSharesOfAnotherKindOfJob(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows)
	b.run("shares", "--job", id).want(t, exitUsage).says(t, "changes access and reads nothing", "enqueue verify "+id)
}
