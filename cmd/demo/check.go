//go:build unix

package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/usher-bi/usher/internal/access"
)

// differences lists every access in which got is not what was wanted.
func differences(want, got lasting) []string {
	all := maps.Clone(want)
	maps.Copy(all, got)
	var out []string
	for _, h := range slices.SortedFunc(maps.Keys(all), compareHeld) {
		wanted, isWanted := want[h]
		until, isThere := got[h]
		switch what := fmt.Sprintf("%s %s of user %s", h.Kind, h.Resource, h.User); {
		case !isThere:
			out = append(out, fmt.Sprintf("%s is missing; it should last until %s", what, wanted))
		case !isWanted:
			out = append(out, fmt.Sprintf("%s is there until %s, but was not asked for or was to be taken away", what, until))
		case until != wanted:
			out = append(out, fmt.Sprintf("%s lasts until %s instead of %s", what, until, wanted))
		}
	}
	return out
}

func compareHeld(a, b held) int {
	return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Resource, b.Resource))
}

// misbehaved lists the calls that a well-behaved client would not have sent.
func misbehaved(calls []call) []string {
	var out []string
	for _, c := range calls {
		if c.Violation != "" {
			out = append(out, fmt.Sprintf("call %d broke the rule %q: %s", c.Number, c.Violation, c.Code))
		}
		if c.Pairs > access.MaxCells {
			out = append(out, fmt.Sprintf("call %d holds %d pairs, more than %d", c.Number, c.Pairs, access.MaxCells))
		}
	}
	return out
}

// misreported lists the rows of the request of which the result files, the
// later ones on top of the earlier, do not say what became of them.
func (s *scenario) misreported(files ...[]result) []string {
	var out []string
	said := map[string]result{}
	for _, file := range files {
		inFile := map[string]bool{}
		for _, r := range file {
			if inFile[r.rowID] {
				out = append(out, fmt.Sprintf("row %s stands twice in one result file", r.rowID))
			}
			inFile[r.rowID] = true
			said[r.rowID] = r
		}
	}
	for _, r := range s.request {
		want := s.outcomeOf(r.change)
		got, ok := said[r.id]
		delete(said, r.id)
		switch {
		case !ok:
			out = append(out, fmt.Sprintf("row %s has no result", r.id))
		case want.status != got.outcome.status, want.code != "" && want.code != got.outcome.code:
			out = append(out, fmt.Sprintf("row %s is reported as %s, not as %s", r.id, got.outcome, want))
		case want.status == failed && got.requestID == "":
			out = append(out, fmt.Sprintf("row %s failed without a request id", r.id))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(said)) {
		out = append(out, fmt.Sprintf("row %s was never asked for", id))
	}
	return out
}

func (o outcome) String() string {
	if o.code == "" {
		return o.status
	}
	return o.status + " (" + o.code + ")"
}
