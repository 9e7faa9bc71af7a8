package split

import (
	"math/rand/v2"
	"slices"
)

// shape is what a made-up set of user permissions looks like: a stand-in for a
// real one that cannot be handed around. What the real ones share is in it. Most
// users are of few types; permissions come in atoms, such as all ports of a
// host; a role is a list of atoms, a third of them begin like an older role;
// roles overlap, because they draw from the same area of atoms; and a type holds
// popular roles until it has as many permissions as it should, the last role
// only in part, so that sets are nested.
type shape struct {
	name         string
	users, types int
	perms, atoms int
	roles        int
	atomsPerRole int    // at most
	degrees      [8]int // permissions of a user: at the quantiles
	best         int    // the fewest calls known, mostly from searches fifty times as long
}

// shapes are like the sets from firewalls and access lists that studies of role
// mining use, in their sizes, their density and the spread of their degrees.
var shapes = []shape{
	{"emea", 35, 34, 3046, 900, 60, 60, [8]int{9, 30, 90, 180, 280, 400, 500, 554}, 77},
	{"fire2", 325, 45, 590, 60, 11, 14, [8]int{1, 10, 20, 90, 150, 200, 560, 590}, 395},
	{"customer", 10021, 5500, 277, 277, 400, 6, [8]int{1, 1, 2, 4, 6, 8, 12, 25}, 511},
	{"americas_small", 3477, 600, 1587, 500, 200, 30, [8]int{1, 2, 4, 13, 28, 75, 165, 310}, 1413},
	{"americas_large", 3485, 1100, 10127, 3000, 420, 60, [8]int{1, 2, 6, 20, 52, 120, 280, 733}, 2406},
}

// degree returns how many permissions a user at some percent has.
func (s shape) degree(percent int) int {
	quantiles := [8]int{0, 10, 25, 50, 75, 90, 97, 100}
	i := 1
	for percent > quantiles[i] {
		i++
	}
	from, to := quantiles[i-1], quantiles[i]
	return s.degrees[i-1] + (s.degrees[i]-s.degrees[i-1])*(percent-from)/(to-from)
}

// pairs makes a set of the shape.
func (s shape) pairs() []pair {
	random := rand.New(rand.NewPCG(1, 0))
	atoms := s.drawAtoms(random)
	types := s.drawTypes(random, atoms, s.drawRoles(random))
	var pairs []pair
	row, col := random.Perm(s.users), random.Perm(s.perms)
	for user := range s.users {
		kind := user
		if user >= s.types {
			kind = low(random, s.types)
		}
		for _, perm := range types[kind] {
			pairs = append(pairs, pair{small(row[user]), small(col[perm])})
		}
	}
	slices.SortFunc(pairs, pair.compare)
	return pairs
}

// low returns a number below n, more often a small one: those are popular.
func low(random *rand.Rand, n int) int { return min(random.IntN(n), random.IntN(n)) }

func (s shape) drawAtoms(random *rand.Rand) [][]int32 {
	atoms := make([][]int32, s.atoms)
	for perm := range s.perms {
		at := perm
		if perm >= s.atoms {
			at = low(random, s.atoms)
		}
		atoms[at] = append(atoms[at], small(perm))
	}
	return atoms
}

func (s shape) drawRoles(random *rand.Rand) [][]int {
	roles := make([][]int, s.roles)
	for i := range roles {
		if i > 0 && random.IntN(3) == 0 {
			old := roles[random.IntN(i)]
			roles[i] = append(roles[i], old[:1+random.IntN(len(old))]...)
		}
		area, n := random.IntN(s.atoms), 1+random.IntN(s.atomsPerRole)
		for len(roles[i]) < n {
			roles[i] = append(roles[i], (area+low(random, 3*s.atomsPerRole))%s.atoms)
		}
	}
	return roles
}

func (s shape) drawTypes(random *rand.Rand, atoms [][]int32, roles [][]int) [][]int32 {
	types := make([][]int32, s.types)
	for i := range types {
		want := s.degree(random.IntN(101))
		for tries := 0; len(types[i]) < want && tries < 200; tries++ {
			for _, atom := range roles[low(random, s.roles)] {
				if len(types[i]) >= want {
					break
				}
				types[i] = append(types[i], atoms[atom]...)
			}
			slices.Sort(types[i])
			types[i] = slices.Compact(types[i])
		}
	}
	return types
}
