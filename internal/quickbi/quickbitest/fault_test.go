package quickbitest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

// sorted leaves the order of rows out of a comparison.
func sorted(rows []failedPair) []failedPair {
	return slices.SortedFunc(slices.Values(rows), func(a, b failedPair) int {
		return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
	})
}

func withFaults(faults ...quickbitest.Fault) quickbitest.Options {
	o := organisation()
	o.Faults = faults
	return o
}

// TestFaultAnswers covers the kinds whose answer can be read.
func TestFaultAnswers(t *testing.T) {
	t.Parallel()

	const granted = "u1 qa_resource:r1 2026-12-31 x1"
	type seen struct {
		Status     int
		Code, Body string // Body where there is no envelope
		Hint       string
		Applied    bool
	}
	tests := []struct {
		name  string
		fault quickbitest.Fault
		want  seen
	}{
		{"refuse", quickbitest.Fault{Kind: quickbitest.Refuse}, seen{Status: 400, Code: "Internal.System.Error"}},
		{
			"refuse as told",
			quickbitest.Fault{Kind: quickbitest.Refuse, Status: 503, Code: "ServiceUnavailable", Message: "m"},
			seen{Status: 503, Code: "ServiceUnavailable"},
		},
		{"did it and says it did not", quickbitest.Fault{Kind: quickbitest.Refuse, Apply: true}, seen{Status: 400, Code: "Internal.System.Error", Applied: true}},
		{
			"throttle",
			quickbitest.Fault{Kind: quickbitest.Throttle, RetryAfter: quickbitest.Duration(1500 * time.Millisecond)},
			seen{Status: 400, Code: "Throttling.User", Hint: "1500"},
		},
		{"throttle without a hint", quickbitest.Fault{Kind: quickbitest.Throttle, Code: "Throttling.Api", Status: 429}, seen{Status: 429, Code: "Throttling.Api"}},
		{"html", quickbitest.Fault{Kind: quickbitest.HTML}, seen{Status: 502, Body: "<html>"}},
		{"html applied", quickbitest.Fault{Kind: quickbitest.HTML, Status: 504, Apply: true}, seen{Status: 504, Body: "<html>", Applied: true}},
		{"empty", quickbitest.Fault{Kind: quickbitest.Empty}, seen{Status: 200, Body: ""}},
		{"empty applied", quickbitest.Fault{Kind: quickbitest.Empty, Apply: true}, seen{Status: 200, Body: "", Applied: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			b := setup(t, withFaults(tt.fault))
			r := b.call(grant("u1", "LlmCubes=r1"))
			if r.err != nil {
				t.Fatal(r.err)
			}
			c := b.Calls()[0]
			got := seen{Status: r.status, Code: r.doc.Code, Hint: r.header.Get("X-Acs-Retry-After"), Applied: c.Applied}
			if r.doc.RequestID == "" {
				got.Body, _, _ = strings.Cut(string(r.body), "<head>")
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if c.Fault != tt.fault.Kind || c.Status != tt.want.Status || c.Code != tt.want.Code || c.Violation != "" {
				t.Errorf("logged call = %+v", c)
			}
			if tt.want.Applied {
				b.wantGrants(granted)
			} else {
				b.wantGrants()
			}
		})
	}
}

func TestSuccessFalse(t *testing.T) {
	t.Parallel()

	b := setup(t, withFaults(quickbitest.Fault{Kind: quickbitest.SuccessFalse}))
	r := b.call(grant("u1", "LlmCubes=r1"))
	if r.err != nil || r.status != http.StatusOK || r.doc.Success || r.doc.Code != "" || r.doc.RequestID == "" {
		t.Errorf("answer = %d %s %v", r.status, r.body, r.err)
	}
	b.wantGrants()
}

func TestCutConnections(t *testing.T) {
	t.Parallel()

	tests := []struct {
		kind    quickbitest.Kind
		status  int // that reached the caller
		applied bool
	}{
		{quickbitest.Drop, 0, false},
		{quickbitest.LoseAnswer, 0, true},
		{quickbitest.CutAnswer, 200, true},
	}
	for _, tt := range tests {
		t.Run(string(tt.kind), func(t *testing.T) {
			t.Parallel()

			b := setup(t, withFaults(quickbitest.Fault{Kind: tt.kind, Times: 1}))
			r := b.call(grant("u1", "LlmCubes=r1"))
			if r.err == nil || r.status != tt.status {
				t.Fatalf("answer = %d %q %v, want it cut", r.status, r.body, r.err)
			}
			if tt.status == http.StatusOK && (!errors.Is(r.err, io.ErrUnexpectedEOF) || !strings.HasPrefix(string(r.body), `{"RequestId":`)) {
				t.Errorf("answer = %q %v, want half of a document", r.body, r.err)
			}
			c := b.Calls()[0]
			if c.Status != tt.status || c.Applied != tt.applied || c.Fault != tt.kind || len(b.Calls()) != 1 {
				t.Errorf("calls = %+v", b.Calls())
			}
			if got := len(b.Grants()) == 1; got != tt.applied {
				t.Errorf("granted = %t, want %t", got, tt.applied)
			}
			b.call(grant("u1", "LlmCubes=r1")).want(t, "") // once was enough
		})
	}
}

func TestOversized(t *testing.T) {
	t.Parallel()

	b := setup(t, withFaults(quickbitest.Fault{Kind: quickbitest.Oversized, Times: 1}))
	resp, err := b.http.Client().Do(b.signed(grant("u1", "LlmCubes=r1")))
	if err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 1<<20)
	if _, err := io.ReadFull(resp.Body, head); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("answer = %d %v", resp.StatusCode, err)
	}
	document := strings.TrimRight(string(head), " ") + "}"
	if want := `{"RequestId":"` + b.Calls()[0].RequestID + `","Result":[],"Success":true}`; document != want || resp.ContentLength < 64<<20 {
		t.Errorf("%d bytes begin with %s, want %s", resp.ContentLength, document, want)
	}
	b.wantGrants()
	if err := resp.Body.Close(); err != nil { // hanging up in the middle does the server no harm
		t.Error(err)
	}
	b.call(grant("u1", "LlmCubes=r1")).want(t, "")
}

func TestRows(t *testing.T) {
	t.Parallel()

	b := setup(t, withFaults(quickbitest.Fault{
		Kind: quickbitest.Rows, Message: "AE1: %s has no seat.",
		Match: quickbitest.Match{Users: []string{"u2", "u3"}, Resources: []string{"r2", "r9", "d1"}},
	}))
	r := b.call(grant("u1,u2", "LlmCubes=r2&LlmCubeThemes=t1&CubeIds=d1"))
	r.want(t, "")
	want := []failedPair{{"u2", "r1", "", "AE1: u2 has no seat."}, {"u2", "r2", "", "AE1: u2 has no seat."}}
	if diff := cmp.Diff(want, sorted(r.doc.Result)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	b.wantGrants("u1 qa_resource:r1 2026-12-31 x1", "u1 qa_resource:r2 2026-12-31 x1", "u1 qa_theme:t1 2026-12-31 x1", "u2 qa_theme:t1 2026-12-31 x1")

	both := b.call(grant("u2,u3", "CubeIds=d9"))
	both.want(t, "")
	want = []failedPair{{"u2", "r9", "", "AE1: u2 has no seat."}, {"u3", "r9", "", "AE1: u3 has no seat."}}
	if diff := cmp.Diff(want, sorted(both.doc.Result)); diff != "" {
		t.Errorf("rows found by the Q&A resource of a dataset (-want +got):\n%s", diff)
	}

	untouched := b.call(grant("u3", "LlmCubeThemes=t1"))
	untouched.want(t, "")
	if c := b.Calls()[2]; c.Fault != "" || len(untouched.doc.Result) > 0 {
		t.Errorf("a call without selected pairs met %+v", c)
	}
}

func TestPoison(t *testing.T) {
	t.Parallel()

	tests := []struct {
		name          string
		fault         quickbitest.Fault
		code, message string
	}{
		{"unnamed", quickbitest.Poison("u2", "u3"), "User.Not.In.Organization", "The specified user is not in the organizational unit."},
		{"named", quickbitest.PoisonNaming("u2", "u3"), "UserRoleConfig.NotContain.Function", "The user u3 does not have permission to operate."},
		{
			"by resource",
			quickbitest.Fault{Kind: quickbitest.Refuse, Code: "X", Message: "no %s", Match: quickbitest.Match{Resources: []string{"d9"}}},
			"X", "no d9",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			b := setup(t, withFaults(tt.fault))
			r := b.call(grant("u1,u3", "CubeIds=d9"))
			r.want(t, tt.code)
			if r.doc.Message != tt.message {
				t.Errorf("message = %q, want %q", r.doc.Message, tt.message)
			}
			b.wantGrants()
			b.call(grant("u1", "LlmCubes=r1")).want(t, "")
		})
	}
}

func TestWhichCallsAFaultStrikes(t *testing.T) {
	t.Parallel()

	refuse := func(f quickbitest.Fault) quickbitest.Fault {
		f.Kind, f.Code = quickbitest.Refuse, "X"
		return f
	}
	tests := []struct {
		name  string
		fault quickbitest.Fault
		want  string // for calls of u1, u2, u1, u2, …: x refused, . let through
	}{
		{"for ever", refuse(quickbitest.Fault{}), "xxxxxxxx"},
		{"two times", refuse(quickbitest.Fault{Times: 2}), "xx......"},
		{"every third", refuse(quickbitest.Fault{Every: 3}), "..x..x.."},
		{"every third, once", refuse(quickbitest.Fault{Every: 3, Times: 1}), "..x....."},
		{"one user", refuse(quickbitest.Fault{Match: quickbitest.Match{Users: []string{"u2"}}}), ".x.x.x.x"},
		{"every second of one user", refuse(quickbitest.Fault{Every: 2, Match: quickbitest.Match{Users: []string{"u2"}}}), "...x...x"},
		{"its action", refuse(quickbitest.Fault{Action: "SmartqAuthorize", Times: 1}), "x......."},
		{"another action", refuse(quickbitest.Fault{Action: "AddShareReport"}), "........"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			b := setup(t, withFaults(tt.fault))
			var got strings.Builder
			for i := range 8 {
				r := b.call(grant([]string{"u1", "u2"}[i%2], "LlmCubes=r1"))
				got.WriteString(map[string]string{"X": "x", "": "."}[r.doc.Code])
			}
			if got.String() != tt.want {
				t.Errorf("calls = %s, want %s", got.String(), tt.want)
			}
		})
	}
}

func TestFirstFaultThatIsDueStrikes(t *testing.T) {
	t.Parallel()

	b := setup(t, withFaults(quickbitest.Fault{Kind: quickbitest.Refuse, Code: "first", Times: 1}))
	if err := b.AddFaults(quickbitest.Fault{Kind: quickbitest.Refuse, Code: "second", Times: 1}); err != nil {
		t.Fatal(err)
	}
	b.call("OperationType=0").want(t, "MissingUserIds") // malformed calls meet no fault
	b.call(grant("u1", "LlmCubes=r1")).want(t, "first")
	b.call(grant("u1", "LlmCubes=r1")).want(t, "second")
	b.call(grant("u1", "LlmCubes=r1")).want(t, "")
	if err := b.AddFaults(quickbitest.Fault{Kind: quickbitest.Refuse}); err != nil {
		t.Fatal(err)
	}
	b.ClearFaults()
	b.call(grant("u1", "LlmCubes=r1")).want(t, "")
}

func TestFaultsThatMeanNothingAreRefused(t *testing.T) {
	t.Parallel()

	for _, f := range []quickbitest.Fault{
		{},
		{Kind: "explode"},
		{Kind: quickbitest.Refuse, Action: "SmartQAuthorize"},
		{Kind: quickbitest.Refuse, Times: -1},
		{Kind: quickbitest.Refuse, Status: 42},
		{Kind: quickbitest.Delay},
		{Kind: quickbitest.Drop, Apply: true},
		{Kind: quickbitest.Throttle, Hint: "shout"},
	} {
		t.Run(fmt.Sprintf("%+v", f), func(t *testing.T) {
			t.Parallel()

			b := setup(t, organisation())
			if err := b.AddFaults(quickbitest.Fault{Kind: quickbitest.Refuse}, f); err == nil {
				t.Error("accepted")
			}
			b.call(grant("u1", "LlmCubes=r1")).want(t, "") // and the good one was not added
		})
	}
}

// TestTimePasses runs on fake time: nothing in it waits.
func TestTimePasses(t *testing.T) {
	t.Parallel()

	delay := quickbitest.Fault{Kind: quickbitest.Delay, Delay: quickbitest.Duration(time.Minute)}
	early := delay
	early.Apply = true
	const patience = 10 * time.Second
	tests := []struct {
		name       string
		options    quickbitest.Options
		impatient  bool
		took       time.Duration
		atOnce, in int // grants after a second, and in the end
	}{
		{"delay", withFaults(delay), false, time.Minute, 0, 1},
		{"delay after taking effect", withFaults(early), false, time.Minute, 1, 1},
		{"caller hangs up", withFaults(delay), true, patience, 0, 0},
		{"caller hangs up too late", withFaults(early), true, patience, 1, 1},
		{"latency", quickbitest.Options{Latency: quickbitest.Duration(time.Minute)}, false, time.Minute, 0, 1},
		{"hanging up undoes no call", quickbitest.Options{Latency: quickbitest.Duration(time.Minute)}, true, patience, 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			synctest.Test(t, func(t *testing.T) {
				o := organisation()
				o.Faults, o.Latency = tt.options.Faults, tt.options.Latency
				s := quickbitest.New(&o)
				ctx := t.Context()
				if tt.impatient {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, patience)
					defer cancel()
				}
				began := time.Now()
				var wg sync.WaitGroup
				wg.Go(func() { serve(ctx, s) })
				time.Sleep(time.Second)
				if got := len(s.Grants()); got != tt.atOnce {
					t.Errorf("%d grants at once, want %d", got, tt.atOnce)
				}
				wg.Wait()
				if took := time.Since(began); took != tt.took {
					t.Errorf("took %s, want %s", took, tt.took)
				}
				if got := len(s.Grants()); got != tt.in {
					t.Errorf("%d grants in the end, want %d", got, tt.in)
				}
			})
		})
	}
}

func TestManyCallersAtOnce(t *testing.T) {
	t.Parallel()

	o := organisation()
	o.Users = strings.Split(many(40), ",")
	o.Faults = []quickbitest.Fault{{Kind: quickbitest.Refuse, Code: "X", Every: 4}}
	b := setup(t, o)
	var wg sync.WaitGroup
	for _, user := range o.Users {
		wg.Go(func() { b.call(grant(user, "LlmCubes=r1,r2")) })
	}
	wg.Wait()
	if got := len(b.Grants()); got != 60 {
		t.Errorf("%d grants, want 60: every fourth of 40 calls is refused", got)
	}
	ids := map[string]bool{}
	for i, c := range b.Calls() {
		ids[c.RequestID] = true
		if c.Number != i+1 {
			t.Errorf("call %d has number %d", i+1, c.Number)
		}
	}
	if len(ids) != 40 {
		t.Errorf("%d request ids, want 40", len(ids))
	}
}
