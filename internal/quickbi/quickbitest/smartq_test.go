package quickbitest_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

// brief is a grant in one line.
func brief(grants []quickbitest.Grant) []string {
	out := make([]string, 0, len(grants))
	for _, g := range grants {
		out = append(out, fmt.Sprintf("%s %s:%s %s x%d", g.User, g.Kind, g.Resource, g.ExpiresOn, g.Times))
	}
	return out
}

func (b *bench) wantGrants(want ...string) {
	b.t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), brief(b.Grants())); diff != "" {
		b.t.Errorf("grants (-want +got):\n%s", diff)
	}
}

func TestGrantAndRevoke(t *testing.T) {
	t.Parallel()

	b := setup(t, organisation())
	first := b.call(grant("u1,u2", "LlmCubes=r1,r2&LlmCubeThemes=t1"))
	first.want(t, "")
	b.wantGrants(
		"u1 qa_resource:r1 2026-12-31 x1", "u1 qa_resource:r2 2026-12-31 x1", "u1 qa_theme:t1 2026-12-31 x1",
		"u2 qa_resource:r1 2026-12-31 x1", "u2 qa_resource:r2 2026-12-31 x1", "u2 qa_theme:t1 2026-12-31 x1",
	)
	b.turn(time.Hour)
	again := b.call("OperationType=0&UserIds=u1&LlmCubes=r1&ExpireDay=2027-01-31")
	again.want(t, "")
	want := quickbitest.Grant{
		User: "u1", Kind: quickbitest.QAResource, Resource: "r1", ExpiresOn: "2027-01-31",
		GrantedAt: start.Add(time.Hour), Times: 2, RequestID: again.doc.RequestID,
	}
	if diff := cmp.Diff(want, b.Grants()[0]); diff != "" {
		t.Errorf("granted again (-want +got):\n%s", diff)
	}
	b.call(revoke("u1,u2", "LlmCubes=r1&LlmCubeThemes=t1")).want(t, "")
	b.wantGrants("u1 qa_resource:r2 2026-12-31 x1", "u2 qa_resource:r2 2026-12-31 x1")
	silent := b.call(revoke("u1,u3", "LlmCubes=r1"))
	silent.want(t, "")
	if len(silent.doc.Result) > 0 {
		t.Errorf("revoking nothing said %+v", silent.doc.Result)
	}
}

func TestAnswerShape(t *testing.T) {
	t.Parallel()

	b := setup(t, organisation())
	r := b.call(grant("u1", "LlmCubes=r1"))
	id := r.doc.RequestID
	if !regexp.MustCompile(`^[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}$`).MatchString(id) {
		t.Errorf("request id = %q", id)
	}
	if got, want := string(r.body), `{"RequestId":"`+id+`","Result":[],"Success":true}`; got != want {
		t.Errorf("body = %s, want %s", got, want)
	}
	if r.header.Get("X-Acs-Request-Id") != id || !strings.HasPrefix(r.header.Get("Content-Type"), "application/json") {
		t.Errorf("header = %v", r.header)
	}
	bad := b.call("OperationType=0&UserIds=u1")
	host := strings.TrimPrefix(b.http.URL, "http://")
	want := document{
		RequestID: bad.doc.RequestID, HostID: host, Code: "Invalid.Parameter.Error",
		Message: "The parameter is invalid:LlmCubes, LlmCubeThemes and CubeIds are all missing",
	}
	if diff := cmp.Diff(want, bad.doc); diff != "" || bad.status != http.StatusBadRequest {
		t.Errorf("refusal, status %d (-want +got):\n%s", bad.status, diff)
	}
	if bad.doc.RequestID == id {
		t.Error("two calls share a request id")
	}
}

func TestParameters(t *testing.T) {
	t.Parallel()

	const invalid = "Invalid.Parameter.Error"
	tests := []struct {
		name, params, want string
	}{
		{"form of a grant", grant("u1", "LlmCubes=r1"), ""},
		{"today", "OperationType=0&UserIds=u1&LlmCubes=r1&ExpireDay=2026-03-10", ""},
		{"no operation", "UserIds=u1&LlmCubes=r1", "MissingOperationType"},
		{"unknown operation", "OperationType=2&UserIds=u1&LlmCubes=r1", invalid},
		{"operation as a word", "OperationType=grant&UserIds=u1&LlmCubes=r1", invalid},
		{"no users", "OperationType=0&LlmCubes=r1", "MissingUserIds"},
		{"empty users", "OperationType=0&UserIds=&LlmCubes=r1", invalid},
		{"empty id", grant("u1,,u2", "LlmCubes=r1"), invalid},
		{"comma at the end", grant("u1", "LlmCubes=r1,"), invalid},
		{"space in an id", grant("u1,%20u2", "LlmCubes=r1"), invalid},
		{"user twice", grant("u1,u1", "LlmCubes=r1"), invalid},
		{"resource twice", grant("u1", "LlmCubes=r1,r1"), invalid},
		{"dataset twice", grant("u1", "CubeIds=d1,d1"), invalid},
		{"no resources", "OperationType=0&UserIds=u1", invalid},
		{"empty resources beside others", grant("u1", "LlmCubes=r1&LlmCubeThemes="), invalid},
		{"misspelt parameter", grant("u1", "LlmCubeTheme=t1"), invalid},
		{"odd parameter", grant("u1", "LlmCubes=r1&a%2Ab%20c=~"), invalid},
		{"parameter twice", grant("u1", "LlmCubes=r1&LlmCubes=r2"), invalid},
		{"day of another form", "OperationType=0&UserIds=u1&LlmCubes=r1&ExpireDay=20261231", "Date.Format.Error"},
		{"no such day", "OperationType=0&UserIds=u1&LlmCubes=r1&ExpireDay=2026-02-30", "Date.Format.Error"},
		{"yesterday", "OperationType=0&UserIds=u1&LlmCubes=r1&ExpireDay=2026-03-09", "Share.ExpireDate.Error"},
		{"yesterday on a revoke", "OperationType=1&UserIds=u1&LlmCubes=r1&ExpireDay=2026-03-09", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			b := setup(t, organisation())
			b.call(tt.params).want(t, tt.want)
			if tt.want == "" {
				return
			}
			b.wantGrants()
			if v := b.Violations(); len(v) != 1 || v[0].Violation != quickbitest.RuleParameters {
				t.Errorf("violations = %+v", v)
			}
		})
	}
}

func TestFormBody(t *testing.T) {
	t.Parallel()

	b := setup(t, organisation())
	r := b.signed("OperationType=0")
	seal(r, sealing{date: b.now(), nonce: "n1", body: "UserIds=u1%2Cu2&CubeIds=d1&ExpireDay=2026-04-01"})
	b.do(r).want(t, "")
	b.wantGrants("u1 qa_resource:r1 2026-04-01 x1", "u2 qa_resource:r1 2026-04-01 x1")

	r = b.signed("OperationType=0")
	seal(r, sealing{date: b.now(), nonce: "n2", body: "OperationType=1&UserIds=u1&CubeIds=d1"})
	b.do(r).want(t, "Invalid.Parameter.Error")

	r = b.signed("OperationType=1")
	seal(r, sealing{date: b.now(), nonce: "n3", body: `{"UserIds":"u1"}`})
	b.do(r).want(t, "Invalid.Parameter.Error")

	r = b.signed("OperationType=1")
	seal(r, sealing{date: b.now(), nonce: "n4", body: "UserIds=" + strings.Repeat("u", 1<<20)})
	b.do(r).want(t, "InvalidBody")
}

// many returns the ids x0, x1, …
func many(n int) string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("x%d", i)
	}
	return strings.Join(ids, ",")
}

func TestAHundredPairs(t *testing.T) {
	t.Parallel()

	tests := []struct {
		name, users, resources, want string
		pairs                        int
	}{
		{"100 users", many(100), "LlmCubes=r1", "", 100},
		{"101 users", many(101), "LlmCubes=r1", "Invalid.Parameter.Error", 101},
		{"all lists count", many(25), "LlmCubes=r1,r2&LlmCubeThemes=t1&CubeIds=d9", "", 100},
		{"one more", many(25), "LlmCubes=r1,r2&LlmCubeThemes=t1&CubeIds=d1,d9", "Invalid.Parameter.Error", 125},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			o := organisation()
			o.Users = strings.Split(tt.users, ",")
			b := setup(t, o)
			b.call(grant(tt.users, tt.resources)).want(t, tt.want)
			if got := b.MaxPairsSeen(); got != tt.pairs {
				t.Errorf("MaxPairsSeen() = %d, want %d", got, tt.pairs)
			}
			granted, broken := tt.pairs, 0
			if tt.want != "" {
				granted, broken = 0, 1
			}
			if got := len(b.Grants()); got != granted {
				t.Errorf("%d grants, want %d", got, granted)
			}
			if v := b.Violations(); len(v) != broken || (broken == 1 && v[0].Violation != quickbitest.RulePairs) {
				t.Errorf("violations = %+v", v)
			}
		})
	}
}

func TestFailureRows(t *testing.T) {
	t.Parallel()

	const noUser = "AE0550010002: The user does not exist in the organization."
	const noResource = "AE0550010007: The Q&A resource does not exist."
	tests := []struct {
		name, params string
		want         []failedPair
		granted      []string
	}{
		{
			"a user who left", grant("u1,gone", "LlmCubes=r1&LlmCubeThemes=t1"),
			[]failedPair{{"gone", "r1", "", noUser}, {"gone", "", "t1", noUser}},
			[]string{"u1 qa_resource:r1 2026-12-31 x1", "u1 qa_theme:t1 2026-12-31 x1"},
		},
		{
			"unknown resources", grant("u1", "LlmCubes=r1,nil&LlmCubeThemes=r2"),
			[]failedPair{{"u1", "", "r2", noResource}, {"u1", "nil", "", noResource}},
			[]string{"u1 qa_resource:r1 2026-12-31 x1"},
		},
		{
			"a dataset is named by its Q&A resource", grant("u1,gone", "CubeIds=d9"),
			[]failedPair{{"gone", "r9", "", noUser}},
			[]string{"u1 qa_resource:r9 2026-12-31 x1"},
		},
		{
			"a dataset without Q&A resource has no name", grant("u1", "CubeIds=d9,d5"),
			[]failedPair{{"u1", "", "", noResource}},
			[]string{"u1 qa_resource:r9 2026-12-31 x1"},
		},
		{
			"revoking from a user who left", revoke("gone", "LlmCubes=r1"),
			[]failedPair{{"gone", "r1", "", noUser}},
			nil,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			b := setup(t, organisation())
			r := b.call(tt.params)
			r.want(t, "")
			if diff := cmp.Diff(sorted(tt.want), sorted(r.doc.Result)); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
			b.wantGrants(tt.granted...)
			if c := b.Calls()[0]; c.Failed != len(tt.want) || !c.Applied || c.Violation != "" {
				t.Errorf("call = %+v", c)
			}
		})
	}
}

func TestMissingRefusesTheWholeCall(t *testing.T) {
	t.Parallel()

	user := func(m quickbitest.Missing) quickbitest.Options { o := organisation(); o.MissingUser = m; return o }
	resource := func(m quickbitest.Missing) quickbitest.Options {
		o := organisation()
		o.MissingResource = m
		return o
	}
	const noUser, noObject = "User.Not.In.Organization", "Application.Object.NotExist"
	tests := []struct {
		name         string
		options      quickbitest.Options
		params, code string
		message      string
	}{
		{"user", user(quickbitest.MissingRefusal), grant("u1,gone", "LlmCubes=r1"), noUser, "The specified user is not in the organizational unit."},
		{"user by name", user(quickbitest.MissingRefusalNaming), grant("u1,gone", "LlmCubes=r1"), noUser, "The specified user gone is not in the organizational unit."},
		{"resource", resource(quickbitest.MissingRefusal), grant("u1", "LlmCubes=r1,nil"), noObject, "The specified object does not exist or has been deleted."},
		{"dataset by name", resource(quickbitest.MissingRefusalNaming), grant("u1", "CubeIds=d1,d5"), noObject, "The specified object d5 does not exist or has been deleted."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			b := setup(t, tt.options)
			r := b.call(tt.params)
			r.want(t, tt.code)
			if r.doc.Message != tt.message || r.status != http.StatusBadRequest {
				t.Errorf("answer = %d %q, want 400 %q", r.status, r.doc.Message, tt.message)
			}
			b.wantGrants()
			if c := b.Calls()[0]; c.Applied || c.Violation != "" || c.Code != tt.code {
				t.Errorf("call = %+v", c)
			}
			b.call(grant("u1", "LlmCubes=r1")).want(t, "")
		})
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()

	b := setup(t, organisation())
	b.call("OperationType=0&UserIds=u1&LlmCubes=r1").want(t, "")
	b.wantGrants("u1 qa_resource:r1 2026-03-17 x1") // seven days when nothing is said
	b.call("OperationType=0&UserIds=u2&LlmCubes=r1&ExpireDay=2026-03-10").want(t, "")

	b.turn(5*time.Hour + 29*time.Minute + 59*time.Second) // 23:59:59 in China
	b.wantGrants("u1 qa_resource:r1 2026-03-17 x1", "u2 qa_resource:r1 2026-03-10 x1")
	b.turn(time.Second)
	b.wantGrants("u1 qa_resource:r1 2026-03-17 x1")
	b.call("OperationType=0&UserIds=u2&LlmCubes=r1&ExpireDay=2026-03-10").want(t, "Share.ExpireDate.Error")
	b.call("OperationType=0&UserIds=u2&LlmCubes=r1").want(t, "")
	b.wantGrants("u1 qa_resource:r1 2026-03-17 x1", "u2 qa_resource:r1 2026-03-18 x1") // a new beginning
}

func TestExpiryElsewhere(t *testing.T) {
	t.Parallel()

	o := organisation()
	o.Location = time.UTC
	b := setup(t, o)
	b.turn(12 * time.Hour) // 22:30 in UTC and tomorrow in China
	b.call("OperationType=0&UserIds=u1&LlmCubes=r1&ExpireDay=2026-03-10").want(t, "")
	b.wantGrants("u1 qa_resource:r1 2026-03-10 x1")
}

func TestLeavingLosesGrants(t *testing.T) {
	t.Parallel()

	b := setup(t, organisation())
	b.call(grant("u1,u2", "LlmCubes=r1,r2&LlmCubeThemes=t1")).want(t, "")
	b.RemoveUsers("u2")
	b.RemoveResources("r1", "t1")
	b.wantGrants("u1 qa_resource:r2 2026-12-31 x1")
	b.AddUsers("u2")
	b.AddResources(quickbitest.Resources{Datasets: map[string]string{"d1": "r1"}})
	b.wantGrants("u1 qa_resource:r2 2026-12-31 x1")
	b.call(grant("u2", "CubeIds=d1")).want(t, "")
	b.wantGrants("u1 qa_resource:r2 2026-12-31 x1", "u2 qa_resource:r1 2026-12-31 x1")
}

func TestNilOptionsAreAnEmptyOrganisation(t *testing.T) {
	t.Parallel()

	s := quickbitest.New(nil)
	if len(s.Grants()) != 0 || len(s.Calls()) != 0 || s.MaxPairsSeen() != 0 {
		t.Error("an empty organisation is not empty")
	}
}
