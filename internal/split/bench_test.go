package split_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/split"
)

// departments returns about n changes as a company asks for them: departments
// of 20 to 200 people, each with 5 to 40 resources of which some are everyone's,
// and 3 % of the pairs left out or replaced by an exception of the person's own.
func departments(n int) []access.Change {
	random := rand.New(rand.NewPCG(1, 0))
	seen := map[access.Pair]bool{}
	changes := make([]access.Change, 0, n)
	add := func(user, resource int) {
		c := grant(fmt.Sprintf("%032x", user), fmt.Sprintf("%032x", resource))
		if !seen[c.Pair()] {
			seen[c.Pair()] = true
			changes = append(changes, c)
		}
	}
	for user := 0; len(changes) < n; {
		role := random.Perm(1000)[:5+random.IntN(36)]
		for range 20 + random.IntN(181) {
			for _, resource := range role {
				switch {
				case len(changes) == n:
					return changes
				case random.IntN(100) < 3:
					add(user, random.IntN(1000))
				default:
					add(user, resource)
				}
			}
			user++
		}
	}
	return changes
}

func BenchmarkTasks(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			changes := departments(n)
			b.ReportAllocs()
			var tasks []split.Task
			for b.Loop() {
				tasks = split.Tasks(changes)
			}
			b.ReportMetric(float64(len(tasks)), "calls")
			b.ReportMetric(float64((n+access.MaxCells-1)/access.MaxCells), "least-calls")
		})
	}
}
