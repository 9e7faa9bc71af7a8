package quickbitest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

const (
	addMember    = "AddUserToWorkspace"
	addMembers   = "AddWorkspaceUsers"
	removeMember = "DeleteUserFromWorkspace"
	changeRole   = "UpdateWorkspaceUserRole"
	roleOf       = "QueryUserRoleInfoInWorkspace"
	listRoles    = "ListWorkspaceRoles"
)

func member(workspace, user, rest string) string {
	return "WorkspaceId=" + workspace + "&UserId=" + user + rest
}

func TestMembership(t *testing.T) {
	t.Parallel()

	b := setup(t, office())
	b.wantMembers("s1 boss [25] x0", "s1 u3 [30] x0")
	added := b.answers(addMember, member("s1", "u1", "&RoleId=900"), "")
	b.answers(addMember, member("s1", "u1", "&RoleId=900"), "User.AlreadyIn.Role")
	b.answers(addMember, member("s1", "u1", "&RoleId=27"), "User.AlreadyIn.Workspace")
	want := quickbitest.Member{Workspace: "s1", User: "u1", Roles: []int64{900}, ChangedAt: start, Times: 1, RequestID: added.doc.RequestID}
	if diff := cmp.Diff(want, b.Members()[1]); diff != "" {
		t.Errorf("member (-want +got):\n%s", diff)
	}
	b.answers(changeRole, member("s1", "u1", "&RoleIds=26,900&RoleId=30"), "") // RoleIds wins
	b.answers(addMember, member("s1", "u1", "&RoleId=900"), "User.AlreadyIn.Role")
	b.answers(changeRole, member("s1", "u3", "&RoleId=25"), "")
	b.wantMembers("s1 boss [25] x0", "s1 u1 [26 900] x2", "s1 u3 [25] x1")
	same(t, "role", `{"RoleCode":"role_workspace_admin","RoleId":25,"RoleName":"Workspace Administrator"}`,
		b.answers(roleOf, member("s1", "u3", ""), "").result)
	b.answers(removeMember, member("s1", "u1", ""), "")
	b.answers(removeMember, member("s1", "u1", ""), "User.NotIn.Workspace")
	b.answers(roleOf, member("s1", "u1", ""), "User.NotIn.Workspace")
	b.answers(removeMember, member("s1", "boss", ""), "CanNot.Remove.WorkspaceOwner")
	b.wantMembers("s1 boss [25] x0", "s1 u3 [25] x1")
}

func TestRoleOfCustomRole(t *testing.T) {
	t.Parallel()

	b := setup(t, office())
	b.answers(addMember, member("s1", "u1", "&RoleId=900"), "")
	same(t, "role", `{"RoleCode":"role_editor","RoleId":900,"RoleName":"Editor"}`, b.answers(roleOf, member("s1", "u1", ""), "").result)
	same(t, "roles", `[{"IsSystemRole":true,"RoleId":25,"RoleName":"Workspace Administrator"},`+
		`{"IsSystemRole":true,"RoleId":26,"RoleName":"Workspace Developer"},{"IsSystemRole":true,"RoleId":27,"RoleName":"Workspace Analyst"},`+
		`{"IsSystemRole":true,"RoleId":30,"RoleName":"Workspace Viewer"},{"IsSystemRole":false,"RoleId":900,"RoleName":"Editor"},`+
		`{"IsSystemRole":false,"RoleId":901,"RoleName":"Auditor"}]`, b.answers(listRoles, "WorkspaceId=s1", "").result)
	b.answers(listRoles, "WorkspaceId=s9", "Workspace.Not.Exist")
}

func TestRolesBySeat(t *testing.T) {
	t.Parallel()

	const byPreset, byAnalyst, byCustom = "AnalystUser.NotSupport.AdminOrDevRole", "UserAnalyst.NotSupport.ThisRole", "Viewer.CannotHave.CustomRole"
	tests := []struct{ user, role, code string }{
		{"u1", "25", ""},
		{"u1", "26", ""},
		{"u1", "27", ""},
		{"u1", "30", ""},
		{"u1", "900", ""},
		{"u1", "901", ""},
		{"analyst", "25", byPreset},
		{"analyst", "26", byPreset},
		{"analyst", "27", ""},
		{"analyst", "30", ""},
		{"analyst", "900", ""},
		{"analyst", "901", byAnalyst},
		{"viewer", "25", "Viewer.AddInTo.Workspace"},
		{"viewer", "26", "Viewer.AddInTo.Workspace"},
		{"viewer", "27", "Viewer.AddInTo.Workspace"},
		{"viewer", "30", ""},
		{"viewer", "900", byCustom},
		{"viewer", "901", byCustom},
		{"u1", "902", "BindRole.NotExist.Error"},
		{"u1", "28", "User.RoleType.Valid"},
		{"u1", "0", "User.RoleType.Valid"},
	}
	b := setup(t, office())
	for _, tt := range tests {
		b.answers(addMember, member("s1", tt.user, "&RoleId="+tt.role), tt.code)
		if tt.code == "" {
			b.answers(removeMember, member("s1", tt.user, ""), "")
		}
		if tt.user != "viewer" && tt.role != "30" { // a viewer is a member as such
			b.answers(addMember, member("s1", tt.user, "&RoleId=30"), "")
			b.answers(changeRole, member("s1", tt.user, "&RoleIds="+tt.role), tt.code)
			b.answers(removeMember, member("s1", tt.user, ""), "")
		}
	}
	b.wantMembers("s1 boss [25] x0", "s1 u3 [30] x0")
}

func TestRefusedMemberships(t *testing.T) {
	t.Parallel()

	const invalid = "Invalid.Parameter.Error"
	refuses(t, addMember, []refused{
		{"no such workspace", member("s9", "u1", "&RoleId=25"), "Workspace.Not.Exist", false},
		{"workspace of others", member("foreign", "u1", "&RoleId=25"), "Workspace.NotIn.Organization", false},
		{"personal workspace", member("personal", "u1", "&RoleId=25"), "Workspace.Type.Error", false},
		{"no such user", member("s1", "gone", "&RoleId=25"), "User.Not.In.Organization", false},
		{"role by name", member("s1", "u1", "&RoleId=admin"), invalid, true},
		{"a list", member("s1", "u1,u2", "&RoleId=25"), invalid, true},
		{"unknown parameter", member("s1", "u1", "&RoleIds=25"), invalid, true},
		{"no role", member("s1", "u1", ""), "MissingRoleId", true},
		{"no user", "WorkspaceId=s1&RoleId=25", "MissingUserId", true},
	})
	refuses(t, removeMember, []refused{
		{"no such workspace to leave", member("s9", "u3", ""), "Workspace.Not.Exist", false},
		{"no such user to remove", member("s1", "gone", ""), "User.Not.In.Organization", false},
	})
	refuses(t, changeRole, []refused{
		{"role of a stranger", member("s1", "u1", "&RoleIds=25"), "User.NotIn.Workspace", false},
		{"one role of two is none", member("s1", "u3", "&RoleIds=25,902"), "BindRole.NotExist.Error", false},
		{"role twice", member("s1", "u3", "&RoleIds=25,25"), invalid, true},
		{"role twice, spelled differently", member("s1", "u3", "&RoleIds=25,025"), invalid, true},
		{"neither role", member("s1", "u3", ""), "MissingRoleIds", true},
	})
}

func batch(users, role string) string { return "WorkspaceId=s1&UserIds=" + users + "&RoleId=" + role }

func TestBatch(t *testing.T) {
	t.Parallel()

	b := setup(t, office())
	b.turn(time.Minute)
	r := b.answers(addMembers, batch("u1,gone,u3,viewer,u2", "25"), "")
	same(t, "counts", `{"Failure":3,"FailureDetail":{"gone":"AE0150010002: The specified user is not in the organizational unit.",`+
		`"u3":"AE0150010001: This user already exists.",`+
		`"viewer":"AE0150010003: Organization members with viewer type are not allowed to add to workspace: s1."},"Success":2,"Total":5}`, r.result)
	b.wantMembers("s1 boss [25] x0", "s1 u1 [25] x1", "s1 u2 [25] x1", "s1 u3 [30] x0")
	if c := b.Calls()[0]; c.Users != 5 || c.Resources != 1 || c.Failed != 3 || !c.Applied || c.Violation != "" {
		t.Errorf("call = %+v", c)
	}
	if got := b.MaxPairsSeen(); got != 0 {
		t.Errorf("pairs of SmartqAuthorize = %d", got)
	}
	same(t, "counts of a full success", `{"Failure":0,"FailureDetail":{},"Success":1,"Total":1}`, b.answers(addMembers, batch("analyst", "30"), "").result)
}

func TestRefusedBatches(t *testing.T) {
	t.Parallel()

	refuses(t, addMembers, []refused{
		{"no such workspace", "WorkspaceId=s9&UserIds=u1&RoleId=25", "Workspace.Not.Exist", false},
		{"workspace of others", "WorkspaceId=foreign&UserIds=u1&RoleId=25", "Workspace.NotIn.Organization", false},
		{"custom role", batch("u1", "900"), "User.RoleType.Valid", false},
		{"user twice", batch("u1,u1", "25"), "Invalid.Parameter.Error", true},
		{"comma at the end", batch("u1,", "25"), "Invalid.Parameter.Error", true},
		{"single name of the parameter", "WorkspaceId=s1&UserId=u1&RoleId=25", "Invalid.Parameter.Error", true},
		{"no users", "WorkspaceId=s1&RoleId=25", "MissingUserIds", true},
	})
	tests := []struct {
		name   string
		change func(*quickbitest.Options)
		params string
		code   string
	}{
		{"for this account", func(o *quickbitest.Options) { o.BatchRefusal = "Access.Forbidden" }, batch("u1,u2", "25"), "Access.Forbidden"},
		{"for one user", func(o *quickbitest.Options) { o.MissingUser = quickbitest.MissingRefusal }, batch("u1,gone", "25"), "User.Not.In.Organization"},
		{"for one seat", func(o *quickbitest.Options) { o.MissingUser = quickbitest.MissingRefusal }, batch("u1,analyst", "25"), "AnalystUser.NotSupport.AdminOrDevRole"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			b := setup(t, with(tt.change))
			if r := b.answers(addMembers, tt.params, tt.code); r.status != http.StatusBadRequest {
				t.Errorf("status = %d", r.status)
			}
			b.wantMembers("s1 boss [25] x0", "s1 u3 [30] x0")
			b.answers(addMember, member("s1", "u1", "&RoleId=25"), "") // one by one it goes
		})
	}
}

func TestLeavingLosesEverything(t *testing.T) {
	t.Parallel()

	b := setup(t, office())
	for _, who := range []string{"u1", "u2"} {
		b.answers(addAuthorization, authorize("dashboard:w1", "0", who, untilApril), "")
		b.answers(addShare, shareWith("w2", "0", who, "AuthPoint=1&ExpireDate="+inAnHour), "")
		b.answers(addMember, member("s2", who, "&RoleId=26"), "")
	}
	b.answers(addShare, shareWith("w1", "1", "g1", "AuthPoint=1&ExpireDate="+inAnHour), "")
	b.answers(addAuthorization, authorize("report:w2", "3", "s2", untilApril), "")
	b.RemoveUsers("u1")
	b.AddUsers("u1")
	b.wantAuthorizations("dashboard:w1 user:u2 1 2026-04-01 x1", "report:w2 workspace:s2 1 2026-04-01 x1")
	b.wantShares("w1 group:g1 1 "+inAnHour+" x1", "w2 user:u2 1 "+inAnHour+" x1")
	b.wantMembers("s1 boss [25] x0", "s1 u3 [30] x0", "s2 u2 [26] x1")
	b.RemoveWorks("w2")
	b.RemoveGroups("g1")
	b.wantAuthorizations("dashboard:w1 user:u2 1 2026-04-01 x1")
	b.wantShares()
	b.RemoveWorkspaces("s1") // and w1 with it
	b.wantAuthorizations()
	b.wantMembers("s2 u2 [26] x1")
	b.answers(addAuthorization, authorize("dashboard:w1", "0", "u2", untilApril), "Work.Not.Exist")
}
