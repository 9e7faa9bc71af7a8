package split

import (
	"cmp"
	"slices"
)

// groupings is how many calls the plain ways to group pairs take.
type groupings struct{ perUser, perResource, sameSet, coverStars int }

func (g groupings) best() int {
	return min(g.perUser, g.perResource, g.sameSet, g.coverStars)
}

func groupingsOf(pairs []pair, limit int) groupings {
	if len(pairs) == 0 {
		return groupings{}
	}
	g := newGraph(pairs)
	t := newTiler(limit)
	inCover := g.cover()
	stars := func(rowed func(edge int32) bool) int { return newPacking(g, t, rowed).calls }
	_, byRow := g.twins(t, true)
	_, byCol := g.twins(t, false)
	return groupings{
		perUser:     stars(func(int32) bool { return true }),
		perResource: stars(func(int32) bool { return false }),
		sameSet:     min(byRow, byCol),
		coverStars: min(
			stars(func(edge int32) bool { return inCover[g.rowOf[edge]] }),
			stars(func(edge int32) bool { return !inCover[g.colOf(edge)] }),
		),
	}
}

// bound returns a number of calls that no way to group pairs gets below: as
// many as they fill, or as there are pairs no two of which fit one call. Two
// fit if they share a row or a column, or if the two other corners of their
// grid are there. Such a set is picked greedily, pairs with few neighbours
// first.
func bound(pairs []pair, limit int) int {
	if len(pairs) == 0 {
		return 0
	}
	g := newGraph(pairs)
	order := make([]int32, len(pairs))
	for i := range order {
		order[i] = int32(i)
	}
	reach := func(edge int32) int64 {
		return int64(g.degree(g.rowOf[edge])) * int64(g.degree(g.colOf(edge)))
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Or(cmp.Compare(reach(a), reach(b)), cmp.Compare(a, b)) })
	picked := make([]int32, g.vertices()) // of a column: 1 + the row it is picked with; of a row: whether it is
	n := 0
	for _, edge := range order {
		if row, col := g.rowOf[edge], g.colOf(edge); picked[row] == 0 && picked[col] == 0 && !g.fits(picked, row, col) {
			picked[row], picked[col] = 1, row+1
			n++
		}
	}
	return max(n, (len(pairs)+limit-1)/limit)
}

// fits reports whether the pair of row and col fits one call with a picked one.
func (g *graph) fits(picked []int32, row, col int32) bool {
	for _, other := range g.far[g.from[row]:g.from[row+1]] {
		if picked[other] == 0 {
			continue
		}
		if _, ok := slices.BinarySearch(g.far[g.from[col]:g.from[col+1]], picked[other]-1); ok {
			return true
		}
	}
	return false
}
