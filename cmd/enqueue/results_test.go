package main

import (
	"context"
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/view"
)

// awkward holds what spreadsheets and importers stumble over.
const awkward = "Row_ID,ACTION,user_id,resource_type,resource_id,expires_on,Name,+note,reason\n" +
	"r1,grant,-u1,qa_resource,@r,2026-12-31,\"=SUM(A1)\n2nd line\",'=quoted,\" padded \"\n" +
	"r2,Grant,u2,QA_RESOURCE,@r,2026-12-31,\u5f20\u4f1f,\tx,\"say \"\"hi\"\"\"\n" +
	"r3,revoke,u3,dataset,+d,,,,\n"

func TestResultsGoBackInUnchanged(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(awkward)
	b.work(refusing(map[string]store.Exception{"u2": gone}))
	path := filepath.Join(t.TempDir(), "results.csv")
	b.run("results", id, "-o", path).want(t, exitOK).says(t, "Wrote 3 rows to "+path, "enqueue csv "+path+" --dry-run")
	raw := read(t, path)
	for _, cells := range parseCSV(t, strings.TrimPrefix(raw, byteOrderMark)) {
		for _, cell := range cells {
			if strings.IndexAny(cell, "=+-@\t\r") == 0 {
				t.Errorf("a spreadsheet takes %q for a formula", cell)
			}
		}
	}
	before := decode[planDocument](t, b.run("csv", b.file(awkward), "--dry-run", "--json").want(t, exitOK))
	after := decode[planDocument](t, b.run("csv", path, "--dry-run", "--json").want(t, exitOK))
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("plan (-before +after):\n%s", diff)
	}
}

func TestResultsKeepTheInputAndAddWhatBecameOfIt(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(awkward)
	b.work(refusing(map[string]store.Exception{"u2": gone}))
	got := parseCSV(t, b.run("results", id).want(t, exitOK).out)
	header := append([]string{"Row_ID", "ACTION", "user_id", "resource_type", "resource_id", "expires_on", "Name", "'+note", "reason"}, view.ResultColumns()...)
	if diff := cmp.Diff(header, got[0]); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	finished := got[2][len(header)-2]
	want := []string{
		"r2", "Grant", "u2", "QA_RESOURCE", "'@r", "2026-12-31", "\u5f20\u4f1f", "'\tx", `say "hi"`,
		"4", "failed", "user_not_in_organization", "The user is not in the organization", "false", "1",
		"User.Not.In.Organization", "req-gone", finished, id,
	}
	if diff := cmp.Diff(want, got[2]); diff != "" || !strings.HasSuffix(finished, "Z") {
		t.Errorf("the failed row, finished at %s (-want +got):\n%s", finished, diff)
	}
	if len(got) != 4 || got[1][9] != "2" || got[3][9] != "5" {
		t.Errorf("lines are not those of the file: %q", got)
	}
}

func parseCSV(t *testing.T, text string) [][]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestFailedRowsGoBackInAsTheyAre(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows)
	b.work(refusing(map[string]store.Exception{"user-1": gone}))
	path := filepath.Join(t.TempDir(), "failed.csv")
	b.run("results", id, "--status", "failed,unknown", "-o", path).want(t, exitOK).says(t, "Wrote 1 row to")
	next := decode[jobDocument](t, b.run("csv", path, "--json").want(t, exitOK))
	if next.ID == id || next.Counts.Total != 1 || next.Input.Encoding != "utf-8-bom" {
		t.Errorf("the job is %+v", next)
	}
}

// Every row of a job fails, so its failed rows equal its input. To submit them
// once more must send them once more, and only once.
func TestFailedFileIsAJobOfItsOwn(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows)
	b.work(refusing(map[string]store.Exception{"user-1": gone, "user-2": gone, "user-3": gone}))
	path := filepath.Join(t.TempDir(), "failed.csv")
	b.run("results", id, "--status", "failed", "-o", path).want(t, exitOK)
	second := decode[jobDocument](t, b.run("csv", path, "--json").want(t, exitOK))
	if second.ID == id || *second.Replayed || second.Counts.Pending != 3 || len(*second.Warnings) != 0 {
		t.Fatalf("failed.csv became %+v, replayed %t, warnings %q", second, *second.Replayed, *second.Warnings)
	}
	if again := b.submit(read(t, path)); again != second.ID {
		t.Errorf("failed.csv once more became job %s, want a replay of %s", again, second.ID)
	}
	b.work(allGood)
	if job := b.job(second.ID); job.Outcome != store.OutcomeSucceeded {
		t.Errorf("the second job is %s", standing(job))
	}
}

func TestReplayOfAJobThatFailedSaysHowToSendItsRowsAgain(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows)
	path := b.file(threeRows)
	unfinished := decode[jobDocument](t, b.run("csv", path, "--json").want(t, exitOK))
	b.work(refusing(map[string]store.Exception{"user-1": gone}))
	b.run("csv", path).want(t, exitOK).says(t, "nothing was sent again", "Next: enqueue status "+id,
		"\n      enqueue retry "+id+" --all\n", "\n      the same command with --key NEW\n")
	b.run("csv", path, "--wait").want(t, exitRowsFailed).says(t, "warning: nothing was sent", "enqueue retry "+id+" --all, or", "--key NEW")
	replayed := decode[jobDocument](t, b.run("csv", path, "--json").want(t, exitOK))
	if w := *replayed.Warnings; len(w) != 1 || !strings.Contains(w[0], "enqueue retry "+id+" --all") || !strings.Contains(w[0], "--key NEW") {
		t.Errorf("warnings are %q", w)
	}
	retried := strings.TrimSpace(b.run("retry", id, "--all").want(t, exitOK).out)
	b.work(allGood)
	for name, warnings := range map[string][]string{
		"a job that goes on":     *unfinished.Warnings,
		"a job that succeeded":   *decode[jobDocument](t, b.run("retry", id, "--all", "--json").want(t, exitOK)).Warnings,
		"the same under new key": *decode[jobDocument](t, b.run("csv", path, "--key", "new", "--json").want(t, exitOK)).Warnings,
	} {
		if len(warnings) > 0 {
			t.Errorf("%s: warnings are %q", name, warnings)
		}
	}
	if job := b.job(retried); job.Outcome != store.OutcomeSucceeded {
		t.Errorf("the retry is %s", standing(job))
	}
}

// What retry does not take is not offered there, and no failed rows are where
// none was sent.
func TestReplayOffersOnlyWhatHelps(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows)
	b.work(refusing(map[string]store.Exception{"user-1": gone}))
	second := b.run("retry", id, "--all").want(t, exitOK)
	b.work(refusing(map[string]store.Exception{"user-1": gone}))
	o := b.run("retry", id, "--all").want(t, exitOK).says(t, "enqueue retry "+strings.TrimSpace(second.out)+" --all")
	if strings.Contains(o.err, "--key") {
		t.Errorf("retry takes no --key:\n%s", o.err)
	}
	canceled := b.file("action,principal,resource_type,resource_id\nrevoke,u9,dataset,d\n")
	id = strings.TrimSpace(b.run("csv", canceled).want(t, exitOK).out)
	b.run("cancel", id).want(t, exitOK)
	o = b.run("csv", canceled).want(t, exitOK).says(t, "--key NEW")
	if strings.Contains(o.err, "enqueue retry") {
		t.Errorf("nothing failed that could be retried:\n%s", o.err)
	}
}

func TestResultsFileIsWholeOrNotThere(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows)
	dir := t.TempDir()
	path, link := filepath.Join(dir, "out.csv"), filepath.Join(dir, "link.csv")
	write(t, path, "before")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b.runCtx(ctx, "results", id, "-o", path).want(t, exitInterrupted)
	b.run("results", "01JD3Z5S2M8H0T6W9K4Q7XBRNE", "-o", path).want(t, exitUsage)
	if got := read(t, path); got != "before" {
		t.Errorf("the file is %q, want it as it was", got)
	}
	b.run("results", id, "-o", link, "--json").want(t, exitOK)
	if got := read(t, path); !strings.HasPrefix(got, byteOrderMark+"row_id,") {
		t.Errorf("the file is %q", got)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v, %v", info, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v", info.Mode(), err)
	}
	if names, _ := filepath.Glob(filepath.Join(dir, ".*")); len(names) > 0 {
		t.Errorf("left behind: %q", names)
	}
	b.run("results", id, "-o", dir).want(t, exitUsage).says(t, "not a plain file")
	b.run("results", id, "-o", filepath.Join(dir, "no", "out.csv")).want(t, exitUsage).says(t, "no such file or directory")
}

func TestResultsAsJSON(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(awkward)
	b.work(refusing(map[string]store.Exception{"u2": gone}))
	type document struct {
		JobID   string        `json:"job_id"`
		Header  []string      `json:"header"`
		Results []view.Result `json:"results"`
	}
	all := decode[document](t, b.run("results", id, "--json").want(t, exitOK))
	if len(all.Results) != 3 || all.JobID != id || len(all.Header) != 9 {
		t.Fatalf("%+v", all)
	}
	if r := all.Results[0]; r.Principal != "-u1" || r.Input[6] != "=SUM(A1)\n2nd line" || r.Status != store.Succeeded || r.ExpiresOn != "2026-12-31" {
		t.Errorf("the first row is %+v", r)
	}
	none := b.run("results", id, "--json", "--status", "superseded").want(t, exitOK)
	if got := decode[document](t, none); got.Results == nil || len(got.Results) != 0 {
		t.Errorf("results are %#v, want an empty list", got.Results)
	}
}

func TestResultsSayInTheDocumentThatTheyBrokeOff(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	st := view.Results{Store: b.store, JobID: id, Header: []string{"action"}}
	var out strings.Builder
	a := &app{env: env{Stdout: &out}, json: true}
	cancel()
	if err := a.resultsJSON(ctx, st); err != (settled{exitInterrupted}) { //nolint:errorlint // it is never wrapped
		t.Errorf("error is %v", err)
	}
	got := decode[struct {
		Results []view.Result `json:"results"`
		Error   fault         `json:"error"`
	}](t, outcome{out: out.String()})
	if got.Error.Code != "interrupted" {
		t.Errorf("the document is %s", out.String())
	}
}
