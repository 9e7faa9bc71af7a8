package split

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// partition fails t unless every one of pairs is in exactly one of the grids,
// nothing else is, and none has more cells than limit.
func partition(t rapid.TB, pairs []pair, grids []grid, limit int) {
	t.Helper()
	var got []pair
	for i, g := range grids {
		if n := len(g.rows) * len(g.cols); n == 0 || n > limit {
			t.Fatalf("grid %d has %d cells", i, n)
		}
		for _, row := range g.rows {
			for _, col := range g.cols {
				got = append(got, pair{row, col})
			}
		}
	}
	slices.SortFunc(got, pair.compare)
	if !slices.Equal(got, pairs) {
		t.Fatalf("the grids have %d cells, the pairs are %d, and they differ: %s", len(got), len(pairs), cmp.Diff(pairs, got, cmp.AllowUnexported(pair{})))
	}
}

// somePairs draws pairs of every kind: scattered ones, full blocks, blocks with
// holes, stars, and all of them on top of each other. Their numbers have gaps.
func somePairs(t *rapid.T) []pair {
	random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	var pairs []pair
	size := rapid.SampledFrom([]int{3, 12, 40, 70}).Draw(t, "size")
	for range rapid.IntRange(1, 6).Draw(t, "parts") {
		rows, cols := random.Perm(size)[:1+random.IntN(size)], random.Perm(size)[:1+random.IntN(size)]
		switch random.IntN(4) {
		case 0:
			rows = rows[:1]
		case 1:
			cols = cols[:1]
		}
		density := random.IntN(101)
		if random.IntN(2) == 0 {
			density = 100
		}
		for _, row := range rows {
			for _, col := range cols {
				if random.IntN(100) < density {
					pairs = append(pairs, pair{small(3 * row), small(2*col + 1)})
				}
			}
		}
	}
	slices.SortFunc(pairs, pair.compare)
	return slices.Compact(pairs)
}

func TestRectanglesArePartitionsIntoFewCalls(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pairs := somePairs(t)
		limit := rapid.SampledFrom([]int{1, 2, 7, 100}).Draw(t, "limit")
		grids := rectangles(pairs, limit)
		partition(t, pairs, grids, limit)
		if got, most := len(grids), groupingsOf(pairs, limit); got > most.best() {
			t.Fatalf("%d calls, plain groupings: %+v", got, most)
		}
		if least := bound(pairs, limit); len(grids) < least {
			t.Fatalf("%d calls, fewer than the lower bound of %d", len(grids), least)
		}
		if !cmp.Equal(grids, rectangles(pairs, limit), cmp.AllowUnexported(grid{})) {
			t.Fatal("the same pairs, other grids")
		}
	})
}

func TestRectanglesOfRoles(t *testing.T) {
	t.Parallel()
	pairs := roles(20_000, 7)
	grids := rectangles(pairs, 100)
	partition(t, pairs, grids, 100)
	plain, least := groupingsOf(pairs, 100), bound(pairs, 100)
	if saved := plain.best() - len(grids); 4*saved < plain.best()-least {
		t.Errorf("%d calls, plain groupings: %+v, lower bound %d", len(grids), plain, least)
	}
}

// TestPackingKeepsItsBooks compares what a packing counts as it goes with what
// is there at the end.
func TestPackingKeepsItsBooks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pairs := somePairs(t)
		if len(pairs) == 0 {
			return
		}
		limit := rapid.SampledFrom([]int{2, 7, 100}).Draw(t, "limit")
		p := packed(newGraph(pairs), newTiler(limit))
		search, repacking := p.newSearch(), p.newRepacking()
		for _, then := range []func(){
			func() {},
			func() { repacking.turn(p.steps + 500_000) },
			func() { search.turn(p.steps + 500_000); p.ease() },
			func() { repacking.turn(p.steps + 500_000) },
		} {
			then()
			want := newBooks(p)
			if !slices.Equal(p.easy, want.easy) || !slices.Equal(p.load, want.load) || p.calls != want.calls {
				t.Fatalf("counted %v, %v, %d, there is %v, %v, %d", p.easy, p.load, p.calls, want.easy, want.load, want.calls)
			}
		}
		if got := len(p.grids()); got != p.calls {
			t.Fatalf("counted %d calls, there are %d", p.calls, got)
		}
	})
}

type books struct {
	easy, load []int32
	calls      int
}

func newBooks(p *packing) books {
	b := books{easy: make([]int32, p.vertices()), load: make([]int32, len(p.load))}
	for edge, owner := range p.owner {
		b.load[owner]++
		if p.isStar(owner) && p.load[p.other(int32(edge), owner)]%p.limit != 0 {
			b.easy[owner]++
		}
	}
	for _, load := range b.load {
		b.calls += (int(load) + int(p.limit) - 1) / int(p.limit)
	}
	return b
}
