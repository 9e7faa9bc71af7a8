package quickbitest_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

const world = `{
  "users": ["u1", "u2"], "qa_resources": ["r1"], "qa_themes": ["t1"], "datasets": {"d1": "r1"},
  "access_key_id": "id", "access_key_secret": "secret", "security_token": "token",
  "rate": 50, "rates": {"SmartqAuthorize": 10}, "throttle_hint": "rate_limit", "latency": "20ms", "latency_max": "400ms",
  "max_pairs": 10, "missing_user": "refusal", "missing_resource": "refusal_naming",
  "user_types": {"u2": 3}, "groups": {"g1": ["u1"], "g2": []}, "organization": "org",
  "works": [{"id": "w1", "type": "dashboard", "workspace": "s1", "name": "n", "owner": "u1", "owner_name": "o", "modifier_name": "m",
             "description": "d", "status": 0, "embedded": true, "security_level": "12", "created_at": 1, "modified_at": 2,
             "directory": {"id": "i", "name": "n", "path_id": "a/i", "path_name": "b/n"}}],
  "workspaces": [{"id": "s1", "name": "n", "owner": "u1", "allow_share": false, "members": {"u2": 900},
                  "roles": [{"id": 900, "code": "c", "name": "n", "forbid_analysts": true}]},
                 {"id": "s2", "foreign": true}, {"id": "s3", "personal": true}],
  "repeated_grant": "duplicate", "nothing_to_revoke": "refuse", "old_pages": [], "batch_refusal": "Access.Forbidden",
  "list_inherited": true, "list_authorizations": true, "unlisted_types": ["cube"],
  "faults": [{"kind": "rows", "action": "SmartqAuthorize", "match": {"users": ["u2"]}, "message": "m", "every": 2, "times": 3},
             {"kind": "delay", "delay": "1.5s", "apply": true}]
}`

func TestReadWorld(t *testing.T) {
	t.Parallel()

	want := &quickbitest.Options{
		AccessKeyID: "id", AccessKeySecret: "secret", SecurityToken: "token",
		Users: []string{"u1", "u2"}, QAResources: []string{"r1"}, QAThemes: []string{"t1"}, Datasets: map[string]string{"d1": "r1"},
		Rate: 50, Rates: map[string]int{"SmartqAuthorize": 10}, ThrottleHint: quickbitest.HintRateLimit,
		Latency: quickbitest.Duration(20 * time.Millisecond), LatencyMax: quickbitest.Duration(400 * time.Millisecond), MaxPairs: 10,
		MissingUser: quickbitest.MissingRefusal, MissingResource: quickbitest.MissingRefusalNaming,
		UserTypes: map[string]quickbitest.UserType{"u2": quickbitest.Analyst}, Groups: map[string][]string{"g1": {"u1"}, "g2": {}}, Organization: "org",
		Works: []quickbitest.Work{{
			ID: "w1", Type: quickbitest.TypeDashboard, Workspace: "s1", Name: "n", Owner: "u1", OwnerName: "o", ModifierName: "m",
			Description: "d", Status: new(0), Embedded: true, SecurityLevel: "12", CreatedAt: 1, ModifiedAt: 2,
			Directory: &quickbitest.Directory{ID: "i", Name: "n", PathID: "a/i", PathName: "b/n"},
		}},
		Workspaces: []quickbitest.Workspace{
			{
				ID: "s1", Name: "n", Owner: "u1", AllowShare: new(false), Members: map[string]int64{"u2": 900},
				Roles: []quickbitest.Role{{ID: 900, Code: "c", Name: "n", ForbidAnalysts: true}},
			},
			{ID: "s2", Foreign: true},
			{ID: "s3", Personal: true},
		},
		RepeatedGrant: quickbitest.RepeatDuplicate, NothingToRevoke: quickbitest.NothingRefused, OldPages: []string{}, BatchRefusal: "Access.Forbidden",
		ListInherited: true, ListAuthorizations: true, UnlistedTypes: []string{quickbitest.TypeCube},
		Faults: []quickbitest.Fault{
			{Kind: quickbitest.Rows, Action: "SmartqAuthorize", Match: quickbitest.Match{Users: []string{"u2"}}, Message: "m", Every: 2, Times: 3},
			{Kind: quickbitest.Delay, Delay: quickbitest.Duration(1500 * time.Millisecond), Apply: true},
		},
	}
	got, err := quickbitest.ReadWorld(strings.NewReader(world))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("world (-want +got):\n%s", diff)
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	back, err := quickbitest.ReadWorld(strings.NewReader(string(text)))
	if diff := cmp.Diff(want, back); diff != "" || err != nil {
		t.Errorf("written and read again: %v (-want +got):\n%s", err, diff)
	}
}

func TestReadWorldReportsMistakes(t *testing.T) {
	t.Parallel()

	tests := []struct {
		name, text string
		want       []string // all of them in the message
	}{
		{"unknown field", `{"user": ["u1"]}`, []string{`"user"`}},
		{"unknown field of a fault", `{"faults": [{"kind": "drop", "tiems": 1}]}`, []string{`"tiems"`}},
		{"unknown field of a match", `{"faults": [{"kind": "drop", "match": {"user": ["u1"]}}]}`, []string{`"user"`}},
		{"unknown field of a work", `{"works": [{"id": "w", "kind": "cube"}]}`, []string{`"kind"`}},
		{"unknown field of a role", `{"workspaces": [{"id": "s", "roles": [{"number": 1}]}]}`, []string{`"number"`}},
		{
			"an office that does not fit together",
			`{"user_types": {"u1": 2}, "groups": {"g": ["u2"]}, "organization": "a b", "works": [{"id": "w1", "type": "cube", "workspace": "s9"}],
			  "workspaces": [{"id": "s1", "members": {"u3": 25}}], "repeated_grant": "twice", "nothing_to_revoke": "cry", "old_pages": ["AddUser"],
			  "unlisted_types": ["PAGE"], "faults": [{"kind": "rows", "action": "AddShareReport"}]}`,
			[]string{`"u1"`, `"u2"`, `"a b"`, `"s9"`, `"u3"`, "repeated_grant", "nothing_to_revoke", `old_pages: "AddUser"`, `"PAGE"`, "AddShareReport"},
		},
		{"not JSON", `users: [u1]`, []string{"reading JSON"}},
		{"nothing", ``, []string{"reading JSON"}},
		{"more than one", `{} {}`, []string{"more than one"}},
		{"duration", `{"latency": "soon"}`, []string{"250ms"}},
		{"latencies the wrong way round", `{"latency": "2s", "latency_max": "1s"}`, []string{"latency_max 1s", "2s"}},
		{
			"everything at once",
			`{"rate": -1, "rates": {"AddUser": 1}, "missing_user": "shrug", "missing_resource": "shrug", "throttle_hint": "shout",
			  "users": ["a b"], "qa_resources": [""], "datasets": {"d": "x,y"}, "faults": [{"kind": "drop"}, {"kind": "delay"}]}`,
			[]string{"rate cannot", "AddUser", "missing_user", "missing_resource", "throttle_hint", `"a b"`, "qa_resources", `"x,y"`, "faults[1]"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			_, err := quickbitest.ReadWorld(strings.NewReader(tt.text))
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %s", err, want)
				}
			}
		})
	}
}
