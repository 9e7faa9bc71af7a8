package split_test

import (
	"slices"
	"testing"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/split"
)

func TestNewSplitsSomeOfTheChanges(t *testing.T) {
	t.Parallel()
	dashboard := revoke("u1", "d1")
	dashboard.Resource.Type = access.Dashboard
	all := []access.Change{grant("u1", "r1"), grant("u1", "r2"), dashboard, revoke("u2", "r1"), grant("u2", "r1"), grant("u1", "r1")}
	var list access.Changes
	for _, c := range all {
		list.Add(c)
	}
	plan := split.New(&list, []int32{0, 1, 2, 3})
	plan.GroupActions()
	var got [][]int32
	var actions []access.Action
	for i := range plan.Len() {
		got, actions = append(got, plan.Changes(i)), append(actions, plan.Action(i))
		if task := plan.Task(i); task.Action != actions[i] || task.Cells() != len(got[i]) || !slices.Equal(task.Changes, got[i]) {
			t.Errorf("task %d is %+v, with %s for %v", i, task, actions[i], got[i])
		}
	}
	want := [][]int32{{2}, {3}, {0, 1}}
	if !slices.EqualFunc(want, got, slices.Equal[[]int32]) {
		t.Errorf("tasks are of the changes %v, want %v", got, want)
	}
	if !slices.Equal(actions, []access.Action{access.DeleteAuthorizationByUserID, access.SmartqAuthorize, access.SmartqAuthorize}) {
		t.Errorf("actions are %v, want each in a run", actions)
	}
	if none := split.New(&list, []int32{}); none.Len() != 0 {
		t.Errorf("%d tasks for no change", none.Len())
	}
}
