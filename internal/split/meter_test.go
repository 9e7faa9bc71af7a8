package split

import (
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/access"
)

// changesOf grants pairs, and revokes others.
func changesOf(granted, revoked []pair) *access.Changes {
	var list access.Changes
	add := func(p pair, operation access.Operation, expires access.Date) {
		list.Add(access.Change{
			Operation: operation, Terms: access.Terms{ExpiresOn: expires},
			Principal: access.Principal{Type: access.User, ID: strconv.Itoa(int(p.row))},
			Resource:  access.Resource{Type: access.QAResource, ID: strconv.Itoa(int(p.col))},
		})
	}
	for _, p := range granted {
		add(p, access.Grant, access.Date{Year: 2027, Month: 1, Day: 1})
	}
	for _, p := range revoked {
		add(p, access.Revoke, access.Date{})
	}
	return &list
}

func TestSplittingTellsHowFarItIs(t *testing.T) {
	t.Parallel()
	list := changesOf(roles(20_000, 3), roles(2000, 4))
	all := list.Len()
	var told []int
	plan := Telling(list, nil, func(done int) { told = append(told, done) })
	if !slices.IsSorted(told) || len(slices.Compact(slices.Clone(told))) != len(told) || told[len(told)-1] != all {
		t.Errorf("told %v, want more each time, and %d at last", told, all)
	}
	widest := 0 // share of the work between two words
	for i := range told[1:] {
		widest = max(widest, told[i+1]-told[i])
	}
	if len(told) < 20 || widest > all/3 {
		t.Errorf("told %d times, and once nothing for %d of %d changes", len(told), widest, all)
	}
	if silent := New(list, nil); !cmp.Equal(plan.order, silent.order) || !cmp.Equal(plan.tasks, silent.tasks, cmp.AllowUnexported(planned{})) {
		t.Error("who listens gets another plan")
	}
}
