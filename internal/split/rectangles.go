package split

import (
	"cmp"
	"math"
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
// as full grids are better still (twins.go, tile.go), is what two local searches
// improve in turns for as long as that pays (polish.go): one takes large calls
// apart and packs again (repack.go), one tears up and mends small ones (local.go,
// patch.go).
//
// No step makes it worse. So there are never more calls than a call for each
// user, resource, set or star of a cover would come to.
func rectangles(pairs []pair, limit int) []grid { return rectanglesOf(pairs, limit, nil) }

// rectanglesOf is rectangles, and tells m how far it is.
func rectanglesOf(pairs []pair, limit int, m *meter) []grid {
	if limit == 1 || len(pairs) < 2 {
		return singles(pairs)
	}
	m.phase(shareOfStarts)
	g := newGraph(pairs)
	g.meter = m
	p := packed(g, newTiler(limit))
	m.phase(1)
	p.polish()
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

// What packing may cost, in steps.
const (
	stepsOfStarts = 50_000_000 // the work that no other start is tried beyond
	stepsOfTrial  = 3_000_000  // of each start, to see how good it is
	packPerPair   = 100        // of the best start: in the worst of graphs
	packAtLeast   = 50_000_000
)

// start is a choice of the star that each edge is in.
type start struct {
	rowed func(edge int32) bool
	load  []int32
	calls int
}

// packed returns the best packing: that from the best start or, if that is
// better, a plain grouping as it is.
func packed(g *graph, t *tiler) *packing {
	starts := g.starts(t)
	g.meter.phase(shareOfPacking)
	best := packFrom(g, t, starts)
	plain := math.MaxInt
	for _, s := range starts {
		plain = min(plain, s.calls)
		if s.calls < best.calls {
			best = newPacking(g, t, s.rowed)
		}
	}
	for _, rows := range []bool{true, false} {
		groups, calls := g.twins(t, rows)
		plain = min(plain, calls)
		if calls < best.calls {
			best = newPacking(g, t, func(int32) bool { return rows })
			for _, group := range groups {
				best.claim(group, g.far[g.from[group[0]]:g.from[group[0]+1]])
			}
		}
	}
	best.steps, best.plain, best.begun = 0, plain, best.calls
	return best
}

// packFrom packs from several starts and returns the best packing. Most of the work is for stars with so much stuck that few grids
// are worth it. So they come last, for a trial, and only the start that is best
// by then is packed to the end.
func packFrom(g *graph, t *tiler, starts []start) *packing {
	var tried []*excess
	most := packAtLeast + packPerPair*len(g.rowOf)
	steps := 0
	for _, s := range starts {
		for _, patient := range []bool{true, false} {
			if n := len(tried); n > 0 && steps+steps/n > stepsOfStarts {
				break
			}
			x := newExcess(newPacking(g, t, s.rowed))
			x.patient = patient
			x.pack(x.limit/2, most)
			steps += x.steps
			tried = append(tried, x)
		}
	}
	for _, x := range tried {
		x.pack(x.limit, stepsOfTrial)
	}
	best := slices.MinFunc(tried, func(x, y *excess) int { return cmp.Compare(x.calls, y.calls) })
	best.run(most)
	return best.packing
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
