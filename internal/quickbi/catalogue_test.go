package quickbi_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi"
)

// published are the error codes of the five pages, page by page.
var published = map[string][]string{
	"AddShareReport": {
		"Access.Forbidden", "Instance.Expired", "Instance.Not.Exist", "Internal.System.Error", "Invalid.Organization", "Invalid.Param.Error",
		"Invalid.User.Organization", "Report.NotExist.Error", "System.Param.Empty", "User.Not.In.Organization", "UserGroup.NotIn.Organization",
		"UserInfo.Error", "Usergroup.Not.Exist", "Workspace.Not.Exist", "Workspace.NotIn.Organization", "Workspace.OutsideShare.Forbidden",
		"Workspace.Share.Forbidden",
	},
	"AddUserToWorkspace": {
		"AnalystUser.NotSupport.AdminOrDevRole", "BindRole.NotExist.Error", "User.AlreadyIn.Role", "User.AlreadyIn.Workspace",
		"User.RoleType.Valid", "UserAnalyst.NotSupport.ThisRole", "Viewer.AddInTo.Workspace", "Viewer.CannotHave.CustomRole",
		"Workspace.Not.Exist", "Workspace.NotIn.Organization", "Workspace.Type.Error",
	},
	"AddWorksAuthorization": {"Internal.System.Error", "Invalid.Parameter.Error", "Work.Not.Exist"},
	"QuerySharesToUserList": {
		"Access.Forbidden", "ApiUser.Not.Exists", "Instance.Expired", "Instance.Not.Exist", "Internal.System.Error", "Invalid.Organization",
		"Invalid.Param.Error", "Invalid.Parameter", "Invalid.Parameter.Error", "Invalid.User.Admin", "System.Param.Empty",
		"User.Not.In.Organization", "UserInfo.Error",
	},
	"SmartqAuthorize": {
		"API.Not.Exist", "ApiUser.Not.Exists", "Date.Exceed.Error", "Date.Format.Error", "Internal.System.Error", "Invalid.Parameter.Error",
		"Query.Auth.Error", "RobotNl2sql.Moudle.NotPurchase", "Share.ExpireDate.Error", "User.Not.In.Organization",
		"UserRoleConfig.NotContain.Function",
	},
}

// related are the codes that only other pages list: those of the whole product
// and of the operations that revoke, add in batches and read back.
var related = []string{
	"User.Not.WorkspaceAdmin", "Application.Object.NotExist", "Not.ApiCall.AuthUser", "Ram.AuthCheck.Error",
	"Cube.Not.Exist", "Datasource.NotFound.Error", "DeletePermission.ExistWorkspaceRecord.Error", "DeletePermission.UserBelongsToUsergroup.Error",
	"CanNot.Remove.WorkspaceOwner", "User.NotIn.Workspace", "AE0150010001", "AE0150010004",
	"Invalid.User", "User.NotBelongTo.CurrentOrganization", "Usergroup.NotBelongTo.CurrentOrganization", "Parameter.Length.Exceed",
	"AccessMenu.NotMatch.Portal", "Menu.NotBelongTo.CurrentDataportal", "FolderMenu.CanNot.Authorize",
	"InvalidApi.NotFound", "InvalidProduct.NotFound", "InvalidProtocol.NeedSsl", "UnsupportedHTTPMethod", "InvalidAccessKeyId.NotFound",
	"InvalidAccessKeyId.Inactive", "SignatureDoesNotMatch", "IncompleteSignature", "InvalidSignatureMethod", "InvalidTimeStamp.Format",
	"InvalidTimeStamp.Expired", "SignatureNonceUsed", "Forbidden.RAM", "NoPermission", "Forbidden.RiskControl", "Throttling",
	"Throttling.User", "Throttling.Api", "Rejected.Throttling", "ServiceUnavailable", "InternalError",
}

func TestCatalogueHoldsEveryPublishedCode(t *testing.T) {
	t.Parallel()

	counts := map[string]int{"AddShareReport": 17, "AddUserToWorkspace": 11, "AddWorksAuthorization": 3, "QuerySharesToUserList": 13, "SmartqAuthorize": 11}
	known := map[string]quickbi.Entry{}
	for _, e := range quickbi.Catalogue() {
		for _, apiCode := range e.APICodes {
			if other, twice := known[apiCode]; twice {
				t.Errorf("%s means %s and %s", apiCode, other.Code, e.Code)
			}
			known[apiCode] = e
		}
	}
	check := func(page string, codes []string) {
		for _, apiCode := range codes {
			e, ok := known[apiCode]
			m := quickbi.MeaningOf(apiCode)
			if !ok || m.Class == quickbi.ClassUnrecognised || m.Code != e.Code || m.Class != e.Class || m.Hint != e.Hint {
				t.Errorf("%s: %s means %+v; the catalogue has %+v", page, apiCode, m, e)
			}
		}
	}
	for page, codes := range published {
		if len(slices.Compact(slices.Sorted(slices.Values(codes)))) != counts[page] {
			t.Errorf("%s: %d codes, want the %d of the page", page, len(codes), counts[page])
		}
		check(page, codes)
	}
	check("other pages", related)
}

func TestCatalogueEntries(t *testing.T) {
	t.Parallel()

	entries := quickbi.Catalogue()
	snake := regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	var codes []string
	for _, e := range entries {
		codes = append(codes, e.Code)
		if !snake.MatchString(e.Code) || e.Class == "" || e.Class == quickbi.ClassOK {
			t.Errorf("%+v has no code or class of ours", e)
		}
		if !strings.HasSuffix(e.Hint, ".") || strings.ContainsFunc(e.Hint, isHan) || quickbi.HintFor(e.Code) != e.Hint {
			t.Errorf("%s: English hint %q", e.Code, e.Hint)
		}
		if !strings.HasSuffix(e.HintZH, "。") || !strings.ContainsFunc(e.HintZH, isHan) || quickbi.HintZHFor(e.Code) != e.HintZH {
			t.Errorf("%s: Chinese hint %q", e.Code, e.HintZH)
		}
		if !slices.IsSorted(e.APICodes) {
			t.Errorf("%s: %v is not sorted", e.Code, e.APICodes)
		}
	}
	if !slices.IsSorted(codes) || len(slices.Compact(slices.Clone(codes))) != len(codes) {
		t.Errorf("codes are not sorted or not unique: %v", codes)
	}
	for code, want := range map[string][]string{
		"throttled": {"Throttling*"}, "invalid_parameter": {"Invalid<Parameter>"}, "revoke_refused": {"DeletePermission.*"}, "user_not_exist": nil,
	} {
		i := slices.Index(codes, code)
		if i < 0 {
			t.Errorf("no entry %s", code)
		} else if diff := cmp.Diff(want, entries[i].Families); diff != "" {
			t.Errorf("families of %s (-want +got)\n%s", code, diff)
		}
	}
	entries[0].Hint = "changed"
	if quickbi.Catalogue()[0].Hint == "changed" {
		t.Error("a caller can change the catalogue")
	}
}

func isHan(r rune) bool { return unicode.Is(unicode.Han, r) }

// What may be said of the caller is exactly what was seen to be, by code and
// not by meaning; the row of an answer is always about the row.
func TestMayBeCaller(t *testing.T) {
	t.Parallel()

	either := []string{"ApiUser.Not.Exists", "User.Not.In.Organization", "UserInfo.Error", "UserRoleConfig.NotContain.Function", "Query.Auth.Error"}
	marked := map[string]bool{}
	for _, apiCode := range either {
		m := quickbi.MeaningOf(apiCode)
		marked[m.Code] = true
		if !m.MayBeCaller || !quickbi.Explain(&quickbi.Error{Code: apiCode}).MayBeCaller {
			t.Errorf("%s is not marked: %+v", apiCode, m)
		}
		if quickbi.MeaningOfDetail(apiCode).MayBeCaller {
			t.Errorf("a row with %s is marked", apiCode)
		}
	}
	for _, e := range quickbi.Catalogue() {
		if e.MayBeCaller != marked[e.Code] {
			t.Errorf("entry %s: may be the caller = %t, want %t", e.Code, e.MayBeCaller, marked[e.Code])
		}
		for _, apiCode := range e.APICodes {
			if !slices.Contains(either, apiCode) && quickbi.MeaningOf(apiCode).MayBeCaller {
				t.Errorf("%s is marked", apiCode)
			}
		}
	}
}

func TestMeaningOfOperationCodes(t *testing.T) {
	t.Parallel()

	tests := []struct {
		apiCode string
		class   quickbi.Class
		code    string
	}{
		{"User.AlreadyIn.Role", quickbi.ClassSatisfied, "user_already_has_role"},
		{"User.AlreadyIn.Workspace", quickbi.ClassMember, "user_already_in_workspace"},
		{"AE0150010001", quickbi.ClassMember, "user_already_in_workspace"},
		{"User.NotIn.Workspace", quickbi.ClassNotMember, "user_not_in_workspace"},
		{"AE0150010004", quickbi.ClassNotMember, "user_not_in_workspace"},
		{"Viewer.AddInTo.Workspace", quickbi.ClassUser, "viewer_not_allowed"},
		{"Viewer.CannotHave.CustomRole", quickbi.ClassUser, "viewer_custom_role"},
		{"AnalystUser.NotSupport.AdminOrDevRole", quickbi.ClassUser, "analyst_role"},
		{"UserAnalyst.NotSupport.ThisRole", quickbi.ClassUser, "analyst_role"},
		{"CanNot.Remove.WorkspaceOwner", quickbi.ClassPair, "user_owns_workspace"},
		{"DeletePermission.ExistWorkspaceRecord.Error", quickbi.ClassPair, "access_through_workspace"},
		{"DeletePermission.UserBelongsToUsergroup.Error", quickbi.ClassPair, "access_through_group"},
		{"DeletePermission.Whatever.Error", quickbi.ClassPair, "revoke_refused"},
		{"Work.Not.Exist", quickbi.ClassWorkGone, "work_not_exist"},
		{"Report.NotExist.Error", quickbi.ClassWorkGone, "work_not_exist"},
		{"Cube.Not.Exist", quickbi.ClassWorkGone, "work_not_exist"},
		{"Datasource.NotFound.Error", quickbi.ClassWorkGone, "work_not_exist"},
		{"Usergroup.Not.Exist", quickbi.ClassUser, "group_not_exist"},
		{"UserGroup.NotIn.Organization", quickbi.ClassUser, "group_not_exist"},
		{"Workspace.Not.Exist", quickbi.ClassResource, "workspace_not_exist"},
		{"Workspace.NotIn.Organization", quickbi.ClassResource, "workspace_not_exist"},
		{"Workspace.Type.Error", quickbi.ClassResource, "workspace_type_invalid"},
		{"Workspace.Share.Forbidden", quickbi.ClassResource, "sharing_forbidden"},
		{"Workspace.OutsideShare.Forbidden", quickbi.ClassResource, "outside_sharing_forbidden"},
		{"User.RoleType.Valid", quickbi.ClassRequest, "invalid_role"},
		{"BindRole.NotExist.Error", quickbi.ClassRequest, "invalid_role"},
		{"AE0150010002", quickbi.ClassUnrecognised, "unrecognised_refusal"},
		{"DeletePermissions", quickbi.ClassUnrecognised, "unrecognised_refusal"},
	}
	for _, tt := range tests {
		got := quickbi.MeaningOf(tt.apiCode)
		if got.Class != tt.class || got.Code != tt.code || got.Retryable {
			t.Errorf("%s means %s, %s, retryable %t; want %s, %s, not retryable", tt.apiCode, got.Class, got.Code, got.Retryable, tt.class, tt.code)
		}
	}
}

// The batch operation gives the sentences of the codes, not always the codes.
func TestMeaningOfMemberDetail(t *testing.T) {
	t.Parallel()

	for detail, want := range map[string]string{
		"AE0150010001: This user already exists.":                                           "user_already_in_workspace",
		"This user already exists.":                                                         "user_already_in_workspace",
		"The user is already assigned this role.":                                           "user_already_has_role",
		"AE0150010004: The user is not a member of the group workspace.":                    "user_not_in_workspace",
		"The user is not a member of the group workspace.":                                  "user_not_in_workspace",
		"Organization members with viewer type are not allowed to add to workspace: u-1.":   "viewer_not_allowed",
		"Organization viewer cannot have custom roles.":                                     "viewer_custom_role",
		"Analyst users do not support granting workspace administrator or developer roles.": "analyst_role",
		"This role has permissions that analysts cannot grant.":                             "analyst_role",
		"The user is not a member of the group.":                                            "refused_by_quickbi",
		"AE0150010009: something new":                                                       "refused_by_quickbi",
	} {
		if got := quickbi.MeaningOfDetail(detail); got.Code != want {
			t.Errorf("%q means %s, want %s", detail, got.Code, want)
		}
	}
}
