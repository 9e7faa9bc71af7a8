package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

func TestCSVSubmits(t *testing.T) {
	t.Parallel()

	b := setup(t)
	o := b.run("csv", b.file(threeRows), "--reason", "Q4", "--lane", "bulk").want(t, exitOK)
	id := strings.TrimSpace(o.out)
	if o.out != id+"\n" || len(id) != 26 {
		t.Errorf("stdout is %q, want the job's id alone", o.out)
	}
	o.says(t, "3 rows in 2 tasks", "Next: enqueue status "+id+" --watch")
	job := b.job(id)
	got := []any{job.Status, job.Source, job.RequestedBy, job.Reason, job.Lane, job.Counts.Total, job.Counts.Pending, job.Tasks.Total}
	want := []any{store.JobQueued, "csv", "tess@desk", "Q4", store.Bulk, 3, 3, 2}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the job (-want +got):\n%s", diff)
	}
	queued := strings.Join(b.redis(), "\n")
	if !strings.Contains(queued, "smartqauthorize:bulk") {
		t.Errorf("nothing is queued in the lane:\n%q", queued)
	}
	for _, secret := range []string{"user-1", "user-2", "user-3", "res-1"} {
		if strings.Contains(queued, secret) {
			t.Errorf("Redis holds %q", secret)
		}
	}
}

func TestCSVReadsStdin(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.stdin = strings.NewReader(threeRows)
	o := b.run("csv", "-", "--json").want(t, exitOK)
	if job := decode[jobDocument](t, o); job.Counts.Total != 3 {
		t.Errorf("%d rows, want 3", job.Counts.Total)
	}
}

const badRows = `action,principal,resource_type,resource_id,expires_on
grant,u1,qa_resource,r1,2026-12-31
grnat,u2,qa_resource,r1,2026-12-31
grant,u3,qa_resource,r1,2020-01-01
grant,"u4,u5",dashbord,r1,2026-12-31
`

func TestCSVRejectsTheWholeFileForBadRows(t *testing.T) {
	t.Parallel()

	b := setup(t)
	path := b.file(badRows)
	o := b.run("csv", path).want(t, exitRejected).says(t,
		"line 3, action: ", "[unknown_action]",
		"line 4, expires_on: ", "[expiry_in_the_past]",
		"line 5, principal: ", "[invalid_id]",
		"line 5, resource_type: ", "[unknown_resource_type]",
		"4 errors in 4 rows; nothing was written or sent")
	if o.out != "" {
		t.Errorf("stdout is %q, want nothing", o.out)
	}
	document := decode[rejectionDocument](t, b.run("csv", path, "--json").want(t, exitRejected))
	var got []string
	for _, e := range document.Errors {
		got = append(got, fmt.Sprintf("%d %s %s", e.Line, e.Column, e.Code))
		if e.Message == "" || e.RowID == "" {
			t.Errorf("line %d lacks a message or an id", e.Line)
		}
	}
	want := []string{
		"3 action unknown_action", "4 expires_on expiry_in_the_past",
		"5 principal invalid_id", "5 resource_type unknown_resource_type",
	}
	if diff := cmp.Diff(want, got); diff != "" || document.Error.Code != "input_rejected" || document.Rows != 4 {
		t.Errorf("%+v (-want +got):\n%s", document.Error, diff)
	}
	b.wantNothing()
}

func TestCSVReportsEveryPlantedErrorOfALargeFile(t *testing.T) {
	t.Parallel()

	const rows, planted = 100_000, 500
	b := setup(t)
	var text strings.Builder
	text.WriteString("row_id,action,principal,resource_type,resource_id,expires_on\n")
	var want []string
	for i := range rows {
		expires := "2026-12-31"
		if i%(rows/planted) == 7 {
			expires = "2026-02-30"
			want = append(want, fmt.Sprintf("%d expires_on row-%d", i+2, i))
		}
		fmt.Fprintf(&text, "row-%d,grant,user-%d,qa_resource,res-%d,%s\n", i, i%5000, i/5000, expires)
	}
	path := b.file(text.String())
	document := decode[rejectionDocument](t, b.run("csv", path, "--json").want(t, exitRejected))
	var got []string
	for _, e := range document.Errors {
		got = append(got, fmt.Sprintf("%d %s %s", e.Line, e.Column, e.RowID))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	o := b.run("csv", path).want(t, exitRejected).says(t, "500 errors in 100,000 rows; nothing was written or sent")
	if n := strings.Count(o.err, "\nline ") + 1; n != planted {
		t.Errorf("%d lines name a bad row, want %d", n, planted)
	}
	b.wantNothing()
}

func TestCSVSkipsInvalidRows(t *testing.T) {
	t.Parallel()

	b := setup(t)
	path := b.file(badRows + "grant,u1,qa_resource,r1,2026-12-31\n")
	o := b.run("csv", path, "--skip-invalid", "--json").want(t, exitOK)
	job := decode[jobDocument](t, o)
	want := store.Counts{Total: 5, Failed: 3, NoChange: 1, Pending: 1}
	if diff := cmp.Diff(want, job.Counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if len(*job.Warnings) != 1 || !strings.Contains((*job.Warnings)[0], "3 of 5 rows are invalid") {
		t.Errorf("warnings are %q", *job.Warnings)
	}
	b.work(allGood)
	o = b.run("results", job.ID).want(t, exitOK)
	for _, part := range []string{"duplicate_row,duplicate of line 2,", ",failed,unknown_action,", ",failed,expiry_in_the_past,", ",2,succeeded,,"} {
		if !strings.Contains(o.out, part) {
			t.Errorf("results lack %q:\n%s", part, o.out)
		}
	}
	b.run("csv", path, "--skip-invalid", "--source", "other").want(t, exitOK).says(t, "line 3, action:", "warning: 3 of 5 rows are invalid")
}

func TestCSVWithoutAValidRowIsRejected(t *testing.T) {
	t.Parallel()

	b := setup(t)
	path := b.file("action,principal,resource_type,resource_id\ngrant,u,qa_resource,r\n")
	b.run("csv", path, "--skip-invalid").want(t, exitRejected).says(t, "no row is valid", "[missing_expiry]")
	b.run("csv", path, "--default-expiry", "90d").want(t, exitOK)
}

// A file without the column gets it when a default fills it in, else its
// result file could not be submitted again.
func TestCSVDefaultExpiryIsCountedWhereQuickBICounts(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.now = b.now.Add(15 * 60 * 60 * 1e9) // the 23rd in Shanghai already
	id := b.submit("action,principal,resource_type,resource_id\ngrant,u,qa_resource,r\n", "--default-expiry", "1d")
	results := b.run("results", id).want(t, exitOK)
	if !strings.Contains(results.out, "2026-11-24") {
		t.Errorf("the filled-in expiry is not in the results:\n%s", results.out)
	}
	b.run("csv", b.file(results.out), "--dry-run").want(t, exitOK)
}

func TestCSVReplays(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows)
	before := len(b.redis())
	again := decode[jobDocument](t, b.run("csv", b.file(threeRows), "--json").want(t, exitOK))
	if again.ID != id || !*again.Replayed {
		t.Errorf("job %s, replayed %t; want %s, true", again.ID, *again.Replayed, id)
	}
	if after := len(b.redis()); after != before {
		t.Errorf("Redis holds %d entries, had %d", after, before)
	}
	b.run("csv", b.file(threeRows)).want(t, exitOK).says(t, "accepted before, as job "+id, "nothing was sent again")
	if other := b.submit(threeRows, "--source", "hr"); other == id {
		t.Error("another source got the same job")
	}
}

func TestCSVRefusesAKeyForOtherRows(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows, "--key", "nightly")
	if again := b.submit(threeRows, "--key", "nightly"); again != id {
		t.Errorf("the same rows became job %s, want %s", again, id)
	}
	other := b.file(strings.ReplaceAll(threeRows, "user-1", "user-9"))
	b.run("csv", other, "--key", "nightly").want(t, exitKeyReused).says(t, id, "Nothing was written")
	document := decode[errorDocument](t, b.run("csv", other, "--key", "nightly", "--json").want(t, exitKeyReused))
	if document.Error.Code != "idempotency_key_reused" {
		t.Errorf("code %q", document.Error.Code)
	}
}

// Forcing a role asks for more than the same rows without: they are another job.
func TestCSVUpdatesRoles(t *testing.T) {
	t.Parallel()

	const rows = "action,principal,resource_type,resource_id,role\ngrant,u1,workspace,w1,viewer\n"
	b := setup(t)
	plain, forced := b.submit(rows), b.submit(rows, "--update-role")
	if plain == forced || b.submit(rows, "--update-role") != forced {
		t.Errorf("jobs are %s and %s", plain, forced)
	}
	got := map[string]bool{}
	due, err := b.store.DueTasks(t.Context(), -time.Second, store.TaskRef{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range due {
		task, err := b.store.Claim(t.Context(), store.ClaimRequest{TaskRef: q.TaskRef, Generation: q.Generation, Worker: "w", Lease: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		got[task.JobID] = task.UpdateRole
	}
	if diff := cmp.Diff(map[string]bool{plain: false, forced: true}, got); diff != "" {
		t.Errorf("roles are updated (-want +got):\n%s", diff)
	}
}

// What the help says of types and roles is what the rules say.
func TestCSVHelpNamesEveryTypeAndRole(t *testing.T) {
	t.Parallel()

	help := offline(t).run("csv", "--help").want(t, exitOK).out
	words := []string{"view", "view_export", "edit", "admin", "developer", "analyst", "viewer", "group", "organization", "workspace"}
	for _, typ := range access.ResourceTypes() {
		words = append(words, string(typ))
	}
	for _, word := range words {
		if !regexp.MustCompile(`\b` + word + `\b`).MatchString(help) {
			t.Errorf("the help lacks %s", word)
		}
	}
}

func TestCSVDryRunNeedsNoServer(t *testing.T) {
	t.Parallel()

	b := offline(t)
	b.vars["QUICKBI_RATE"] = "4/s"
	path := b.file(threeRows + "d,grant,user-1,qa_resource,res-1,2026-12-31\n")
	plan := decode[planDocument](t, b.run("csv", path, "--dry-run", "--json").want(t, exitOK))
	want := planDocument{
		DryRun: true, Rows: 4, Changes: 3, Calls: map[access.Action]int{"SmartqAuthorize": 2}, FloorSeconds: 0.5, Warnings: []string{},
	}
	if diff := cmp.Diff(want, plan); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	b.vars["QUICKBI_RATE_SMARTQAUTHORIZE"] = "1/s"
	o := b.run("csv", path, "--dry-run").want(t, exitOK).says(t, "Nothing was written or sent.")
	if !strings.Contains(o.out, "2 SmartqAuthorize, at 1/s at most") || !regexp.MustCompile(`(?m)^floor +2s at 1/s$`).MatchString(o.out) {
		t.Errorf("stdout is\n%s", o.out)
	}
	b.run("csv", b.file(badRows), "--dry-run").want(t, exitRejected)
}

func TestCSVDryRunWritesAndSendsNothing(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.run("csv", b.file(threeRows), "--dry-run").want(t, exitOK)
	b.wantNothing()
}

func TestCSVSaysWhatKindOfFileItGot(t *testing.T) {
	t.Parallel()

	b := offline(t)
	for _, tt := range []struct{ content, want string }{
		{"PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00!\x00\xff\xfe\xfd", "Excel"},
		{"<!DOCTYPE html><html><body>Sign in</body></html>\n", "HTML"},
		{"", "empty"},
		{"name,mail\nBob,b@example.com\n", "resource_id"},
	} {
		path := b.file(tt.content)
		b.run("csv", path, "--dry-run").want(t, exitRejected).says(t, tt.want, "nothing was written or sent")
		document := decode[rejectionDocument](t, b.run("csv", path, "--dry-run", "--json").want(t, exitRejected))
		if document.Error.Code != "input_rejected" || len(document.Errors) != 1 {
			t.Errorf("%q: %+v", tt.content, document)
		}
	}
}

func TestCSVWarnsOnceOfUnknownColumns(t *testing.T) {
	t.Parallel()

	b := offline(t)
	o := b.run("csv", b.file("action,principal,resource_type,resource_id,Name,Desk\nrevoke,u1,dataset,d,Bo,1\nrevoke,u2,dataset,d,Al,2\n"), "--dry-run")
	o.want(t, exitOK).says(t, `"Name", "Desk"`)
	if n := strings.Count(o.err, "warning:"); n != 1 {
		t.Errorf("%d warnings, want 1:\n%s", n, o.err)
	}
}

func TestCSVGivesUpAStdinThatNeverEnds(t *testing.T) {
	t.Parallel()

	b := setup(t)
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer out.Close()
	ctx, cancel := context.WithCancel(t.Context())
	b.stdin = readerFunc(func(p []byte) (int, error) {
		cancel()
		return in.Read(p)
	})
	b.runCtx(ctx, "csv", "-").want(t, exitInterrupted).says(t, "interrupted")
	b.wantNothing()
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

var _ io.Reader = readerFunc(nil)
