package quickbi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi"
)

func (o operation) action() string {
	action, _, _ := strings.Cut(o.name, " ")
	return action
}

// nothing is how a list says that it is empty.
var nothing = []string{`[]`, `null`, `""`, `"[]"`, `"null"`}

// lookups are the calls that read.
var lookups = []operation{
	{
		name:   "QueryShareList",
		call:   call((*quickbi.Client).QueryShareList, "w-1"),
		params: map[string]string{"ReportId": "w-1"},
		results: []string{
			`[{"ShareId":"h-1","ReportId":"w-1","ShareToId":"user-1","ShareToName":"小张","ShareToType":0,"ShareType":"dashboard","AuthPoint":3,"ExpireDate":1640102400000}]`,
			`[{"ShareId":"h-1","ReportId":"w-1","ShareToId":"user-1","ShareToName":"小张\n","ShareToType":"0","ShareType":"dashboard","AuthPoint":"3","ExpireDate":"1640102400000"}]`,
			`"[{\"shareId\":\"h-1\",\"reportId\":\"w-1\",\"shareToId\":\"user-1\",\"shareToName\":\"小张\",\"shareToType\":0,\"shareType\":\"dashboard\",\"authPoint\":3,\"expireDate\":1640102400000}]"`,
		},
		want: quickbi.QueryShareListResponse{Receipt: receipt, Shares: []quickbi.Share{{
			ShareID: "h-1", ReportID: "w-1", ShareToID: "user-1", ShareToName: "小张", ShareToType: "0", ShareType: "dashboard", AuthPoint: "3",
			ExpireDate: "1640102400000", Expires: time.Date(2021, 12, 21, 16, 0, 0, 0, time.UTC),
		}}},
	},
	{
		name:    "QueryShareList odd values",
		call:    call((*quickbi.Client).QueryShareList, "w-1"),
		params:  map[string]string{"ReportId": "w-1"},
		results: []string{`[{"ShareToId":17,"ShareToType":null,"AuthPoint":{},"ExpireDate":"never"}]`},
		want:    quickbi.QueryShareListResponse{Receipt: receipt, Shares: []quickbi.Share{{ShareToID: "17", ExpireDate: "never"}}},
	},
	{
		name: "QueryShareList none", call: call((*quickbi.Client).QueryShareList, "w-1"), params: map[string]string{"ReportId": "w-1"},
		results: nothing, want: quickbi.QueryShareListResponse{Receipt: receipt},
	},
	{
		name:    "QuerySharesToUserList",
		call:    call((*quickbi.Client).QuerySharesToUserList, "user-1"),
		params:  map[string]string{"UserId": "user-1"},
		results: []string{documentedWork, wrap(documentedWork), strings.ReplaceAll(strings.ReplaceAll(documentedWork, `"Status": 1`, `"status": "1"`), `Flag": 0`, `Flag": "0"`)},
		want: quickbi.QuerySharesToUserListResponse{Receipt: receipt, Works: []quickbi.SharedWork{{
			WorksID: "w-1", WorkName: "Test report", WorkType: "DATAFORM", Description: "Description of the test report",
			Status: "1", SecurityLevel: "0", ThirdPartAuthFlag: "0", OwnerID: "o-1", OwnerName: "w@aliyun.com", ModifyName: "m@163.com",
			WorkspaceID: "s-1", WorkspaceName: "Return to Professional Edition", CreateTime: "1530078690000", ModifyTime: "1530078690001",
			Directory: quickbi.WorkDirectory{ID: "d-2", Name: "Chart Report", PathID: "d-1/d-2", PathName: "Level -1 Directory /Level -2 Directory"},
		}}},
	},
	{
		name: "QuerySharesToUserList odd values", call: call((*quickbi.Client).QuerySharesToUserList, "user-1"), params: map[string]string{"UserId": "user-1"},
		results: []string{
			`[{"WorksId":"w-1","Status":"7 or so","CreateTime":1530078690000,"Directory":"{\"Id\":\"d-2\"}"},{"WorksId":12,"Directory":null,"New":{}}]`,
		},
		want: quickbi.QuerySharesToUserListResponse{Receipt: receipt, Works: []quickbi.SharedWork{
			{WorksID: "w-1", Status: "7 or so", CreateTime: "1530078690000", Directory: quickbi.WorkDirectory{ID: "d-2"}},
			{WorksID: "12"},
		}},
	},
	{
		name: "QuerySharesToUserList none", call: call((*quickbi.Client).QuerySharesToUserList, "user-1"), params: map[string]string{"UserId": "user-1"},
		results: nothing, want: quickbi.QuerySharesToUserListResponse{Receipt: receipt},
	},
	{
		name: "QueryUserRoleInfoInWorkspace", params: map[string]string{"WorkspaceId": "s-1", "UserId": "user-1"},
		call: call((*quickbi.Client).QueryUserRoleInfoInWorkspace, quickbi.WorkspaceUser{WorkspaceID: "s-1", UserID: "user-1"}),
		results: []string{
			`{"RoleName":"管理员","RoleCode":"role_workspace_admin","RoleId":25}`, `{"RoleName":"管理员","RoleCode":"role_workspace_admin","RoleId":"25"}`,
			`"{\"roleName\":\"管理员\",\"roleCode\":\"role_workspace_admin\",\"roleId\":\"25\"}"`,
		},
		want: quickbi.QueryUserRoleInfoInWorkspaceResponse{
			Receipt: receipt, Role: quickbi.WorkspaceRole{RoleID: 25, RoleCode: "role_workspace_admin", RoleName: "管理员"},
		},
	},
	{
		name: "QueryUserRoleInfoInWorkspace without a role", params: map[string]string{"WorkspaceId": "s-1", "UserId": "user-1"},
		call:    call((*quickbi.Client).QueryUserRoleInfoInWorkspace, quickbi.WorkspaceUser{WorkspaceID: "s-1", UserID: "user-1"}),
		results: []string{`null`, `{}`, `""`, `{"RoleId":null}`, `{"RoleId":""}`},
		want:    quickbi.QueryUserRoleInfoInWorkspaceResponse{Receipt: receipt},
	},
	{
		name: "ListWorkspaceRoles", call: call((*quickbi.Client).ListWorkspaceRoles, "s-1"), params: map[string]string{"WorkspaceId": "s-1"},
		results: []string{
			`[{"IsSystemRole":true,"RoleId":25,"RoleName":"空间管理员","AuthConfigList":[{"AuthKey":"portal_create","ActionAuthKeys":["edit"]}]},{"RoleId":9007199254740993,"RoleName":"Ours"}]`,
			`[{"RoleId":"25","RoleName":"空间管理员"},{"RoleId":"9007199254740993","RoleName":"Ours"}]`,
		},
		want: quickbi.ListWorkspaceRolesResponse{Receipt: receipt, Roles: []quickbi.WorkspaceRole{
			{RoleID: 25, RoleName: "空间管理员"}, {RoleID: 9007199254740993, RoleName: "Ours"},
		}},
	},
	{
		name: "QueryLlmCubeWithThemeListByUserId", call: call((*quickbi.Client).QueryLlmCubeWithThemeListByUserID, "user-1"),
		params: map[string]string{"UserId": "user-1"},
		results: []string{
			`{"CubeIds":{"d-1":"sales"},"ThemeIds":{"t-1":"www"}}`,
			`{"CubeIds":{"key":"\"d-1\": \"sales\""},"ThemeIds":{"key":"\"t-1\": \"www\""}}`,
			`{"CubeIds":"{\"d-1\":\"sales\"}","ThemeIds":"{\"t-1\":\"www\\n\"}"}`,
			`"{\"cubeIds\":{\"d-1\":\"sales\"},\"themeIds\":{\"t-1\":\"www\"}}"`,
		},
		want: quickbi.SmartqAccessResponse{Receipt: receipt, CubeIDs: map[string]string{"d-1": "sales"}, ThemeIDs: map[string]string{"t-1": "www"}},
	},
	{
		name: "QueryLlmCubeWithThemeListByUserId odd values", call: call((*quickbi.Client).QueryLlmCubeWithThemeListByUserID, "user-1"),
		params:  map[string]string{"UserId": "user-1"},
		results: []string{`{"CubeIds":{"d-1":null,"d-2":7,"key":"\"a\":\"b\""},"ThemeIds":{"key":"only"}}`},
		want: quickbi.SmartqAccessResponse{
			Receipt: receipt, CubeIDs: map[string]string{"d-1": "", "d-2": "7", "key": `"a":"b"`}, ThemeIDs: map[string]string{"key": "only"},
		},
	},
	{
		name: "QueryLlmCubeWithThemeListByUserId none", call: call((*quickbi.Client).QueryLlmCubeWithThemeListByUserID, "user-1"),
		params:  map[string]string{"UserId": "user-1"},
		results: []string{`null`, `{}`, `{"CubeIds":{},"ThemeIds":null}`, `{"CubeIds":"{}"}`},
		want:    quickbi.SmartqAccessResponse{Receipt: receipt},
	},
	{
		name: "QueryUserInfoByAccount", call: call((*quickbi.Client).QueryUserInfoByAccount, quickbi.AccountName{Account: "alice", Parent: "corp"}),
		params: map[string]string{"Account": "alice", "ParentAccountName": "corp"},
		results: []string{
			`{"UserId":"user-1","AccountId":"1386587","AccountName":"alice","NickName":"小艾","Email":"","UserType":1,"RoleIdList":[111111113]}`,
			`"{\"userId\":\"user-1\",\"accountName\":\"alice\"}"`,
		},
		want: quickbi.QueryUserInfoByAccountResponse{Receipt: receipt, UserID: "user-1"},
	},
	{
		name: "QueryUserInfoByAccount nobody", call: call((*quickbi.Client).QueryUserInfoByAccount, quickbi.AccountName{Account: "alice"}),
		params:  map[string]string{"Account": "alice"},
		results: []string{`null`, `{}`, `""`, `{"UserId":""}`, `{"UserId":null}`},
		want:    quickbi.QueryUserInfoByAccountResponse{Receipt: receipt},
	},
}

const documentedWork = `[{
	"Status": 1, "ThirdPartAuthFlag": 0, "WorksId": "w-1", "CreateTime": "1530078690000", "WorkType": "DATAFORM",
	"OwnerName": "w@aliyun.com", "WorkspaceName": "Return to Professional Edition\n", "OwnerId": "o-1", "ModifyName": "m@163.com",
	"WorkspaceId": "s-1", "SecurityLevel": "0", "Description": "Description of the test report\n", "WorkName": "Test report\n",
	"ModifyTime": "1530078690001",
	"Directory": {"PathId": "d-1/d-2", "PathName": "Level -1 Directory /Level -2 Directory\n", "Name": "Chart Report\n", "Id": "d-2"}
}]`

// wrap puts a document into a JSON string.
func wrap(document string) string {
	return `"` + strings.NewReplacer("\\", `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(document) + `"`
}

func TestSharedWorkTimes(t *testing.T) {
	t.Parallel()

	w := quickbi.SharedWork{CreateTime: "1530078690000", ModifyTime: "yesterday"}
	if got, want := w.Created(), time.Date(2018, 6, 27, 5, 51, 30, 0, time.UTC); got != want {
		t.Errorf("created = %s, want %s", got, want)
	}
	if got := w.Modified(); !got.IsZero() {
		t.Errorf("modified = %s, want none", got)
	}
}

// Lists have no pages, so they are read further than other answers.
func TestLongLists(t *testing.T) {
	t.Parallel()

	var body strings.Builder
	body.WriteString(`{"RequestId":"R-1","Success":true,"Result":[`)
	const works = 4000
	for i := range works {
		fmt.Fprintf(&body, `{"WorksId":"w-%d","Description":"%s"},`, i, strings.Repeat("x", 700))
	}
	body.WriteString(`{"WorksId":"last"}]}`)
	b := setup(t, bundleOptions{handler: answers(http.StatusOK, body.String())})
	got, err := b.client.QuerySharesToUserList(t.Context(), "user-1")
	if err != nil || len(got.Works) != works+1 {
		t.Errorf("%d works, %v; want %d", len(got.Works), err, works+1)
	}
	short := setup(t, bundleOptions{handler: answers(http.StatusOK, body.String()), options: quickbi.Options{MaxBody: 1 << 20}})
	if _, err := short.client.QuerySharesToUserList(t.Context(), "user-1"); err == nil {
		t.Error("an answer longer than Options.MaxBody was read")
	}
}

// An answer without a result lists nothing.
func TestSmartqAccessWithoutResult(t *testing.T) {
	t.Parallel()

	b := setup(t, bundleOptions{handler: answers(http.StatusOK, `{"RequestId":"R-1","Success":true}`)})
	got, err := b.client.QueryLlmCubeWithThemeListByUserID(t.Context(), "user-1")
	if diff := cmp.Diff(quickbi.SmartqAccessResponse{Receipt: receipt}, got); diff != "" || err != nil {
		t.Errorf("access (-want +got)\n%s%v", diff, err)
	}
}
