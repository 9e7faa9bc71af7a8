package quickbi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi"
)

// everyOperation is each action once.
func everyOperation() []operation {
	var out []operation
	for _, op := range slices.Concat(operations, lookups) {
		if op.name == op.action() {
			out = append(out, op)
		}
	}
	return out
}

// Whatever the operation, an error says in the same way what happened.
func TestOperationErrors(t *testing.T) {
	t.Parallel()

	type kind struct {
		Type  string
		Class quickbi.Class
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
		source  quickbi.CredentialSource
		want    kind
	}{
		{"refusal", answers(400, `{"RequestId":"R-1","Code":"User.Not.In.Organization"}`), nil, kind{"*quickbi.Error", quickbi.ClassUserGone}},
		{"old refusal", answers(500, `{"RequestId":"R-1","Code":"Instance.Expired"}`), nil, kind{"*quickbi.Error", quickbi.ClassAccount}},
		{"no", answers(200, `{"RequestId":"R-1","Success":"false","Result":true}`), nil, kind{"*quickbi.Error", quickbi.ClassUnrecognised}},
		{"unknown code", answers(400, `{"RequestId":"R-1","Code":"Brand.New"}`), nil, kind{"*quickbi.Error", quickbi.ClassUnrecognised}},
		{"throttled", answers(400, `{"RequestId":"R-1","Code":"Throttling.Api"}`), nil, kind{"*quickbi.Error", quickbi.ClassThrottled}},
		{"page of a proxy", answers(503, `<html>user-1`), nil, kind{"*quickbi.AnswerError", quickbi.ClassTransient}},
		{"cut off", answers(200, `{"Success":true,"Result":`), nil, kind{"*quickbi.AnswerError", quickbi.ClassUnknownOutcome}},
		{"empty", answers(200, ``), nil, kind{"*quickbi.AnswerError", quickbi.ClassUnknownOutcome}},
		{"yes with 500", answers(500, `{"Success":true,"Result":true}`), nil, kind{"*quickbi.AnswerError", quickbi.ClassTransient}},
		{"cut connection", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, nil, kind{"*quickbi.TransportError", quickbi.ClassUnknownOutcome}},
		{
			"no credentials", nil,
			sourceFunc(func(context.Context) (quickbi.Credentials, error) {
				return quickbi.Credentials{}, errors.New("none today")
			}),
			kind{"*quickbi.CredentialError", quickbi.ClassAccount},
		},
	}
	for _, op := range everyOperation() {
		for _, tt := range tests {
			t.Run(op.name+" "+tt.name, func(t *testing.T) {
				t.Parallel()

				b := setup(t, bundleOptions{handler: tt.handler, source: tt.source})
				_, err := op.call(t.Context(), b.client)
				if diff := cmp.Diff(tt.want, kind{fmt.Sprintf("%T", err), quickbi.Classify(err)}); diff != "" {
					t.Errorf("%v (-want +got)\n%s", err, diff)
				}
				if err != nil {
					b.wantQuiet(t, errors.New(err.Error()))
				}
			})
		}
	}
}

// A result of false takes the yes of the envelope back.
func TestDenials(t *testing.T) {
	t.Parallel()

	for _, op := range everyOperation() {
		if !slices.Equal(op.results, yes) && op.name != "AddWorksAuthorization" {
			continue
		}
		for _, no := range []string{`false`, `"false"`, `"False"`, `0`} {
			b := setup(t, bundleOptions{handler: answers(200, `{"RequestId":"R-1","Success":true,"Message":"no\n","Result":`+no+`}`)})
			_, err := op.call(t.Context(), b.client)
			want := &quickbi.Error{Action: op.action(), Message: "no", HTTPStatus: 200, RequestID: "R-1"}
			got, _ := errors.AsType[*quickbi.Error](err)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: Result %s: %v (-want +got)\n%s", op.name, no, err, diff)
			}
			if got := quickbi.Classify(err); got != quickbi.ClassUnrecognised {
				t.Errorf("%s: Result %s: class = %s, want unrecognised", op.name, no, got)
			}
		}
		b := setup(t, bundleOptions{handler: answers(200, `{"Success":true,"Code":"Instance.Expired","Result":false}`)})
		if _, err := op.call(t.Context(), b.client); quickbi.Classify(err) != quickbi.ClassAccount {
			t.Errorf("%s: %v, want the code to decide", op.name, err)
		}
	}
}

// A yes that cannot be read must pass neither for done nor for refused, and
// what cannot be read of a list must not pass for missing.
func TestUnreadableResults(t *testing.T) {
	t.Parallel()

	boolean := []string{``, `null`, `""`, `"perhaps"`, `[]`, `{}`, `{"done":true}`, `2`}
	rows := []string{`true`, `3`, `{}`, `"sorry"`, `[null]`, `[{}]`, `["w-1"]`, `"[{"`, `[{"ReportId":"w-1","RoleName":"x"}]`}
	unreadable := map[string][]string{
		"AddWorksAuthorization": {``, `null`, `""`, `" "`, `true`, `"true"`, `{}`, `["a-1"]`},
		"AddWorkspaceUsers": {
			``, `null`, `true`, `false`, `[]`, `{}`, `"sorry"`, `{"Total":3}`, `{"Total":3,"Success":3,"Failure":"few"}`,
			`{"Total":3,"Success":1,"Failure":2}`,
			`{"Total":3,"Success":1,"Failure":2,"FailureDetail":"u-1 is no good"}`,
			`{"Total":3,"Success":1,"Failure":2,"FailureDetail":{"u-1":"no"}}`,
			`{"Total":3,"Success":3,"Failure":0,"FailureDetail":{"u-1":"no"}}`,
			`{"Total":3,"Success":3,"Failure":0,"FailureDetail":"trouble"}`, `{"Total":4,"Success":3,"Failure":0}`,
			`{"Total":2,"Success":2,"Failure":0}`, `{"Total":3,"Success":2,"Failure":0}`, `{"Success":2}`,
			`{"Total":3,"Success":-1,"Failure":4,"FailureDetail":{"u-1":"no"}}`,
			`{"Total":3,"Success":4,"Failure":-1}`, `{"Failure":4,"FailureDetail":{"someone":"no"}}`,
			`{"Total":3,"Success":3,"Failure":0,"FailureDetail":{"someone":"no"}}`,
		},
		"QueryShareList": rows, "QuerySharesToUserList": rows,
		"ListWorkspaceRoles":           append([]string{`[{"RoleId":"x"}]`, `[{"RoleId":0}]`, `[{"RoleId":-1}]`, `[{"RoleId":25},{}]`}, rows...),
		"QueryUserRoleInfoInWorkspace": {`true`, `[]`, `[{"RoleId":25}]`, `25`, `{"RoleId":"25,26"}`, `{"RoleId":[25]}`, `{"RoleId":-3}`},
		"QueryUserInfoByAccount":       {`true`, `[]`, `[{"UserId":"user-1"}]`, `25`, `"user-1"`, `{"UserId":"user-1,user-2"}`},
		"QueryLlmCubeWithThemeListByUserId": {
			`true`, `[]`, `{"CubeIds":["d-1"]}`, `{"ThemeIds":"t-1"}`, `{"CubeIds":{"":"x"}}`, `{"CubeIds":{"d-1":"x"},"ThemeIds":true}`,
		},
	}
	for _, op := range everyOperation() {
		results, ok := unreadable[op.name]
		if !ok {
			results = boolean
		}
		for _, result := range results {
			body := `{"RequestId":"R-1","Success":true,"Result":` + result + `}`
			if result == `` {
				body = `{"RequestId":"R-1","Success":true}`
			}
			b := setup(t, bundleOptions{handler: answers(200, body)})
			_, err := op.call(t.Context(), b.client)
			want := &quickbi.AnswerError{Action: op.action(), Kind: quickbi.AnswerResult, HTTPStatus: 200, RequestID: "R-1"}
			got, _ := errors.AsType[*quickbi.AnswerError](err)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: Result %s: %v (-want +got)\n%s", op.name, result, err, diff)
			}
			if got := quickbi.Classify(err); got != quickbi.ClassUnknownOutcome {
				t.Errorf("%s: Result %s: class = %s, want an unknown outcome", op.name, result, got)
			}
		}
	}
}

func TestOperationsRefuseLocally(t *testing.T) {
	t.Parallel()

	works := func(alter func(*quickbi.AddWorksAuthorizationRequest)) func(context.Context, *quickbi.Client) (any, error) {
		r := quickbi.AddWorksAuthorizationRequest{ResourceType: "cube", ResourceID: "w", AuthorizedID: "u", AuthPoints: 3, ExpireDay: "2099-12-31"}
		alter(&r)
		return call((*quickbi.Client).AddWorksAuthorization, r)
	}
	share := func(alter func(*quickbi.AddShareReportRequest)) func(context.Context, *quickbi.Client) (any, error) {
		r := quickbi.AddShareReportRequest{WorksID: "w", ShareToID: "u", AuthPoint: 1, ExpireDate: time.UnixMilli(1)}
		alter(&r)
		return call((*quickbi.Client).AddShareReport, r)
	}
	users := func(r quickbi.AddWorkspaceUsersRequest) func(context.Context, *quickbi.Client) (any, error) {
		return call((*quickbi.Client).AddWorkspaceUsers, r)
	}
	member := quickbi.WorkspaceUser{WorkspaceID: "s", UserID: "u"}
	tests := []struct {
		field string
		call  func(context.Context, *quickbi.Client) (any, error)
	}{
		{"ResourceType", works(func(r *quickbi.AddWorksAuthorizationRequest) { r.ResourceType = "analysis" })},
		{"ResourceID", works(func(r *quickbi.AddWorksAuthorizationRequest) { r.ResourceID = "" })},
		{"AuthorizedID", works(func(r *quickbi.AddWorksAuthorizationRequest) { r.AuthorizedID = "user-1,user-2" })},
		{"Scope", works(func(r *quickbi.AddWorksAuthorizationRequest) { r.Scope = 4 })},
		{"Scope", works(func(r *quickbi.AddWorksAuthorizationRequest) { r.Scope = -1 })},
		{"AuthPoints", works(func(r *quickbi.AddWorksAuthorizationRequest) { r.AuthPoints = 0 })},
		{"AuthPoints", works(func(r *quickbi.AddWorksAuthorizationRequest) { r.AuthPoints = 2 })},
		{"ExpireDay", works(func(r *quickbi.AddWorksAuthorizationRequest) { r.ExpireDay = "" })},
		{"ExpireDay", works(func(r *quickbi.AddWorksAuthorizationRequest) { r.ExpireDay = "2026-02-30" })},
		{"ExpireDay", works(func(r *quickbi.AddWorksAuthorizationRequest) { r.AuthPoints = quickbi.LevelEdit })},
		{"ResourceType", call((*quickbi.Client).DeleteAuthorizationByUserID, quickbi.DeleteAuthorizationRequest{ResourceID: "w", QbiUserID: "u"})},
		{"ResourceID", call((*quickbi.Client).DeleteAuthorizationByUserID, quickbi.DeleteAuthorizationRequest{ResourceType: "cube", QbiUserID: "u"})},
		{"QbiUserID", call((*quickbi.Client).DeleteAuthorizationByUserID, quickbi.DeleteAuthorizationRequest{ResourceType: "cube", ResourceID: "w", QbiUserID: " "})},
		{"WorksID", share(func(r *quickbi.AddShareReportRequest) { r.WorksID = "" })},
		{"ShareToID", share(func(r *quickbi.AddShareReportRequest) { r.ShareToID = "" })},
		{"ShareToType", share(func(r *quickbi.AddShareReportRequest) { r.ShareToType = quickbi.ScopeWorkspace })},
		{"AuthPoint", share(func(r *quickbi.AddShareReportRequest) { r.AuthPoint = quickbi.LevelEdit })},
		{"ExpireDate", share(func(r *quickbi.AddShareReportRequest) { r.ExpireDate = time.Time{} })},
		{"ReportID", call((*quickbi.Client).CancelReportShare, quickbi.CancelReportShareRequest{ShareToID: "u"})},
		{"ShareToID", call((*quickbi.Client).CancelReportShare, quickbi.CancelReportShareRequest{ReportID: "w", ShareToID: "user-1,user-2"})},
		{"ShareToType", call((*quickbi.Client).CancelReportShare, quickbi.CancelReportShareRequest{ReportID: "w", ShareToID: "u", ShareToType: 3})},
		{"WorkspaceID", call((*quickbi.Client).AddUserToWorkspace, quickbi.AddUserToWorkspaceRequest{UserID: "u", RoleID: 25})},
		{"UserID", call((*quickbi.Client).AddUserToWorkspace, quickbi.AddUserToWorkspaceRequest{WorkspaceID: "s", RoleID: 25})},
		{"RoleID", call((*quickbi.Client).AddUserToWorkspace, quickbi.AddUserToWorkspaceRequest{WorkspaceID: "s", UserID: "u"})},
		{"WorkspaceID", call((*quickbi.Client).DeleteUserFromWorkspace, quickbi.WorkspaceUser{UserID: "u"})},
		{"UserID", call((*quickbi.Client).DeleteUserFromWorkspace, quickbi.WorkspaceUser{WorkspaceID: "s"})},
		{"RoleIDs", call((*quickbi.Client).UpdateWorkspaceUserRole, quickbi.UpdateWorkspaceUserRoleRequest{WorkspaceUser: member})},
		{"RoleIDs", call((*quickbi.Client).UpdateWorkspaceUserRole, quickbi.UpdateWorkspaceUserRoleRequest{WorkspaceUser: member, RoleIDs: []int64{25, -1}})},
		{"UserID", call((*quickbi.Client).UpdateWorkspaceUserRole, quickbi.UpdateWorkspaceUserRoleRequest{WorkspaceUser: quickbi.WorkspaceUser{WorkspaceID: "s"}, RoleIDs: []int64{25}})},
		{"UserIDs", users(quickbi.AddWorkspaceUsersRequest{WorkspaceID: "s", RoleID: 25})},
		{"UserIDs", users(quickbi.AddWorkspaceUsersRequest{WorkspaceID: "s", RoleID: 25, UserIDs: []string{"user-1", ""}})},
		{"UserIDs", users(quickbi.AddWorkspaceUsersRequest{WorkspaceID: "s", RoleID: 25, UserIDs: []string{"user-1", "user-1"}})},
		{"WorkspaceID", users(quickbi.AddWorkspaceUsersRequest{RoleID: 25, UserIDs: []string{"user-1"}})},
		{"RoleID", users(quickbi.AddWorkspaceUsersRequest{WorkspaceID: "s", UserIDs: []string{"user-1"}})},
		{"reportID", call((*quickbi.Client).QueryShareList, "")},
		{"userID", call((*quickbi.Client).QuerySharesToUserList, "user-1,user-2")},
		{"userID", call((*quickbi.Client).QueryLlmCubeWithThemeListByUserID, "")},
		{"workspaceID", call((*quickbi.Client).ListWorkspaceRoles, "")},
		{"UserID", call((*quickbi.Client).QueryUserRoleInfoInWorkspace, quickbi.WorkspaceUser{WorkspaceID: "s"})},
	}
	b := setup(t, bundleOptions{})
	for _, tt := range tests {
		_, err := tt.call(t.Context(), b.client)
		e, ok := errors.AsType[*quickbi.RequestError](err)
		if !ok || e.Field != tt.field || quickbi.Classify(err) != quickbi.ClassRequest {
			t.Errorf("error = %v, want a RequestError about %s", err, tt.field)
			continue
		}
		b.wantQuiet(t, err)
	}
	if got := b.hits.Load(); got != 0 {
		t.Errorf("%d requests arrived, want none", got)
	}
}
