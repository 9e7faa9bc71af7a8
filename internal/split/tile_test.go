package split

import "testing"

// TestTilesOfFullGridsAreTheGuillotineOptimum counts every full grid of up to
// 200 × 200 against the plain recurrence: the fewest tiles of an area are those
// of its two halves, over every straight cut.
func TestTilesOfFullGridsAreTheGuillotineOptimum(t *testing.T) {
	t.Parallel()
	const limit, most = 100, 200
	var fewest [most + 1][most + 1]int
	tiler := newTiler(limit)
	for a := 1; a <= most; a++ {
		for b := 1; b <= most; b++ {
			fewest[a][b] = 1
			if a*b > limit {
				fewest[a][b] = a * b
				for at := 1; at < a; at++ {
					fewest[a][b] = min(fewest[a][b], fewest[at][b]+fewest[a-at][b])
				}
				for at := 1; at < b; at++ {
					fewest[a][b] = min(fewest[a][b], fewest[a][at]+fewest[a][b-at])
				}
			}
			if got := tiler.calls(a, b); got != fewest[a][b] {
				t.Fatalf("%d × %d: %d calls, want %d", a, b, got, fewest[a][b])
			}
		}
	}
}

func TestTilesCoverTheGrid(t *testing.T) {
	t.Parallel()
	tiler := newTiler(100)
	for _, size := range [][2]int{{1, 1}, {13, 37}, {51, 3}, {200, 200}, {1000, 7}, {7, 1000}, {120, 230}} {
		g := grid{numbers(size[0]), numbers(size[1])}
		var pairs []pair
		for _, row := range g.rows {
			for _, col := range g.cols {
				pairs = append(pairs, pair{row, col})
			}
		}
		tiles := tiler.tile(nil, g)
		partition(t, pairs, tiles, 100)
		if want := tiler.calls(size[0], size[1]); len(tiles) != want {
			t.Errorf("%v: %d tiles, counted as %d", size, len(tiles), want)
		}
		if got := rectangles(pairs, 100); len(got) > len(tiles) {
			t.Errorf("%v: %d calls, %d tiles", size, len(got), len(tiles))
		}
	}
}

func numbers(n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(i)
	}
	return out
}
