package tasks_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
	"github.com/usher-bi/usher/internal/testenv"
)

// office is an organisation with works, groups and workspaces.
func office(users []string) quickbitest.Options {
	o := quickbitest.Options{
		Users: users, Organization: "org", Groups: map[string][]string{"g1": {}, "g2": {}},
		QAResources: ids("q", 3),
		Workspaces: []quickbitest.Workspace{
			{ID: "ws1", Roles: []quickbitest.Role{{ID: 9001, Name: "Auditor"}}}, {ID: "ws2"},
		},
	}
	for _, typ := range workTypes {
		o.Works = append(o.Works, quickbitest.Work{ID: "w-" + string(typ), Type: string(typ), Workspace: "ws1"})
	}
	return o
}

var workTypes = []access.ResourceType{
	access.Dashboard, access.Report, access.OfflineQuery, access.Cube, access.Datasource, access.Screen, access.Analysis, access.DataForm,
}

// give is a grant of anything to anybody.
func give(typ access.PrincipalType, principal string, resource access.Resource, role string) access.Change {
	c := access.Change{
		Operation: access.Grant, Principal: access.Principal{Type: typ, ID: principal}, Resource: resource, Terms: access.Terms{Role: role},
	}
	if c.TakesExpiry() {
		c.Terms.ExpiresOn = expiry
	}
	return c
}

func work(typ access.ResourceType) access.Resource {
	return access.Resource{Type: typ, ID: "w-" + string(typ)}
}

func shareOf(typ access.ResourceType) access.Resource {
	return access.Resource{Type: access.Share, ID: "w-" + string(typ)}
}

func place(workspace string) access.Resource {
	return access.Resource{Type: access.Membership, ID: workspace}
}

// everything is one of each: eight types, all principals, all levels, shares,
// memberships, Smart Q.
func everything(users []string) []access.Change {
	var out []access.Change
	roles := []string{access.RoleView, access.RoleViewExport, access.RoleEdit}
	for i, user := range users {
		typ := workTypes[i%len(workTypes)]
		out = append(out,
			give(access.User, user, work(typ), roles[i%3]),
			give(access.User, user, shareOf(workTypes[(i+1)%3]), roles[i%2]),
			give(access.User, user, place("ws1"), access.RoleViewer),
			change(access.Grant, user, access.QAResource, fmt.Sprintf("q%d", 1+i%3)),
		)
	}
	out = append(out,
		give(access.User, users[0], place("ws2"), "27"),
		give(access.Group, "g1", work(access.Report), access.RoleView),
		give(access.Group, "g2", shareOf(access.Report), access.RoleViewExport),
		give(access.Organization, "org", work(access.Dashboard), access.RoleEdit),
		give(access.Organization, "org", shareOf(access.Dashboard), access.RoleView),
		give(access.Workspace, "ws2", work(access.DataForm), access.RoleViewExport),
	)
	return out
}

// held lists all that Quick BI holds, in words.
func (w *world) held() []string {
	out := w.granted()
	for _, a := range w.sandbox.Authorizations() {
		out = append(out, fmt.Sprintf("work %s %s:%s %d %s ×%d", a.Resource, a.PrincipalType, a.Principal, a.Points, a.ExpiresOn, a.Times))
	}
	for _, s := range w.sandbox.Shares() {
		day := time.UnixMilli(s.ExpiresAt).UTC().Format(time.RFC3339)
		out = append(out, fmt.Sprintf("share %s %s:%s %d %s ×%d", s.Work, s.PrincipalType, s.Principal, s.Points, day, s.Times))
	}
	for _, m := range w.sandbox.Members() {
		out = append(out, fmt.Sprintf("member %s %s %v", m.Workspace, m.User, m.Roles))
	}
	slices.Sort(out)
	return out
}

// asHeld puts granted changes into the words of held.
func asHeld(changes []access.Change) []string {
	points := map[string]int{access.RoleView: 1, access.RoleViewExport: 3, access.RoleEdit: 11}
	roles := map[string]int64{access.RoleViewer: 30, access.RoleAnalyst: 27, "27": 27, access.RoleDeveloper: 26, "Auditor": 9001}
	out := []string{}
	for _, c := range changes {
		switch {
		case c.Resource.Type.IsWork():
			out = append(out, fmt.Sprintf("work %s %s:%s %d %s ×1", c.Resource.ID, c.Principal.Type, c.Principal.ID, points[c.Terms.Role], c.Terms.ExpiresOn))
		case c.Resource.Type == access.Share: // the last millisecond of the day in China
			out = append(out, fmt.Sprintf("share %s %s:%s %d 2099-12-31T15:59:59Z ×1", c.Resource.ID, c.Principal.Type, c.Principal.ID, points[c.Terms.Role]))
		case c.Resource.Type == access.Membership:
			out = append(out, fmt.Sprintf("member %s %s [%d]", c.Resource.ID, c.Principal.ID, roles[c.Terms.Role]))
		default:
			out = append(out, fmt.Sprintf("%s %s %s %s", c.Principal.ID, c.Resource.Type, c.Resource.ID, c.Terms.ExpiresOn))
		}
	}
	slices.Sort(out)
	return out
}

func (w *world) wantHeld(t *testing.T, changes []access.Change) {
	t.Helper()
	if diff := cmp.Diff(asHeld(changes), w.held()); diff != "" {
		t.Errorf("access at Quick BI (-want +got):\n%s", diff)
	}
}

func revokes(changes []access.Change) []access.Change {
	out := slices.Clone(changes)
	for i := range out {
		out[i].Operation, out[i].Terms = access.Revoke, access.Terms{}
	}
	return out
}

func TestEveryOperationInBothDirections(t *testing.T) {
	t.Parallel()
	users := ids("u", 16)
	w := setup(t, office(users))
	w.work(t)

	changes := everything(users)
	id := w.submit(t, changes)
	job := w.finish(t, id)
	if job.Outcome != store.OutcomeSucceeded || job.Counts.Succeeded != len(changes) {
		for _, r := range w.results(t, id) {
			if r.Status != store.Succeeded {
				t.Errorf("%+v: %s %s %s", r.Change, r.Status, r.Code, r.Message)
			}
		}
		t.Fatalf("%s, %+v", job.Outcome, job.Counts)
	}
	w.wantHeld(t, changes)
	if v := w.sandbox.Violations(); len(v) > 0 {
		t.Errorf("calls broke rules: %+v", v)
	}
	together := 0
	for _, c := range w.sandbox.Calls() {
		if c.Action == "AddWorkspaceUsers" {
			together++
		}
	}
	if together != 1 {
		t.Errorf("%d calls for 16 members of one workspace and role, want 1", together)
	}

	var back []access.Change
	for _, c := range changes {
		if !c.Resource.Type.IsWork() || c.Principal.Type == access.User { // the API cannot take the others back
			back = append(back, c)
		}
	}
	// The workspace's and the groups' own access would hinder personal revokes.
	id = w.submit(t, revokes(back))
	job = w.finish(t, id)
	for _, r := range w.results(t, id) {
		if r.Status != store.Succeeded && r.Code != "access_through_group" && r.Code != "access_through_workspace" {
			t.Errorf("revoke of %v: %s %s %s", r.Change.Pair(), r.Status, r.Code, r.Message)
		}
	}
	if job.Counts.Succeeded == 0 {
		t.Errorf("revokes: %s, %+v", job.Outcome, job.Counts)
	}
}

func TestAuthorizationIDIsKept(t *testing.T) {
	t.Parallel()
	w := setup(t, office(ids("u", 1)))
	w.work(t)
	w.finish(t, w.submit(t, []access.Change{give(access.User, "u1", work(access.Report), access.RoleEdit)}))
	authorization := w.sandbox.Authorizations()[0].ID
	var kept string
	if err := w.sql(t).QueryRow(t.Context(), `SELECT result FROM answers WHERE class = 'ok'`).Scan(&kept); err != nil || kept != authorization {
		t.Errorf("kept authorization id %q (%v), want %q", kept, err, authorization)
	}
}

func TestLostAnswersDoubleNothing(t *testing.T) {
	t.Parallel()
	users := ids("u", 24)
	o := office(users)
	o.RepeatedGrant = "duplicate" // a blind repeat would leave a second record
	o.Faults = []quickbitest.Fault{
		{Kind: quickbitest.LoseAnswer, Every: 6},
		{Kind: quickbitest.CutAnswer, Every: 11},
		{Kind: quickbitest.HTML, Every: 13, Status: 503},
		{Kind: quickbitest.Refuse, Every: 17},
		{Kind: quickbitest.Drop, Every: 19},
	}
	w := setup(t, o)
	w.work(t, func(o *tasks.Options) { o.MaxStrikes = 60 }) // nearly every second call fails

	var changes []access.Change
	for i, user := range users {
		changes = append(changes,
			give(access.User, user, work(workTypes[i%3]), access.RoleView),
			give(access.User, user, shareOf(workTypes[(i+1)%3]), access.RoleView))
	}
	id := w.submit(t, changes)
	job := w.finish(t, id)
	if job.Counts.Succeeded != len(changes) {
		t.Errorf("%s, %+v; with enough tries every change is settled", job.Outcome, job.Counts)
	}
	w.wantHeld(t, changes)
}

func TestRetryOfAnUnknownGrantLooksFirst(t *testing.T) {
	t.Parallel()
	o := office(ids("u", 1))
	o.RepeatedGrant = "duplicate"
	o.Faults = []quickbitest.Fault{
		{Kind: quickbitest.LoseAnswer, Action: "AddWorksAuthorization"},
		{Kind: quickbitest.Refuse, Action: "QuerySharesToUserList", Code: "Invalid.Parameter"}, // and looking does not help now
	}
	w := setup(t, o)
	w.work(t, func(o *tasks.Options) { o.MaxStrikes = 1 })
	changes := []access.Change{give(access.User, "u1", work(access.Report), access.RoleView)}
	id := w.submit(t, changes)
	if job := w.finish(t, id); job.Counts.Unknown != 1 {
		t.Fatalf("counts = %+v, want an unknown outcome", job.Counts)
	}
	w.sandbox.ClearFaults()
	out, err := w.submitter.Retry(t.Context(), tasks.RetryRequest{JobID: id, RequestedBy: "tester", Today: access.Date{Year: 2026, Month: 11, Day: 22}})
	if err != nil {
		t.Fatalf("Retry: %v", err)
	}
	if job := w.finish(t, out.JobID); job.Outcome != store.OutcomeSucceeded {
		t.Errorf("%s, %+v", job.Outcome, job.Counts)
	}
	w.wantHeld(t, changes)
}

func TestShareDoesNotPassForAnAuthorization(t *testing.T) {
	t.Parallel()
	o := office(ids("u", 1))
	w := setup(t, o)
	w.work(t)
	shared := []access.Change{give(access.User, "u1", shareOf(access.Report), access.RoleView)}
	w.finish(t, w.submit(t, shared))
	if err := w.sandbox.AddFaults(quickbitest.Fault{Kind: quickbitest.Drop, Action: "AddWorksAuthorization"}); err != nil {
		t.Fatal(err)
	}
	id := w.submit(t, []access.Change{give(access.User, "u1", work(access.Report), access.RoleView)})
	if job := w.finish(t, id); job.Counts.Succeeded != 0 {
		t.Errorf("%+v; the authorization was never carried out, though the work is on the user's list", job.Counts)
	}
	w.wantHeld(t, shared)
}

func TestRemovedAdministratorIsNotTenThousandFailures(t *testing.T) {
	t.Parallel()
	users := ids("u", 60)
	o := office(users)
	w := setup(t, o)
	w.work(t, func(o *tasks.Options) { o.Concurrency = 2 })
	// Somebody was served before, so there is somebody to ask about.
	if job := w.finish(t, w.submit(t, []access.Change{give(access.User, "u1", work(access.Report), access.RoleView)})); job.Outcome != store.OutcomeSucceeded {
		t.Fatalf("%s, %+v", job.Outcome, job.Counts)
	}
	if err := w.sandbox.AddFaults(quickbitest.Fault{Kind: quickbitest.Refuse, Code: "ApiUser.Not.Exists", Message: "The specified user does not exist."}); err != nil {
		t.Fatal(err)
	}
	var changes []access.Change
	for _, user := range users {
		changes = append(changes, give(access.User, user, work(access.Dashboard), access.RoleView))
	}
	id := w.submit(t, changes)
	testenv.Eventually(t, "the action is stopped", func() bool {
		stops, err := w.store.Stops(t.Context())
		return err == nil && len(stops) == 1
	})
	if job := w.job(t, id); job.Counts.Failed > 16 {
		t.Errorf("%d rows failed before anybody asked whether it is the account", job.Counts.Failed)
	}
	w.sandbox.ClearFaults()
	if job := w.finish(t, id); job.Counts.Succeeded < len(changes)-16 {
		t.Errorf("afterwards: %+v", job.Counts)
	}
}

func TestRevokesUnderARemovedAdministratorAreNotDone(t *testing.T) {
	t.Parallel()
	users := ids("u", 5)
	w := setup(t, office(users))
	stop := w.work(t)
	changes := grants(users, ids("q", 1))
	w.finish(t, w.submit(t, changes))
	stop()
	if err := w.sandbox.AddFaults(quickbitest.Fault{Kind: quickbitest.Refuse, Code: "User.Not.In.Organization"}); err != nil {
		t.Fatal(err)
	}
	id := w.submit(t, revokes(changes))
	w.work(t) // another worker, which has not seen the account work
	testenv.Eventually(t, "the action is stopped", func() bool {
		stops, err := w.store.Stops(t.Context())
		return err == nil && len(stops) == 1
	})
	if job := w.job(t, id); job.Counts.Pending != len(changes) {
		t.Errorf("counts = %+v; nothing was revoked", job.Counts)
	}
}

func TestManyWhoHaveLeftAreNoAccountProblem(t *testing.T) {
	t.Parallel()
	w := setup(t, office(ids("u", 1)))
	w.work(t)
	w.finish(t, w.submit(t, []access.Change{give(access.User, "u1", work(access.Report), access.RoleView)}))
	var changes []access.Change
	for _, user := range ids("left", 40) {
		changes = append(changes, give(access.User, user, work(access.Dashboard), access.RoleView))
	}
	if job := w.finish(t, w.submit(t, changes)); job.Counts.Failed != len(changes) {
		t.Errorf("counts = %+v, want every row failed for its user", job.Counts)
	}
	if stops, err := w.store.Stops(t.Context()); err != nil || len(stops) > 0 {
		t.Errorf("stops = %v (%v); nobody's account is at fault", stops, err)
	}
}
