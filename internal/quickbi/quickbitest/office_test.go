package quickbitest_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

// office is an organisation with works, groups and workspaces, and one user of
// every seat.
func office() quickbitest.Options {
	o := organisation()
	o.Users = append(o.Users, "viewer", "analyst", "boss")
	o.UserTypes = map[string]quickbitest.UserType{"viewer": quickbitest.Viewer, "analyst": quickbitest.Analyst}
	o.Organization = "org"
	o.Groups = map[string][]string{"g1": {"u2"}, "g2": {}}
	o.Workspaces = []quickbitest.Workspace{
		{
			ID: "s1", Name: "Sales", Owner: "boss", Members: map[string]int64{"u3": quickbitest.RoleViewer},
			Roles: []quickbitest.Role{{ID: 900, Code: "role_editor", Name: "Editor"}, {ID: 901, Name: "Auditor", ForbidAnalysts: true}},
		},
		{ID: "s2", AllowShare: new(false), Roles: []quickbitest.Role{{ID: 902}}},
		{ID: "foreign", Foreign: true},
		{ID: "personal", Personal: true},
	}
	o.Works = []quickbitest.Work{
		{ID: "w1", Type: quickbitest.TypeDashboard, Workspace: "s1"},
		{ID: "w2", Type: quickbitest.TypeReport, Workspace: "s1"},
		{ID: "w3", Type: quickbitest.TypeScreen, Workspace: "s2"},
		{ID: "c1", Type: quickbitest.TypeCube, Workspace: "s1"},
		{ID: "d1", Type: quickbitest.TypeDatasource},
		{ID: "p1", Type: quickbitest.TypePortal},
	}
	return o
}

// with returns the office after a change.
func with(change func(*quickbitest.Options)) quickbitest.Options {
	o := office()
	change(&o)
	return o
}

// loose is an answer of any action, with Result and Success as they came.
type loose struct {
	reply

	code, message   string
	result, success any
}

// on sends a call of any action.
func (b *bench) on(action, params string) loose {
	b.t.Helper()
	r := b.do(b.signedFor(action, params))
	var doc struct {
		Code, Message   string
		Result, Success any
	}
	_ = json.Unmarshal(r.body, &doc) //nolint:musttag // the API's names are spelled like the fields
	return loose{reply: r, code: doc.Code, message: doc.Message, result: doc.Result, success: doc.Success}
}

// id is a Result that is one, or nothing.
func (l loose) id() string {
	id, _ := l.result.(string)
	return id
}

// items is a Result that is a list of objects, or nothing.
func (l loose) items() []map[string]any {
	list, _ := l.result.([]any)
	out := make([]map[string]any, len(list))
	for i := range list {
		out[i], _ = list[i].(map[string]any)
	}
	return out
}

// answers fails the test unless the call has this code; "" is a success.
func (b *bench) answers(action, params, code string) loose {
	b.t.Helper()
	r := b.on(action, params)
	if r.err != nil || r.code != code || (code == "") != (fmt.Sprint(r.success) == "true") {
		b.t.Fatalf("%s?%s = %d %s %v, want code %q", action, params, r.status, r.body, r.err, code)
	}
	return r
}

// same fails the test unless got, which came from JSON, spells like want.
func same(t *testing.T, what string, want string, got any) {
	t.Helper()
	text, err := json.Marshal(got)
	if diff := cmp.Diff(want, string(text)); diff != "" || err != nil {
		t.Errorf("%s: %v (-want +got):\n%s", what, err, diff)
	}
}

func (b *bench) wantAuthorizations(want ...string) {
	b.t.Helper()
	got := []string{}
	for _, a := range b.Authorizations() {
		got = append(got, fmt.Sprintf("%s:%s %s:%s %d %s x%d", a.ResourceType, a.Resource, a.PrincipalType, a.Principal, a.Points, a.ExpiresOn, a.Times))
	}
	if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
		b.t.Errorf("authorizations (-want +got):\n%s", diff)
	}
}

func (b *bench) wantShares(want ...string) {
	b.t.Helper()
	got := []string{}
	for _, s := range b.Shares() {
		got = append(got, fmt.Sprintf("%s %s:%s %d %d x%d", s.Work, s.PrincipalType, s.Principal, s.Points, s.ExpiresAt, s.Times))
	}
	if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
		b.t.Errorf("shares (-want +got):\n%s", diff)
	}
}

func (b *bench) wantMembers(want ...string) {
	b.t.Helper()
	got := []string{}
	for _, m := range b.Members() {
		got = append(got, fmt.Sprintf("%s %s %v x%d", m.Workspace, m.User, m.Roles, m.Times))
	}
	if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
		b.t.Errorf("members (-want +got):\n%s", diff)
	}
}

// refusal is one call that is refused, whoever is to blame.
type refused struct {
	name, params, code string
	violates           bool // a rule that the caller could have kept
}

// refuses tries calls of one action against the office, each of which must
// change nothing.
func refuses(t *testing.T, action string, tests []refused) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			b := setup(t, office())
			before := b.Members()
			r := b.answers(action, tt.params, tt.code)
			if c := b.Calls()[0]; c.Applied || (c.Violation != "") != tt.violates || c.Status != r.status {
				t.Errorf("call = %+v", c)
			}
			b.wantAuthorizations()
			b.wantShares()
			if diff := cmp.Diff(before, b.Members()); diff != "" {
				t.Errorf("members changed:\n%s", diff)
			}
		})
	}
}
