package quickbitest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

func TestReadingTheOffice(t *testing.T) {
	t.Parallel()

	b := setup(t, organisation())
	for _, path := range []string{"works", "shares", "members"} {
		if _, body := b.sandbox("GET "+path, ""); body != "[]" {
			t.Errorf("GET %s of a fresh server = %s, want []", path, body)
		}
	}
	b = setup(t, office())
	authorized := b.answers(addAuthorization, authorize("dashboard:w1", "1", "g1", untilApril), "")
	shared := b.answers(addShare, shareWith("w2", "0", "u1", "AuthPoint=3&ExpireDate="+inAnHour), "")
	added := b.answers(addMember, member("s1", "u1", "&RoleId=900"), "")
	const at = `"2026-03-10T10:30:00Z"`
	wants := map[string]string{
		"state": "[]",
		"works": `[{"id":"` + authorized.id() + `","resource_type":"dashboard","resource":"w1","principal_type":"group","principal":"g1",` +
			`"points":1,"expires_on":"2026-04-01","granted_at":` + at + `,"times":1,"request_id":"` + authorized.doc.RequestID + `"}]`,
		"shares": `[{"id":"` + b.Shares()[0].ID + `","work":"w2","principal_type":"user","principal":"u1","points":3,"expires_at":` + inAnHour +
			`,"shared_at":` + at + `,"times":1,"request_id":"` + shared.doc.RequestID + `"}]`,
		"members": `[{"workspace":"s1","user":"boss","roles":[25],"times":0},` +
			`{"workspace":"s1","user":"u1","roles":[900],"changed_at":` + at + `,"times":1,"request_id":"` + added.doc.RequestID + `"},` +
			`{"workspace":"s1","user":"u3","roles":[30],"times":0}]`,
	}
	for path, want := range wants {
		if _, body := b.sandbox("GET "+path, ""); body != want {
			t.Errorf("GET %s (-want +got):\n%s", path, cmp.Diff(want, body))
		}
	}
}

func TestSteeringTheOffice(t *testing.T) {
	t.Parallel()

	b := setup(t, office())
	b.answers(addAuthorization, authorize("report:w2", "0", "u1", untilApril), "")
	b.change("POST users", `{"add":["n1"],"types":{"n1":2,"u1":3}}`)
	b.change("POST groups", `{"add":{"n2":["n1"]},"remove":["g1"]}`)
	b.change("POST workspaces", `{"add":[{"id":"n3","owner":"u2","roles":[{"id":77}],"members":{"n1":30}}],"remove":["s2"]}`)
	b.change("POST works", `{"add":[{"id":"n4","type":"screen","workspace":"n3"}],"remove":["w2"]}`)
	b.wantAuthorizations()
	b.wantMembers("n3 n1 [30] x0", "n3 u2 [25] x0", "s1 boss [25] x0", "s1 u3 [30] x0")
	b.answers(addAuthorization, authorize("screen:n4", "1", "n2", untilApril), "")
	b.answers(addAuthorization, authorize("screen:n4", "1", "g1", untilApril), "Invalid.Parameter.Error")
	b.answers(addMember, member("n3", "n1", "&RoleId=77"), "Viewer.CannotHave.CustomRole")
	b.answers(addMember, member("n3", "u1", "&RoleId=25"), "AnalystUser.NotSupport.AdminOrDevRole")
	b.answers(addMember, member("s2", "u1", "&RoleId=27"), "Workspace.Not.Exist")
	b.change("POST workspaces", `{"add":[{"id":"s1","allow_share":false}]}`) // replaces it
	b.wantMembers("n3 n1 [30] x0", "n3 u2 [25] x0")
	b.answers(addShare, shareWith("w1", "0", "u1", "AuthPoint=1&ExpireDate="+inAnHour), "Workspace.Share.Forbidden")

	b.change("POST reset", "")
	b.wantAuthorizations()
	b.wantMembers("s1 boss [25] x0", "s1 u3 [30] x0")
	b.answers(addMember, member("s1", "u1", "&RoleId=25"), "") // a developer again
	b.answers(addShare, shareWith("w2", "1", "g1", "AuthPoint=1&ExpireDate="+inAnHour), "")
}

func TestSteeringTheOfficeRefusesMistakes(t *testing.T) {
	t.Parallel()

	tests := []struct {
		route, body string
		status      int
	}{
		{"POST users", `{"add":["n1"],"types":{"n1":4}}`, 400},
		{"POST users", `{"add":["n1"],"types":{"stranger":2}}`, 400},
		{"POST users", `{"remove":["u1"],"types":{"u1":2}}`, 400},
		{"POST groups", `{"add":{"a,b":[]}}`, 400},
		{"POST groups", `{"add":{"g1":["stranger"]}}`, 400},
		{"POST groups", `{"remove":[""]}`, 400},
		{"POST works", `{"add":[{"id":"n1","type":"PAGE"}]}`, 400},
		{"POST works", `{"add":[{"id":"n1","type":"cube"},{"id":"n1","type":"cube"}]}`, 400},
		{"POST works", `{"add":[{"id":"n1","type":"cube","workspace":"s9"}]}`, 400},
		{"POST works", `{"add":[{"id":"n1","type":"cube","status":4}]}`, 400},
		{"POST works", `{"add":[{"id":"n1","type":"cube","security_level":"2"}]}`, 400},
		{"POST works", `{"add":[{"id":"n1","typ":"cube"}]}`, 400},
		{"POST works", `{"remove":["w 1"]}`, 400},
		{"POST workspaces", `{"add":[{"id":"s1","owner":"stranger"}]}`, 400},
		{"POST workspaces", `{"add":[{"id":"s1","members":{"u1":31}}]}`, 400},
		{"POST workspaces", `{"add":[{"id":"s1","roles":[{"id":25}]}]}`, 400},
		{"POST workspaces", `{"add":[{"id":"s1","roles":[{"id":7},{"id":7}]}]}`, 400},
		{"POST workspaces", `{"remove":["s1"],"add":[{"id":""}]}`, 400},
		{"POST shares", `{}`, 405},
		{"POST members", `{}`, 405},
		{"GET workspaces", ``, 405},
	}
	for _, tt := range tests {
		t.Run(tt.route+" "+tt.body, func(t *testing.T) {
			t.Parallel()

			b := setup(t, office())
			status, body := b.sandbox(tt.route, tt.body)
			if status != tt.status || (status == http.StatusBadRequest && !strings.HasPrefix(body, `{"error":{"code":"invalid_request","message":"`)) {
				t.Errorf("answer = %d %s, want %d", status, body, tt.status)
			}
			b.wantMembers("s1 boss [25] x0", "s1 u3 [30] x0")
			b.answers(addMember, member("s1", "n1", "&RoleId=25"), "User.Not.In.Organization")
			b.answers(addAuthorization, authorize("dashboard:w1", "1", "g1", untilApril), "")
		})
	}
}

// TestServerKeepsNothingOfItsOptions: two servers of the same options do not
// share what they remember.
func TestServerKeepsNothingOfItsOptions(t *testing.T) {
	t.Parallel()

	o := office()
	first, second := setup(t, o), setup(t, o)
	first.RemoveUsers("u2", "u3")
	if err := first.AddGroups(map[string][]string{"g1": {"u1"}}); err != nil {
		t.Fatal(err)
	}
	second.answers(addAuthorization, authorize("dashboard:w1", "1", "g1", untilApril), "")
	second.answers(deleteAuthorization, unauthorize("dashboard:w1", "u2"), "DeletePermission.UserBelongsToUsergroup.Error")
	second.wantMembers("s1 boss [25] x0", "s1 u3 [30] x0")
	if err := first.AddWorks(quickbitest.Work{ID: "x"}); err == nil {
		t.Error("a work without a type was added")
	}
	if err := first.AddWorkspaces(quickbitest.Workspace{ID: "s1", Owner: "u3"}); err == nil {
		t.Error("a workspace got an owner who left")
	}
}
