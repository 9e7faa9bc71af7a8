package quickbitest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

const (
	addAuthorization    = "AddWorksAuthorization"
	deleteAuthorization = "DeleteAuthorizationByUserId"
)

func authorize(work, scope, who, terms string) string {
	kind, id, _ := strings.Cut(work, ":")
	return "ResourceType=" + kind + "&ResourceId=" + id + "&AuthorizeScope=" + scope + "&AuthorizedId=" + who + "&" + terms
}

const untilApril = "AuthPoints=1&ExpireDay=2026-04-01"

func unauthorize(work, user string) string {
	kind, id, _ := strings.Cut(work, ":")
	return "ResourceType=" + kind + "&ResourceId=" + id + "&QbiUserId=" + user
}

func TestAuthorizeEveryPrincipal(t *testing.T) {
	t.Parallel()

	b := setup(t, office())
	b.answers(addAuthorization, authorize("dashboard:w1", "3", "s2", "AuthPoints=11"), "")
	b.answers(addAuthorization, authorize("dashboard:w1", "2", "org", "AuthPoints=11&ExpireDay=yesterday"), "") // not looked at
	b.answers(addAuthorization, authorize("dashboard:w1", "1", "g1", "AuthPoints=3&ExpireDay=2026-03-11"), "")
	first := b.answers(addAuthorization, authorize("dashboard:w1", "0", "u1", untilApril), "")
	b.wantAuthorizations(
		"dashboard:w1 user:u1 1 2026-04-01 x1", "dashboard:w1 group:g1 3 2026-03-11 x1",
		"dashboard:w1 organization:org 11  x1", "dashboard:w1 workspace:s2 11  x1",
	)
	want := quickbitest.Authorization{
		ID: first.id(), ResourceType: "dashboard", Resource: "w1", PrincipalType: quickbitest.PrincipalUser, Principal: "u1",
		Points: 1, ExpiresOn: "2026-04-01", GrantedAt: start, Times: 1, RequestID: first.doc.RequestID,
	}
	if diff := cmp.Diff(want, b.Authorizations()[0]); diff != "" || want.ID == "" {
		t.Errorf("authorization (-want +got):\n%s", diff)
	}
	if c := b.Calls()[3]; c.Users != 1 || c.Resources != 1 || c.Pairs != 1 || !c.Applied {
		t.Errorf("call = %+v", c)
	}
}

func TestAuthorizationsExpire(t *testing.T) {
	t.Parallel()

	b := setup(t, office())
	b.answers(addAuthorization, authorize("cube:c1", "0", "u1", "AuthPoints=1&ExpireDay=2026-03-11"), "")
	b.answers(addAuthorization, authorize("cube:c1", "0", "u2", "AuthPoints=11"), "")
	b.turn(29*time.Hour + 29*time.Minute + 59*time.Second) // 23:59:59 of that day in China
	b.wantAuthorizations("cube:c1 user:u1 1 2026-03-11 x1", "cube:c1 user:u2 11  x1")
	b.turn(time.Second)
	b.wantAuthorizations("cube:c1 user:u2 11  x1")
	b.answers(addAuthorization, authorize("cube:c1", "0", "u1", untilApril), "")
	b.wantAuthorizations("cube:c1 user:u1 1 2026-04-01 x1", "cube:c1 user:u2 11  x1") // a new beginning
}

func TestRefusedAuthorizations(t *testing.T) {
	t.Parallel()

	const invalid = "Invalid.Parameter.Error"
	ok := authorize("dashboard:w1", "0", "u1", untilApril)
	refuses(t, addAuthorization, []refused{
		{"no such work", authorize("dashboard:w9", "0", "u1", untilApril), "Work.Not.Exist", false},
		{"a work of another type", authorize("report:w1", "0", "u1", untilApril), "Work.Not.Exist", false},
		{"no such user", authorize("dashboard:w1", "0", "gone", untilApril), "User.Not.In.Organization", false},
		{"a group as a user", authorize("dashboard:w1", "0", "g1", untilApril), "User.Not.In.Organization", false},
		{"no such group", authorize("dashboard:w1", "1", "g9", untilApril), invalid, false},
		{"no such organisation", authorize("dashboard:w1", "2", "s1", untilApril), "Invalid.Organization", false},
		{"no such workspace", authorize("dashboard:w1", "3", "org", untilApril), invalid, false},
		{"today", authorize("dashboard:w1", "0", "u1", "AuthPoints=1&ExpireDay=2026-03-10"), invalid, true},
		{"no day", authorize("dashboard:w1", "0", "u1", "AuthPoints=3"), invalid, true},
		{"milliseconds", authorize("dashboard:w1", "0", "u1", "AuthPoints=1&ExpireDay=1893456000000"), invalid, true},
		{"no such day", authorize("dashboard:w1", "0", "u1", "AuthPoints=1&ExpireDay=2026-02-30"), invalid, true},
		{"points", authorize("dashboard:w1", "0", "u1", "AuthPoints=2&ExpireDay=2026-04-01"), invalid, true},
		{"points as a word", authorize("dashboard:w1", "0", "u1", "AuthPoints=view&ExpireDay=2026-04-01"), invalid, true},
		{"scope", authorize("dashboard:w1", "4", "u1", untilApril), invalid, true},
		{"type", authorize("PAGE:w1", "0", "u1", untilApril), invalid, true},
		{"a type that can only be shared", authorize("DATAPRODUCT:p1", "0", "u1", untilApril), invalid, true},
		{"a list of users", authorize("dashboard:w1", "0", "u1,u2", untilApril), invalid, true},
		{"unknown parameter", ok + "&UserId=u1", invalid, true},
		{"empty parameter", authorize("dashboard:w1", "0", "u1", "AuthPoints=11&ExpireDay="), invalid, true},
		{"parameter twice", ok + "&AuthPoints=1", invalid, true},
		{"no type", "ResourceId=w1&AuthorizeScope=0&AuthorizedId=u1&AuthPoints=11", "MissingResourceType", true},
		{"no work", "ResourceType=cube&AuthorizeScope=0&AuthorizedId=u1&AuthPoints=11", "MissingResourceId", true},
		{"no scope", "ResourceType=cube&ResourceId=c1&AuthorizedId=u1&AuthPoints=11", "MissingAuthorizeScope", true},
		{"no principal", "ResourceType=cube&ResourceId=c1&AuthorizeScope=0&AuthPoints=11", "MissingAuthorizedId", true},
		{"no points", "ResourceType=cube&ResourceId=c1&AuthorizeScope=0&AuthorizedId=u1", "MissingAuthPoints", true},
	})
}

func TestEveryTypeCanBeAuthorized(t *testing.T) {
	t.Parallel()

	b := setup(t, office())
	for _, kind := range []string{"dashboard", "report", "dashboardOfflineQuery", "cube", "datasource", "screen", "ANALYSIS", "dataForm"} {
		if err := b.AddWorks(quickbitest.Work{ID: "x-" + kind, Type: kind}); err != nil {
			t.Fatal(err)
		}
		b.answers(addAuthorization, authorize(kind+":x-"+kind, "0", "u1", untilApril), "")
		b.answers(deleteAuthorization, unauthorize(kind+":x-"+kind, "u1"), "")
	}
	b.wantAuthorizations()
}

func TestRepeatedAuthorization(t *testing.T) {
	t.Parallel()

	tests := []struct {
		how  quickbitest.Repeat
		code string
		want []string
	}{
		{"", "", []string{"dashboard:w1 user:u1 11  x2"}},
		{quickbitest.RepeatOverwrite, "", []string{"dashboard:w1 user:u1 11  x2"}},
		{quickbitest.RepeatDuplicate, "", []string{"dashboard:w1 user:u1 1 2026-04-01 x1", "dashboard:w1 user:u1 11  x1"}},
		{quickbitest.RepeatRefuse, "Invalid.Parameter.Error", []string{"dashboard:w1 user:u1 1 2026-04-01 x1"}},
	}
	for _, tt := range tests {
		t.Run("as "+string(tt.how), func(t *testing.T) {
			t.Parallel()

			b := setup(t, with(func(o *quickbitest.Options) { o.RepeatedGrant = tt.how }))
			first := b.answers(addAuthorization, authorize("dashboard:w1", "0", "u1", untilApril), "")
			b.turn(time.Minute)
			again := b.answers(addAuthorization, authorize("dashboard:w1", "0", "u1", "AuthPoints=11"), tt.code)
			b.wantAuthorizations(tt.want...)
			if overwritten := len(tt.want) == 1 && tt.code == ""; (first.result == again.result) != overwritten {
				t.Errorf("ids = %v and %v", first.result, again.result)
			}
			if c := b.Calls()[1]; c.Applied != (tt.code == "") || c.Violation != "" {
				t.Errorf("call = %+v", c)
			}
			b.answers(deleteAuthorization, unauthorize("dashboard:w1", "u1"), "")
			b.wantAuthorizations()
		})
	}
}

func TestRefusedDeletions(t *testing.T) {
	t.Parallel()

	const invalid = "Invalid.Parameter.Error"
	refuses(t, deleteAuthorization, []refused{
		{"no such dashboard", unauthorize("dashboard:w9", "u1"), "Report.NotExist.Error", false},
		{"no such dataset", unauthorize("cube:w1", "u1"), "Cube.Not.Exist", false},
		{"no such data source", unauthorize("datasource:w1", "u1"), "Datasource.NotFound.Error", false},
		{"no such user", unauthorize("dashboard:w1", "gone"), "Invalid.User.Organization", false},
		{"a group", unauthorize("dashboard:w1", "g1"), "Invalid.User.Organization", false},
		{"a list", unauthorize("dashboard:w1", "u1,u2"), invalid, true},
		{"other name of the user", "ResourceType=dashboard&ResourceId=w1&UserId=u1", invalid, true},
		{"no user", "ResourceType=dashboard&ResourceId=w1", "MissingQbiUserId", true},
	})
}

func TestDeletionOfInheritedAccess(t *testing.T) {
	t.Parallel()

	const ofGroup, ofWorkspace = "DeletePermission.UserBelongsToUsergroup.Error", "DeletePermission.ExistWorkspaceRecord.Error"
	b := setup(t, office())
	for _, grant := range []string{
		authorize("dashboard:w1", "1", "g1", untilApril), authorize("report:w2", "3", "s1", untilApril),
		authorize("screen:w3", "2", "org", untilApril), authorize("dashboard:w1", "0", "u2", untilApril),
	} {
		b.answers(addAuthorization, grant, "")
	}
	if r := b.answers(deleteAuthorization, unauthorize("dashboard:w1", "u2"), ofGroup); !strings.Contains(r.message, "g1") || r.status != http.StatusBadRequest {
		t.Errorf("answer = %d %s, want the group named", r.status, r.body)
	}
	b.answers(deleteAuthorization, unauthorize("report:w2", "u3"), ofWorkspace)
	b.answers(deleteAuthorization, unauthorize("report:w2", "u2"), "")    // not a member
	b.answers(deleteAuthorization, unauthorize("dashboard:w1", "u3"), "") // not in the group
	b.answers(deleteAuthorization, unauthorize("screen:w3", "u2"), "")    // no code is published for it
	if got := len(b.Authorizations()); got != 4 {
		t.Errorf("%d authorizations, want all 4 still", got)
	}
	b.RemoveGroups("g1")
	b.answers(deleteAuthorization, unauthorize("dashboard:w1", "u2"), "")
	b.wantAuthorizations("report:w2 workspace:s1 1 2026-04-01 x1", "screen:w3 organization:org 1 2026-04-01 x1")
}

func TestNothingToRevoke(t *testing.T) {
	t.Parallel()

	tests := []struct {
		how    quickbitest.Nothing
		code   string
		result any
	}{
		{"", "", true},
		{quickbitest.NothingSucceeds, "", true},
		{quickbitest.NothingFalse, "", false},
		{quickbitest.NothingRefused, "Application.Object.NotExist", nil},
	}
	for _, tt := range tests {
		t.Run("as "+string(tt.how), func(t *testing.T) {
			t.Parallel()

			b := setup(t, with(func(o *quickbitest.Options) { o.NothingToRevoke = tt.how }))
			calls := []struct{ action, params string }{
				{deleteAuthorization, unauthorize("dashboard:w1", "u1")},
				{cancelShare, unshare("w1", "0", "u1")},
			}
			for _, c := range calls {
				if r := b.answers(c.action, c.params, tt.code); r.result != tt.result {
					t.Errorf("%s: Result = %v, want %v", c.action, r.result, tt.result)
				}
			}
			b.answers(addAuthorization, authorize("dashboard:w1", "0", "u1", untilApril), "")
			if r := b.answers(calls[0].action, calls[0].params, ""); r.result != true {
				t.Errorf("Result of a real removal = %v", r.result)
			}
		})
	}
}
