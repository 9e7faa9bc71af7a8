package tasks

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/testenv"
)

func TestWhatAnAttemptTook(t *testing.T) {
	t.Parallel()

	const own, single = access.AddWorkspaceUsers, access.AddUserToWorkspace
	part := func(action access.Action) store.Part { return store.Part{Rectangle: access.Rectangle{Action: action}} }
	over := part(own)
	over.Done = true
	for name, tt := range map[string]struct {
		v    verdict
		want spent
	}{
		"it is over":           {verdict{kind: finish}, spent{tasks: 1, calls: map[access.Action]int{own: 1}}},
		"it is sent again":     {verdict{kind: repeat}, spent{calls: map[access.Action]int{own: 1}}},
		"cut in two":           {verdict{kind: cut, parts: []store.Part{part(own), part(own)}}, spent{tasks: -1, calls: map[access.Action]int{own: 1}}},
		"half of it is over":   {verdict{kind: cut, parts: []store.Part{part(own), over}}, spent{calls: map[access.Action]int{own: 1}}},
		"another has to do it": {verdict{kind: cut, parts: []store.Part{part(single), part(single)}}, spent{tasks: 1, calls: map[access.Action]int{own: 1, single: 2}}},
	} {
		var got spent
		got.call(own)
		got.end(store.Task{Rectangle: access.Rectangle{Action: own}}, tt.v)
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(spent{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestCostsAreShared(t *testing.T) {
	t.Parallel()

	const join, works, share = access.AddUserToWorkspace, access.AddWorksAuthorization, access.AddShareReport
	client, err := OpenRedis(t.Context(), testenv.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	tell := func(action access.Action, s spent) {
		t.Helper()
		if err := tellCost(t.Context(), client, action, s); err != nil {
			t.Fatal(err)
		}
	}
	tell(join, spent{tasks: 10, calls: map[access.Action]int{join: 10}})
	tell(join, spent{tasks: 10, calls: map[access.Action]int{join: 14, queryRoleInWorkspace: 10}})
	tell(works, spent{tasks: -1, calls: map[access.Action]int{works: 1}}) // cut, and no part of it has ended
	got, err := readCosts(t.Context(), client, []access.Action{join, works, share})
	want := map[access.Action]cost{join: {join: 1.2, queryRoleInWorkspace: 0.5}}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b float64) bool { return a-b < 0.01 && b-a < 0.01 })); diff != "" || err != nil {
		t.Errorf("costs (-want +got):\n%s\n%v", diff, err)
	}
}
