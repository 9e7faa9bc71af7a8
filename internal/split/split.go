// Package split turns the changes of a job into tasks: the API calls that carry
// them. A call acts on every principal × every resource it names, so a task is
// a full rectangle of changes that were asked for and of nothing else.
//
// The package is pure: it asks no clock, takes no context, and equal input
// gives equal output on every machine.
package split

import (
	"cmp"
	"slices"

	"github.com/usher-bi/usher/internal/access"
)

// Task is one API call's worth of changes.
type Task struct {
	access.Rectangle

	// Changes says which change each cell of the rectangle is, row by row:
	// Changes[i*len(Resources)+j] is the index, in the input of Tasks, of the
	// change for Principals[i] × Resources[j].
	Changes []int32
}

// Tasks partitions changes into tasks. Every change is a cell of exactly one
// task, no task holds a cell that is not a change, and none has more cells than
// one call of its action may carry. The changes of a task share action,
// operation, terms and principal type. Q&A resources and themes may share a
// task; datasets share one with datasets only.
//
// Revokes come before grants. Which rectangles come out, and in which order,
// depends on the set of changes alone, not on their order.
//
// The changes should be sound ([access.Change.Problems]) and their pairs
// distinct within an operation. A change that is there twice is still sent
// twice, in two tasks, and one that no action carries becomes a task of its own
// with an empty action. There must be fewer than 2³¹ changes.
func Tasks(changes []access.Change) []Task {
	var p plan
	p.pools, p.pool = rank(changes, poolOf, pool.compare)
	p.principals, p.row = rank(changes, principalOf, comparePrincipals)
	p.resources, p.col = rank(changes, resourceOf, compareResources)
	var tasks []Task
	for number, cells := range p.cells() {
		for len(cells) > 0 {
			var repeated []cell
			cells, repeated = distinct(cells)
			tasks = p.appendTasks(tasks, p.pools[number], cells)
			cells = repeated
		}
	}
	return tasks
}

// pool is what the changes of a task have in common: cells of two pools never
// meet in one call.
type pool struct {
	operation access.Operation
	action    access.Action
	terms     access.Terms
	principal access.PrincipalType
	resource  access.ResourceType // themes count as Q&A resources
	workspace string              // of members who may share a call, else ""
}

func poolOf(c *access.Change) pool {
	p := pool{
		operation: c.Operation,
		action:    c.Action(),
		terms:     c.Terms,
		principal: c.Principal.Type,
		resource:  c.Resource.Type,
	}
	if p.resource == access.QATheme {
		p.resource = access.QAResource
	}
	if p.resource == access.Membership {
		if id, _ := access.WorkspaceRole(c.Terms.Role); c.Operation == access.Grant && access.IsPresetRole(id) {
			p.action, p.workspace = access.AddWorkspaceUsers, c.Resource.ID
		}
	}
	return p
}

// compare orders pools as their tasks are to run: a leaver must not wait for
// the joiners.
func (p pool) compare(q pool) int {
	return cmp.Or(
		cmp.Compare(q.operation, p.operation), // "revoke" before "grant"
		cmp.Compare(p.action, q.action),
		p.terms.ExpiresOn.Time().Compare(q.terms.ExpiresOn.Time()),
		cmp.Compare(p.terms.Role, q.terms.Role),
		cmp.Compare(p.principal, q.principal),
		cmp.Compare(p.resource, q.resource),
		cmp.Compare(p.workspace, q.workspace),
	)
}

// limit returns how many cells one call may carry. AddWorkspaceUsers publishes
// no bound; that of SmartqAuthorize keeps its URL short as well.
func (p pool) limit() int {
	switch p.action {
	case access.SmartqAuthorize, access.AddWorkspaceUsers:
		return access.MaxCells
	default:
		return 1
	}
}

// actionFor returns the action of a call of so many cells. Who joins a
// workspace alone does so by the operation for one, whose answers say more.
func (p pool) actionFor(cells int) access.Action {
	if p.action == access.AddWorkspaceUsers && cells == 1 {
		return access.AddUserToWorkspace
	}
	return p.action
}

// plan holds what tasks are made of: the distinct pools, principals and
// resources in order, and for each change the number of its own.
type plan struct {
	pools          []pool
	principals     []access.Principal
	resources      []access.Resource
	pool, row, col []int32
}

// cell is one change as its place in the grid of principals and resources.
type cell struct {
	pair

	change int32
}

// cells returns the changes of each pool, in the order of their pairs.
func (p plan) cells() [][]cell {
	sizes := make([]int, len(p.pools))
	for _, number := range p.pool {
		sizes[number]++
	}
	out := make([][]cell, len(p.pools))
	for number, size := range sizes {
		out[number] = make([]cell, 0, size)
	}
	for i, number := range p.pool {
		out[number] = append(out[number], cell{pair{p.row[i], p.col[i]}, small(i)})
	}
	for _, cells := range out {
		slices.SortFunc(cells, func(a, b cell) int {
			return cmp.Or(a.compare(b.pair), cmp.Compare(a.change, b.change))
		})
	}
	return out
}

// distinct moves all but the first cell of each pair out of the sorted cells.
// What comes out is sorted too.
func distinct(cells []cell) (once, repeated []cell) {
	once = cells[:0]
	for _, c := range cells {
		if n := len(once); n > 0 && once[n-1].pair == c.pair {
			repeated = append(repeated, c)
			continue
		}
		once = append(once, c)
	}
	return once, repeated
}

// appendTasks adds the tasks for one pool of distinct, sorted cells.
func (p plan) appendTasks(tasks []Task, common pool, cells []cell) []Task {
	pairs := make([]pair, len(cells))
	for i, c := range cells {
		pairs[i] = c.pair
	}
	for _, g := range rectangles(pairs, common.limit()) {
		tasks = append(tasks, Task{
			Rectangle: access.Rectangle{
				Action:     common.actionFor(len(g.rows) * len(g.cols)),
				Operation:  common.operation,
				Terms:      common.terms,
				Principals: pick(p.principals, g.rows),
				Resources:  pick(p.resources, g.cols),
			},
			Changes: changesOf(g, cells),
		})
	}
	return tasks
}

// changesOf finds the change of each cell of g among the sorted cells.
func changesOf(g grid, cells []cell) []int32 {
	out := make([]int32, 0, len(g.rows)*len(g.cols))
	for _, row := range g.rows {
		for _, col := range g.cols {
			at, _ := slices.BinarySearchFunc(cells, pair{row, col}, func(c cell, want pair) int { return c.compare(want) })
			out = append(out, cells[at].change)
		}
	}
	return out
}
