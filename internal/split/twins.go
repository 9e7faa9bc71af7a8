package split

import (
	"cmp"
	"slices"
)

// twins groups the rows that have the same columns, or the columns that have
// the same rows, and returns how many calls their full grids come to.
func (g *graph) twins(t *tiler, rows bool) (groups [][]int32, calls int) {
	first, last := int32(0), g.rows
	if !rows {
		first, last = g.rows, g.vertices()
	}
	all := make([]int32, 0, last-first)
	for v := first; v < last; v++ {
		all = append(all, v)
	}
	ends := func(v int32) []int32 { return g.far[g.from[v]:g.from[v+1]] }
	slices.SortFunc(all, func(v, w int32) int {
		return cmp.Or(slices.Compare(ends(v), ends(w)), cmp.Compare(v, w))
	})
	for len(all) > 0 {
		n := 1
		for n < len(all) && slices.Equal(ends(all[0]), ends(all[n])) {
			n++
		}
		groups = append(groups, all[:n:n])
		calls += t.calls(n, len(ends(all[0])))
		all = all[n:]
	}
	return groups, calls
}
