package split

import (
	"cmp"
	"slices"
)

// pair is one cell of the grid that a pool spans, by rank of its principal
// (row) and resource (column).
type pair struct{ row, col int32 }

func (p pair) compare(q pair) int {
	return cmp.Or(cmp.Compare(p.row, q.row), cmp.Compare(p.col, q.col))
}

// grid is a full rectangle: every row with every column.
type grid struct{ rows, cols []int32 }

// rectangles partitions pairs into full grids of at most limit cells, few of
// them. The pairs must be distinct and sorted. The grids depend on the arguments
// alone, in all that they are and in their order.
//
// The pairs are the edges of a bipartite graph, and fewest is NP-hard: it is
// the partition into bicliques, known from role mining, with a cap on their
// size. The cap helps: most calls of a large job are full whatever one does,
// and what there is to save are the calls that are not.
//
// So everything starts from stars, grids of one row or one column. One that has
// 237 edges takes three calls, and only the third is worth looking at. Which
// end of an edge has it in its star is a choice: a smallest vertex cover gives
// the fewest stars (cover.go), all rows or all columns are the other starts.
// From each of them, grids take the last calls of many stars at once
// (excess.go, chain.go). The best of it, unless rows with equal columns tiled
// as full grids are better still (twins.go, tile.go), is what the local search
// tears up and mends for as long as that pays (local.go, patch.go).
//
// No step makes it worse. So there are never more calls than a call for each
// user, resource, set or star of a cover would come to.
func rectangles(pairs []pair, limit int) []grid {
	if limit == 1 || len(pairs) < 2 {
		return singles(pairs)
	}
	p := packed(newGraph(pairs), newTiler(limit))
	p.improve()
	return p.grids()
}

// singles makes a grid of each pair.
func singles(pairs []pair) []grid {
	out := make([]grid, len(pairs))
	numbers := make([]int32, 0, 2*len(pairs))
	for i, p := range pairs {
		numbers = append(numbers, p.row, p.col)
		out[i] = grid{rows: numbers[2*i : 2*i+1 : 2*i+1], cols: numbers[2*i+1 : 2*i+2 : 2*i+2]}
	}
	return out
}

// stepsOfStarts is the work after which no other start is tried.
const stepsOfStarts = 15_000_000

// start is a choice of the star that each edge is in.
type start struct {
	rowed func(edge int32) bool
	load  []int32
	calls int
}

// packed packs from several starts, those of the fewest stars first, and
// returns the best packing.
func packed(g *graph, t *tiler) *packing {
	var best *packing
	steps := 0
	starts := g.starts(t)
	for _, patient := range []bool{true, false} {
		for _, s := range starts {
			if best != nil && steps > stepsOfStarts {
				break
			}
			p := newPacking(g, t, s.rowed)
			p.pack(patient)
			steps += p.steps
			if best == nil || p.calls < best.calls {
				best = p
			}
		}
	}
	for _, s := range starts { // the others, as they are
		if s.calls < best.calls {
			best = newPacking(g, t, s.rowed)
		}
	}
	for _, rows := range []bool{true, false} {
		if groups, calls := g.twins(t, rows); calls < best.calls {
			best = newPacking(g, t, func(int32) bool { return rows })
			for _, group := range groups {
				best.claim(group, g.far[g.from[group[0]]:g.from[group[0]+1]])
			}
		}
	}
	return best
}

// starts returns the different starts, those of the fewest calls first.
func (g *graph) starts(t *tiler) []start {
	inCover := g.cover()
	var out []start
	for _, rowed := range []func(edge int32) bool{
		func(edge int32) bool { return !inCover[g.colOf(edge)] },
		func(edge int32) bool { return inCover[g.rowOf[edge]] },
		func(int32) bool { return true },
		func(int32) bool { return false },
	} {
		s := start{rowed: rowed, load: make([]int32, g.vertices())}
		for i := range g.rowOf {
			if edge := small(i); rowed(edge) {
				s.load[g.rowOf[edge]]++
			} else {
				s.load[g.colOf(edge)]++
			}
		}
		for _, load := range s.load {
			s.calls += (int(load) + t.limit - 1) / t.limit
		}
		if !slices.ContainsFunc(out, func(o start) bool { return slices.Equal(o.load, s.load) }) {
			out = append(out, s)
		}
	}
	slices.SortStableFunc(out, func(a, b start) int { return cmp.Compare(a.calls, b.calls) })
	return out
}
