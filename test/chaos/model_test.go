//go:build unix

package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

func TestSettled(t *testing.T) {
	t.Parallel()

	about := func(job, rank int64, op, expires, status string) result {
		return result{change: change{pair: pair{"u1", qaResource, "q1"}, op: op, expires: expires}, job: job, rank: rank, status: status}
	}
	const first, second = "until 2098-01-01", "until 2098-02-02"
	older := about(1, 1, grant, "2098-01-01", "succeeded")
	tests := []struct {
		name    string
		results []result
		allowed []string
		problem bool
	}{
		{"one that was carried out", []result{older}, []string{first}, false},
		{"a newer revoke", []result{older, about(2, 2, revoke, "", "succeeded")}, []string{""}, false},
		{"a newer grant on other terms", []result{older, about(2, 2, grant, "2098-02-02", "succeeded")}, []string{second}, false},
		{"a newer one that is unknown leaves both open", []result{older, about(2, 2, revoke, "", "unknown")}, []string{"", first}, false},
		{"none that was carried out", []result{about(1, 1, grant, "2098-01-01", "canceled")}, []string{first, ""}, false},
		{"an older one that was superseded", []result{about(1, 1, grant, "2098-01-01", "superseded"), about(2, 2, revoke, "", "no_change")}, []string{""}, false},
		{"one that was superseded when it had been sent", []result{
			older, {change: about(2, 2, revoke, "", "").change, job: 2, rank: 2, status: "superseded", sent: true}, about(3, 3, grant, "2098-02-02", "canceled"),
		}, []string{second, "", first}, false},
		{"the newest one is said to be superseded", []result{older, about(2, 2, revoke, "", "superseded")}, []string{first}, true},
		{
			"a retry ranks with its first attempt",
			[]result{about(1, 1, grant, "2098-01-01", "failed"), about(2, 2, revoke, "", "succeeded"), about(3, 1, grant, "2098-01-01", "succeeded")},
			[]string{""},
			false,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			allowed, problem := settled(tt.results)
			if diff := cmp.Diff(tt.allowed, allowed); diff != "" || (problem != "") != tt.problem {
				t.Errorf("problem %q; may be in force (-want +got):\n%s", problem, diff)
			}
		})
	}
}

func TestWrites(t *testing.T) {
	t.Parallel()

	got := writes(quickbitest.Call{Action: "SmartqAuthorize", Params: map[string]string{
		"OperationType": "0", "UserIds": "u1,u2", "LlmCubes": "q1", "LlmCubeThemes": "t1",
	}})
	want := []change{
		{pair: pair{"u1", qaResource, "q1"}, op: grant},
		{pair: pair{"u2", qaResource, "q1"}, op: grant},
		{pair: pair{"u1", qaTheme, "t1"}, op: grant},
		{pair: pair{"u2", qaTheme, "t1"}, op: grant},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(change{}, pair{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := writes(quickbitest.Call{Action: "QueryShareList", Params: map[string]string{"ReportId": "p1"}}); len(got) > 0 {
		t.Errorf("a call that only reads asks for %v", got)
	}
}

func TestSeedDecides(t *testing.T) {
	t.Parallel()

	names := func(p plan) (out []string) {
		for _, list := range p.faults {
			for _, s := range list {
				out = append(out, s.at.String()+" "+s.fault.name)
			}
		}
		return out
	}
	one, again, other := draw(7, 12*time.Second), draw(7, 12*time.Second), draw(8, 12*time.Second)
	opt := cmp.AllowUnexported(submission{}, change{}, pair{})
	if diff := cmp.Diff(one.submissions, again.submissions, opt) + cmp.Diff(names(one), names(again)); diff != "" {
		t.Errorf("one seed makes two plans (-first +second):\n%s", diff)
	}
	if cmp.Equal(one.submissions, other.submissions, opt) {
		t.Error("two seeds make one plan")
	}
}
