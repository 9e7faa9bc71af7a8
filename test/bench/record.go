//go:build unix

package main

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

// arrival is one call as the sandbox saw it.
type arrival struct {
	at        time.Time // when it came
	done      time.Time // when it had taken effect and was answered
	user      string    // the users it was about, as sent
	throttled bool
	applied   bool
	failed    int // pairs that were refused in an answer of success
}

// record is what the sandbox saw, in the order in which calls were answered.
type record struct {
	mu    sync.Mutex
	calls []arrival
}

// note is the log of a sandbox.
func (r *record) note(c quickbitest.Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, arrival{
		at: c.Time, done: time.Now(), user: c.Params["UserIds"], throttled: c.Violation == quickbitest.RuleRate, applied: c.Applied, failed: c.Failed,
	})
}

func (r *record) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.calls)
}

// arrivals returns the calls so far in order of arrival.
func (r *record) arrivals() arrivals {
	r.mu.Lock()
	out := slices.Clone(r.calls)
	r.mu.Unlock()
	slices.SortFunc(out, func(a, b arrival) int { return a.at.Compare(b.at) })
	return out
}

// appliedTo returns when a call about these users, as sent, took effect; the
// zero time where none did.
func (r *record) appliedTo(users string) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range slices.Backward(r.calls) {
		if c.user == users && c.applied {
			return c.done
		}
	}
	return time.Time{}
}

// arrivals are calls in order of arrival.
type arrivals []arrival

// between returns the calls that came at from or later and before to.
func (a arrivals) between(from, to time.Time) arrivals {
	return a[a.search(from):a.search(to)]
}

func (a arrivals) search(t time.Time) int {
	i, _ := slices.BinarySearchFunc(a, t, func(c arrival, t time.Time) int { return c.at.Compare(t) })
	return i
}

// admitted returns those that were let through.
func (a arrivals) admitted() arrivals {
	return slices.DeleteFunc(slices.Clone(a), func(c arrival) bool { return c.throttled })
}

// throttledShare is the part of a that was throttled.
func (a arrivals) throttledShare() float64 {
	if len(a) == 0 {
		return 0
	}
	return 1 - float64(len(a.admitted()))/float64(len(a))
}

// failed is how many pairs were refused in answers of success.
func (a arrivals) failed() (n int) {
	for _, c := range a {
		n += c.failed
	}
	return n
}

// most is how many calls came in the fullest span of that length, wherever it
// begins.
func (a arrivals) most(span time.Duration) int {
	best, from := 0, 0
	for i, c := range a {
		for c.at.Sub(a[from].at) >= span {
			from++
		}
		best = max(best, i-from+1)
	}
	return best
}

// usedAfter returns how long after from the first span ended that began no
// earlier and in which at least n calls were let through; -1 if there is none.
func (a arrivals) usedAfter(from time.Time, span time.Duration, n int) time.Duration {
	through := a[a.search(from):].admitted()
	for i := n - 1; i < len(through); i++ {
		if last := through[i].at; last.Sub(through[i-n+1].at) < span {
			return max(last.Sub(from), span)
		}
	}
	return -1
}

// quantile is the smallest of all that is no less than so much of them.
func quantile(all []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	at := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[min(max(at, 0), len(sorted)-1)]
}
