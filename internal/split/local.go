package split

import "slices"

// search is the local search of small calls: it tears up two or more
// neighbouring ones, splits what was in them anew at random, and keeps what
// takes no more calls than before. Changes that save nothing are kept too: they
// are how it wanders off to where something can be saved. Tearing up few is
// what sparse pairs need, tearing up many what dense ones do.
type search struct {
	*packing

	patch  patch
	random dice
	pieces []int32 // the owners that are torn up
	torn   []int32 // their edges
	cost   int     // the calls they take
}

// newSearch returns a search that has yet to begin.
func (p *packing) newSearch() *search {
	s := &search{packing: p}
	s.random.Seed(1, 2)
	s.patch = patch{limit: int(p.limit), local: make([]int32, p.vertices()), random: &s.random}
	return s
}

// turn searches while that pays, until so many steps are made.
func (s *search) turn(until int) {
	s.easy = nil // nobody shifts
	for s.pays() && s.steps < until {
		s.step()
	}
}

// step tears up and rebuilds once.
func (s *search) step() {
	s.choose()
	s.steps += 200 + 4*len(s.torn)
	if s.cost == int(s.callsOf(small(len(s.torn)))) {
		return // cannot be better
	}
	s.steps += 4 * len(s.torn)
	if !s.patch.draw(s) {
		return
	}
	cost := s.patch.solve(len(s.torn), s.cost)
	s.steps += s.patch.steps
	s.patch.steps = 0
	if cost <= s.cost {
		s.steps += 8 * len(s.torn)
		s.rebuild()
	}
}

// What is torn up at once: of a star larger than maxStar only the excess.
const (
	maxTorn = 800
	maxStar = 400
)

// choose picks pieces: the first anywhere, each other one from those that share
// a vertex with one before.
func (s *search) choose() {
	s.pieces, s.torn, s.cost = s.pieces[:0], s.torn[:0], 0
	first := s.anyPiece()
	for range s.random.below(4) {
		if other := s.anyPiece(); s.excess(other) < s.excess(first) {
			first = other
		}
	}
	s.tear(first)
	more := 4
	if s.random.below(2) == 0 {
		more = 16
	}
	want := 2 + s.random.below(more)
	for range 3 * want {
		if len(s.pieces) >= want || len(s.torn) == 0 {
			return
		}
		edge := s.torn[s.random.below(len(s.torn))]
		v := s.rowOf[edge]
		if s.random.below(2) == 0 {
			v = s.colOf(edge)
		}
		s.tear(s.owner[s.edge[int(s.from[v])+s.random.below(int(s.degree(v)))]])
	}
}

// anyPiece returns the owner of some pair, or of some pair of a vertex: those
// with few pairs are in small calls, which waste the most.
func (s *search) anyPiece() int32 {
	edge := small(s.random.below(len(s.owner)))
	if s.random.below(2) == 0 {
		v := small(s.random.below(int(s.vertices())))
		edge = s.edge[int(s.from[v])+s.random.below(int(s.degree(v)))]
	}
	return s.owner[edge]
}

// tear adds a piece to those torn up, unless it is there or too large.
func (s *search) tear(owner int32) {
	if slices.Contains(s.pieces, owner) {
		return
	}
	edges := s.load[owner]
	if edges > maxStar {
		edges = s.excess(owner)
	}
	if len(s.torn)+int(edges) > maxTorn {
		return
	}
	s.pieces = append(s.pieces, owner)
	s.cost += int(s.callsOf(edges))
	if !s.isStar(owner) {
		s.torn = append(s.torn, s.cells[owner-s.vertices()]...)
		return
	}
	all := s.edge[s.from[owner]:s.from[owner+1]]
	for at := s.random.below(len(all)); edges > 0; at++ {
		if edge := all[at%len(all)]; s.owner[edge] == owner {
			s.torn = append(s.torn, edge)
			edges--
		}
		s.steps++
	}
}

// rebuild gives what was torn up to the pieces of the patch.
func (s *search) rebuild() {
	s.recycle(s.pieces)
	for _, part := range s.patch.plan {
		along, across := s.patch.vertex(part)
		switch {
		case part.spread:
			for _, star := range across {
				s.give(s.find(along[0], star), star)
			}
		case len(along) == 1:
			for _, v := range across {
				s.give(s.find(along[0], v), along[0])
			}
		case len(across) == 1:
			for _, v := range along {
				s.give(s.find(v, across[0]), across[0])
			}
		case along[0] < s.rows:
			s.block(grid{along, across})
		default:
			s.block(grid{across, along})
		}
	}
}
