package access_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/usher-bi/usher/internal/access"
)

func TestChangesGiveBackWhatWasAdded(t *testing.T) {
	t.Parallel()
	newYear := access.Date{Year: 2027, Month: time.January, Day: 1}
	var want []access.Change
	for _, op := range []access.Operation{access.Grant, access.Revoke} {
		for _, typ := range []access.PrincipalType{access.User, access.Group} {
			for _, id := range []string{"a", "b", "a"} {
				want = append(want, access.Change{
					Operation: op, Principal: access.Principal{Type: typ, ID: id}, Resource: access.Resource{Type: access.Dashboard, ID: strings.ToUpper(id)},
					Terms: access.Terms{Role: access.RoleView, ExpiresOn: newYear.AddDays(len(want) % 2)},
				})
			}
		}
	}
	var list access.Changes
	for i, change := range want {
		if i == len(want)/2 {
			list.Seal()
		}
		list.Add(change)
	}
	got := make([]access.Change, 0, list.Len())
	for i := range list.Len() {
		got = append(got, list.At(i))
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(access.Date{})); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if len(list.Kinds) != 4 || len(list.Principals) != 4 || len(list.Resources) != 2 {
		t.Errorf("%d kinds, %d principals, %d resources; want each once", len(list.Kinds), len(list.Principals), len(list.Resources))
	}
	if cell, ok := list.Find(list.Cells[0].Kind, want[0]); !ok || cell != list.Cells[0] {
		t.Errorf("what was added is found as %v, %t; want %v", cell, ok, list.Cells[0])
	}
	other := want[0]
	other.Principal.ID = "c"
	if cell, ok := list.Find(0, other); ok {
		t.Errorf("what was never added is found as %v", cell)
	}
}
