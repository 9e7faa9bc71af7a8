package quickbitest_test

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

const (
	addShare    = "AddShareReport"
	cancelShare = "CancelReportShare"
	listShares  = "QueryShareList"
)

// inAnHour is a time as the API takes it.
var inAnHour = strconv.FormatInt(start.Add(time.Hour).UnixMilli(), 10)

func shareWith(work, scope, who, terms string) string {
	return "WorksId=" + work + "&ShareToType=" + scope + "&ShareToId=" + who + "&" + terms
}

func unshare(work, scope, who string) string {
	return "ReportId=" + work + "&ShareToType=" + scope + "&ShareToIds=" + who
}

func TestShareAndCancel(t *testing.T) {
	t.Parallel()

	b := setup(t, office())
	viewed := "AuthPoint=1&ExpireDate=" + inAnHour
	first := b.answers(addShare, shareWith("w1", "0", "u1", viewed), "")
	b.answers(addShare, shareWith("w1", "1", "g1", "AuthPoint=3&ExpireDate="+inAnHour), "")
	b.answers(addShare, shareWith("p1", "2", "org", viewed), "")
	b.wantShares("p1 organization:org 1 "+inAnHour+" x1", "w1 user:u1 1 "+inAnHour+" x1", "w1 group:g1 3 "+inAnHour+" x1")
	want := quickbitest.Share{
		ID: b.Shares()[1].ID, Work: "w1", PrincipalType: quickbitest.PrincipalUser, Principal: "u1", Points: 1,
		ExpiresAt: start.Add(time.Hour).UnixMilli(), SharedAt: start, Times: 1, RequestID: first.doc.RequestID,
	}
	if diff := cmp.Diff(want, b.Shares()[1]); diff != "" || want.ID == "" {
		t.Errorf("share (-want +got):\n%s", diff)
	}
	b.answers(cancelShare, unshare("w1", "1", "g1"), "")
	b.answers(cancelShare, unshare("w1", "0", "u2"), "") // nothing there
	b.wantShares("p1 organization:org 1 "+inAnHour+" x1", "w1 user:u1 1 "+inAnHour+" x1")
	b.turn(time.Hour - time.Millisecond)
	if got := len(b.Shares()); got != 2 {
		t.Errorf("%d shares a millisecond before the end, want 2", got)
	}
	b.turn(time.Millisecond)
	b.wantShares()
}

func TestRefusedShares(t *testing.T) {
	t.Parallel()

	const invalid, empty = "Invalid.Param.Error", "System.Param.Empty"
	terms := "AuthPoint=1&ExpireDate=" + inAnHour
	now := strconv.FormatInt(start.UnixMilli(), 10)
	seconds := strconv.FormatInt(start.Add(time.Hour).Unix(), 10)
	refuses(t, addShare, []refused{
		{"no such work", shareWith("w9", "0", "u1", terms), "Report.NotExist.Error", false},
		{"a dataset", shareWith("c1", "0", "u1", terms), "Report.NotExist.Error", false},
		{"no such user", shareWith("w1", "0", "gone", terms), "Invalid.User.Organization", false},
		{"no such group", shareWith("w1", "1", "u1", terms), "Usergroup.Not.Exist", false},
		{"no such organisation", shareWith("w1", "2", "u1", terms), "Invalid.Organization", false},
		{"sharing is forbidden there", shareWith("w3", "0", "u1", terms), "Workspace.Share.Forbidden", false},
		{"a workspace", shareWith("w1", "3", "s1", terms), invalid, true},
		{"to edit", shareWith("w1", "0", "u1", "AuthPoint=11&ExpireDate="+inAnHour), invalid, true},
		{"over already", shareWith("w1", "0", "u1", "AuthPoint=1&ExpireDate="+now), invalid, true},
		{"seconds", shareWith("w1", "0", "u1", "AuthPoint=1&ExpireDate="+seconds), invalid, true},
		{"a day", shareWith("w1", "0", "u1", "AuthPoint=1&ExpireDate=2026-04-01"), invalid, true},
		{"a list", shareWith("w1", "0", "u1,u2", terms), invalid, true},
		{"other name of the work", "ReportId=w1&ShareToType=0&ShareToId=u1&" + terms, invalid, true},
		{"no end", shareWith("w1", "0", "u1", "AuthPoint=1"), empty, true},
		{"no level", shareWith("w1", "0", "u1", "ExpireDate="+inAnHour), empty, true},
		{"no type", "WorksId=w1&ShareToId=u1&" + terms, empty, true},
	})
}

func TestRefusedCancellations(t *testing.T) {
	t.Parallel()

	refuses(t, cancelShare, []refused{
		{"no such work", unshare("w9", "0", "u1"), "Report.NotExist.Error", false},
		{"no such user", unshare("w1", "0", "gone"), "Invalid.User.Organization", false},
		{"a list", unshare("w1", "0", "u1,u2"), "Invalid.Param.Error", true},
		{"other name of the target", "ReportId=w1&ShareToType=0&ShareToId=u1", "Invalid.Param.Error", true},
		{"no target", "ReportId=w1&ShareToType=0", "System.Param.Empty", true},
	})
}

// TestOldPages: the same answers in the two spellings.
func TestOldPages(t *testing.T) {
	t.Parallel()

	tests := []struct {
		name                string
		pages               []string
		status              int
		share, list, counts string
	}{
		{
			"as published", nil, http.StatusInternalServerError, `["true","true"]`,
			`[{"AuthPoint":1,"ExpireDate":` + inAnHour + `,"ReportId":"w2","ShareToId":"u1","ShareToName":"u1","ShareToType":0,"ShareType":"worksheet"}]`,
			`{"Failure":1,"FailureDetail":{"u3":"AE0150010001: This user already exists."},"Success":1,"Total":2}`,
		},
		{
			"none",
			[]string{},
			http.StatusBadRequest, `[true,true]`,
			`[{"AuthPoint":1,"ExpireDate":` + inAnHour + `,"ReportId":"w2","ShareToId":"u1","ShareToName":"u1","ShareToType":0,"ShareType":"worksheet"}]`,
			`{"Failure":1,"FailureDetail":{"u3":"AE0150010001: This user already exists."},"Success":1,"Total":2}`,
		},
		{
			"all",
			[]string{addShare, addMembers, listShares},
			http.StatusInternalServerError, `["true","true"]`,
			`[{"AuthPoint":"1","ExpireDate":"` + inAnHour + `","ReportId":"w2","ShareToId":"u1","ShareToName":"u1","ShareToType":"0","ShareType":"worksheet"}]`,
			`{"Failure":"1","FailureDetail":"{\"u3\":\"AE0150010001: This user already exists.\"}","Success":"1","Total":"2"}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			b := setup(t, with(func(o *quickbitest.Options) { o.OldPages = tt.pages }))
			bad := b.answers(addShare, shareWith("w9", "0", "u1", "AuthPoint=1&ExpireDate="+inAnHour), "Report.NotExist.Error")
			if bad.status != tt.status {
				t.Errorf("status of a refusal = %d, want %d", bad.status, tt.status)
			}
			good := b.answers(addShare, shareWith("w2", "0", "u1", "AuthPoint=1&ExpireDate="+inAnHour), "")
			same(t, "share", tt.share, []any{good.success, good.result})
			list := b.answers(listShares, "ReportId=w2", "").items()
			delete(list[0], "ShareId")
			same(t, "list", tt.list, list)
			same(t, "counts", tt.counts, b.answers(addMembers, "WorkspaceId=s1&UserIds=u1,u3&RoleId=30", "").result)
		})
	}
}

// TestOldPagesLeaveTheGatewayAlone: what the gateway says keeps its status.
func TestOldPagesLeaveTheGatewayAlone(t *testing.T) {
	t.Parallel()

	b := setup(t, with(func(o *quickbitest.Options) {
		o.OldPages = []string{addAuthorization}
		o.Rates = map[string]int{addAuthorization: 1}
		o.Faults = []quickbitest.Fault{{Kind: quickbitest.Refuse, Times: 1}}
	}))
	if r := b.answers(addAuthorization, authorize("dashboard:w1", "0", "u1", untilApril), "Internal.System.Error"); r.status != http.StatusInternalServerError {
		t.Errorf("status of a scripted refusal = %d", r.status)
	}
	if r := b.answers(addAuthorization, authorize("dashboard:w1", "0", "u1", untilApril), "Throttling.User"); r.status != http.StatusBadRequest {
		t.Errorf("status of a throttled call = %d", r.status)
	}
	b.turn(time.Second)
	if r := b.answers(addAuthorization, "ResourceId=w1", "MissingResourceType"); r.status != http.StatusBadRequest {
		t.Errorf("status of a missing parameter = %d", r.status)
	}
}

func TestRepeatedShare(t *testing.T) {
	t.Parallel()

	later := strconv.FormatInt(start.Add(2*time.Hour).UnixMilli(), 10)
	tests := []struct {
		how  quickbitest.Repeat
		code string
		want []string
	}{
		{quickbitest.RepeatOverwrite, "", []string{"w1 user:u1 3 " + later + " x2"}},
		{quickbitest.RepeatDuplicate, "", []string{"w1 user:u1 1 " + inAnHour + " x1", "w1 user:u1 3 " + later + " x1"}},
		{quickbitest.RepeatRefuse, "Invalid.Param.Error", []string{"w1 user:u1 1 " + inAnHour + " x1"}},
	}
	for _, tt := range tests {
		t.Run(string(tt.how), func(t *testing.T) {
			t.Parallel()

			b := setup(t, with(func(o *quickbitest.Options) { o.RepeatedGrant = tt.how }))
			b.answers(addShare, shareWith("w1", "0", "u1", "AuthPoint=1&ExpireDate="+inAnHour), "")
			b.turn(time.Minute)
			b.answers(addShare, shareWith("w1", "0", "u1", "AuthPoint=3&ExpireDate="+later), tt.code)
			b.wantShares(tt.want...)
			if got := len(b.answers(listShares, "ReportId=w1", "").items()); got != len(tt.want) {
				t.Errorf("%d shares listed, want %d", got, len(tt.want))
			}
		})
	}
}

func TestShareList(t *testing.T) {
	t.Parallel()

	types := func(r loose) []string {
		out := []string{}
		for _, share := range r.items() {
			out = append(out, fmt.Sprint(share["ShareToType"], " ", share["ShareToId"]))
		}
		return out
	}
	for _, listed := range []bool{false, true} {
		b := setup(t, with(func(o *quickbitest.Options) { o.ListAuthorizations = listed }))
		b.answers(addShare, shareWith("w1", "1", "g1", "AuthPoint=1&ExpireDate="+inAnHour), "")
		b.answers(addAuthorization, authorize("dashboard:w1", "3", "s1", untilApril), "")
		b.answers(addAuthorization, authorize("dashboard:w1", "0", "u1", "AuthPoints=11"), "")
		want := []string{"1 g1"}
		if listed {
			want = append(want, "3 s1")
		}
		if diff := cmp.Diff(want, types(b.answers(listShares, "ReportId=w1", ""))); diff != "" {
			t.Errorf("authorizations listed: %t (-want +got):\n%s", listed, diff)
		}
		b.turn(time.Hour)
		if diff := cmp.Diff(want[1:], types(b.answers(listShares, "ReportId=w1", ""))); diff != "" {
			t.Errorf("when the share is over (-want +got):\n%s", diff)
		}
		b.answers(listShares, "ReportId=w9", "Report.NotExist.Error")
		b.answers(listShares, "WorksId=w1", "Invalid.Parameter.Error")
	}
}
