package tasks

import (
	"math"
	"slices"
	"time"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

// pace is how fast the calls of an action go out.
type pace struct {
	perSecond float64
	frozen    time.Duration // nothing goes out before
}

// course is what decides when jobs end.
type course struct {
	left     []store.Left
	pace     func(operation access.Action) pace
	cost     func(access.Action) cost // of a task
	minShare float64                  // of the calls, for a lane that others go before
}

// etaOf is how long a job takes from now on, if nothing joins it: until the
// operation is done that takes longest, among all that its tasks call. It tells
// none of a job of which something is held, or nothing is left.
func (c course) etaOf(job int64) (eta time.Duration, ok bool) {
	for _, l := range c.left {
		if l.Job != job {
			continue
		}
		if l.Held {
			return 0, false
		}
		ok = true
		eta = max(eta, l.DueIn)
		for operation := range c.cost(l.Action) {
			p := c.pace(operation)
			calls := callsUntil(laneIndex(l.Lane), c.before(l, operation), c.minShare)
			eta = max(eta, p.frozen+time.Duration(calls/p.perSecond*float64(time.Second)))
		}
	}
	return eta, ok
}

// before counts, by lane, the calls of an operation that compete with those of a
// job: all of the other lanes, and of its own as many of each job as it makes
// itself, because jobs take turns.
func (c course) before(own store.Left, operation access.Action) (calls [3]float64) {
	n := c.callsOf(own, operation)
	for _, l := range c.left {
		if l.Held {
			continue
		}
		its := c.callsOf(l, operation)
		if l.Lane == own.Lane {
			its = min(its, n)
		}
		calls[laneIndex(l.Lane)] += its
	}
	return calls
}

// callsOf is how many calls of an operation what is left will take.
func (c course) callsOf(l store.Left, operation access.Action) float64 {
	return float64(l.Backlog+l.Queued) * c.cost(l.Action)[operation]
}

func laneIndex(lane store.Lane) int { return slices.Index(store.Lanes(), lane) }

// none is less than a call.
const none = 1e-6

// callsUntil is how many calls of an action go out, of all lanes, until those of
// one lane have.
func callsUntil(last int, waiting [3]float64, minShare float64) (calls float64) {
	for waiting[last] > none {
		share := shares(waiting, minShare)
		step := math.Inf(1) // until a lane is empty
		for lane, n := range waiting {
			if share[lane] > 0 {
				step = min(step, n/share[lane])
			}
		}
		for lane := range waiting {
			waiting[lane] -= step * share[lane]
		}
		calls += step
	}
	return calls
}

// shares of the calls: the first lane of which some wait has all but the minimum
// share of each below it.
func shares(waiting [3]float64, minShare float64) (of [3]float64) {
	rest := 1.0
	for lane := len(waiting) - 1; lane >= 0; lane-- {
		switch above := waiting[:lane]; {
		case waiting[lane] <= none:
		case slices.ContainsFunc(above, func(n float64) bool { return n > none }):
			of[lane], rest = minShare, rest-minShare
		default:
			of[lane] = rest
		}
	}
	return of
}
