package split

import "slices"

// tiler cuts full grids of any size into grids of at most limit cells. It
// remembers what it found out about areas it has met before.
type tiler struct {
	limit int
	known map[area]band
}

// area is the size of a full grid.
type area struct{ rows, cols int }

// band is the best first cut of an area: into bands of height rows each, and
// how many grids the whole area comes to.
type band struct{ height, grids int }

// tile appends the tiles of g to out.
func (t tiler) tile(out []grid, g grid) []grid {
	if t.best(area{len(g.cols), len(g.rows)}).grids < t.best(area{len(g.rows), len(g.cols)}).grids {
		from := len(out)
		out = t.bands(out, grid{rows: g.cols, cols: g.rows})
		for i, part := range out[from:] {
			out[from+i] = grid{rows: part.cols, cols: part.rows}
		}
		return out
	}
	return t.bands(out, g)
}

// bands appends the tiles of g, cut along its rows first.
func (t tiler) bands(out []grid, g grid) []grid {
	for rows := g.rows; len(rows) > 0; {
		height := t.best(area{len(rows), len(g.cols)}).height
		for range len(rows) / height {
			for cols := range slices.Chunk(g.cols, t.limit/height) {
				out = append(out, grid{rows[:height:height], cols})
			}
			rows = rows[height:]
		}
	}
	return out
}

// best tries every height of a band. As many bands of that height as fit come
// first; the rows left over, fewer than limit, are an area of their own. Of
// equals the lowest wins: the fewer users a call names, the sooner one whom
// Quick BI refuses is found.
func (t tiler) best(a area) band {
	if a.rows == 0 {
		return band{}
	}
	if a.rows*a.cols <= t.limit {
		return band{height: a.rows, grids: 1}
	}
	if b, ok := t.known[a]; ok {
		return b
	}
	var found band
	for height := 1; height <= min(a.rows, t.limit); height++ {
		width := t.limit / height
		whole := a.rows / height * ((a.cols + width - 1) / width)
		grids := whole + t.best(area{a.rows % height, a.cols}).grids
		if found.height == 0 || grids < found.grids {
			found = band{height, grids}
		}
	}
	t.known[a] = found
	return found
}
