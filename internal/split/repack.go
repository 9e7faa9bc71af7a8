package split

// repacking is the local search of large calls. It takes one to three
// neighbouring ones apart, blocks into the stars of their rows or of their
// columns and the last call of a star into the stars across, has excess packing
// mend it, and keeps what takes no more calls than before.
type repacking struct {
	*excess

	random dice
}

// newRepacking returns a search that has yet to begin.
func (p *packing) newRepacking() *repacking {
	r := &repacking{excess: newExcess(p)}
	r.most = p.limit / 2
	r.random.Seed(1, 4)
	return r
}

// turn searches while that pays, until so many steps are made.
func (r *repacking) turn(until int) {
	if r.easy == nil {
		r.ease()
		r.steps += len(r.owner)
	}
	for r.pays() && r.steps < until {
		var apart []int32
		kept := r.try(r.calls, func() {
			apart = r.takeApart(&r.random)
			r.patient = r.random.below(2) == 0
			r.run(stepsPerCall)
		})
		r.steps += 200
		if kept {
			r.recycle(apart)
		}
	}
}

// takeApart gives the edges of some owners to stars, and has these tried.
func (x *excess) takeApart(random *dice) (owners []int32) {
	want := 1 + random.below(3)
	edge := small(random.below(len(x.owner)))
	for range 20 {
		if !x.isStar(x.owner[edge]) {
			break
		}
		edge = small(random.below(len(x.owner)))
	}
	first := len(x.log)
	for range 3 * want {
		owners = append(owners, x.owner[edge])
		x.scatter(x.owner[edge], random)
		if len(owners) == want {
			break
		}
		given := x.log[first+random.below(len(x.log)-first)]
		v := x.rowOf[given.edge]
		if random.below(2) == 0 {
			v = x.colOf(given.edge)
		}
		edge = x.edge[int(x.from[v])+random.below(int(x.degree(v)))]
	}
	for _, given := range x.log[first:] {
		for _, star := range [2]int32{given.from, x.owner[given.edge]} {
			if x.isStar(star) && x.tried[star] >= 0 {
				x.tried[star] = -1
				x.push(star)
			}
		}
	}
	x.steps += 4 * (len(x.log) - first)
	return owners
}

// scatter gives the edges of a block to the stars of its rows or of its columns,
// and those in the last call of a star to the stars across.
func (x *excess) scatter(owner int32, random *dice) {
	if !x.isStar(owner) {
		rows := random.below(2) == 0
		for _, edge := range x.cells[owner-x.vertices()] {
			if rows {
				x.give(edge, x.rowOf[edge])
			} else {
				x.give(edge, x.colOf(edge))
			}
		}
		return
	}
	all := x.edge[x.from[owner]:x.from[owner+1]]
	at := random.below(len(all))
	for left := x.excess(owner); left > 0; at++ {
		if edge := all[at%len(all)]; x.owner[edge] == owner {
			x.give(edge, x.other(edge, owner))
			left--
		}
		x.steps++
	}
}
