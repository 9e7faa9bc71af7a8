package quickbitest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

const (
	worksOfUser  = "QuerySharesToUserList"
	smartqOfUser = "QueryLlmCubeWithThemeListByUserId"
)

// listed returns the ids that QuerySharesToUserList answers for user.
func (b *bench) listed(user string) []string {
	b.t.Helper()
	out := []string{}
	for _, item := range b.answers(worksOfUser, "UserId="+user, "").items() {
		out = append(out, fmt.Sprint(item["WorksId"]))
	}
	return out
}

func TestWorksOfUser(t *testing.T) {
	t.Parallel()

	b := setup(t, office())
	if got := b.on(worksOfUser, "UserId=u1"); string(got.body) != `{"RequestId":"`+got.doc.RequestID+`","Result":[],"Success":true}` {
		t.Errorf("answer without works = %s", got.body)
	}
	b.answers(addAuthorization, authorize("dashboard:w1", "0", "u1", untilApril), "")
	b.answers(addShare, shareWith("w1", "0", "u1", "AuthPoint=1&ExpireDate="+inAnHour), "") // listed once all the same
	b.answers(addShare, shareWith("p1", "0", "u1", "AuthPoint=1&ExpireDate="+inAnHour), "")
	b.answers(addAuthorization, authorize("screen:w3", "0", "u2", untilApril), "")
	if diff := cmp.Diff([]string{"p1", "w1"}, b.listed("u1")); diff != "" {
		t.Errorf("works (-want +got):\n%s", diff)
	}
	b.turn(time.Hour)
	if diff := cmp.Diff([]string{"w1"}, b.listed("u1")); diff != "" {
		t.Errorf("works when the shares are over (-want +got):\n%s", diff)
	}
	b.answers(deleteAuthorization, unauthorize("dashboard:w1", "u1"), "")
	if diff := cmp.Diff([]string{}, b.listed("u1")); diff != "" {
		t.Errorf("works in the end (-want +got):\n%s", diff)
	}
	b.answers(worksOfUser, "UserId=gone", "User.Not.In.Organization")
	b.answers(worksOfUser, "UserIds=u1", "Invalid.Parameter.Error")
	b.answers(worksOfUser, "", "MissingUserId")
}

func TestEveryFieldOfAWork(t *testing.T) {
	t.Parallel()

	b := setup(t, with(func(o *quickbitest.Options) {
		o.Works = append(o.Works, quickbitest.Work{
			ID: "full", Type: quickbitest.TypeDataForm, Workspace: "s1", Name: "Test report\n", Owner: "boss", OwnerName: "w@aliyun.example",
			ModifierName: "m@163.example", Description: "d", Status: new(0), Embedded: true, SecurityLevel: "12", CreatedAt: 1530078690000,
			ModifiedAt: 1530078690001, Directory: &quickbitest.Directory{ID: "i2", Name: "n", PathID: "i1/i2", PathName: "a/n"},
		})
	}))
	b.answers(addAuthorization, authorize("dataForm:full", "0", "u1", untilApril), "")
	b.answers(addAuthorization, authorize("datasource:d1", "0", "u1", untilApril), "")
	same(t, "works", `[{"CreateTime":"0","Description":"","ModifyName":"","ModifyTime":"0","OwnerId":"","OwnerName":"","SecurityLevel":"0","Status":1,`+
		`"ThirdPartAuthFlag":0,"WorkName":"d1","WorkType":"DATASOURCE","WorksId":"d1","WorkspaceId":"","WorkspaceName":""},`+
		`{"CreateTime":"1530078690000","Description":"d","Directory":{"Id":"i2","Name":"n","PathId":"i1/i2","PathName":"a/n"},`+
		`"ModifyName":"m@163.example","ModifyTime":"1530078690001","OwnerId":"boss","OwnerName":"w@aliyun.example","SecurityLevel":"12",`+
		`"Status":0,"ThirdPartAuthFlag":1,"WorkName":"Test report\n","WorkType":"DATAFORM","WorksId":"full","WorkspaceId":"s1","WorkspaceName":"Sales"}]`,
		b.answers(worksOfUser, "UserId=u1", "").result)
}

func TestInheritedWorks(t *testing.T) {
	t.Parallel()

	for _, inherited := range []bool{false, true} {
		b := setup(t, with(func(o *quickbitest.Options) {
			o.ListInherited = inherited
			o.UnlistedTypes = []string{quickbitest.TypeCube}
		}))
		b.answers(addAuthorization, authorize("dashboard:w1", "1", "g1", untilApril), "")
		b.answers(addAuthorization, authorize("report:w2", "3", "s2", untilApril), "")
		b.answers(addShare, shareWith("p1", "2", "org", "AuthPoint=1&ExpireDate="+inAnHour), "")
		b.answers(addAuthorization, authorize("cube:c1", "0", "u2", untilApril), "") // of a type left out
		b.answers(addAuthorization, authorize("screen:w3", "0", "u2", untilApril), "")
		b.answers(addMember, member("s2", "u2", "&RoleId=30"), "")
		want := map[bool][]string{false: {"w3"}, true: {"p1", "w1", "w2", "w3"}}[inherited]
		if diff := cmp.Diff(want, b.listed("u2")); diff != "" {
			t.Errorf("inherited: %t (-want +got):\n%s", inherited, diff)
		}
	}
}

func TestSmartqOfUser(t *testing.T) {
	t.Parallel()

	b := setup(t, organisation())
	same(t, "nothing", `{"CubeIds":{},"ThemeIds":{}}`, b.answers(smartqOfUser, "UserId=u1", "").result)
	b.call("OperationType=0&UserIds=u1&LlmCubes=r1,r2&LlmCubeThemes=t1&ExpireDay=2026-03-10").want(t, "")
	b.call(grant("u2", "CubeIds=d9")).want(t, "")
	// r2 has no dataset, so it does not show
	same(t, "list", `{"CubeIds":{"d1":"d1"},"ThemeIds":{"t1":"t1"}}`, b.answers(smartqOfUser, "UserId=u1", "").result)
	b.turn(24 * time.Hour)
	same(t, "expired", `{"CubeIds":{},"ThemeIds":{}}`, b.answers(smartqOfUser, "UserId=u1", "").result)
	b.call(revoke("u2", "LlmCubes=r9")).want(t, "")
	same(t, "revoked", `{"CubeIds":{},"ThemeIds":{}}`, b.answers(smartqOfUser, "UserId=u2", "").result)
	b.answers(smartqOfUser, "UserId=gone", "User.Not.In.Organization")
}
