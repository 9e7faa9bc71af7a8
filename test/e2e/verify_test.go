package e2e_test

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

// job is what programs know of a job: the JSON of every command that shows one.
type job struct {
	ID       string `json:"id"`
	Status   string `json:"status"`
	Outcome  string `json:"outcome"`
	Counts   counts `json:"counts"`
	Tasks    struct{ Total, Done int }
	Calls    struct{ Sent, Throttled int }
	ParentID *string  `json:"parent_id"`
	Replayed bool     `json:"replayed"`
	Warnings []string `json:"warnings"`
	Stopped  []struct {
		Action  string `json:"action"`
		Code    string `json:"code"`
		APICode string `json:"api_code"`
	} `json:"stopped_actions"`
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

type counts struct {
	Total      int `json:"total"`
	Succeeded  int `json:"succeeded"`
	NoChange   int `json:"no_change"`
	Failed     int `json:"failed"`
	Unknown    int `json:"unknown"`
	Superseded int `json:"superseded"`
	Canceled   int `json:"canceled"`
	Pending    int `json:"pending"`
}

func (c counts) sum() int {
	return c.Succeeded + c.NoChange + c.Failed + c.Unknown + c.Superseded + c.Canceled + c.Pending
}

// job reads the one document on stdout and checks the sum rule.
func (e ended) job() job {
	e.t.Helper()
	var j job
	e.document(&j)
	if j.ID == "" || j.Counts.Total == 0 || j.Counts.sum() != j.Counts.Total {
		e.t.Errorf("%s: the statuses of job %q add up to %d of %d rows: %+v", e.name, j.ID, j.Counts.sum(), j.Counts.Total, j.Counts)
	}
	return j
}

// submit submits rows without waiting for anything.
func (d *deployment) submit(rows []row) job {
	d.t.Helper()
	return d.enqueue("csv", d.file("rows.csv", rows), "--json").want(0).job()
}

// status asks where a job stands.
func (d *deployment) status(id string) job {
	d.t.Helper()
	return d.enqueue("status", id, "--json").want(0).job()
}

// finish waits until a job has ended.
func (d *deployment) finish(id string) job {
	d.t.Helper()
	d.eventually("the job ends", func() bool {
		return d.count("SELECT count(*) FROM jobs WHERE ulid = $1 AND finished_at IS NOT NULL", id) == 1
	})
	return d.status(id)
}

// wantCounts fails the test unless a job has ended like this. Total is filled in.
func (d *deployment) wantCounts(j job, outcome string, want counts) {
	d.t.Helper()
	want.Total = want.sum()
	if diff := cmp.Diff(want, j.Counts); j.Outcome != outcome || diff != "" {
		d.t.Errorf("job is %s, %s, want %s; counts (-want +got):\n%s", j.Status, j.Outcome, outcome, diff)
	}
}

// results is what became of each row of a job, by line.
func (d *deployment) results(id string) map[int]map[string]string {
	d.t.Helper()
	_, rows := readCSV(d.t, d.enqueue("results", id).want(0).stdout)
	byLine := map[int]map[string]string{}
	for _, r := range rows {
		line, err := strconv.Atoi(r["result__line"])
		if err != nil || byLine[line] != nil {
			d.t.Fatalf("result__line %q, %v", r["result__line"], err)
		}
		byLine[line] = r
	}
	return byLine
}

// succeeded picks the rows that results say were carried out, and fails the
// test where results tell of other rows than were asked for, or not of all.
func (d *deployment) succeeded(rows []row, results map[int]map[string]string) []row {
	d.t.Helper()
	var done []row
	for i, r := range rows {
		got := results[i+2]
		told := row{got["action"], got["principal"], got["resource_type"], got["resource_id"], got["expires_on"]}
		if told != r {
			d.t.Fatalf("line %d of the results is %+v, want %+v", i+2, told, r)
		}
		if got["result__status"] == "succeeded" {
			done = append(done, r)
		}
	}
	if len(results) != len(rows) {
		d.t.Errorf("%d results for %d rows", len(results), len(rows))
	}
	return done
}

// wantHeld compares access at Quick BI with what it should be, pair by pair.
func (d *deployment) wantHeld(want held) {
	d.t.Helper()
	got := held{}
	for _, g := range d.sandbox.grants() {
		got[pair{g.User, string(g.Kind), g.Resource}] = g.ExpiresOn
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(pair{})); diff != "" {
		d.t.Errorf("access at Quick BI (-want +got):\n%s", diff)
	}
}

// wantOnce fails the test if a grant in force was given more than once.
func (d *deployment) wantOnce() {
	d.t.Helper()
	for _, g := range d.sandbox.grants() {
		if g.Times != 1 {
			d.t.Errorf("%s × %s was granted %d times", g.User, g.Resource, g.Times)
		}
	}
}

// wantCalls checks every call that Quick BI received: none above the published
// size, none that breaks another of its rules but the rate, and no cell in any
// of them that rows did not ask for.
func (d *deployment) wantCalls(rows []row) []quickbitest.Call {
	d.t.Helper()
	asked := map[row]bool{}
	for _, r := range rows {
		asked[r] = true
	}
	calls := d.sandbox.calls()
	for _, c := range calls {
		if c.Pairs > 100 || c.Violation != "" && c.Violation != quickbitest.RuleRate {
			d.t.Errorf("call %s holds %d pairs and breaks %q", c.RequestID, c.Pairs, c.Violation)
		}
		for _, cell := range cells(c.Params) {
			if !asked[cell] {
				d.t.Fatalf("call %s holds %+v, which nobody asked for", c.RequestID, cell)
			}
		}
	}
	return calls
}

// cells is what a call asked for, pair by pair.
func cells(params map[string]string) []row {
	action := map[string]string{"0": grant, "1": revoke}[params["OperationType"]]
	var out []row
	for user := range strings.SplitSeq(params["UserIds"], ",") {
		for name, kind := range map[string]string{"LlmCubes": qaResource, "LlmCubeThemes": qaTheme, "CubeIds": dataset} {
			if params[name] == "" {
				continue
			}
			for resource := range strings.SplitSeq(params[name], ",") {
				out = append(out, row{action, user, kind, resource, params["ExpireDay"]})
			}
		}
	}
	return out
}

// wantNothingKept fails the test if anything is in Postgres or Redis.
func (d *deployment) wantNothingKept() {
	d.t.Helper()
	for _, table := range []string{"jobs", "changes", "tasks", "exceptions", "calls", "answers", "audit", "action_stops"} {
		if n := d.count("SELECT count(*) FROM " + table); n != 0 {
			d.t.Errorf("%d rows in %s, want none", n, table)
		}
	}
	n, err := d.openRedis().DBSize(d.t.Context()).Result()
	if n != 0 || err != nil {
		d.t.Errorf("%d keys in Redis, %v; want none", n, err)
	}
}

// wantCulprits fails the test unless exactly the rows that culprit picks have
// failed, each with our code, Quick BI's, and a request id under which Quick BI
// logged a call that held this very pair.
func (d *deployment) wantCulprits(rows []row, results map[int]map[string]string, culprit func(row) (code, apiCode string)) {
	d.t.Helper()
	heldBy := map[string]bool{} // "request id, pair"
	for _, c := range d.sandbox.calls() {
		for _, cell := range cells(c.Params) {
			heldBy[fmt.Sprint(c.RequestID, cell)] = true
		}
	}
	for i, r := range rows {
		got := results[i+2]
		code, apiCode := culprit(r)
		status := "failed"
		if code == "" {
			status = "succeeded"
		}
		if got["result__status"] != status || got["result__code"] != code || got["result__api_code"] != apiCode {
			d.t.Fatalf("line %d, %+v: %s, %q, %q; want %s, %q, %q", i+2, r,
				got["result__status"], got["result__code"], got["result__api_code"], status, code, apiCode)
		}
		if !heldBy[fmt.Sprint(got["result__request_id"], r)] {
			d.t.Fatalf("line %d, %+v: Quick BI knows no call %q about it", i+2, r, got["result__request_id"])
		}
		if code != "" && got["result__message"] == "" {
			d.t.Fatalf("line %d, %+v failed without a word", i+2, r)
		}
	}
}
