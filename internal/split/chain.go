package split

// shift moves the excess of a star into the last calls of others, where there
// is room for all of it.
func (x *excess) shift(star int32) bool {
	need := x.excess(star)
	if need == 0 || need > x.easy[star] && need > maxChains {
		return false
	}
	return x.try(x.calls-1, func() {
		for i := x.from[star]; i < x.from[star+1] && need > 0; i++ {
			if x.owner[x.edge[i]] == star && x.room(x.far[i]) > 0 {
				x.give(x.edge[i], x.far[i])
				need--
			}
		}
		for need > 0 && x.chain(star) {
			need--
		}
		x.steps += int(x.degree(star))
	})
}

const (
	maxChains = 30   // edges that a star gets rid of by chains
	maxLook   = 3000 // ends looked at for a chain
)

// hop is a step of a chain: edge goes to the star of v from the star of the hop
// numbered by.
type hop struct{ v, edge, by int32 }

// chain moves one edge of a star to another that is full, an edge of that one
// to a third, and so on until one has room: the augmenting path of a flow.
func (x *excess) chain(star int32) bool {
	x.round++
	x.mark[star] = x.round
	x.hops = append(x.hops[:0], hop{star, -1, -1})
	looks := 0
	for at := 0; at < len(x.hops) && looks < maxLook; at++ {
		v := x.hops[at].v
		looks += int(x.degree(v))
		for i := x.from[v]; i < x.from[v+1]; i++ {
			w := x.far[i]
			if x.owner[x.edge[i]] != v || x.load[w] == 0 || x.mark[w] == x.round {
				continue
			}
			x.mark[w] = x.round
			x.hops = append(x.hops, hop{w, x.edge[i], small(at)})
			if x.room(w) > 0 {
				x.steps += looks
				x.move(x.hops)
				return true
			}
		}
	}
	x.steps += looks
	return false
}

// move makes the moves of the chain that ends last.
func (x *excess) move(queue []hop) {
	for h := queue[len(queue)-1]; h.by >= 0; h = queue[h.by] {
		x.give(h.edge, h.v)
	}
}
