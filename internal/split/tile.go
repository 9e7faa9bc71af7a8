package split

// tiler cuts full grids of any size into the fewest grids of at most limit
// cells that straight cuts from side to side can make: the guillotine optimum.
// It remembers what it found out about areas it has met before.
//
// 13 × 37 shows why this is worth a table: its 481 cells fit five calls, but
// bands of one height, and what they leave over, take six.
type tiler struct {
	limit int
	known []cut // of rows × cols at rows*(2*limit+1)+cols
}

// cut is the best first cut of an area: after so many rows if at is positive,
// after -at columns if it is negative. calls is what the whole area comes to.
type cut struct{ at, calls int32 }

func newTiler(limit int) *tiler { return &tiler{limit: limit} }

// tile appends the tiles of g to out.
func (t *tiler) tile(out []grid, g grid) []grid {
	switch at := t.best(len(g.rows), len(g.cols)).at; {
	case at > 0:
		out = t.tile(out, grid{g.rows[:at:at], g.cols})
		return t.tile(out, grid{g.rows[at:], g.cols})
	case at < 0:
		out = t.tile(out, grid{g.rows, g.cols[:-at:-at]})
		return t.tile(out, grid{g.rows, g.cols[-at:]})
	default:
		return append(out, g)
	}
}

// calls returns how many tiles an area comes to.
func (t *tiler) calls(rows, cols int) int {
	if rows > 2*t.limit {
		return (rows/t.limit-1)*cols + t.calls(rows%t.limit+t.limit, cols)
	}
	if cols > 2*t.limit {
		return (cols/t.limit-1)*rows + t.calls(rows, cols%t.limit+t.limit)
	}
	return int(t.best(rows, cols).calls)
}

// best tries every cut. Large areas first shed full stars, slabs of limit × 1,
// which waste nothing; a cut of 0 means that none is needed.
func (t *tiler) best(rows, cols int) cut {
	switch {
	case rows*cols <= t.limit:
		return cut{calls: 1}
	case rows > 2*t.limit:
		return cut{at: small(t.limit)}
	case cols > 2*t.limit:
		return cut{at: small(-t.limit)}
	}
	if t.known == nil {
		t.known = make([]cut, (2*t.limit+1)*(2*t.limit+1))
	}
	known := &t.known[rows*(2*t.limit+1)+cols]
	if known.calls > 0 {
		return *known
	}
	var found cut
	for at := 1; at <= rows/2; at++ {
		if calls := t.best(at, cols).calls + t.best(rows-at, cols).calls; found.calls == 0 || calls < found.calls {
			found = cut{small(at), calls}
		}
	}
	for at := 1; at <= cols/2; at++ {
		if calls := t.best(rows, at).calls + t.best(rows, cols-at).calls; found.calls == 0 || calls < found.calls {
			found = cut{small(-at), calls}
		}
	}
	*known = found
	return found
}
