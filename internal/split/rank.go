package split

import (
	"cmp"
	"slices"

	"github.com/usher-bi/usher/internal/access"
)

// rank numbers the keys of changes in their sorted order. It returns the
// distinct keys in that order, and for each change the number of its key.
// Everything after it works on small numbers and not on ids.
func rank[K comparable](changes []access.Change, key func(*access.Change) K, compare func(a, b K) int) ([]K, []int32) {
	seen := map[K]int32{}
	ranks := make([]int32, len(changes))
	var keys []K
	for i := range changes {
		k := key(&changes[i])
		n, ok := seen[k]
		if !ok {
			n = small(len(keys))
			seen[k] = n
			keys = append(keys, k)
		}
		ranks[i] = n
	}
	slices.SortFunc(keys, compare)
	sorted := make([]int32, len(keys)) // by number in order of appearance
	for i, k := range keys {
		sorted[seen[k]] = small(i)
	}
	for i, n := range ranks {
		ranks[i] = sorted[n]
	}
	return keys, ranks
}

func principalOf(c *access.Change) access.Principal { return c.Principal }

func comparePrincipals(a, b access.Principal) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.ID, b.ID))
}

func resourceOf(c *access.Change) access.Resource { return c.Resource }

func compareResources(a, b access.Resource) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.ID, b.ID))
}

// pick returns the values with the given numbers.
func pick[V any](values []V, numbers []int32) []V {
	out := make([]V, len(numbers))
	for i, n := range numbers {
		out[i] = values[n]
	}
	return out
}

// small narrows an index. Half the memory of a plan is numbers like it.
func small(i int) int32 {
	return int32(i) //nolint:gosec // Tasks is called with fewer than 2³¹ changes
}
