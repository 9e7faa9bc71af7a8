package e2e_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

// sharesRead is what --json prints of a read.
type sharesRead struct {
	JobID    string              `json:"job_id"`
	Works    []map[string]string `json:"works"`
	Failures []struct {
		UserID  string `json:"user_id"`
		Code    string `json:"code"`
		APICode string `json:"api_code"`
		Hint    string `json:"hint"`
	} `json:"failures"`
	Job job `json:"job"`
}

// workColumns are the columns of exported works, and their names in JSON.
var workColumns = []string{
	"user_id", "works_id", "work_name", "work_type", "status", "third_part_auth_flag", "security_level", "description",
	"workspace_id", "workspace_name", "owner_id", "owner_name", "modify_name", "create_time", "modify_time",
	"directory_id", "directory_name", "directory_path_id", "directory_path_name", "read_at",
}

// TestShares reads every field that is documented, of users who have works, who
// have none, and who have left.
func TestShares(t *testing.T) {
	t.Parallel()

	offline := 2
	world := office([]string{"u1", "u2", "=u3", "u4", "owner"})
	world.Workspaces[0].Name = "Finance, EMEA"
	world.Works = append(world.Works, quickbitest.Work{
		ID: "full", Type: "dashboard", Workspace: "ws1", Name: "=SUM(\"Umsatz\") 营收", Owner: "owner", OwnerName: "owner@example.com", ModifierName: "someone",
		Description: "monthly", Status: &offline, Embedded: true, SecurityLevel: "12", CreatedAt: 1530078690000, ModifiedAt: 1530078690123,
		Directory: &quickbitest.Directory{ID: "dir", Name: "Reports", PathID: "root/dir", PathName: "Root/Reports"},
	})
	d := setup(t, world)
	d.work()
	d.enqueue("csv", d.sheet("rows.csv", lasting(expiry,
		change{grant, "user", "u1", "dashboard", "full", "view", ""},
		change{grant, "user", "u2", "share", "full", "view_export", ""},
		change{grant, "user", "=u3", "report", "own-report", "edit", ""},
	)), "--wait").want(0)

	full := map[string]string{
		"user_id": "u1", "works_id": "full", "work_name": "=SUM(\"Umsatz\") 营收", "work_type": "PAGE", "status": "2",
		"third_part_auth_flag": "1", "security_level": "12", "description": "monthly", "workspace_id": "ws1", "workspace_name": "Finance, EMEA",
		"owner_id": "owner", "owner_name": "owner@example.com", "modify_name": "someone",
		"create_time": "2018-06-27T05:51:30Z", "modify_time": "2018-06-27T05:51:30.123Z",
		"directory_id": "dir", "directory_name": "Reports", "directory_path_id": "root/dir", "directory_path_name": "Root/Reports",
	}
	shared := maps.Clone(full)
	shared["user_id"] = "u2"
	var read sharesRead
	d.enqueue("shares", "u1", "u2", "u4", "u1", "--json").want(0).document(&read)
	if diff := cmp.Diff([]map[string]string{full, shared}, unread(t, read.Works)); diff != "" {
		t.Errorf("works (-want +got):\n%s", diff)
	}
	if read.Job.ID != read.JobID || len(read.Failures) > 0 {
		t.Errorf("job_id %s of job %s, failures %v", read.JobID, read.Job.ID, read.Failures)
	}
	d.wantCounts(read.Job, "succeeded", counts{Succeeded: 3, NoChange: 1})

	d.sandbox.steer("POST", "users", map[string][]string{"remove": {"u2"}})
	list, file := d.write("people.txt", "=u3\nu2\nu1\n"), filepath.Join(d.dir, "works.csv")
	d.enqueue("shares", "-f", list, "-o", file).want(5).says("Wrote 2 works", "u2 was not read", "[user_not_in_organization]")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	columns, rows := readCSV(t, string(text))
	if diff := cmp.Diff(workColumns, columns); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	asCells := maps.Clone(full)
	asCells["work_name"] = "'" + full["work_name"] // no formula for a spreadsheet
	if rows = unread(t, rows); len(rows) != 2 || rows[0]["user_id"] != "'=u3" || rows[0]["works_id"] != "own-report" {
		t.Fatalf("rows = %v, want own-report and full", rows)
	}
	if diff := cmp.Diff(asCells, rows[1]); diff != "" {
		t.Errorf("exported work (-want +got):\n%s", diff)
	}

	var gone sharesRead
	d.enqueue("shares", "-f", list, "--json").want(5).document(&gone)
	if len(gone.Works) != 2 || len(gone.Failures) != 1 || gone.Failures[0].UserID != "u2" ||
		gone.Failures[0].Code != "user_not_in_organization" || gone.Failures[0].APICode == "" || gone.Failures[0].Hint == "" {
		t.Errorf("of a user who left it tells %+v, works %v", gone.Failures, gone.Works)
	}
	calls := len(d.sandbox.calls())
	var later sharesRead
	d.enqueue("shares", "--job", gone.JobID, "--json").want(5).document(&later)
	if diff := cmp.Diff(gone, later); diff != "" || len(d.sandbox.calls()) != calls {
		t.Errorf("shown again, without reading again (-first +again):\n%s", diff)
	}
}

// unread is works without the time at which they were read, which must be there.
func unread(t *testing.T, works []map[string]string) []map[string]string {
	t.Helper()
	for _, w := range works {
		at, err := time.Parse(time.RFC3339, w["read_at"])
		if err != nil || time.Since(at).Abs() > patience {
			t.Errorf("a work was read at %q", w["read_at"])
		}
		delete(w, "read_at")
	}
	return works
}

// verification is what verify --json prints.
type verification struct {
	JobID        string         `json:"job_id"`
	ReadJobID    string         `json:"read_job_id"`
	Verification map[string]int `json:"verification"`
	Changes      []struct {
		Line    int    `json:"line"`
		Verdict string `json:"verdict"`
	} `json:"changes"`
}

// verify compares a job with Quick BI and returns the verdicts on changes that
// are not verified, by line.
func (d *deployment) verify(code int, id string, want map[string]int) map[int]string {
	d.t.Helper()
	var v verification
	d.enqueue("verify", id, "--json").want(code).document(&v)
	all := map[string]int{"verified": 0, "missing": 0, "still_there": 0, "unverifiable": 0, "settled": 0}
	maps.Copy(all, want)
	if diff := cmp.Diff(all, v.Verification); diff != "" || v.JobID != id || v.ReadJobID == "" {
		d.t.Errorf("verification of %s, read by %q (-want +got):\n%s", v.JobID, v.ReadJobID, diff)
	}
	verdicts := map[int]string{}
	for _, c := range v.Changes {
		verdicts[c.Line] = c.Verdict
	}
	return verdicts
}

// TestVerify finds out what others did to a job's work.
func TestVerify(t *testing.T) {
	t.Parallel()

	d := setup(t, office(ids("u", 4)))
	d.work()
	rows := lasting(expiry,
		change{grant, "user", "u1", "report", "own-report", "edit", ""},
		change{grant, "user", "u2", "report", "own-report", "view", ""},
		change{grant, "user", "u2", "share", "wide-dashboard", "view", ""},
		change{grant, "user", "u3", "cube", "own-cube", "view", ""},
		change{grant, "group", "g1", "report", "own-report", "view", ""},
		change{grant, "user", "u4", qaResource, "q1", "", ""},
	)
	job := d.enqueue("csv", d.sheet("rows.csv", rows), "--wait", "--json").want(0).job()
	same := map[int]string{6: "unverifiable"} // of a group there is no list
	if diff := cmp.Diff(same, d.verify(0, job.ID, map[string]int{"verified": 4, "unverifiable": 1})); diff != "" {
		t.Errorf("not verified at first (-want +got):\n%s", diff)
	}

	taken := d.enqueue("csv", d.sheet("taken.csv", undone(rows[1:4])), "--wait", "--json").want(0).job()
	worse := map[int]string{3: "missing", 4: "missing", 5: "unverifiable", 6: "unverifiable"}
	if diff := cmp.Diff(worse, d.verify(5, job.ID, map[string]int{"verified": 1, "missing": 2, "unverifiable": 2})); diff != "" {
		t.Errorf("not verified after revokes (-want +got):\n%s", diff)
	}
	d.verify(0, taken.ID, map[string]int{"verified": 2, "unverifiable": 1})

	d.enqueue("csv", d.sheet("back.csv", rows[2:3]), "--wait").want(0)
	if diff := cmp.Diff(map[int]string{3: "still_there", 4: "unverifiable"}, d.verify(5, taken.ID, map[string]int{"verified": 1, "still_there": 1, "unverifiable": 1})); diff != "" {
		t.Errorf("revokes not verified (-want +got):\n%s", diff)
	}
	said := d.enqueue("verify", taken.ID).want(5)
	if !strings.Contains(said.stdout, "line 3 ") || !strings.Contains(said.stdout, "still_there") {
		t.Errorf("verify says\n%s", said.stdout)
	}

	d.sandbox.steer("POST", "users", map[string][]string{"remove": {"u1"}})
	d.enqueue("verify", job.ID).want(5).says("u1 was not read")
}

// TestVerifySettles what nobody could tell: of two grants that were never
// answered one was carried out.
func TestVerifySettles(t *testing.T) {
	t.Parallel()

	world := office(ids("u", 3))
	world.RepeatedGrant = quickbitest.RepeatDuplicate
	world.Faults = []quickbitest.Fault{
		{Kind: quickbitest.LoseAnswer, Action: "AddWorksAuthorization", Match: quickbitest.Match{Users: []string{"u1"}}},
		{Kind: quickbitest.Drop, Action: "AddWorksAuthorization", Match: quickbitest.Match{Users: []string{"u2"}}},
		{Kind: quickbitest.Refuse, Action: "QuerySharesToUserList", Code: "Invalid.Parameter"},
		{Kind: quickbitest.Refuse, Action: "QueryShareList", Code: "Invalid.Parameter"},
	}
	d := setup(t, world)
	d.work("WORKER_MAX_ATTEMPTS=1")
	var rows []change
	for _, u := range world.Users {
		rows = append(rows, change{grant, "user", u, "dashboard", "own-dashboard", "view", expiry})
	}
	job := d.enqueue("csv", d.sheet("rows.csv", rows), "--wait", "--json").want(5).job()
	d.wantCounts(job, "partial", counts{Succeeded: 1, Unknown: 2})
	groups := d.failures(job.ID)
	if len(groups) != 1 || groups[0].Code != "outcome_unknown" || groups[0].Count != 2 || !groups[0].Retryable {
		t.Errorf("failures = %+v, want two of unknown outcome, apart", groups)
	}
	d.enqueue("status", job.ID).want(0).says("enqueue verify " + job.ID)

	d.sandbox.clearFaults()
	if diff := cmp.Diff(map[int]string{3: "missing"}, d.verify(5, job.ID, map[string]int{"verified": 2, "missing": 1, "settled": 2})); diff != "" {
		t.Errorf("not verified (-want +got):\n%s", diff)
	}
	d.wantCounts(d.status(job.ID), "partial", counts{Succeeded: 2, Failed: 1})
	results := d.results(job.ID)
	if r := results[2]; r["result__status"] != "succeeded" || r["result__code"] != "" {
		t.Errorf("the grant that is there came back as %v", r)
	}
	if r := results[3]; r["result__status"] != "failed" || r["result__code"] != "not_applied" || r["result__retryable"] != "true" {
		t.Errorf("the grant that is not there came back as %v", r)
	}

	retry := d.enqueue("retry", job.ID, "--wait", "--json").want(0).job()
	d.wantCounts(retry, "succeeded", counts{Succeeded: 1})
	d.wantGiven(given{}.apply(rows...))
	d.verify(0, job.ID, map[string]int{"verified": 2})
	d.verify(0, retry.ID, map[string]int{"verified": 1})
}
