package quickbitest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

// everyCall is one call of each action that the office carries out.
var everyCall = []struct {
	action, params string
	failed, good   string // the Result of a failure and of a success that tell nothing
}{
	{"SmartqAuthorize", grant("u1", "LlmCubes=r1"), `[]`, `[]`},
	{addAuthorization, authorize("dashboard:w1", "0", "u1", untilApril), `""`, `""`},
	{deleteAuthorization, unauthorize("dashboard:w1", "u1"), `false`, `true`},
	{addShare, shareWith("w1", "0", "u1", "AuthPoint=1&ExpireDate="+inAnHour), `"false"`, `"true"`},
	{cancelShare, unshare("w1", "0", "u1"), `false`, `true`},
	{addMember, member("s1", "u1", "&RoleId=30"), `false`, `true`},
	{addMembers, batch("u1,u2", "30"), `{"Failure":0,"FailureDetail":{},"Success":0,"Total":0}`, `{"Failure":0,"FailureDetail":{},"Success":0,"Total":0}`},
	{removeMember, member("s1", "u3", ""), `false`, `true`},
	{changeRole, member("s1", "u3", "&RoleIds=25"), `false`, `true`},
	{roleOf, member("s1", "u3", ""), `{}`, `{}`},
	{listRoles, "WorkspaceId=s1", `[]`, `[]`},
	{worksOfUser, "UserId=u1", `[]`, `[]`},
	{listShares, "ReportId=w1", `[]`, `[]`},
	{smartqOfUser, "UserId=u1", `{}`, `{}`},
}

// TestFaultsOfEveryAction: what goes wrong does so for every action alike.
func TestFaultsOfEveryAction(t *testing.T) {
	t.Parallel()

	for _, c := range everyCall {
		t.Run(c.action, func(t *testing.T) {
			t.Parallel()

			b := setup(t, office())
			script := func(f quickbitest.Fault) loose {
				t.Helper()
				f.Action, f.Times = c.action, 1
				if err := b.AddFaults(f); err != nil {
					t.Fatal(err)
				}
				return b.on(c.action, c.params)
			}
			if r := script(quickbitest.Fault{Kind: quickbitest.SuccessFalse}); fmt.Sprint(r.success) != "false" {
				t.Errorf("success_false = %s", r.body)
			} else {
				same(t, "Result", c.failed, r.result)
			}
			if r := script(quickbitest.Fault{Kind: quickbitest.Throttle}); r.code != "Throttling.User" || r.status != http.StatusBadRequest {
				t.Errorf("throttle = %d %s", r.status, r.body)
			}
			if r := script(quickbitest.Fault{Kind: quickbitest.HTML}); r.status != http.StatusBadGateway {
				t.Errorf("html = %d %s", r.status, r.body)
			}
			if r := script(quickbitest.Fault{Kind: quickbitest.Empty}); r.err != nil || len(r.body) > 0 {
				t.Errorf("empty = %s %v", r.body, r.err)
			}
			for _, f := range []quickbitest.Kind{quickbitest.Drop, quickbitest.LoseAnswer} {
				if r := script(quickbitest.Fault{Kind: f}); r.err == nil {
					t.Errorf("%s = %d %s", f, r.status, r.body)
				}
			}
			calls := b.Calls()
			for i, call := range calls {
				if last := i == len(calls)-1; call.Applied != last || call.Violation != "" || call.Action != c.action {
					t.Errorf("call = %+v", call)
				}
			}
		})
	}
}

// TestOversizedOfEveryAction reads the beginning of each answer, which is a
// success up to the padding.
func TestOversizedOfEveryAction(t *testing.T) {
	t.Parallel()

	b := setup(t, with(func(o *quickbitest.Options) { o.Faults = []quickbitest.Fault{{Kind: quickbitest.Oversized}} }))
	for _, c := range everyCall {
		resp, err := b.http.Client().Do(b.signedFor(c.action, c.params))
		if err != nil {
			t.Fatal(err)
		}
		head, err := io.ReadAll(io.LimitReader(resp.Body, 400))
		_ = resp.Body.Close()
		var doc struct{ Result, Success any }
		jsonErr := json.Unmarshal(append(head, '}'), &doc) //nolint:musttag // the API's names are spelled like the fields
		if err != nil || jsonErr != nil || resp.ContentLength < 64<<20 || fmt.Sprint(doc.Success) != "true" {
			t.Fatalf("%s: %d bytes: %s %v %v", c.action, resp.ContentLength, head, err, jsonErr)
		}
		same(t, c.action, c.good, doc.Result)
	}
}

func TestLostAnswersAreApplied(t *testing.T) {
	t.Parallel()

	b := setup(t, with(func(o *quickbitest.Options) {
		o.RepeatedGrant = quickbitest.RepeatDuplicate
		o.Faults = []quickbitest.Fault{{Kind: quickbitest.LoseAnswer, Action: addAuthorization, Times: 1}, {Kind: quickbitest.CutAnswer, Action: addShare, Times: 1}}
	}))
	for range 2 { // a client that repeats blindly
		_ = b.on(addAuthorization, authorize("dashboard:w1", "0", "u1", untilApril))
		_ = b.on(addShare, shareWith("w1", "0", "u1", "AuthPoint=1&ExpireDate="+inAnHour))
	}
	b.wantAuthorizations("dashboard:w1 user:u1 1 2026-04-01 x1", "dashboard:w1 user:u1 1 2026-04-01 x1")
	b.wantShares("w1 user:u1 1 "+inAnHour+" x1", "w1 user:u1 1 "+inAnHour+" x1")
}

func TestMatchingPrincipalsAndWorks(t *testing.T) {
	t.Parallel()

	tests := []struct {
		match quickbitest.Match
		want  []string // actions that are struck
	}{
		{quickbitest.Match{Users: []string{"g1"}}, []string{addShare}},
		{quickbitest.Match{Resources: []string{"w1"}}, []string{addAuthorization, addShare, listShares}},
		{quickbitest.Match{Resources: []string{"s1"}}, []string{addMember, listRoles}},
		{quickbitest.Match{Users: []string{"u1"}}, []string{addAuthorization, addMember, worksOfUser}},
		{quickbitest.Match{Users: []string{"u1"}, Resources: []string{"w1"}}, []string{addAuthorization}},
	}
	for _, tt := range tests {
		b := setup(t, with(func(o *quickbitest.Options) {
			o.OldPages = []string{}
			o.Faults = []quickbitest.Fault{{Kind: quickbitest.Refuse, Code: "struck", Message: "for %s", Match: tt.match}}
		}))
		var got []string
		for _, c := range []struct{ action, params string }{
			{addAuthorization, authorize("dashboard:w1", "0", "u1", untilApril)},
			{addShare, shareWith("w1", "1", "g1", "AuthPoint=1&ExpireDate="+inAnHour)},
			{addMember, member("s1", "u1", "&RoleId=25")},
			{listRoles, "WorkspaceId=s1"},
			{worksOfUser, "UserId=u1"},
			{listShares, "ReportId=w1"},
		} {
			r := b.on(c.action, c.params)
			if r.code == "" {
				continue
			}
			got = append(got, c.action)
			if named := append(tt.match.Users, tt.match.Resources...)[0]; r.message != "for "+named {
				t.Errorf("%s: message = %q, want %s named", c.action, r.message, named)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", tt.match, diff)
		}
	}
}

func TestRowsOfABatch(t *testing.T) {
	t.Parallel()

	b := setup(t, with(func(o *quickbitest.Options) {
		o.Faults = []quickbitest.Fault{{Kind: quickbitest.Rows, Message: "AE1: not %s", Match: quickbitest.Match{Users: []string{"u2"}}}}
	}))
	same(t, "counts", `{"Failure":1,"FailureDetail":{"u2":"AE1: not u2"},"Success":1,"Total":2}`, b.answers(addMembers, batch("u1,u2", "30"), "").result)
	b.wantMembers("s1 boss [25] x0", "s1 u1 [30] x1", "s1 u3 [30] x0")
	b.answers(addMember, member("s1", "u2", "&RoleId=30"), "") // has no rows that could fail
	if c := b.Calls()[1]; c.Fault != "" || !c.Applied {
		t.Errorf("call = %+v", c)
	}
	err := b.AddFaults(quickbitest.Fault{Kind: quickbitest.Rows, Action: addMember})
	if err == nil || !strings.Contains(err.Error(), addMember) {
		t.Errorf("AddFaults() = %v, want rows refused", err)
	}
}

func TestActionsHaveTheirOwnRate(t *testing.T) {
	t.Parallel()

	b := setup(t, with(func(o *quickbitest.Options) { o.Rate, o.Rates = 1, map[string]int{worksOfUser: 2} }))
	for _, want := range []string{"", "", "Throttling.User"} {
		b.answers(worksOfUser, "UserId=u1", want)
	}
	b.answers(listShares, "ReportId=w1", "")
	b.answers(listShares, "ReportId=w1", "Throttling.User")
}

func TestConcurrentChanges(t *testing.T) {
	t.Parallel()

	b := setup(t, with(func(o *quickbitest.Options) { o.RepeatedGrant = quickbitest.RepeatOverwrite }))
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			user := fmt.Sprintf("u%d", i%2+1)
			_ = b.on(addAuthorization, authorize("dashboard:w1", "0", user, untilApril))
			_ = b.on(addShare, shareWith("w1", "0", user, "AuthPoint=1&ExpireDate="+inAnHour))
			_ = b.on(addMembers, batch("u1,u2", "30"))
			_ = b.on(changeRole, member("s1", "u3", "&RoleIds=25"))
			_, _, _ = b.Authorizations(), b.Shares(), b.Members()
			_ = b.on(worksOfUser, "UserId="+user)
			b.turn(time.Millisecond)
		})
	}
	all.Wait()
	b.wantAuthorizations("dashboard:w1 user:u1 1 2026-04-01 x4", "dashboard:w1 user:u2 1 2026-04-01 x4")
	b.wantShares("w1 user:u1 1 "+inAnHour+" x4", "w1 user:u2 1 "+inAnHour+" x4")
	b.wantMembers("s1 boss [25] x0", "s1 u1 [30] x1", "s1 u2 [30] x1", "s1 u3 [25] x8")
}
