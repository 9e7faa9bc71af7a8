package split

import (
	"cmp"
	"slices"

	"github.com/usher-bi/usher/internal/access"
)

// ranking numbers values in their sorted order. Everything that works on ranks
// gives the same for a set of changes, in whichever order they come.
type ranking struct {
	rank []int32 // of each value
	at   []int32 // which value has a rank
}

// rank sorts distinct values.
func rank[V any](values []V, compare func(a, b V) int) ranking {
	r := ranking{rank: make([]int32, len(values)), at: make([]int32, len(values))}
	for i := range values {
		r.at[i] = small(i)
	}
	slices.SortFunc(r.at, func(a, b int32) int { return compare(values[a], values[b]) })
	for rank, i := range r.at {
		r.rank[i] = small(rank)
	}
	return r
}

func comparePrincipals(a, b access.Principal) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.ID, b.ID))
}

func compareResources(a, b access.Resource) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.ID, b.ID))
}

// pick returns the values with the given ranks.
func pick[V any](values []V, r ranking, ranks []int32) []V {
	out := make([]V, len(ranks))
	for i, n := range ranks {
		out[i] = values[r.at[n]]
	}
	return out
}

// sort returns the changes by pool, then principal, then resource, then index,
// and how many there are of each pool.
func (p *Plan) sort(of []int32) (sorted []int32, sizes []int) {
	n := len(of)
	if of == nil {
		n = p.changes.Len()
	}
	sorted, spare := make([]int32, n), make([]int32, n)
	for i := range sorted {
		if sorted[i] = small(i); of != nil {
			sorted[i] = of[i]
		}
	}
	cells := p.changes.Cells
	spare, sorted = sorted, byNumber(sorted, spare, len(p.resources.at), func(i int32) int32 { return p.resources.rank[cells[i].Resource] })
	spare, sorted = sorted, byNumber(sorted, spare, len(p.principals.at), func(i int32) int32 { return p.principals.rank[cells[i].Principal] })
	pools := p.pool(sorted)
	sizes = make([]int, len(p.pools))
	for _, i := range sorted {
		sizes[pools[i]]++
	}
	if len(p.pools) > 1 {
		sorted = byNumber(sorted, spare, len(p.pools), func(i int32) int32 { return pools[i] })
	}
	return sorted, sizes
}

// byNumber sorts values into spare by small numbers. Equal ones keep their order.
func byNumber(values, spare []int32, numbers int, of func(int32) int32) []int32 {
	next := make([]int32, numbers+1)
	for _, v := range values {
		next[of(v)+1]++
	}
	for i := range numbers {
		next[i+1] += next[i]
	}
	for _, v := range values {
		n := of(v)
		spare[next[n]] = v
		next[n]++
	}
	return spare
}

// pool finds the pools of changes, in order, and returns the number of that of
// each change.
func (p *Plan) pool(changes []int32) []int32 {
	type class struct { // of changes that are of one pool
		kind      int32
		principal access.PrincipalType
		resource  access.ResourceType
		workspace string
	}
	classes, numbers := map[class]int32{}, map[pool]int32{}
	out := make([]int32, p.changes.Len())
	var last class
	var number int32 = -1
	for _, i := range changes {
		cell := p.changes.Cells[i]
		resource := &p.changes.Resources[cell.Resource]
		c := class{kind: cell.Kind, principal: p.changes.Principals[cell.Principal].Type, resource: resource.Type}
		if c.resource == access.Membership {
			c.workspace = resource.ID
		}
		if c != last || number < 0 {
			n, known := classes[c]
			if !known {
				n = numbered(numbers, poolOf(p.changes.At(int(i))))
				classes[c] = n
			}
			last, number = c, n
		}
		out[i] = number
	}
	p.pools = make([]pool, len(numbers))
	for common, n := range numbers {
		p.pools[n] = common
	}
	order := rank(p.pools, pool.compare)
	p.pools = pick(p.pools, order, identity(len(p.pools)))
	for _, i := range changes {
		out[i] = order.rank[out[i]]
	}
	return out
}

// numbered returns the number of a value, a new one if it has none.
func numbered[K comparable](numbers map[K]int32, k K) int32 {
	n, ok := numbers[k]
	if !ok {
		n = small(len(numbers))
		numbers[k] = n
	}
	return n
}

// identity returns the numbers from 0 on.
func identity(n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = small(i)
	}
	return out
}

// small narrows an index. Half the memory of a plan is numbers like it.
func small(i int) int32 {
	return int32(i) //nolint:gosec // a plan is of fewer than 2³¹ changes
}
