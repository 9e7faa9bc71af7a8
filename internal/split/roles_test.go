package split

import (
	"math/rand/v2"
	"slices"
)

// roles returns n pairs as a company asks for them. Everyone is in a department
// of 20 to 200 people who hold a role of the department's own and one to three
// of a pool of roles, which departments share; a role is 5 to 40 resources.
// Between 1 and 5 % of what a department's roles say, its people do not get,
// and as much they get besides: exceptions of one person each. Ids say nothing
// about departments: numbers are dealt at random.
func roles(n int, seed uint64) []pair {
	random := rand.New(rand.NewPCG(seed, 0))
	resources := 300 + n/500
	users := n/8 + 1000
	role := func() []int32 {
		out := make([]int32, 5+random.IntN(36))
		for i := range out {
			out[i] = small(random.IntN(resources))
		}
		return out
	}
	shared := make([][]int32, 20+n/10_000)
	for i := range shared {
		shared[i] = role()
	}
	name := random.Perm(users)
	pairs := make([]pair, 0, n+n/10)
	for user := 0; len(pairs) < n; {
		held := role()
		for range 1 + random.IntN(3) {
			held = append(held, shared[random.IntN(len(shared))]...)
		}
		slices.Sort(held)
		held = slices.Compact(held)
		exceptions := 1 + random.IntN(5)
		for range 20 + random.IntN(181) {
			row := small(name[user%users])
			for _, col := range held {
				if random.IntN(100) >= exceptions {
					pairs = append(pairs, pair{row, col})
				}
				if random.IntN(100) < exceptions {
					pairs = append(pairs, pair{row, small(random.IntN(resources))})
				}
			}
			user++
		}
	}
	slices.SortFunc(pairs, pair.compare)
	pairs = slices.Compact(pairs)
	for len(pairs) > n { // off the end of the last people
		pairs = pairs[:n]
	}
	return pairs
}
