package e2e_test

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

// change is one row of a file with all columns that a change has. Row i of a
// file is on line i+2.
type change struct{ action, principalType, principal, resourceType, resource, role, expires string }

// The types of work that access is given to, those first which the published
// list of a user's works can hold.
var (
	listedTypes = []string{"dashboard", "report", "dashboardOfflineQuery", "dataForm"}
	workTypes   = append(slices.Clone(listedTypes), "cube", "datasource", "screen", "ANALYSIS")
)

// auditor is a role that the workspace ws1 of every office has of its own.
const auditor = 9001

// office is an organisation in which users can be given one of everything:
// works own-… and wide-… of each type, a portal, Q&A resources, workspaces. The
// first user is in the group g1.
func office(users []string) quickbitest.Options {
	o := quickbitest.Options{
		Users: users, Organization: "org", Groups: map[string][]string{"g1": users[:1], "g2": {}},
		QAResources: ids("q", 3), QAThemes: ids("t", 3), Datasets: map[string]string{},
		Workspaces: []quickbitest.Workspace{
			{ID: "ws1", Roles: []quickbitest.Role{{ID: auditor, Name: "Auditor"}}}, {ID: "ws2"}, {ID: "ws3"},
		},
		Works: []quickbitest.Work{{ID: "portal", Type: quickbitest.TypePortal}},
	}
	for _, id := range ids("d", 3) {
		o.Datasets[id] = behind(id)
	}
	for _, typ := range workTypes {
		o.Works = append(o.Works, quickbitest.Work{ID: "own-" + typ, Type: typ}, quickbitest.Work{ID: "wide-" + typ, Type: typ})
	}
	return o
}

// lasting fills in when the grants of changes that end are to end, and nothing
// where they do not.
func lasting(day string, changes ...change) []change {
	for i, c := range changes {
		if c.resourceType != "workspace" && c.role != "edit" {
			changes[i].expires = day
		}
	}
	return changes
}

// undone is the revokes that take changes back.
func undone(changes []change) []change {
	out := make([]change, len(changes))
	for i, c := range changes {
		out[i] = c
		out[i].action, out[i].role, out[i].expires = revoke, "", ""
	}
	return out
}

// sheet writes changes as a CSV file and returns its path.
func (d *deployment) sheet(name string, changes []change) string {
	d.t.Helper()
	var text strings.Builder
	out := csv.NewWriter(&text)
	_ = out.Write([]string{"action", "principal_type", "principal", "resource_type", "resource_id", "role", "expires_on"})
	for _, c := range changes {
		_ = out.Write([]string{c.action, c.principalType, c.principal, c.resourceType, c.resource, c.role, c.expires})
	}
	out.Flush() // a builder takes everything
	return d.write(name, text.String())
}

// given is all that Quick BI has in force, in words: by what was given to whom,
// on which terms.
type given map[string]string

// apply changes g as carrying out changes would, in their order.
func (g given) apply(changes ...change) given {
	for _, c := range changes {
		if delete(g, c.key()); c.action == grant {
			g[c.key()] = c.terms()
		}
	}
	return g
}

func (c change) key() string {
	kind, id := c.resourceType, c.resource
	switch {
	case kind == dataset:
		kind, id = qaResource, behind(id)
	case slices.Contains(workTypes, kind):
		kind = "work " + kind
	}
	return fmt.Sprintf("%s %s to %s %s", kind, id, c.principalType, c.principal)
}

// terms are those of a grant, as [sandbox.given] words them.
func (c change) terms() string {
	switch c.resourceType {
	case "share": // to the end of the day where Quick BI counts days
		return c.role + " until " + c.expires + "T23:59:59.999+08:00"
	case "workspace":
		ids := map[string]int{"admin": 25, "developer": 26, "analyst": 27, "viewer": 30, "27": 27, "Auditor": auditor}
		return fmt.Sprint([]int{ids[c.role]})
	default:
		return c.role + " until " + c.expires
	}
}

// given reads what is in force. It tells an authorization or a share that was
// applied twice from one that was applied once, and two from one.
func (s *sandbox) given() given {
	s.t.Helper()
	var grants []quickbitest.Grant
	var authorizations []quickbitest.Authorization
	var shares []quickbitest.Share
	var members []quickbitest.Member
	s.read("state", &grants)
	s.read("works", &authorizations)
	s.read("shares", &shares)
	s.read("members", &members)

	out := given{}
	add := func(c change, terms string, times int) {
		if times > 1 {
			terms += fmt.Sprintf(", applied %d times", times)
		}
		if other, there := out[c.key()]; there {
			terms = other + " and " + terms
		}
		out[c.key()] = terms
	}
	level := map[int]string{1: "view", 3: "view_export", 11: "edit"}
	china := time.FixedZone("", 8*60*60)
	for _, g := range grants {
		add(change{principalType: "user", principal: g.User, resourceType: string(g.Kind), resource: g.Resource}, " until "+g.ExpiresOn, 1)
	}
	for _, a := range authorizations {
		c := change{principalType: string(a.PrincipalType), principal: a.Principal, resourceType: a.ResourceType, resource: a.Resource}
		add(c, level[a.Points]+" until "+a.ExpiresOn, a.Times)
	}
	for _, h := range shares {
		until := time.UnixMilli(h.ExpiresAt).In(china).Format("2006-01-02T15:04:05.000Z07:00")
		c := change{principalType: string(h.PrincipalType), principal: h.Principal, resourceType: "share", resource: h.Work}
		add(c, level[h.Points]+" until "+until, h.Times)
	}
	for _, m := range members {
		add(change{principalType: "user", principal: m.User, resourceType: "workspace", resource: m.Workspace}, fmt.Sprint(m.Roles), 1)
	}
	return out
}

// wantGiven compares all that Quick BI has with what it should have.
func (d *deployment) wantGiven(want given) {
	d.t.Helper()
	if diff := cmp.Diff(want, d.sandbox.given()); diff != "" {
		d.t.Errorf("in force at Quick BI (-want +got):\n%s", diff)
	}
}

// wantLawful fails the test if a call broke a rule that the worker could have
// kept, and returns how many calls there were by action.
func (d *deployment) wantLawful() map[string]int {
	d.t.Helper()
	byAction := map[string]int{}
	for _, c := range d.sandbox.calls() {
		if byAction[c.Action]++; c.Violation != "" {
			d.t.Errorf("a call of %s with %v breaks %q", c.Action, c.Params, c.Violation)
		}
	}
	return byAction
}
