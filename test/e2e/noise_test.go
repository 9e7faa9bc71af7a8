package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

// noise is a bad line to Quick BI: of every fifty calls one is carried out and
// never answered, one answered in half, and two are not carried out. No two of
// the intervals meet often.
var noise = []quickbitest.Fault{
	{Kind: quickbitest.LoseAnswer, Every: 50},
	{Kind: quickbitest.CutAnswer, Every: 47},
	{Kind: quickbitest.Refuse, Every: 43},
	{Kind: quickbitest.HTML, Every: 41, Status: 503},
}

// TestNoise carries out grants and revokes of every kind over a bad line, where
// a grant that is sent twice leaves two. None is, and none is lost.
func TestNoise(t *testing.T) {
	t.Parallel()

	users, leavers := ids("u", 100), ids("leaver", 60)
	world := office(append(leavers, users...))
	world.RepeatedGrant = quickbitest.RepeatDuplicate
	for i := range 8 {
		id := fmt.Sprintf("r%d", i)
		world.QAResources = append(world.QAResources, id)
		world.Groups["group-"+id] = []string{}
	}
	d := setup(t, world)
	d.work("WORKER_MAX_ATTEMPTS=10")

	var former, fresh []change
	for i, u := range leavers {
		former = append(former, lasting(expiry,
			change{grant, "user", u, listedTypes[i%4], "own-" + listedTypes[i%4], "view", ""},
			change{grant, "user", u, "share", "wide-" + workTypes[i%4], "view", ""},
			change{grant, "user", u, "workspace", "ws1", "viewer", ""},
		)...)
	}
	for i, u := range users {
		// What was lost of these can be told: a user has the work in one way only,
		// it is of a type that is listed, and shares are always.
		typ := listedTypes[i%4]
		fresh = append(fresh, lasting(expiry,
			change{grant, "user", u, typ, "own-" + typ, []string{"view", "view_export", "edit"}[i%3], ""},
			change{grant, "user", u, "share", "wide-" + typ, []string{"view", "view_export"}[i%2], ""},
			change{grant, "user", u, "workspace", ids("ws", 2)[i%2], []string{"Auditor", "analyst"}[i%2], ""},
			change{grant, "user", u, qaResource, fmt.Sprintf("r%d", i%8), "", ""},
		)...)
		if i < 60 { // a role and a day of their own: calls of their own
			fresh = append(fresh, change{grant, "user", u, qaTheme, "t1", "", fmt.Sprintf("2098-%02d-%02d", 1+i%12, 1+i/12)})
		}
	}
	for i := range 8 {
		fresh = append(fresh, change{grant, "group", fmt.Sprintf("group-r%d", i), "share", "portal", "view", expiry})
	}
	d.enqueue("csv", d.sheet("former.csv", former), "--wait").want(0)
	d.wantGiven(given{}.apply(former...))

	rows := append(undone(former), fresh...)
	rand.New(rand.NewPCG(3, 11)).Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	d.sandbox.addFaults(noise...)
	job := d.enqueue("csv", d.sheet("rows.csv", rows), "--wait", "--json").want(0).job()
	t.Logf("%d rows, %d calls", len(rows), job.Calls.Sent)
	d.wantCounts(job, "succeeded", counts{Succeeded: len(rows) - job.Counts.NoChange, NoChange: job.Counts.NoChange})
	d.wantGiven(given{}.apply(fresh...))
	d.wantStruck(noise)
	for _, r := range d.results(job.ID) { // a second call about a member finds the first one's work done
		if r["result__status"] == "no_change" && (r["resource_type"] != "workspace" || r["result__api_code"] == "") {
			t.Errorf("a row changed nothing: %v", r)
		}
	}
}

// TestNoiseWithoutLists is about grants of which no list of Quick BI tells
// whether they are there. They may end as unknown; they may not be doubled, and
// what is said to have succeeded has.
func TestNoiseWithoutLists(t *testing.T) {
	t.Parallel()

	users := ids("u", 40)
	world := office(users)
	world.RepeatedGrant = quickbitest.RepeatDuplicate
	world.UnlistedTypes = []string{"cube", "datasource", "screen", "ANALYSIS"}
	var rows []change
	for i := range users {
		id := fmt.Sprintf("group-%d", i)
		world.Groups[id] = []string{}
		rows = append(rows, lasting(expiry,
			change{grant, "user", users[i], workTypes[4+i%4], "own-" + workTypes[4+i%4], "view", ""},
			change{grant, "group", id, workTypes[i%8], "wide-" + workTypes[i%8], []string{"view", "edit"}[i%2], ""},
		)...)
	}
	d := setup(t, world)
	d.work("WORKER_MAX_ATTEMPTS=4")
	const grants = "AddWorksAuthorization"
	d.sandbox.addFaults(
		quickbitest.Fault{Kind: quickbitest.LoseAnswer, Action: grants, Every: 5},
		quickbitest.Fault{Kind: quickbitest.HTML, Action: grants, Every: 7, Status: 503})
	job := d.enqueue("csv", d.sheet("rows.csv", rows), "--wait", "--json").want(5).job()

	got := d.sandbox.given()
	for line, r := range d.results(job.ID) {
		c := rows[line-2]
		terms, there := got[c.key()]
		switch {
		case there && terms != c.terms():
			t.Errorf("%s: %s, want %s", c.key(), terms, c.terms())
		case r["result__status"] == "succeeded" && !there:
			t.Errorf("%s succeeded, and is not there", c.key())
		case r["result__status"] == "failed" && there:
			t.Errorf("%s failed, and is there", c.key())
		case r["result__status"] == "unknown" && r["result__code"] != "outcome_unknown":
			t.Errorf("%s is unknown: %v", c.key(), r)
		}
	}
	d.wantCounts(job, "partial", counts{Succeeded: len(rows) - job.Counts.Unknown, Unknown: job.Counts.Unknown})
	if job.Counts.Unknown == 0 {
		t.Error("no outcome was unknown: the line was too good")
	}
}

// wantStruck fails the test if a fault of faults never happened.
func (d *deployment) wantStruck(faults []quickbitest.Fault) {
	d.t.Helper()
	want, got := map[quickbitest.Kind]bool{}, map[quickbitest.Kind]bool{}
	for _, f := range faults {
		want[f.Kind] = true
	}
	for _, c := range d.sandbox.calls() {
		if c.Fault != "" {
			got[c.Fault] = true
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		d.t.Errorf("faults that happened (-want +got):\n%s", diff)
	}
}
