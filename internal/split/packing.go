package split

import "slices"

// packing says which call every edge goes out with. An edge belongs either to
// the star of one of its two vertices or to a block, which is a full grid of at
// most limit cells. Owners share one numbering: the vertices, each standing for
// its star, and then the blocks. A star of load edges takes ⌈load/limit⌉ calls,
// however it is cut, and a block takes one.
type packing struct {
	*graph

	limit int32
	owner []int32   // of each edge
	load  []int32   // of each owner
	easy  []int32   // of each vertex: edges of its star that another star has room for; nil while nobody asks
	cells [][]int32 // of each block: its edges, row by row
	spare []int32   // blocks that are no longer in use
	calls int
	steps int // what the work is measured in: at most about 10 ns each
	plain int // the calls of the best plain grouping
	begun int // the calls before any search

	log    []given // what give did, while logged
	logged bool
	tiler  *tiler
}

// given is an edge that got another owner than from.
type given struct{ edge, from int32 }

// newPacking returns the packing of stars only in which each edge is in the
// star of its row or, where rowed says no, of its column.
func newPacking(g *graph, t *tiler, rowed func(edge int32) bool) *packing {
	p := &packing{
		graph: g,
		limit: small(t.limit),
		owner: make([]int32, len(g.rowOf)),
		load:  make([]int32, g.vertices()),
		tiler: t,
	}
	for i := range p.owner {
		edge := small(i)
		p.owner[edge] = g.colOf(edge)
		if rowed(edge) {
			p.owner[edge] = g.rowOf[edge]
		}
		p.load[p.owner[edge]]++
	}
	for _, load := range p.load {
		p.calls += int(p.callsOf(load))
	}
	p.ease()
	return p
}

// ease counts what is easy.
func (p *packing) ease() {
	p.easy = make([]int32, p.vertices())
	for i, owner := range p.owner {
		if p.isStar(owner) && p.room(p.other(small(i), owner)) > 0 {
			p.easy[owner]++
		}
	}
}

func (p *packing) callsOf(load int32) int32 { return (load + p.limit - 1) / p.limit }

func (p *packing) isStar(owner int32) bool { return owner < p.vertices() }

// excess returns how many edges of a star are in its last call. Without them
// it takes a call less.
func (p *packing) excess(star int32) int32 {
	if p.load[star] == 0 {
		return 0
	}
	return (p.load[star]-1)%p.limit + 1
}

// room returns how many more edges a star takes without another call.
func (p *packing) room(star int32) int32 {
	if p.load[star] == 0 {
		return 0
	}
	return p.limit - p.excess(star)
}

// stuck returns how much of the excess of a star no other star has room for.
func (p *packing) stuck(star int32) int32 { return p.excess(star) - p.easy[star] }

// give hands an edge to another owner.
func (p *packing) give(edge, to int32) {
	from := p.owner[edge]
	if p.logged {
		p.log = append(p.log, given{edge, from})
	}
	if p.easy != nil && p.isStar(from) && p.room(p.other(edge, from)) > 0 {
		p.easy[from]--
	}
	p.owner[edge] = -1 // nobody's while room changes
	p.grow(from, -1)
	p.grow(to, 1)
	p.owner[edge] = to
	if p.easy != nil && p.isStar(to) && p.room(p.other(edge, to)) > 0 {
		p.easy[to]++
	}
}

// grow changes the load of an owner. A star that has room now, or has no more,
// makes the edges that it could take easy, or not.
func (p *packing) grow(owner, by int32) {
	before := p.load[owner]
	after := before + by
	p.load[owner] = after
	p.calls += int(p.callsOf(after) - p.callsOf(before))
	if p.easy == nil || !p.isStar(owner) || (before%p.limit == 0) == (after%p.limit == 0) {
		return
	}
	if after%p.limit == 0 {
		by = -1
	} else {
		by = 1
	}
	for i := p.from[owner]; i < p.from[owner+1]; i++ {
		if star := p.far[i]; p.owner[p.edge[i]] == star {
			p.easy[star] += by
		}
	}
	p.steps += int(p.degree(owner)) / 4
}

// claim makes blocks of a full grid of vertices of the two sides, in as few
// calls as tiles of it take.
func (p *packing) claim(along, across []int32) {
	if along[0] >= p.rows {
		along, across = across, along
	}
	if len(along)*len(across) <= int(p.limit) {
		p.block(grid{along, across})
		return
	}
	for _, g := range p.tiler.tile(nil, grid{along, across}) {
		p.block(g)
	}
}

// block makes one block.
func (p *packing) block(g grid) {
	var id int32
	if n := len(p.spare); n > 0 {
		id = p.spare[n-1]
		p.spare = p.spare[:n-1]
	} else {
		id = small(len(p.load))
		p.load = append(p.load, 0)
		p.cells = append(p.cells, make([]int32, 0, len(g.rows)*len(g.cols)))
	}
	cells := p.cells[id-p.vertices()][:0]
	for _, row := range g.rows {
		for _, col := range g.cols {
			edge := p.find(row, col)
			p.give(edge, id)
			cells = append(cells, edge)
		}
	}
	p.cells[id-p.vertices()] = cells
}

// try does what change says and reports whether that takes at most so many
// calls. If not, it never happened.
func (p *packing) try(most int, change func()) bool {
	owners, spares, mark, outer := len(p.load), len(p.spare), len(p.log), p.logged
	p.logged = true
	change()
	done := p.calls <= most
	p.steps += 2 * (len(p.log) - mark)
	p.logged = false
	if !done {
		for _, g := range slices.Backward(p.log[mark:]) {
			p.give(g.edge, g.from)
		}
		p.log = p.log[:mark]
		p.load = p.load[:owners]
		p.spare = p.spare[:spares]
		p.cells = p.cells[:small(owners)-p.vertices()]
	}
	p.logged = outer
	if !outer {
		p.log = p.log[:0]
	}
	return done
}

// recycle makes the blocks among owners that are no longer in use spare.
func (p *packing) recycle(owners []int32) {
	for _, owner := range owners {
		if !p.isStar(owner) {
			p.spare = append(p.spare, owner)
		}
	}
}

// grids returns the calls in the order of their first cells.
func (p *packing) grids() []grid {
	out := make([]grid, 0, p.calls)
	for v := range p.vertices() {
		if p.load[v] == 0 {
			continue
		}
		across := make([]int32, 0, p.load[v])
		for i := p.from[v]; i < p.from[v+1]; i++ {
			if p.owner[p.edge[i]] == v {
				across = append(across, p.names[p.far[i]])
			}
		}
		along := p.names[v : v+1 : v+1]
		for part := range slices.Chunk(across, int(p.limit)) {
			if v < p.rows {
				out = append(out, grid{rows: along, cols: part})
			} else {
				out = append(out, grid{rows: part, cols: along})
			}
		}
	}
	for i, cells := range p.cells {
		if p.load[int(p.vertices())+i] > 0 {
			out = append(out, p.gridOf(cells))
		}
	}
	slices.SortFunc(out, func(a, b grid) int {
		return pair{a.rows[0], a.cols[0]}.compare(pair{b.rows[0], b.cols[0]})
	})
	return out
}

// gridOf returns the rows and columns of the edges of a block.
func (p *packing) gridOf(cells []int32) grid {
	var cols []int32
	for _, edge := range cells {
		if p.rowOf[edge] != p.rowOf[cells[0]] {
			break
		}
		cols = append(cols, p.names[p.colOf(edge)])
	}
	rows := make([]int32, 0, len(cells)/len(cols))
	for i := 0; i < len(cells); i += len(cols) {
		rows = append(rows, p.names[p.rowOf[cells[i]]])
	}
	slices.Sort(rows)
	slices.Sort(cols)
	return grid{rows, cols}
}
