package split

import (
	"cmp"
	"slices"
)

// excess packing: a star of load 237 takes three calls, the last of them for an
// excess of 37. Whatever takes those 37 edges away saves a call. Two things do.
//
// Other stars whose last call has room take edges for nothing (shift). And a
// grid takes the excess of many stars at once (cover): ten stars, each with an
// excess of at most ten, that have ten vertices across in common, become one
// call instead of ten. What is easy, because another star has room for it, need
// not be in the grid; what is stuck must be. A grid that leaves every star with
// some of its excess saves nothing, so grids grow from a star whose excess is
// small, by the stars that fit it best, and the smallest excess goes first:
// that one change of order was worth 3 % of all calls on firewall rules.
type excess struct {
	*packing

	queues [][]int32 // stars to try, by their excess
	pushed int       // stars so far
	popped int       // of them
	tried  []int32   // of a vertex: its load when it was tried last, or -1

	most    int32 // a star with more than this stuck starts no grid
	patient bool  // whether grids take stars in the order of their need, and not those that leave most of across

	// The grid being drawn: stars along one side, vertices across, and of each
	// vertex, for those in touched, how many of across its own star has.
	along, across []int32
	count         []int32
	touched       []int32

	mark  []int32 // of a vertex: the round that marked it last
	round int32
	hops  []hop // of chains
}

// newExcess returns what takes the excess of stars of p away.
func newExcess(p *packing) *excess {
	n := p.vertices()
	return &excess{
		packing: p,
		queues:  make([][]int32, p.limit+1),
		tried:   make([]int32, n),
		count:   make([]int32, n),
		mark:    make([]int32, n),
	}
}

// pack takes the excess of stars away until no attempt saves a call, or the
// steps are up. A star with more than most stuck starts no grid.
func (x *excess) pack(most int32, steps int) {
	x.most = most
	for v := x.vertices() - 1; v >= 0; v-- {
		x.tried[v] = -1
		x.push(v)
	}
	x.run(steps)
}

// run tries the stars that were pushed, and those that this changes.
func (x *excess) run(steps int) {
	most := x.steps + steps
	for e := 0; e < len(x.queues) && x.steps < most; {
		if len(x.queues[e]) == 0 {
			e++
			continue
		}
		v := x.queues[e][0]
		x.queues[e] = x.queues[e][1:]
		if x.popped++; x.popped%64 == 0 {
			x.meter.at(x.popped, x.pushed)
		}
		switch {
		case int(x.excess(v)) != e:
			x.push(v)
			e = min(e, int(x.excess(v)))
		case x.tried[v] != x.load[v]:
			x.tried[v] = x.load[v]
			if x.shift(v) || x.cover(v) {
				e = 0
			}
		}
	}
}

// push has a star tried, in its turn.
func (x *excess) push(star int32) {
	if e := x.excess(star); e > 0 && x.tried[star] != x.load[star] {
		x.queues[e] = append(x.queues[e], star)
		x.pushed++
	}
}

// What bounds the work for one grid: the vertices across, of which no grid has
// more than a hundred, and their ends.
const (
	maxAcross = 256
	maxReach  = 1 << 16
)

// cover draws the grid that saves the most calls for star v and others of its
// side, and claims it.
func (x *excess) cover(v int32) bool {
	need := max(1, x.stuck(v))
	if need > x.most {
		return false
	}
	x.start(v)
	best, bestNeed, saved := 1, need, 0
	for len(x.along) < int(x.limit) {
		mate, ok := x.mate(need)
		if !ok {
			break
		}
		need = max(need, x.stuck(mate))
		x.join(mate)
		if n := len(x.along) - x.tiler.calls(int(need), len(x.along)); n > saved {
			best, bestNeed, saved = len(x.along), need, n
		}
	}
	x.forget()
	if best == 1 {
		return false
	}
	x.along, x.across = x.along[:best], x.across[:bestNeed]
	along, across := slices.Clone(x.along), slices.Clone(x.across)
	return x.try(x.calls-1, func() {
		along, across = x.widen(along, across)
		across, along = x.widen(across, along)
		x.claim(along, across)
		for _, star := range append(along, across...) {
			x.shift(star)
			x.push(star)
		}
	})
}

// start begins a drawing with the edges of star v that are stuck.
func (x *excess) start(v int32) {
	x.along, x.across, x.touched = append(x.along[:0], v), x.across[:0], x.touched[:0]
	reach := int32(0)
	for i := x.from[v]; i < x.from[v+1] && len(x.across) < maxAcross; i++ {
		if w := x.far[i]; x.owner[x.edge[i]] == v && x.room(w) == 0 && reach+x.degree(w) <= maxReach {
			x.across = append(x.across, w)
			reach += x.degree(w)
		}
	}
	x.steps += int(x.degree(v))
	for _, w := range x.across {
		x.tally(w, 1)
	}
	x.count[v] = 0
}

// tally counts, or no longer counts, w for the stars that have an edge with it.
// A count that has come to nothing stays so: the star is out.
func (x *excess) tally(w, by int32) {
	for i := x.from[w]; i < x.from[w+1]; i++ {
		star := x.far[i]
		if x.owner[x.edge[i]] != star {
			continue
		}
		if x.count[star] == 0 {
			if by < 0 {
				continue
			}
			x.touched = append(x.touched, star)
		}
		x.count[star] += by
	}
	x.steps += int(x.degree(w))
}

// mate picks the star to join next: one with enough of across for its own need
// and for that of the others.
func (x *excess) mate(need int32) (int32, bool) {
	found, foundNeed := int32(-1), int32(0)
	kept := x.touched[:0]
	for _, star := range x.touched {
		most := max(need, x.stuck(star))
		if x.count[star] < most || x.degree(star) > maxReach {
			x.count[star] = 0
			continue
		}
		kept = append(kept, star)
		better := found < 0
		if !better && x.patient && most != foundNeed {
			better = most < foundNeed
		} else if !better {
			better = x.count[star] > x.count[found] || x.count[star] == x.count[found] && star < found
		}
		if better {
			found, foundNeed = star, most
		}
	}
	x.steps += len(x.touched)
	x.touched = kept
	return found, found >= 0
}

// join adds a star to the drawing and leaves of across only what it has too.
func (x *excess) join(star int32) {
	x.round++
	for i := x.from[star]; i < x.from[star+1]; i++ {
		if x.owner[x.edge[i]] == star {
			x.mark[x.far[i]] = x.round
		}
	}
	x.steps += int(x.degree(star))
	x.along = append(x.along, star)
	x.count[star] = 0
	kept := x.across[:0]
	for _, w := range x.across {
		if x.mark[w] == x.round {
			kept = append(kept, w)
		} else {
			x.tally(w, -1)
		}
	}
	x.across = kept
}

// forget clears the counts.
func (x *excess) forget() {
	for _, v := range x.touched {
		x.count[v] = 0
	}
}

// widen adds bystanders to along while the grid fits one call: vertices that
// have all of across and keep some of their excess for now. What is taken from
// them costs nothing and makes them easier to take away entirely.
func (x *excess) widen(along, across []int32) (wider, same []int32) {
	if (len(along)+1)*len(across) > int(x.limit) {
		return along, across
	}
	x.touched = x.touched[:0]
	for _, w := range across {
		for i := x.from[w]; i < x.from[w+1]; i++ {
			if v := x.far[i]; x.isStar(x.owner[x.edge[i]]) {
				if x.count[v] == 0 {
					x.touched = append(x.touched, v)
				}
				x.count[v]++
			}
		}
		x.steps += int(x.degree(w))
	}
	for _, v := range along {
		x.count[v] = 0
	}
	fit := slices.DeleteFunc(slices.Clone(x.touched), func(v int32) bool { return int(x.count[v]) < len(across) })
	x.forget()
	slices.SortFunc(fit, func(v, w int32) int {
		return cmp.Or(cmp.Compare(x.excess(v), x.excess(w)), cmp.Compare(v, w))
	})
	return append(along, fit[:min(len(fit), int(x.limit)/len(across)-len(along))]...), across
}
