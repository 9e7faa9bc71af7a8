package split_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/split"
)

var newYear = access.Date{Year: 2027, Month: time.January, Day: 1}

// grant returns a sound grant; the tests change what they are about.
func grant(user, resource string) access.Change {
	return access.Change{
		Operation: access.Grant,
		Principal: access.Principal{Type: access.User, ID: user},
		Resource:  access.Resource{Type: access.QAResource, ID: resource},
		Terms:     access.Terms{ExpiresOn: newYear},
	}
}

func revoke(user, resource string) access.Change {
	c := grant(user, resource)
	c.Operation, c.Terms = access.Revoke, access.Terms{}
	return c
}

// full returns a grant of every one of the resources to every one of the users.
func full(users, resources int) []access.Change {
	out := make([]access.Change, 0, users*resources)
	for u := range users {
		for r := range resources {
			out = append(out, grant(fmt.Sprintf("u%03d", u), fmt.Sprintf("r%03d", r)))
		}
	}
	return out
}

// law fails t unless tasks carry exactly changes, each once, within the limit
// of a call and without mixing what must not meet.
func law(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, changes []access.Change, tasks []split.Task,
) {
	t.Helper()
	times := make([]int, len(changes))
	granting := false
	for n, task := range tasks {
		if task.Cells() == 0 || task.Cells() > access.MaxCells || len(task.Changes) != task.Cells() {
			t.Fatalf("task %d: %d cells, %d changes", n, task.Cells(), len(task.Changes))
		}
		granting = granting || task.Operation == access.Grant
		if granting && task.Operation == access.Revoke {
			t.Fatalf("task %d revokes after a grant", n)
		}
		for i, principal := range task.Principals {
			for j, resource := range task.Resources {
				index := task.Changes[i*len(task.Resources)+j]
				times[index]++
				want := access.Change{Operation: task.Operation, Principal: principal, Resource: resource, Terms: task.Terms}
				if want != changes[index] || want.Action() != task.Action {
					t.Fatalf("task %d (%s), cell %d,%d is %+v, but change %d is %+v", n, task.Action, i, j, want, index, changes[index])
				}
			}
		}
		if kinds(task) > 1 {
			t.Fatalf("task %d mixes what no call may mix: %v × %v", n, task.Principals, task.Resources)
		}
	}
	for i, n := range times {
		if n != 1 {
			t.Fatalf("change %d of %d is in %d tasks", i, len(changes), n)
		}
	}
}

// kinds counts the principal types of a task times its resource types, themes
// taken for Q&A resources.
func kinds(task split.Task) int {
	principals, resources := map[access.PrincipalType]bool{}, map[access.ResourceType]bool{}
	for _, p := range task.Principals {
		principals[p.Type] = true
	}
	for _, r := range task.Resources {
		if r.Type == access.QATheme {
			r.Type = access.QAResource
		}
		resources[r.Type] = true
	}
	return len(principals) * len(resources)
}

// anyChange draws from a small world, so that sets of resources coincide.
func anyChange() *rapid.Generator[access.Change] {
	return rapid.Custom(func(t *rapid.T) access.Change {
		c := revoke(strconv.Itoa(rapid.IntRange(0, 40).Draw(t, "user")), strconv.Itoa(rapid.IntRange(0, 12).Draw(t, "resource")))
		c.Principal.Type = rapid.SampledFrom([]access.PrincipalType{access.User, access.User, access.Group}).Draw(t, "principal type")
		c.Resource.Type = rapid.SampledFrom([]access.ResourceType{access.QAResource, access.QATheme, access.Dataset}).Draw(t, "resource type")
		if rapid.Bool().Draw(t, "grant") {
			c.Operation = access.Grant
			c.Terms.ExpiresOn = newYear.AddDays(rapid.IntRange(0, 1).Draw(t, "days"))
		}
		return c
	})
}

// someChanges draws up to 300 different changes.
func someChanges(t *rapid.T) []access.Change {
	n := rapid.IntRange(0, 300).Draw(t, "n")
	return rapid.SliceOfNDistinct(anyChange(), n, n, rapid.ID[access.Change]).Draw(t, "changes")
}

func TestTasksCarryEveryChangeOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		changes := someChanges(t)
		law(t, changes, split.Tasks(changes))
	})
}

func TestTasksCarryRepeatedAndUnknownChangesToo(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		changes := someChanges(t)
		changes = append(changes, changes...)
		if len(changes) > 0 {
			changes[0].Resource.Type, changes[0].Operation = "dashboard", "renew"
		}
		law(t, changes, split.Tasks(changes))
	})
}

func TestTasksDoNotDependOnTheOrderOfChanges(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		changes := someChanges(t)
		shuffled := rapid.Permutation(changes).Draw(t, "shuffled")
		if diff := cmp.Diff(rectangles(split.Tasks(changes)), rectangles(split.Tasks(shuffled))); diff != "" {
			t.Fatalf("another order, other tasks (-first +second):\n%s", diff)
		}
	})
}

func rectangles(tasks []split.Task) []access.Rectangle {
	out := make([]access.Rectangle, len(tasks))
	for i, task := range tasks {
		out[i] = task.Rectangle
	}
	return out
}

// TestTasksAreNeverMoreThanStars compares with the two plain ways: a call per
// user and a call per resource, each with as many cells as it may have.
func TestTasksAreNeverMoreThanStars(t *testing.T) {
	t.Parallel()
	for seed := range 15 {
		random := rand.New(rand.NewPCG(uint64(seed), 0))
		users, resources := 1+random.IntN(300), 1+random.IntN(60)
		changes := slices.DeleteFunc(full(users, resources), func(access.Change) bool { return random.IntN(15) < seed })
		perUser, perResource := map[string]int{}, map[string]int{}
		for _, c := range changes {
			perUser[c.Principal.ID]++
			perResource[c.Resource.ID]++
		}
		tasks := split.Tasks(changes)
		law(t, changes, tasks)
		if most := min(stars(perUser), stars(perResource)); len(tasks) > most {
			t.Errorf("seed %d: %d users, %d resources, %d changes: %d tasks, stars do with %d", seed, users, resources, len(changes), len(tasks), most)
		}
	}
}

func stars(loads map[string]int) int {
	n := 0
	for _, load := range loads {
		n += (load + access.MaxCells - 1) / access.MaxCells
	}
	return n
}

func TestTasksOfFullGrids(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ users, resources, want int }{
		{1, 1, 1},
		{100, 1, 1},
		{1, 101, 2},
		{10, 10, 1},
		{7, 37, 3},  // 3 bands of at most 14 resources
		{13, 13, 2}, // 7 rows and 6 rows
		{51, 3, 2},  // 33 rows and 18 rows
		{1000, 5, 50},
		{5, 1000, 50},
		{11, 19, 3},
		{200, 200, 400},
	} {
		changes := full(test.users, test.resources)
		tasks := split.Tasks(changes)
		law(t, changes, tasks)
		if len(tasks) != test.want {
			t.Errorf("%d × %d: %d tasks, want %d", test.users, test.resources, len(tasks), test.want)
		}
	}
}

func TestTasksKeepApartWhatNoCallMayMix(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*access.Change)
		want   int
	}{
		{"nothing differs but the resource", func(c *access.Change) { c.Resource.ID = "r2" }, 1},
		{"a theme joins a Q&A resource", func(c *access.Change) { c.Resource.Type = access.QATheme }, 1},
		{"a dataset does not", func(c *access.Change) { c.Resource.Type = access.Dataset }, 2},
		{"expiries differ", func(c *access.Change) { c.Terms.ExpiresOn = newYear.AddDays(1) }, 2},
		{"roles differ", func(c *access.Change) { c.Terms.Role = "view" }, 2},
		{"operations differ", func(c *access.Change) { *c = revoke("u", "r") }, 2},
		{"principal types differ", func(c *access.Change) { c.Principal.Type = access.Group }, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			changes := []access.Change{grant("u", "r"), grant("u", "r")}
			test.change(&changes[1])
			tasks := split.Tasks(changes)
			law(t, changes, tasks)
			if len(tasks) != test.want {
				t.Errorf("%d tasks, want %d: %+v", len(tasks), test.want, tasks)
			}
		})
	}
}

func TestTasksOfNothing(t *testing.T) {
	t.Parallel()
	if got := split.Tasks(nil); len(got) != 0 {
		t.Errorf("tasks of no changes: %+v", got)
	}
}

func TestTasksPutTheWholeGridInOneCall(t *testing.T) {
	t.Parallel()
	changes := []access.Change{grant("b", "y"), grant("a", "x"), grant("b", "x"), grant("a", "y"), revoke("c", "x")}
	user := func(id string) access.Principal { return access.Principal{Type: access.User, ID: id} }
	resource := func(id string) access.Resource { return access.Resource{Type: access.QAResource, ID: id} }
	want := []split.Task{
		{
			Rectangle: access.Rectangle{
				Action: access.SmartqAuthorize, Operation: access.Revoke,
				Principals: []access.Principal{user("c")}, Resources: []access.Resource{resource("x")},
			},
			Changes: []int32{4},
		},
		{
			Rectangle: access.Rectangle{
				Action: access.SmartqAuthorize, Operation: access.Grant, Terms: access.Terms{ExpiresOn: newYear},
				Principals: []access.Principal{user("a"), user("b")}, Resources: []access.Resource{resource("x"), resource("y")},
			},
			Changes: []int32{1, 3, 2, 0},
		},
	}
	if diff := cmp.Diff(want, split.Tasks(changes)); diff != "" {
		t.Errorf("tasks (-want +got):\n%s", diff)
	}
}
