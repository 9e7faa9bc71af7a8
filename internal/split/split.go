// Package split turns the changes of a job into tasks: the API calls that carry
// them. A call acts on every principal × every resource it names, so a task is
// a full rectangle of changes that were asked for and of nothing else.
//
// The package is pure: it asks no clock, takes no context, and equal input
// gives equal output on every machine.
package split

import (
	"cmp"

	"github.com/usher-bi/usher/internal/access"
)

// Task is one API call's worth of changes.
type Task struct {
	access.Rectangle

	// Changes says which change each cell of the rectangle is, row by row:
	// Changes[i*len(Resources)+j] is the index, in what was split, of the change
	// for Principals[i] × Resources[j].
	Changes []int32
}

// Tasks is [New] for a few changes: every task at once.
func Tasks(changes []access.Change) []Task {
	var list access.Changes
	for _, c := range changes {
		list.Add(c)
	}
	plan := New(&list, nil)
	tasks := make([]Task, plan.Len())
	for i := range tasks {
		tasks[i] = plan.Task(i)
	}
	return tasks
}

// New partitions changes into tasks. Only those with the given indexes count, in
// ascending order; nil stands for all. Every change is a cell of exactly one
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
func New(changes *access.Changes, of []int32) *Plan { return Telling(changes, of, nil) }

// Telling is [New], and calls tell now and then with how many changes are done: with
// more each time, and with all of them at last. When it does so depends on the
// changes alone.
func Telling(changes *access.Changes, of []int32, tell func(done int)) *Plan {
	m := newMeter(tell)
	p := &Plan{
		meter:      m,
		changes:    changes,
		principals: rank(changes.Principals, comparePrincipals),
		resources:  rank(changes.Resources, compareResources),
	}
	sorted, sizes := p.sort(of)
	p.order = make([]int32, 0, len(sorted))
	for number, size := range sizes {
		cells := sorted[:size]
		sorted = sorted[size:]
		m.pool(size)
		for len(cells) > 0 {
			var repeated []int32
			cells, repeated = p.distinct(cells)
			p.addTasks(number, cells)
			cells = repeated
		}
	}
	m.pool(0)
	return p
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

func poolOf(c access.Change) pool {
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
