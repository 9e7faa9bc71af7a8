package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

const (
	acceptedPairs = 10_000
	leftUsers     = 300 // are no longer in the organisation
	poisonedUsers = 5   // have every call refused that holds one of them
)

// TestAcceptance is a year's end: ten thousand pairs, of which some cannot be.
// Every good pair is granted as asked, every bad one is a failure that names the
// culprit and can be proved, and the file of failures is the next input.
func TestAcceptance(t *testing.T) {
	t.Parallel()

	rows := company(rand.New(rand.NewPCG(2026, 11)), acceptedPairs)
	world := worldOf(rows)
	users := slices.Clone(world.Users)
	rand.New(rand.NewPCG(7, 7)).Shuffle(len(users), func(i, j int) { users[i], users[j] = users[j], users[i] })
	left, poisoned := users[:leftUsers], users[leftUsers:leftUsers+poisonedUsers]
	world.Users = users[leftUsers:]
	world.Faults = []quickbitest.Fault{quickbitest.Poison(poisoned...)}
	d := setup(t, world)
	d.work()

	first := d.enqueue("csv", d.file("rows.csv", rows), "--wait", "--json").want(5).job()
	results := d.results(first.ID)
	done := d.succeeded(rows, results)
	bad := len(rows) - len(done)
	t.Logf("%d users, %d calls, %d rows failed", len(users), first.Calls.Sent, bad)
	d.wantCounts(first, "partial", counts{Succeeded: len(done), Failed: bad})
	d.wantCulprits(rows, results, func(r row) (code, apiCode string) {
		switch {
		case slices.Contains(left, r.user):
			return "user_not_in_organization", "AE0550010002"
		case slices.Contains(poisoned, r.user):
			return "user_not_in_organization", "User.Not.In.Organization"
		default:
			return "", ""
		}
	})
	d.wantHeld(held{}.apply(done...))
	d.wantOnce()
	d.wantProof(d.wantCalls(rows), bad)

	failed := filepath.Join(d.dir, "failed.csv")
	d.enqueue("results", first.ID, "--status", "failed", "-o", failed).want(0)
	d.sandbox.addUsers(left...)
	d.sandbox.clearFaults()
	second := d.enqueue("csv", failed, "--wait", "--json").want(0).job()
	d.wantCounts(second, "succeeded", counts{Succeeded: bad})
	d.wantHeld(held{}.apply(rows...))
	d.wantCalls(rows)
}

// wantProof fails the test unless Postgres knows every call that Quick BI
// received, by its request id, and lists the failures.
func (d *deployment) wantProof(calls []quickbitest.Call, failures int) {
	d.t.Helper()
	received := make([]string, len(calls))
	for i, c := range calls {
		received[i] = c.RequestID
	}
	slices.Sort(received)
	var recorded []string
	err := d.sql.QueryRow(d.t.Context(), `SELECT array_agg(a.request_id ORDER BY a.request_id COLLATE "C")
		FROM calls c LEFT JOIN answers a ON a.call_id = c.id`).Scan(&recorded)
	if err != nil {
		d.t.Fatal(err)
	}
	if diff := cmp.Diff(received, recorded); diff != "" {
		d.t.Errorf("calls on record (-received +recorded):\n%s", diff)
	}
	if n := d.count("SELECT count(*) FROM failures WHERE request_id <> '' AND principal <> '' AND resource_id <> ''"); n != failures {
		d.t.Errorf("the view of failures lists %d rows, want %d", n, failures)
	}
}

// company is n pairs of people in departments: they share what their department
// uses, have something of their own, and stay for different times.
func company(random *rand.Rand, n int) []row {
	const departments, theirs, resources, themes = 40, 5, 120, 25
	days := []string{"2099-03-31", "2099-06-30", expiry}
	var rows []row
	for user := 0; len(rows) < n; user++ {
		department := random.IntN(departments)
		name, day := fmt.Sprintf("%032x", random.Uint64()), days[department%len(days)]
		asked := map[row]bool{}
		ask := func(kind, resource string) {
			if r := (row{grant, name, kind, resource, day}); !asked[r] && len(rows) < n {
				asked[r] = true
				rows = append(rows, r)
			}
		}
		for i := range theirs - random.IntN(2) {
			ask(qaResource, fmt.Sprintf("cube-%d", (department*3+i)%resources))
		}
		if random.IntN(3) == 0 {
			ask(qaResource, fmt.Sprintf("cube-%d", random.IntN(resources)))
		}
		if department%2 == 0 {
			ask(qaTheme, fmt.Sprintf("theme-%d", department%themes))
		}
	}
	random.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	return rows
}
