package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

// personal is one of everything that u can be given for itself, in the i-th of
// several ways. All of it can be taken back.
func personal(u string, i int) []change {
	roles := []string{"view", "view_export", "edit"}
	places := []string{"admin", "developer", "analyst", "viewer", "27", "Auditor"}
	shared := []string{"own-dashboard", "own-report", "portal", "own-ANALYSIS"}
	typ := workTypes[i%len(workTypes)]
	days := []string{"2099-03-31", "2099-06-30", expiry}
	return lasting(days[i%len(days)],
		change{grant, "user", u, typ, "own-" + typ, roles[i%3], ""},
		change{grant, "user", u, "share", shared[i%len(shared)], roles[i%2], ""},
		change{grant, "user", u, "workspace", "ws1", places[i%len(places)], ""},
		change{grant, "user", u, "workspace", "ws2", "viewer", ""},
		change{grant, "user", u, qaResource, ids("q", 3)[i%3], "", ""},
		change{grant, "user", u, qaTheme, ids("t", 3)[i%3], "", ""},
		change{grant, "user", u, dataset, ids("d", 3)[i%3], "", ""},
	)
}

// TestEveryOperation is a file of joiners and leavers that holds every type of
// resource, both actions, and every principal that an action takes; and then a
// file that takes all back that can be taken back.
func TestEveryOperation(t *testing.T) {
	t.Parallel()

	joiners, leavers := ids("joiner", 12), ids("leaver", 12)
	var fresh, former, wide []change
	for i := range joiners {
		fresh = append(fresh, personal(joiners[i], i)...)
		former = append(former, personal(leavers[i], i+1)...)
	}
	for i, typ := range workTypes { // nobody can take these back
		for j, p := range []change{{principalType: "group", principal: "g1"}, {principalType: "organization", principal: "org"}, {principalType: "workspace", principal: "ws3"}} {
			p.action, p.resourceType, p.resource, p.role = grant, typ, "wide-"+typ, []string{"view", "view_export", "edit"}[(i+j)%3]
			wide = append(wide, lasting("2099-06-30", p)...)
		}
	}
	fresh = append(fresh, lasting(expiry,
		change{grant, "group", "g1", "share", "own-report", "view_export", ""},
		change{grant, "organization", "org", "share", "own-screen", "view", ""})...)
	former = append(former, lasting(expiry,
		change{grant, "group", "g2", "share", "own-dashboard", "view", ""},
		change{grant, "organization", "org", "share", "portal", "view_export", ""})...)
	kept := change{grant, "user", joiners[0], "dashboard", "wide-dashboard", "edit", ""} // joiners[0] has it through g1, too
	d := setup(t, office(append(joiners, leavers...)))
	d.work()

	before := d.enqueue("csv", d.sheet("former.csv", former), "--wait", "--json").want(0).job()
	d.wantCounts(before, "succeeded", counts{Succeeded: len(former)})
	d.wantGiven(given{}.apply(former...))

	mixed := append(append(append(undone(former), fresh...), wide...), kept)
	rand.New(rand.NewPCG(2026, 11)).Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	during := d.enqueue("csv", d.sheet("mixed.csv", mixed), "--wait", "--json").want(0).job()
	d.wantCounts(during, "succeeded", counts{Succeeded: len(mixed)})
	d.wantGiven(given{}.apply(fresh...).apply(wide...).apply(kept))

	back := undone(append(fresh, kept))
	after := d.enqueue("csv", d.sheet("back.csv", back), "--wait", "--json").want(5).job()
	d.wantCounts(after, "partial", counts{Succeeded: len(fresh), Failed: 1})
	if r := d.results(after.ID)[len(back)+1]; r["result__code"] != "access_through_group" || r["result__api_code"] != "DeletePermission.UserBelongsToUsergroup.Error" {
		t.Errorf("the work that a group keeps for a user came back as %v", r)
	}
	d.wantGiven(given{}.apply(wide...).apply(kept))

	calls := d.wantLawful()
	sum := 0
	for _, n := range calls {
		sum += n
	}
	if sent := before.Calls.Sent + during.Calls.Sent + after.Calls.Sent; sum != sent {
		t.Errorf("Quick BI received %d calls, %v; %d are on record", sum, calls, sent)
	}
	if n := d.count("SELECT count(*) FROM answers a JOIN calls c ON c.id = a.call_id WHERE c.action = 'AddWorksAuthorization' AND a.result <> ''"); n != calls["AddWorksAuthorization"] {
		t.Errorf("%d ids of authorizations are kept of %d", n, calls["AddWorksAuthorization"])
	}
}

// TestOtherRole has members whose role is not the one asked for, above it and
// below it.
func TestOtherRole(t *testing.T) {
	t.Parallel()

	world := office(ids("u", 4))
	world.Workspaces[0].Members = map[string]int64{"u1": 30, "u2": 26, "u3": auditor}
	d := setup(t, world)
	d.work()
	rows := make([]change, 4)
	for i, u := range world.Users {
		rows[i] = change{grant, "user", u, "workspace", "ws1", "viewer", ""}
	}
	rows[0].role = "developer"
	file := d.sheet("members.csv", rows)

	first := d.enqueue("csv", file, "--wait", "--json").want(5).job()
	d.wantCounts(first, "partial", counts{Succeeded: 1, Failed: 3})
	results := d.results(first.ID)
	for line, roles := range map[int][]string{2: {"viewer", "developer"}, 3: {"developer", "viewer"}, 4: {"Auditor (role 9001)", "viewer"}} {
		r := results[line]
		want := fmt.Sprintf("as %s; asked for was %s", roles[0], roles[1])
		if r["result__code"] != "member_with_other_role" || r["result__api_code"] != "User.AlreadyIn.Workspace" || !strings.Contains(r["result__message"], want) {
			t.Errorf("line %d came back as %v, want %q", line, r, want)
		}
	}
	asIs := given{}
	asIs.apply(rows...)
	asIs[rows[0].key()], asIs[rows[1].key()], asIs[rows[2].key()] = "[30]", "[26]", fmt.Sprintf("[%d]", auditor)
	d.wantGiven(asIs)

	second := d.enqueue("csv", file, "--update-role", "--wait", "--json").want(0).job()
	d.wantCounts(second, "succeeded", counts{Succeeded: 3, NoChange: 1})
	if second.Replayed || second.ID == first.ID {
		t.Error("--update-role asks for more than the job before")
	}
	d.wantGiven(given{}.apply(rows...))
	if n := d.wantLawful()["UpdateWorkspaceUserRole"]; n != 3 {
		t.Errorf("%d roles were changed, want 3", n)
	}
}

// TestManyMembers has many people join in few calls, if the account may.
func TestManyMembers(t *testing.T) {
	t.Parallel()

	var rows []change
	users := ids("u", 40)
	for _, u := range users {
		rows = append(rows, change{grant, "user", u, "workspace", "ws1", "analyst", ""}, change{grant, "user", u, "workspace", "ws2", "viewer", ""})
	}
	for _, tt := range []struct {
		name    string
		refusal string // of AddWorkspaceUsers
		counts  counts
		calls   map[string]int
	}{
		{"together", "", counts{Succeeded: 79, Failed: 1}, map[string]int{"AddWorkspaceUsers": 2, "AddUserToWorkspace": 0}},
		{"one by one", "Access.Forbidden", counts{Succeeded: 79, Failed: 1}, map[string]int{"AddWorkspaceUsers": 2, "AddUserToWorkspace": 80}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			world := office(users)
			world.BatchRefusal = tt.refusal
			world.UserTypes = map[string]quickbitest.UserType{"u7": quickbitest.Viewer} // cannot be an analyst
			d := setup(t, world)
			d.work()
			job := d.enqueue("csv", d.sheet("members.csv", rows), "--wait", "--json").want(5).job()
			d.wantCounts(job, "partial", tt.counts)
			unfit := change{revoke, "user", "u7", "workspace", "ws1", "", ""}
			d.wantGiven(given{}.apply(rows...).apply(unfit))
			if r := d.results(job.ID)[2+2*6]; r["result__status"] != "failed" || r["result__message"] == "" {
				t.Errorf("the member whose seat does not allow the role came back as %v", r)
			}
			if diff := cmp.Diff(tt.calls, callsOf(d.wantLawful(), tt.calls)); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			if job := d.status(job.ID); len(job.Stopped) != 0 || d.count("SELECT count(*) FROM audit WHERE event = 'action.stopped'") != 0 {
				t.Error("an operation that the account may not use is reason for another one, not for a stop")
			}
		})
	}
}

// callsOf is what got has of the actions that want names.
func callsOf(got, want map[string]int) map[string]int {
	out := map[string]int{}
	for action := range want {
		out[action] = got[action]
	}
	return out
}
