package tasks

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/quickbi"
	"github.com/usher-bi/usher/internal/store"
)

func names(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%d", prefix, i+1)
	}
	return out
}

// taskOf is a grant of users × resources of one type.
func taskOf(users []string, typ access.ResourceType, resources []string) store.Task {
	task := store.Task{Rectangle: access.Rectangle{Action: access.SmartqAuthorize, Operation: access.Grant}}
	for _, u := range users {
		task.Principals = append(task.Principals, access.Principal{Type: access.User, ID: u})
	}
	for _, r := range resources {
		task.Resources = append(task.Resources, access.Resource{Type: typ, ID: r})
	}
	return task
}

// judge is what a handler decides that gives up after three strikes.
func judge(task store.Task, r reply) verdict {
	return (&handler{options: Options{MaxStrikes: 3}.withDefaults()}).judge(task, r)
}

func rows(failures []quickbi.SmartqFailure) reply { return reply{outcome: outcome{failures: failures}} }

func refusal(code, message string) reply {
	err := &quickbi.Error{Code: code, Message: message, HTTPStatus: 400, RequestID: "REQ"}
	return reply{err: err, answer: answerOf(1, outcome{}, err, time.Millisecond)}
}

// describe writes the parts of a verdict as "u1+u2×r1", with what is over and
// what failed.
func describe(v verdict) []string {
	var out []string
	for _, p := range v.parts {
		words := []string{strings.Join(byPrincipal.names(p.Rectangle), "+") + "×" + strings.Join(byResource.names(p.Rectangle), "+")}
		if p.Done {
			words = append(words, "done")
		}
		for _, e := range p.Exceptions {
			words = append(words, fmt.Sprintf("!%s×%s", e.Principal, e.Resource.ID))
		}
		out = append(out, strings.Join(words, " "))
	}
	return out
}

func TestRefusalOfAWholeCall(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		code, message string
		users, res    int
		want          []string // parts; nil: every cell fails
	}{
		{"one cell", "User.Not.In.Organization", "", 1, 1, nil},
		{"one user has several resources", "User.Not.In.Organization", "", 1, 3, nil},
		{"one resource has several users", "Application.Object.NotExist", "", 3, 1, nil},
		{"an expiry is every cell's", "Share.ExpireDate.Error", "", 4, 4, nil},
		{"unnamed user", "User.Not.In.Organization", "The specified user is not in the organizational unit.", 4, 2, []string{"u1+u2×r1+r2", "u3+u4×r1+r2"}},
		{"named user", "UserRoleConfig.NotContain.Function", "The user u3 does not have permission.", 4, 1, []string{"u3×r1", "u1+u2+u4×r1"}},
		{"a name within a longer one is no name", "UserRoleConfig.NotContain.Function", "The user u34 does not.", 4, 1, []string{"u1+u2×r1", "u3+u4×r1"}},
		{"everybody named", "UserRoleConfig.NotContain.Function", "Users u1, u2.", 2, 1, []string{"u1×r1", "u2×r1"}},
		{"named resource", "Application.Object.NotExist", "r2 is gone", 2, 3, []string{"u1+u2×r2", "u1+u2×r1+r3"}},
		{"a parameter that the message explains", "Invalid.Parameter.Error", "The Q&A resource does not exist.", 4, 2, []string{"u1+u2+u3+u4×r1", "u1+u2+u3+u4×r2"}},
		{"a role is every cell's", "User.RoleType.Valid", "", 4, 1, nil},
		{"a parameter", "Invalid.Parameter.Error", "", 2, 4, []string{"u1+u2×r1+r2", "u1+u2×r3+r4"}},
		{"a code nobody knows", "Brand.New.Error", "", 2, 1, []string{"u1×r1", "u2×r1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			task := taskOf(names("u", tt.users), access.QAResource, names("r", tt.res))
			v := judge(task, refusal(tt.code, tt.message))
			if diff := cmp.Diff(tt.want, describe(v)); diff != "" {
				t.Errorf("parts (-want +got):\n%s", diff)
			}
			if tt.want == nil && (v.kind != finish || len(v.exceptions) != task.Cells()) {
				t.Errorf("kind %d with %d exceptions, want every one of %d cells failed", v.kind, len(v.exceptions), task.Cells())
			}
			for _, e := range v.exceptions {
				if e.Status != store.Failed || e.APICode != tt.code || e.RequestID != "REQ" || e.Code == "" {
					t.Errorf("exception %+v lacks what the API said", e)
				}
			}
		})
	}
}

func TestWhatMayHaveHappenedIsNotForgotten(t *testing.T) {
	t.Parallel()

	pair := taskOf(names("u", 2), access.QAResource, names("r", 1))
	pair.Unsure = true
	for _, v := range []verdict{
		judge(pair, refusal("User.Not.In.Organization", "")),
		judge(pair, refusal("Brand.New.Error", "")),
		judge(pair, rows([]quickbi.SmartqFailure{{UserID: "stranger"}})),
	} {
		for _, p := range v.parts {
			if !p.Unsure {
				t.Errorf("%v: a part forgot that an earlier call may have been carried out", describe(v))
			}
		}
	}
	pair.Unsure = false
	for _, p := range judge(pair, rows([]quickbi.SmartqFailure{{UserID: "stranger"}})).parts {
		if !p.Unsure {
			t.Error("a part of a call that was carried out, but for a row that may mean anybody, may have been carried out")
		}
	}
	for status, want := range map[int]bool{500: true, 502: true, 503: false, 504: true} {
		err := &quickbi.AnswerError{Kind: quickbi.AnswerHTML, HTTPStatus: status}
		v := judge(pair, reply{err: err, answer: answerOf(1, outcome{}, err, time.Second)})
		if v.again.Unsure != want {
			t.Errorf("after a page with status %d: unsure = %t, want %t", status, v.again.Unsure, want)
		}
	}
	said := judge(pair, refusal("Internal.System.Error", ""))
	if said.again.Unsure {
		t.Error("an error that Quick BI itself words leaves no doubt")
	}
	single := taskOf(names("u", 1), access.Report, names("w", 1))
	single.Action = access.AddWorksAuthorization
	if !judge(single, refusal("Internal.System.Error", "")).again.Unsure {
		t.Error("a grant that must not be doubled was to be sent again on trust")
	}
}

func TestRepeatsAreBounded(t *testing.T) {
	t.Parallel()

	cut503 := &quickbi.AnswerError{Kind: quickbi.AnswerHTML, HTTPStatus: 503, RetryAfter: 90 * time.Second}
	task := taskOf(names("u", 2), access.QAResource, names("r", 1))
	v := judge(task, reply{err: cut503})
	if v.kind != repeat || v.again.Delay != 90*time.Second || !v.again.Counts || v.again.Unsure {
		t.Errorf("the first 503: %+v, want a counted repeat after the wait it asks for", v)
	}
	task.Strikes = 2
	v = judge(task, reply{err: cut503})
	if diff := cmp.Diff([]string{"u1×r1", "u2×r1"}, describe(v)); diff != "" {
		t.Errorf("the last 503 of a call of two (-want +got):\n%s", diff)
	}
	for _, p := range v.parts {
		if p.Strikes != 1 {
			t.Errorf("a part begins with %d strikes, want 1: two more tries", p.Strikes)
		}
	}
	lost := &quickbi.TransportError{Sent: true, Timeout: true}
	task.Unsure = true
	for _, p := range judge(task, reply{err: lost}).parts {
		if !p.Unsure {
			t.Error("a part forgot that an earlier call may have been carried out")
		}
	}
	alone := taskOf(names("u", 1), access.QAResource, names("r", 1))
	alone.Strikes = 2
	if e := judge(alone, reply{err: cut503}).exceptions[0]; e.Status != store.Failed || !e.Retryable {
		t.Errorf("one change, out of tries: %+v, want a retryable failure", e)
	}
	if e := judge(alone, reply{err: lost}).exceptions[0]; e.Status != store.Unknown || e.Code != codeOutcomeUnknown {
		t.Errorf("one change, never answered: %+v, want unknown", e)
	}
	alone.Unsure = true
	if e := judge(alone, reply{err: cut503}).exceptions[0]; e.Status != store.Unknown {
		t.Errorf("one change, once unanswered: %+v, want unknown though the last answer was clear", e)
	}
}

func TestFailureRowsOfUnclearMeaning(t *testing.T) {
	t.Parallel()
	row := func(user, cube, theme string) quickbi.SmartqFailure {
		return quickbi.SmartqFailure{UserID: user, LlmCube: cube, LlmCubeTheme: theme, DetailMessage: "AE1: no"}
	}
	for _, tt := range []struct {
		name string
		typ  access.ResourceType
		u, r int
		rows []quickbi.SmartqFailure
		want []string // parts; nil: finished, with the first row's cell failed
	}{
		{"clear", access.QAResource, 3, 2, []quickbi.SmartqFailure{row("u2", "r2", "")}, nil},
		{"one cell takes any row", access.QAResource, 1, 1, []quickbi.SmartqFailure{row("somebody", "else", "")}, nil},
		{"one dataset takes its resource's row", access.Dataset, 2, 1, []quickbi.SmartqFailure{row("u2", "behind", "")}, nil},
		{
			"several datasets", access.Dataset, 3, 2,
			[]quickbi.SmartqFailure{row("u2", "behind", "")},
			[]string{"u1+u3×r1+r2 done", "u2×r1", "u2×r2"},
		},
		{
			"a user without a resource", access.QAResource, 2, 2,
			[]quickbi.SmartqFailure{row("u1", "", "")},
			[]string{"u2×r1+r2 done", "u1×r1", "u1×r2"},
		},
		{
			"a resource without a user", access.QAResource, 2, 2,
			[]quickbi.SmartqFailure{row("", "r2", "")},
			[]string{"u1+u2×r1 done", "u1+u2×r2"},
		},
		{
			"a stranger", access.QAResource, 2, 1,
			[]quickbi.SmartqFailure{row("stranger", "r1", "")},
			[]string{"u1×r1", "u2×r1"},
		},
		{
			"clear and unclear", access.QAResource, 2, 2,
			[]quickbi.SmartqFailure{row("u1", "", ""), row("u1", "r1", ""), row("u2", "r2", "")},
			[]string{"u1×r1 done !u1×r1", "u2×r1+r2 done !u2×r2", "u1×r2"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := judge(taskOf(names("u", tt.u), tt.typ, names("r", tt.r)), rows(tt.rows))
			if diff := cmp.Diff(tt.want, describe(v)); diff != "" {
				t.Errorf("parts (-want +got):\n%s", diff)
			}
			if tt.want == nil && (v.kind != finish || len(v.exceptions) != 1 || v.exceptions[0].APICode != "AE1") {
				t.Errorf("verdict %+v, want one failure with the row's own code", v)
			}
		})
	}
}

// Whatever the rows say, a cut call keeps every cell exactly once, no part is
// as large as the whole unless it is over, and failures lie in parts that are
// over.
func TestSettlingKeepsEveryCell(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		users, resources := rapid.IntRange(1, 6).Draw(t, "users"), rapid.IntRange(1, 6).Draw(t, "resources")
		typ := rapid.SampledFrom([]access.ResourceType{access.QAResource, access.QATheme, access.Dataset}).Draw(t, "type")
		task := taskOf(names("u", users), typ, names("r", resources))
		pick := func(prefix, label string) string {
			return rapid.SampledFrom(append(names(prefix, 7), "", "stranger")).Draw(t, label)
		}
		var got []quickbi.SmartqFailure
		for range rapid.IntRange(0, 5).Draw(t, "rows") {
			got = append(got, quickbi.SmartqFailure{UserID: pick("u", "user"), LlmCube: pick("r", "cube"), LlmCubeTheme: pick("r", "theme")})
		}
		v := judge(task, rows(got))
		if v.kind == finish {
			if len(got) > 0 && len(v.exceptions) == 0 {
				t.Fatalf("rows %+v left no trace", got)
			}
			return
		}
		seen := map[access.Pair]int{}
		for _, part := range v.parts {
			if !part.Done && part.Cells() == task.Cells() {
				t.Fatalf("rows %+v: the whole call would be sent once more", got)
			}
			if !part.Done && len(part.Exceptions) > 0 {
				t.Fatalf("rows %+v: a part to be sent holds failures", got)
			}
			for _, p := range part.Principals {
				for _, r := range part.Resources {
					seen[access.Pair{Principal: p, Resource: r}]++
				}
			}
		}
		if len(seen) != task.Cells() {
			t.Fatalf("rows %+v: the parts hold %d of %d cells", got, len(seen), task.Cells())
		}
		for pair, n := range seen {
			if n != 1 {
				t.Fatalf("rows %+v: %v is in %d parts", got, pair, n)
			}
		}
	})
}

func TestBackoffGrowsToABoundAndIsSpread(t *testing.T) {
	t.Parallel()
	for strikes, most := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute, time.Minute} {
		distinct := map[time.Duration]bool{}
		for range 20 {
			d := backoff(time.Second, strikes)
			if d < most/2 || d > most {
				t.Fatalf("backoff(%d) = %s, want %s to %s", strikes, d, most/2, most)
			}
			distinct[d] = true
		}
		if len(distinct) < 2 {
			t.Errorf("backoff(%d) is always the same", strikes)
		}
	}
}

func TestTaskIDsReadBack(t *testing.T) {
	t.Parallel()
	ref := store.TaskRef{Job: 1 << 40, No: 77}
	got, generation, err := parseTaskID(taskID(ref, 9))
	if err != nil || got != ref || generation != 9 {
		t.Errorf("parseTaskID(%q) = %v, %d, %v", taskID(ref, 9), got, generation, err)
	}
	for _, bad := range []string{"", "1-2", "1@2", "a-b@c", "1-2@", "1-2@3x"} {
		if _, _, err := parseTaskID(bad); err == nil {
			t.Errorf("parseTaskID(%q) found a task", bad)
		}
	}
}
