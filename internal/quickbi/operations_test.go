package quickbi_test

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi"
)

// operation is one call of one method, what must arrive of it, and what must
// come of every answer that means yes.
type operation struct {
	name    string // the action, with a remark after a space
	call    func(context.Context, *quickbi.Client) (any, error)
	params  map[string]string
	results []string // as in the documentation, old and new, and wrapped
	want    any
}

var receipt = quickbi.Receipt{RequestID: "R-1", HTTPStatus: 200}

// yes is what operations with a boolean result answer.
var yes = []string{`true`, `"true"`, `"True"`, `1`}

func call[R, A any](method func(*quickbi.Client, context.Context, A) (R, error), arg A) func(context.Context, *quickbi.Client) (any, error) {
	return func(ctx context.Context, c *quickbi.Client) (any, error) { return method(c, ctx, arg) }
}

// operations are the calls that write.
var operations = []operation{
	{
		name: "AddWorksAuthorization",
		call: call((*quickbi.Client).AddWorksAuthorization, quickbi.AddWorksAuthorizationRequest{
			ResourceType: "dashboard", ResourceID: "w-1", AuthorizedID: "user-1", AuthPoints: quickbi.LevelView, ExpireDay: "2099-12-31",
		}),
		params: map[string]string{
			"ResourceType": "dashboard", "ResourceId": "w-1", "AuthorizedId": "user-1",
			"AuthorizeScope": "0", "AuthPoints": "1", "ExpireDay": "2099-12-31",
		},
		results: []string{`"a-1"`, `"\"a-1\""`},
		want:    quickbi.AddWorksAuthorizationResponse{Receipt: receipt, AuthorizationID: "a-1"},
	},
	{
		name: "AddWorksAuthorization to edit",
		call: call((*quickbi.Client).AddWorksAuthorization, quickbi.AddWorksAuthorizationRequest{
			ResourceType: "ANALYSIS", ResourceID: "w-1", AuthorizedID: "s-1", Scope: quickbi.ScopeWorkspace, AuthPoints: quickbi.LevelEdit,
		}),
		params: map[string]string{
			"ResourceType": "ANALYSIS", "ResourceId": "w-1", "AuthorizedId": "s-1", "AuthorizeScope": "3", "AuthPoints": "11",
		},
		results: []string{`71`, `"71"`},
		want:    quickbi.AddWorksAuthorizationResponse{Receipt: receipt, AuthorizationID: "71"},
	},
	{
		name: "DeleteAuthorizationByUserId",
		call: call((*quickbi.Client).DeleteAuthorizationByUserID, quickbi.DeleteAuthorizationRequest{
			ResourceType: "dataForm", ResourceID: "w-1", QbiUserID: "user-1",
		}),
		params:  map[string]string{"ResourceType": "dataForm", "ResourceId": "w-1", "QbiUserId": "user-1"},
		results: yes, want: receipt,
	},
	{
		name: "AddShareReport",
		call: call((*quickbi.Client).AddShareReport, quickbi.AddShareReportRequest{
			WorksID: "w-1", ShareToID: "g-1", ShareToType: quickbi.ScopeGroup, AuthPoint: quickbi.LevelExport,
			ExpireDate: time.Date(2020, 12, 17, 18, 48, 30, 838e6, time.FixedZone("CST", 8*3600)),
		}),
		params: map[string]string{
			"WorksId": "w-1", "ShareToId": "g-1", "ShareToType": "1", "AuthPoint": "3", "ExpireDate": "1608202110838",
		},
		results: yes, want: receipt,
	},
	{
		name: "CancelReportShare",
		call: call((*quickbi.Client).CancelReportShare, quickbi.CancelReportShareRequest{
			ReportID: "w-1", ShareToID: "o-1", ShareToType: quickbi.ScopeOrganization,
		}),
		params:  map[string]string{"ReportId": "w-1", "ShareToIds": "o-1", "ShareToType": "2"},
		results: yes, want: receipt,
	},
	{
		name: "AddUserToWorkspace",
		call: call((*quickbi.Client).AddUserToWorkspace, quickbi.AddUserToWorkspaceRequest{
			WorkspaceID: "s-1", UserID: "user-1", RoleID: quickbi.RoleAdministrator,
		}),
		params:  map[string]string{"WorkspaceId": "s-1", "UserId": "user-1", "RoleId": "25"},
		results: yes, want: receipt,
	},
	{
		name:    "DeleteUserFromWorkspace",
		call:    call((*quickbi.Client).DeleteUserFromWorkspace, quickbi.WorkspaceUser{WorkspaceID: "s-1", UserID: "user-1"}),
		params:  map[string]string{"WorkspaceId": "s-1", "UserId": "user-1"},
		results: yes, want: receipt,
	},
	{
		name: "UpdateWorkspaceUserRole",
		call: call((*quickbi.Client).UpdateWorkspaceUserRole, quickbi.UpdateWorkspaceUserRoleRequest{
			WorkspaceUser: quickbi.WorkspaceUser{WorkspaceID: "s-1", UserID: "user-1"}, RoleIDs: []int64{25, 9007199254740993},
		}),
		params:  map[string]string{"WorkspaceId": "s-1", "UserId": "user-1", "RoleIds": "25,9007199254740993"},
		results: yes, want: receipt,
	},
	{
		name: "AddWorkspaceUsers",
		call: call((*quickbi.Client).AddWorkspaceUsers, quickbi.AddWorkspaceUsersRequest{
			WorkspaceID: "s-1", UserIDs: []string{"u-1", "u-2", "u-3"}, RoleID: quickbi.RoleViewer,
		}),
		params: map[string]string{"WorkspaceId": "s-1", "UserIds": "u-1,u-2,u-3", "RoleId": "30"},
		results: []string{
			`{"Total":3,"Success":1,"Failure":2,"FailureDetail":{"u-1":"AE0150010001: This user already exists.","u-3":"no"}}`,
			`{"Total":"3","Success":"1","Failure":"2","FailureDetail":"{\"u-1\":\"AE0150010001: This user already exists.\",\"u-3\":\"no\"}"}`,
			`{"failure":2,"failureDetail":{"u-1":"AE0150010001: This user\nalready exists.","u-3":"no"}}`,
			`"{\"Success\":1,\"FailureDetail\":{\"u-1\":\"AE0150010001: This user already exists.\",\"u-3\":\"no\"}}"`,
		},
		want: quickbi.AddWorkspaceUsersResponse{
			Receipt: receipt, Total: 3, Success: 1, Failure: 2,
			FailureDetail: map[string]string{"u-1": "AE0150010001: This user already exists.", "u-3": "no"},
		},
	},
	{
		name: "AddWorkspaceUsers all",
		call: call((*quickbi.Client).AddWorkspaceUsers, quickbi.AddWorkspaceUsersRequest{
			WorkspaceID: "s-1", UserIDs: []string{"u-1"}, RoleID: 26,
		}),
		params: map[string]string{"WorkspaceId": "s-1", "UserIds": "u-1", "RoleId": "26"},
		results: []string{
			`{"Total":1,"Success":1,"Failure":0,"FailureDetail":{}}`, `{"Total":1,"Success":1,"Failure":0}`,
			`{"Total":"1","Success":"1","Failure":"0","FailureDetail":"{}"}`, `{"Failure":0,"FailureDetail":null}`, `{"Success":1,"FailureDetail":""}`,
		},
		want: quickbi.AddWorkspaceUsersResponse{Receipt: receipt, Total: 1, Success: 1},
	},
	{
		name: "AddWorkspaceUsers with a word for a key",
		call: call((*quickbi.Client).AddWorkspaceUsers, quickbi.AddWorkspaceUsersRequest{
			WorkspaceID: "s-1", UserIDs: []string{"u-1", "u-2"}, RoleID: 26,
		}),
		params: map[string]string{"WorkspaceId": "s-1", "UserIds": "u-1,u-2", "RoleId": "26"},
		results: []string{
			`{"Total":2,"Success":0,"Failure":2,"FailureDetail":{"notExsistUserIds":"u-1,u-2"}}`,
			`{"Total":2,"Success":0,"Failure":2,"FailureDetail":{"notExsistUserIds":["u-1","u-2"]}}`,
		},
		want: quickbi.AddWorkspaceUsersResponse{
			Receipt: receipt, Total: 2, Failure: 2, FailureDetail: map[string]string{"notExsistUserIds": "u-1,u-2"},
		},
	},
}

// odd are details of refused users that nobody has seen.
var odd = operation{
	name: "AddWorkspaceUsers odd details",
	call: call((*quickbi.Client).AddWorkspaceUsers, quickbi.AddWorkspaceUsersRequest{
		WorkspaceID: "s-1", UserIDs: []string{"u-1", "u-2", "u-3"}, RoleID: 27,
	}),
	params:  map[string]string{"WorkspaceId": "s-1", "UserIds": "u-1,u-2,u-3", "RoleId": "27"},
	results: []string{`{"Failure":3,"FailureDetail":{"u-1":null,"u-2":{"Code":7},"u-3":7}}`},
	want: quickbi.AddWorkspaceUsersResponse{
		Receipt: receipt, Total: 3, Failure: 3, FailureDetail: map[string]string{"u-1": "", "u-2": `{"Code":7}`, "u-3": "7"},
	},
}

func TestOperations(t *testing.T) {
	t.Parallel()

	for _, op := range slices.Concat(operations, lookups, []operation{odd}) {
		for _, result := range op.results {
			t.Run(op.name+" "+result, func(t *testing.T) {
				t.Parallel()

				var params map[string]string
				var action string
				b := setup(t, bundleOptions{handler: func(w http.ResponseWriter, r *http.Request) {
					params, action = queryOf(t, r.URL.RawQuery), r.Header.Get("X-Acs-Action")
					answers(200, `{"RequestId":"R-1","Success":"true","Result":`+result+`}`)(w, r)
				}})
				got, err := op.call(t.Context(), b.client)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(op.want, got); diff != "" {
					t.Errorf("response (-want +got)\n%s", diff)
				}
				if diff := cmp.Diff(op.params, params); diff != "" {
					t.Errorf("parameters (-want +got)\n%s", diff)
				}
				if action != op.action() {
					t.Errorf("action = %s, want %s", action, op.action())
				}
			})
		}
	}
}
