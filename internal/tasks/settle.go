package tasks

import (
	"slices"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/quickbi"
	"github.com/usher-bi/usher/internal/store"
)

// settle judges a call that was carried out. Each failure row becomes the
// failure of exactly the change it names. Rows that do not say which change
// they mean — a user without a resource, a dataset's Q&A resource in a call of
// several datasets, an id that was not sent — leave the changes they may mean
// open: those are sent again in smaller calls, where a row can mean only one.
//
// A row that says "not now" is no failure as long as there are tries left.
func (h *handler) settle(task store.Task, r reply) verdict {
	g := newGrid(task.Rectangle)
	later := false
	for _, row := range r.failures {
		m := quickbi.MeaningOfDetail(row.DetailMessage)
		if (m.Class == quickbi.ClassThrottled || m.Class == quickbi.ClassTransient) && task.Strikes+1 < h.options.MaxStrikes {
			later = true
			g.open(g.users(row.UserID), g.resources(row))
			continue
		}
		e := exception(m, r)
		e.Message, e.APICode = row.DetailMessage, quickbi.CodeOfDetail(row.DetailMessage)
		if asGoodAsDone(task.Operation, m.Class) {
			e.Status = store.NoChange
		}
		g.mark(row, e)
	}
	undecided := g.openCells()
	if undecided == 0 {
		return verdict{kind: finish, exceptions: g.exceptions(task.Rectangle)}
	}
	again := store.Again{Delay: h.delay(r, task.Strikes), Counts: true, Unsure: true}
	if later && undecided == g.rect.Cells() {
		return verdict{kind: repeat, again: again}
	}
	v := verdict{kind: cut, parts: g.parts()}.unsure(true) // they were sent, and the rows do not say which was refused
	for i := range v.parts {
		if later && !v.parts[i].Done {
			v.parts[i].Delay, v.parts[i].Strikes = again.Delay, task.Strikes+1
		}
	}
	return v
}

// cell is what is known of one change of a call that was carried out.
type cell struct {
	failed *store.Exception // nil: it succeeded, unless open
	open   bool             // it may be one that a row means
}

// grid holds the cells of a rectangle, a row of cells per principal.
type grid struct {
	rect  access.Rectangle
	cells [][]cell
}

func newGrid(r access.Rectangle) *grid {
	g := &grid{rect: r, cells: make([][]cell, len(r.Principals))}
	for i := range g.cells {
		g.cells[i] = make([]cell, len(r.Resources))
	}
	return g
}

// mark takes one failure row down.
func (g *grid) mark(row quickbi.SmartqFailure, e store.Exception) {
	users, resources := g.users(row.UserID), g.resources(row)
	if len(users) == 1 && len(resources) == 1 {
		if c := &g.cells[users[0]][resources[0]]; c.failed == nil {
			c.failed = &e
		}
		return
	}
	g.open(users, resources)
}

// open marks cells of which it is not known what became.
func (g *grid) open(users, resources []int) {
	for _, u := range users {
		for _, res := range resources {
			g.cells[u][res].open = true
		}
	}
}

// users lists the principals that a row's user id can mean: the one it names,
// or all if it names none of them.
func (g *grid) users(id string) []int {
	for i, p := range g.rect.Principals {
		if p.ID == id {
			return []int{i}
		}
	}
	return indexes(len(g.rect.Principals))
}

// resources lists the resources that a row can mean. A dataset's failure names
// the Q&A resource behind it, so it can mean any dataset of the call.
func (g *grid) resources(row quickbi.SmartqFailure) []int {
	var named []int
	for i, r := range g.rect.Resources {
		if r.Type == access.QAResource && r.ID == row.LlmCube || r.Type == access.QATheme && r.ID == row.LlmCubeTheme {
			named = append(named, i)
		}
	}
	if len(named) > 0 {
		return named
	}
	return indexes(len(g.rect.Resources))
}

func indexes(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// exceptions lists the failed cells of part.
func (g *grid) exceptions(part access.Rectangle) []store.CellException {
	principals, resources := map[access.Principal]bool{}, map[access.Resource]bool{}
	for _, p := range part.Principals {
		principals[p] = true
	}
	for _, r := range part.Resources {
		resources[r] = true
	}
	var out []store.CellException
	for i, p := range g.rect.Principals {
		for j, r := range g.rect.Resources {
			if e := g.cells[i][j].failed; e != nil && principals[p] && resources[r] {
				out = append(out, store.CellException{Principal: p.ID, Resource: r, Exception: *e})
			}
		}
	}
	return out
}

// parts cuts the grid into what is over and what is open. What is over is as
// few rectangles as principals differ in it; what is open is sent again one
// resource at a time, since a row that can mean several resources is the usual
// reason. If that is the whole grid once more, it is halved.
func (g *grid) parts() []store.Part {
	var parts []store.Part
	for _, users := range g.alike() {
		r := byPrincipal.keep(g.rect, func(i int) bool { return slices.Contains(users, i) })
		over := byResource.keep(r, func(j int) bool { return !g.isOpen(users[0], j) })
		if over.Cells() > 0 {
			parts = append(parts, store.Part{Rectangle: over, Done: true, Exceptions: g.exceptions(over)})
		}
	}
	for j := range g.rect.Resources {
		r := byResource.keep(g.rect, func(k int) bool { return k == j })
		open := byPrincipal.keep(r, func(i int) bool { return g.isOpen(i, j) })
		if open.Cells() == g.rect.Cells() {
			first, second := open.Halves()
			return []store.Part{{Rectangle: first}, {Rectangle: second}}
		}
		if open.Cells() > 0 {
			parts = append(parts, store.Part{Rectangle: open})
		}
	}
	return parts
}

// isOpen reports whether it is not known what became of a cell. One that a row
// names alone has failed, even if another row may mean it too.
func (g *grid) isOpen(i, j int) bool { return g.cells[i][j].open && g.cells[i][j].failed == nil }

// openCells counts the cells that are open.
func (g *grid) openCells() int {
	n := 0
	for i := range g.cells {
		for j := range g.cells[i] {
			if g.isOpen(i, j) {
				n++
			}
		}
	}
	return n
}

// alike groups the principals by which of their cells are open, in order.
func (g *grid) alike() [][]int {
	var groups [][]int
	byPattern := map[string]int{}
	for i := range g.rect.Principals {
		pattern := make([]byte, len(g.rect.Resources))
		for j := range pattern {
			if g.isOpen(i, j) {
				pattern[j] = 1
			}
		}
		at, ok := byPattern[string(pattern)]
		if !ok {
			at = len(groups)
			byPattern[string(pattern)] = at
			groups = append(groups, nil)
		}
		groups[at] = append(groups[at], i)
	}
	return groups
}
