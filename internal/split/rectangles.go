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
// them. The pairs must be distinct and sorted. This is the whole seam of the
// algorithm: whatever replaces it owes exactness and a result that depends on
// its arguments alone.
//
// Fewest is NP-hard. Here rows with the same set of columns share grids, and
// the same the other way round; the better of the two is taken. Neither is
// worse than one row, or one column, at a time.
func rectangles(pairs []pair, limit int) []grid {
	byRow := twins(pairs, limit)
	byCol := twins(transposed(pairs), limit)
	if len(byRow) <= len(byCol) {
		return byRow
	}
	for i, g := range byCol {
		byCol[i] = grid{rows: g.cols, cols: g.rows}
	}
	return byCol
}

// transposed returns the sorted pairs with rows and columns swapped, sorted.
func transposed(pairs []pair) []pair {
	out := make([]pair, len(pairs))
	for i, p := range pairs {
		out[i] = pair{row: p.col, col: p.row}
	}
	slices.SortFunc(out, pair.compare)
	return out
}

// line is one row with all its columns.
type line struct {
	row  int32
	cols []int32
}

// twins groups the rows of the sorted pairs by their set of columns and tiles
// each group.
func twins(pairs []pair, limit int) []grid {
	lines := linesOf(pairs)
	slices.SortFunc(lines, func(a, b line) int {
		return cmp.Or(slices.Compare(a.cols, b.cols), cmp.Compare(a.row, b.row))
	})
	t := tiler{limit: limit, known: map[area]band{}}
	var out []grid
	for len(lines) > 0 {
		cols := lines[0].cols
		var rows []int32
		for len(lines) > 0 && slices.Equal(lines[0].cols, cols) {
			rows = append(rows, lines[0].row)
			lines = lines[1:]
		}
		out = t.tile(out, grid{rows, cols})
	}
	return out
}

// linesOf returns the rows of the sorted pairs.
func linesOf(pairs []pair) []line {
	cols := make([]int32, len(pairs))
	for i, p := range pairs {
		cols[i] = p.col
	}
	var out []line
	for start := 0; start < len(pairs); {
		end := start + 1
		for end < len(pairs) && pairs[end].row == pairs[start].row {
			end++
		}
		out = append(out, line{row: pairs[start].row, cols: cols[start:end:end]})
		start = end
	}
	return out
}
