//go:build unix

package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDifferencesFindsEveryKind(t *testing.T) {
	t.Parallel()

	want := newScenario(today).wanted()
	if got := differences(want, maps.Clone(want)); got != nil {
		t.Fatalf("differences of equal states = %q", got)
	}
	one := slices.SortedFunc(maps.Keys(want), compareHeld)[17]
	for _, tt := range []struct {
		name   string
		change func(lasting)
		text   string
	}{
		{"missing", func(s lasting) { delete(s, one) }, "is missing"},
		{"extra", func(s lasting) { s[held{"nobody", qa, "r"}] = "2027-01-01" }, "was not asked for"},
		{"of another kind", func(s lasting) { s[held{one.User, theme, "r"}] = want[one] }, "was not asked for"},
		{"wrong expiry", func(s lasting) { s[one] = "2026-11-29" }, "until 2026-11-29 instead of " + want[one]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := maps.Clone(want)
			tt.change(got)
			if found := differences(want, got); len(found) != 1 || !strings.Contains(found[0], tt.text) {
				t.Errorf("differences = %q, want one with %q", found, tt.text)
			}
		})
	}
}

func TestMisbehavedCalls(t *testing.T) {
	t.Parallel()

	calls := []call{
		{Number: 1, Pairs: 100},
		{Number: 2, Pairs: 101},
		{Number: 3, Pairs: 1, Violation: "rate", Code: "Throttling.User"},
		{Number: 4, Pairs: 5, Status: 503},
	}
	want := []string{"call 2 holds 101 pairs, more than 100", `call 3 broke the rule "rate": Throttling.User`}
	if diff := cmp.Diff(want, misbehaved(calls)); diff != "" {
		t.Errorf("misbehaved (-want +got):\n%s", diff)
	}
}

// told is what an honest product reports of s.
func told(s *scenario) []result {
	var out []result
	for _, r := range s.request {
		out = append(out, result{rowID: r.id, outcome: s.outcomeOf(r.change), requestID: "R"})
	}
	return out
}

func TestMisreportedRows(t *testing.T) {
	t.Parallel()

	s := newScenario(today)
	if got := s.misreported(told(s)); got != nil {
		t.Fatalf("misreported of an honest product = %q", got)
	}
	good := slices.IndexFunc(told(s), func(r result) bool { return r.outcome.status == succeeded })
	bad := slices.IndexFunc(told(s), func(r result) bool { return r.outcome.status == failed })
	for _, tt := range []struct {
		name   string
		change func([]result) []result
		text   string
	}{
		{"left out", func(r []result) []result { return slices.Delete(r, good, good+1) }, "has no result"},
		{"twice", func(r []result) []result { return append(r, r[good]) }, "stands twice"},
		{"made up", func(r []result) []result { return append(r, result{rowID: "x"}) }, "was never asked for"},
		{"still failed", func(r []result) []result { r[good].outcome = outcome{failed, "server_error"}; return r }, "as failed (server_error), not as succeeded"},
		{"a failure hidden", func(r []result) []result { r[bad].outcome = outcome{status: succeeded}; return r }, "as succeeded, not as failed"},
		{"for a wrong reason", func(r []result) []result { r[bad].outcome.code = "server_error"; return r }, "not as failed"},
		{"no request id", func(r []result) []result { r[bad].requestID = ""; return r }, "without a request id"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := s.misreported(tt.change(told(s))); len(got) != 1 || !strings.Contains(got[0], tt.text) {
				t.Errorf("misreported = %q, want one with %q", got, tt.text)
			}
		})
	}
}

func TestRetriedResultCounts(t *testing.T) {
	t.Parallel()

	s := newScenario(today)
	first := told(s)
	at := slices.IndexFunc(first, func(r result) bool { return r.outcome.status == succeeded })
	retried := []result{first[at]}
	first[at].outcome = outcome{failed, "server_error"}
	if got := s.misreported(first, retried); got != nil {
		t.Errorf("misreported after the retry = %q", got)
	}
}

func TestReadResults(t *testing.T) {
	t.Parallel()

	path := filepath.Join(t.TempDir(), "results.csv")
	text := byteOrderMark + "row_id,reason,result__request_id,result__status,result__code\r\nhr-1,\"a\r\nb\",R1,failed,server_error\r\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readResults(path)
	if err != nil || len(got) != 1 || got[0] != (result{"hr-1", outcome{failed, "server_error"}, "R1"}) {
		t.Errorf("readResults = %+v, %v", got, err)
	}
	if err := os.WriteFile(path, []byte("row_id,result__status\nhr-1,failed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := readResults(path); err == nil {
		t.Errorf("readResults without some columns = %+v, want an error", got)
	}
}
