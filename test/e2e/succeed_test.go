package e2e_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAllSucceed is a joiners' file, and a movers' file after it: every kind of
// resource, several last days, grants, renewals and revokes.
func TestAllSucceed(t *testing.T) {
	t.Parallel()

	var joiners []row
	days := []string{"2099-03-31", "2099-06-30", expiry}
	for i, user := range ids("u", 60) {
		for _, resource := range ids("r", 1+i%5) {
			joiners = append(joiners, row{grant, user, qaResource, resource, days[i%3]})
		}
		joiners = append(joiners, row{grant, user, qaTheme, ids("t", 3)[i%3], days[i%2]})
		if i%4 == 0 {
			joiners = append(joiners, row{grant, user, dataset, "d1", days[2]}, row{grant, user, dataset, "d2", days[1]})
		}
	}
	d := setup(t, worldOf(joiners))
	d.work()

	first := d.enqueue("csv", d.file("joiners.csv", joiners), "--wait", "--json", "--source", "hr", "--reason", "joiners").want(0).job()
	d.wantCounts(first, "succeeded", counts{Succeeded: len(joiners)})
	want := held{}.apply(joiners...)
	d.wantHeld(want)

	var movers []row
	for i, r := range joiners {
		switch i % 3 {
		case 0:
			movers = append(movers, row{revoke, r.user, r.kind, r.resource, ""})
		case 1:
			movers = append(movers, row{grant, r.user, r.kind, r.resource, "2099-12-30"})
		}
	}
	id := strings.TrimSuffix(d.enqueue("csv", d.file("movers.csv", movers), "--wait").want(0).stdout, "\n") // and nothing else
	second := d.status(id)
	d.wantCounts(second, "succeeded", counts{Succeeded: len(movers)})
	d.wantHeld(want.apply(movers...))
	if calls := d.wantCalls(append(joiners, movers...)); len(calls) != first.Calls.Sent+second.Calls.Sent {
		t.Errorf("Quick BI received %d calls, %d and %d are on record", len(calls), first.Calls.Sent, second.Calls.Sent)
	}
	if done := d.succeeded(movers, d.results(id)); len(done) != len(movers) {
		t.Errorf("results say that %d rows succeeded, want %d", len(done), len(movers))
	}
	d.wantViews(first.ID, id)
}

// wantViews looks at the commands that show jobs. newest was accepted last.
func (d *deployment) wantViews(oldest, newest string) {
	d.t.Helper()
	var list struct {
		Jobs []job   `json:"jobs"`
		Next *string `json:"next"`
	}
	d.enqueue("jobs", "--json").want(0).document(&list)
	if len(list.Jobs) != 2 || list.Jobs[0].ID != newest || list.Jobs[1].ID != oldest || list.Next != nil {
		d.t.Errorf("jobs --json = %+v, want %s and %s", list, newest, oldest)
	}
	if text := d.enqueue("jobs").want(0).stdout; strings.Count(text, "completed, succeeded") != 2 {
		d.t.Errorf("jobs says\n%s", text)
	}
	if text := d.enqueue("status", oldest).want(0).stdout; !strings.Contains(text, "completed, succeeded") || !strings.Contains(text, "joiners") {
		d.t.Errorf("status says\n%s", text)
	}
	d.enqueue("failures", newest).want(0).says("No row of " + newest + " has failed")
	if n := d.count("SELECT count(*) FROM audit WHERE event IN ('job.submitted', 'job.finished')"); n != 4 {
		d.t.Errorf("%d audit rows tell of the beginning and end of 2 jobs, want 4", n)
	}
}

// TestJobDocument pins the names in the JSON of a job and in the CSV of its
// results: other programs read them.
func TestJobDocument(t *testing.T) {
	t.Parallel()

	rows := grants(ids("u", 2), ids("r", 2))
	d := setup(t, worldOf(rows))
	d.work()
	file := d.file("rows.csv", rows)
	job := []string{
		"calls.sent", "calls.throttled",
		"counts.canceled", "counts.failed", "counts.no_change", "counts.pending", "counts.succeeded",
		"counts.superseded", "counts.total", "counts.unknown",
		"created_at", "finished_at", "id", "idempotency_key",
		"input.delimiter", "input.encoding", "input.rows", "input.sha256",
		"lane", "outcome", "parent_id", "progress.eta", "progress.ratio", "reason", "requested_by",
		"source", "started_at", "status", "tasks.done", "tasks.total",
	}
	submitted := slices.Sorted(slices.Values(append([]string{"replayed", "warnings"}, job...)))
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"accepted", []string{"csv", file, "--lane", "urgent"}, submitted},
		{"replayed and followed", []string{"csv", file, "--lane", "urgent", "--wait"}, submitted},
		{"plan", []string{"csv", file, "--dry-run"}, []string{"calls.SmartqAuthorize", "changes", "dry_run", "eta_seconds", "floor_seconds", "rows", "warnings"}},
	} {
		var document map[string]any
		d.enqueue(append(tt.args, "--json")...).want(0).document(&document)
		if diff := cmp.Diff(tt.want, names("", document)); diff != "" {
			t.Errorf("%s: names (-want +got):\n%s", tt.name, diff)
		}
	}
	id := d.jobID()
	var document map[string]any
	d.enqueue("status", id, "--json").want(0).document(&document)
	if diff := cmp.Diff(job, names("", document)); diff != "" {
		t.Errorf("status: names (-want +got):\n%s", diff)
	}
	columns, _ := readCSV(t, d.enqueue("results", id).want(0).stdout)
	if diff := cmp.Diff([]string{
		"action", "principal", "resource_type", "resource_id", "expires_on",
		"result__line", "result__status", "result__code", "result__message", "result__retryable", "result__attempts",
		"result__api_code", "result__request_id", "result__finished_at", "result__job_id",
	}, columns); diff != "" {
		t.Errorf("columns of results (-want +got):\n%s", diff)
	}
}

// names lists the names in a JSON document, in order; those inside an object
// come after its own and a dot.
func names(prefix string, document map[string]any) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(document)) {
		if inner, ok := document[name].(map[string]any); ok {
			out = append(out, names(prefix+name+".", inner)...)
		} else {
			out = append(out, prefix+name)
		}
	}
	return out
}

// jobID is the id of the only job.
func (d *deployment) jobID() string {
	d.t.Helper()
	var id string
	if err := d.sql.QueryRow(d.t.Context(), "SELECT ulid FROM jobs").Scan(&id); err != nil {
		d.t.Fatal(err)
	}
	return id
}
