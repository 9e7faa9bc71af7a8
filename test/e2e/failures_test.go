package e2e_test

import (
	"encoding/csv"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

// failureGroup is what programs know of failures with one cause.
type failureGroup struct {
	Code        string `json:"code"`
	APICode     string `json:"api_code"`
	Count       int    `json:"count"`
	SampleLines []int  `json:"sample_lines"`
	Retryable   bool   `json:"retryable"`
	Hint        string `json:"hint"`
}

func (d *deployment) failures(id string) []failureGroup {
	d.t.Helper()
	var doc struct {
		Groups []failureGroup `json:"failure_groups"`
	}
	d.enqueue("failures", id, "--json").want(0).document(&doc)
	for i, g := range doc.Groups {
		if g.Hint == "" {
			d.t.Errorf("no hint for %s", g.Code)
		}
		doc.Groups[i].Hint = ""
	}
	return doc.Groups
}

// TestPartialFailure goes all the way round: people who are not there fail, are
// listed in a file, join, and the file goes back in as it is. Two of them have
// ids that a spreadsheet would take for formulas, and the file has a column of
// its own.
func TestPartialFailure(t *testing.T) {
	t.Parallel()

	here, absent := ids("u", 40), append(ids("absent", 5), "=1+1", "-minus")
	rows := grants(slices.Concat(here, absent), ids("r", 3))
	world := worldOf(rows)
	world.Users = here
	d := setup(t, world)
	d.work()

	var text strings.Builder
	out := csv.NewWriter(&text)
	_ = out.Write([]string{"Department", "resource_id", "action", "user_id", "resource_type", "expires_on"})
	for _, r := range rows {
		_ = out.Write([]string{"R&D, \"north\"", r.resource, r.action, r.user, r.kind, r.expires})
	}
	out.Flush()
	first := d.enqueue("csv", d.write("joiners.csv", text.String()), "--wait", "--json").want(5).job()
	lost := len(absent) * 3
	d.wantCounts(first, "partial", counts{Succeeded: len(rows) - lost, Failed: lost})
	d.wantHeld(held{}.apply(grants(here, ids("r", 3))...))
	want := []failureGroup{{Code: "user_not_in_organization", APICode: "AE0550010002", Count: lost, SampleLines: []int{}}}
	got := d.failures(first.ID)
	for i := range got {
		lines := got[i].SampleLines // any five of them, in order
		if len(lines) != 5 || !slices.IsSorted(lines) || lines[0] <= len(here)*3+1 || lines[4] > len(rows)+1 {
			t.Errorf("sample lines are %v, want five of %d to %d", lines, len(here)*3+2, len(rows)+1)
		}
		got[i].SampleLines = []int{}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
	d.enqueue("status", first.ID, "--watch").want(5)

	failed := filepath.Join(d.dir, "failed.csv")
	d.enqueue("results", first.ID, "--status", "failed", "-o", failed).want(0).says("Wrote 21 rows")
	d.sandbox.addUsers(absent...)
	second := d.enqueue("csv", failed, "--wait", "--json").want(0).job()
	d.wantCounts(second, "succeeded", counts{Succeeded: lost})
	d.wantHeld(held{}.apply(rows...))
	d.wantCalls(rows)

	columns, results := readCSV(t, d.enqueue("results", second.ID).want(0).stdout)
	if diff := cmp.Diff([]string{"Department", "resource_id", "action", "user_id", "resource_type", "expires_on"}, columns[:6]); diff != "" {
		t.Errorf("columns of the second round (-want +got):\n%s", diff)
	}
	for _, r := range results {
		if r["Department"] != "R&D, \"north\"" {
			t.Errorf("the column Department came back as %q", r["Department"])
		}
	}
}

// TestWholeCallRefused has five people whose presence spoils every call. Their
// companions must get through, and each of them must be found.
func TestWholeCallRefused(t *testing.T) {
	t.Parallel()

	culprits := []string{"u7", "u64", "u65", "u130", "u199"}
	for _, tt := range []struct {
		name          string
		fault         quickbitest.Fault
		code, apiCode string
	}{
		{"unnamed", quickbitest.Poison(culprits...), "user_not_in_organization", "User.Not.In.Organization"},
		{"named", quickbitest.PoisonNaming(culprits...), "user_lacks_permission", "UserRoleConfig.NotContain.Function"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			rows := grants(ids("u", 200), ids("r", 2))
			world := worldOf(rows)
			world.Faults = []quickbitest.Fault{tt.fault}
			d := setup(t, world)
			d.work()

			job := d.enqueue("csv", d.file("rows.csv", rows), "--wait", "--json").want(5).job()
			d.wantCounts(job, "partial", counts{Succeeded: 390, Failed: 10})
			results := d.results(job.ID)
			d.wantCulprits(rows, results, func(r row) (code, apiCode string) {
				if slices.Contains(culprits, r.user) {
					return tt.code, tt.apiCode
				}
				return "", ""
			})
			d.wantHeld(held{}.apply(d.succeeded(rows, results)...))
			d.wantCalls(rows)
			d.wantOnce()
		})
	}
}

// TestNoRowSucceeds is the end that is called failed. The rows come through a
// pipe, with the line ends and delimiter of another system.
func TestNoRowSucceeds(t *testing.T) {
	t.Parallel()

	rows := grants(ids("u", 3), ids("r", 1))
	d := setup(t, quickbitest.Options{})
	d.work()
	lines := []string{"action;principal;resource_type;resource_id;expires_on"}
	for _, r := range rows {
		lines = append(lines, strings.Join([]string{r.action, r.user, r.kind, r.resource, r.expires}, ";"))
	}
	text := strings.Join(lines, "\r\n")
	job := d.begin(invocation{program: "enqueue", args: []string{"csv", "-", "--wait", "--json"}, stdin: text}).end().want(5).job()
	d.wantCounts(job, "failed", counts{Failed: 3})
	d.wantHeld(held{})
}

// TestRetry sends again what failed for a passing reason, and only that.
func TestRetry(t *testing.T) {
	t.Parallel()

	rows := grants(ids("u", 6), ids("r", 1))
	world := worldOf(rows)
	world.Users = world.Users[:5]
	world.Faults = []quickbitest.Fault{{Kind: quickbitest.Refuse, Status: 500, Match: quickbitest.Match{Users: []string{"u2", "u4"}}}}
	d := setup(t, world)
	d.work("WORKER_MAX_ATTEMPTS=1")

	first := d.enqueue("csv", d.file("rows.csv", rows), "--wait", "--json").want(5).job()
	d.wantCounts(first, "partial", counts{Succeeded: 3, Failed: 3})
	d.sandbox.clearFaults()
	second := d.enqueue("retry", first.ID, "--wait", "--json").want(0).job()
	d.wantCounts(second, "succeeded", counts{Succeeded: 2})
	if second.ParentID == nil || *second.ParentID != first.ID {
		t.Errorf("parent_id = %v, want %s", second.ParentID, first.ID)
	}
	d.wantHeld(held{}.apply(rows[:5]...))
	again := d.enqueue("retry", first.ID, "--json").want(0).job()
	if again.ID != second.ID || !again.Replayed {
		t.Errorf("retrying again = %s, replayed %t; want %s once more", again.ID, again.Replayed, second.ID)
	}
	d.enqueue("retry", second.ID).want(3).says("no failed row fits")

	d.sandbox.addUsers("u6")
	all := d.enqueue("retry", first.ID, "--all", "--code", "user_not_in_organization", "--wait", "--json").want(0).job()
	d.wantCounts(all, "succeeded", counts{Succeeded: 1})
	d.wantHeld(held{}.apply(rows...))
}
