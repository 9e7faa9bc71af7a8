package split

import (
	"cmp"
	"slices"
	"sort"

	"github.com/usher-bi/usher/internal/access"
)

// Plan is the tasks for a list of changes, in little memory: some 15 bytes a
// change.
type Plan struct {
	changes    *access.Changes
	principals ranking
	resources  ranking
	pools      []pool
	tasks      []planned
	sides      []int32 // ranks of principals and of resources: the sides of all tasks
	order      []int32 // changes: those of each task in a run, cell by cell
	meter      *meter
}

// planned is a task as the places of what it is made of.
type planned struct {
	pool       int32
	sides      int32 // where its principals begin, and then its resources
	rows, cols int32 // how many there are of each
	first      int32 // where its changes begin
}

// Len returns the number of tasks.
func (p *Plan) Len() int { return len(p.tasks) }

// Task returns one task. The caller must not write to its changes.
func (p *Plan) Task(i int) Task {
	t := p.tasks[i]
	common, cols := p.pools[t.pool], t.sides+t.rows
	return Task{
		Rectangle: access.Rectangle{
			Action:     p.Action(i),
			Operation:  common.operation,
			Terms:      common.terms,
			Principals: pick(p.changes.Principals, p.principals, p.sides[t.sides:cols]),
			Resources:  pick(p.changes.Resources, p.resources, p.sides[cols:cols+t.cols]),
		},
		Changes: p.Changes(i),
	}
}

// Action returns the action of one task.
func (p *Plan) Action(i int) access.Action { return p.actionOf(p.tasks[i]) }

func (p *Plan) actionOf(t planned) access.Action {
	return p.pools[t.pool].actionFor(int(t.rows * t.cols))
}

// Changes returns the changes of one task, as in [Task].
func (p *Plan) Changes(i int) []int32 {
	t := p.tasks[i]
	return p.order[t.first : t.first+t.rows*t.cols]
}

// GroupActions brings the tasks of each action into a run, without another
// change of their order.
func (p *Plan) GroupActions() {
	slices.SortStableFunc(p.tasks, func(a, b planned) int { return cmp.Compare(p.actionOf(a), p.actionOf(b)) })
}

// pairOf returns the cell of a change in the grid of all.
func (p *Plan) pairOf(change int32) pair {
	c := p.changes.Cells[change]
	return pair{row: p.principals.rank[c.Principal], col: p.resources.rank[c.Resource]}
}

// distinct moves all but the first change of each pair out of the sorted
// changes. What comes out is sorted too.
func (p *Plan) distinct(sorted []int32) (once, repeated []int32) {
	once = sorted[:0]
	for _, change := range sorted {
		if n := len(once); n > 0 && p.pairOf(once[n-1]) == p.pairOf(change) {
			repeated = append(repeated, change)
			continue
		}
		once = append(once, change)
	}
	return once, repeated
}

// addTasks adds the tasks for changes of one pool with distinct, sorted pairs.
func (p *Plan) addTasks(number int, changes []int32) {
	limit := p.pools[number].limit()
	if limit == 1 {
		one := grid{rows: make([]int32, 1), cols: make([]int32, 1)}
		for _, change := range changes {
			at := p.pairOf(change)
			one.rows[0], one.cols[0] = at.row, at.col
			p.add(number, one)
			p.order = append(p.order, change)
		}
		return
	}
	pairs := make([]pair, len(changes))
	for i, change := range changes {
		pairs[i] = p.pairOf(change)
	}
	for _, g := range rectanglesOf(pairs, limit, p.meter) {
		p.add(number, g)
		for _, row := range g.rows {
			p.addRow(row, g.cols, sortedCells{pairs, changes})
		}
	}
}

// sortedCells are pairs in order, with the change of each.
type sortedCells struct {
	pairs   []pair
	changes []int32
}

// search returns the place of a pair among those from a place on.
func (c sortedCells) search(from int, want pair) int {
	n := sort.Search(len(c.pairs)-from, func(i int) bool { return c.pairs[from+i].compare(want) >= 0 })
	return from + n
}

// add adds a task, whose changes come next.
func (p *Plan) add(number int, g grid) {
	p.tasks = append(p.tasks, planned{
		pool: small(number), sides: small(len(p.sides)), rows: small(len(g.rows)), cols: small(len(g.cols)), first: small(len(p.order)),
	})
	p.sides = append(append(p.sides, g.rows...), g.cols...)
}

// addRow adds the changes for one principal and some resources.
func (p *Plan) addRow(row int32, cols []int32, among sortedCells) {
	from := among.search(0, pair{row: row})
	end := among.search(from, pair{row: row + 1})
	own := sortedCells{among.pairs[from:end], among.changes[from:end]}
	for _, col := range cols {
		p.order = append(p.order, own.changes[own.search(0, pair{row, col})])
	}
}
