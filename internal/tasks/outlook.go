package tasks

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/limit"
	"github.com/usher-bi/usher/internal/store"
)

// Lookout sees how fast calls go out and what waits. Store is required.
type Lookout struct {
	Store    *store.Store
	Redis    redis.UniversalClient       // nil if it is away
	Rate     func(access.Action) float64 // calls a second that workers are configured with
	MinShare float64                     // of the calls, for a lane that others go before
}

// Outlook is what was seen at one moment.
type Outlook struct {
	course

	at      time.Time // by Postgres
	workers int       // that live
	rates   map[access.Action]ActionRate
}

// Look reads what tasks of open jobs, and of other actions that are named, cost,
// and the rates of all that they call. A Redis that does not answer leaves costs
// and states out.
func (l Lookout) Look(ctx context.Context, others ...access.Action) (Outlook, error) {
	o := Outlook{course: course{minShare: l.MinShare}, rates: map[access.Action]ActionRate{}}
	o.pace = func(a access.Action) pace { return o.rates[a].pace() }
	costs := map[access.Action]cost{}
	o.cost = func(a access.Action) cost {
		if c, known := costs[a]; known {
			return c
		}
		return oneCall(a)
	}
	var err error
	if o.left, err = l.Store.WorkLeft(ctx); err != nil {
		return Outlook{}, err
	}
	if o.workers, o.at, err = l.Store.Alive(ctx); err != nil {
		return Outlook{}, err
	}
	set, err := l.Store.Limits(ctx)
	if err != nil {
		return Outlook{}, err
	}
	for _, left := range o.left {
		others = append(others, left.Action)
	}
	if costs, err = l.costs(ctx, others); err != nil {
		l.Redis = nil // it is not asked once more
	}
	for _, action := range others {
		others = append(others, o.cost(action).operations()...)
	}
	for _, action := range others {
		if _, known := o.rates[action]; known {
			continue
		}
		r := ActionRate{Action: action, Configured: l.Rate(action)}
		if i := slices.IndexFunc(set, func(s store.Limit) bool { return s.Action == action }); i >= 0 {
			r.Set = &set[i]
		}
		r.State = l.state(ctx, action)
		if r.State == nil {
			l.Redis = nil // it is not asked once more
		}
		o.rates[action] = r
	}
	return o, nil
}

// costs returns what tasks of actions cost of late, where that is known.
func (l Lookout) costs(ctx context.Context, actions []access.Action) (map[access.Action]cost, error) {
	if l.Redis == nil || len(actions) == 0 {
		return map[access.Action]cost{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, scrapeWithin)
	defer cancel()
	return readCosts(ctx, l.Redis, slices.Compact(slices.Sorted(slices.Values(actions))))
}

func (l Lookout) state(ctx context.Context, action access.Action) *limit.State {
	if l.Redis == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, scrapeWithin)
	defer cancel()
	s, err := limit.Read(ctx, l.Redis, string(action))
	if err != nil {
		return nil
	}
	return &s
}

// Tell adds to jobs that are open when they will have ended, and returns what it
// saw, if any is. What cannot be read is not told.
func (l Lookout) Tell(ctx context.Context, jobs ...*store.Job) Outlook {
	if !slices.ContainsFunc(jobs, func(j *store.Job) bool { return !j.Status.Final() }) {
		return Outlook{}
	}
	o, err := l.Look(ctx)
	if err != nil {
		return Outlook{}
	}
	for _, job := range jobs {
		o.Tell(job)
	}
	return o
}

// Tell adds to an open job when it will have ended: nothing if that cannot be
// told, because something of it is held or no worker lives.
func (o Outlook) Tell(job *store.Job) {
	if i := o.find(job.ID); i >= 0 && o.workers > 0 && (job.Status == store.JobQueued || job.Status == store.JobRunning) {
		if left, ok := o.etaOf(o.left[i].Job); ok {
			at := o.at.Add(left).Round(time.Second)
			job.Progress.ETA, job.Progress.Left = &at, &left
		}
	}
}

// find returns where something is left of a job; -1 if nothing is.
func (o Outlook) find(id string) int {
	return slices.IndexFunc(o.left, func(l store.Left) bool { return l.JobID == id })
}

// Foresee is how long a submission would take if it were made now. It tells none
// if no worker lives, or something of it is paused or stopped.
func (l Lookout) Foresee(ctx context.Context, sub Submission, calls map[access.Action]int) (eta time.Duration, ok bool, err error) {
	o, err := l.Look(ctx, slices.Collect(maps.Keys(calls))...)
	if err != nil || o.workers == 0 {
		return 0, false, err
	}
	pauses, err := l.Store.Pauses(ctx)
	if err != nil {
		return 0, false, err
	}
	stops, err := l.Store.Stops(ctx)
	if err != nil {
		return 0, false, err
	}
	const its = math.MaxInt64
	for action, n := range calls {
		o.left = append(o.left, store.Left{
			Job: its, Action: action, Lane: sub.Lane, Backlog: n,
			Held: slices.ContainsFunc(stops, func(s store.Stop) bool { return s.Action == action }) ||
				slices.ContainsFunc(pauses, func(p store.Pause) bool {
					return p.PausesAction(action) || p.Scope == store.ScopeSource && p.Name == sub.Source
				}),
		})
	}
	eta, ok = o.etaOf(its)
	return eta, ok, nil
}

// RatesOf returns the rates of the actions that an open job still needs.
func (o Outlook) RatesOf(id string) []ActionRate {
	var out []ActionRate
	for _, l := range o.left {
		if l.JobID == id {
			out = append(out, o.rates[l.Action])
		}
	}
	return out
}

// Rates returns the rate of each action that was looked at, by name.
func (o Outlook) Rates() []ActionRate {
	out := make([]ActionRate, 0, len(o.rates))
	for _, r := range o.rates {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b ActionRate) int { return cmp.Compare(a.Action, b.Action) })
	return out
}

// RateOf returns the rate of an action that was looked at.
func (o Outlook) RateOf(action access.Action) ActionRate { return o.rates[action] }

// ActionRate is what is known of the rate of an action.
type ActionRate struct {
	Action     access.Action
	Configured float64      // calls a second, where whoever looks is configured as the workers are
	Set        *store.Limit // what an operator said last; nil if none has
	State      *limit.State // nil if Redis is away
}

// Overridden reports whether a limit holds that an operator set.
func (r ActionRate) Overridden() bool { return r.Set != nil && r.Set.PerSecond > 0 }

// Limit is how many calls a second all workers together may send: what an
// operator set, else what the workers say that they are configured with.
func (r ActionRate) Limit() float64 {
	switch {
	case r.Overridden():
		return r.Set.PerSecond
	case r.TakenUp() && r.State.Known && !r.State.Overridden:
		return r.State.Limit
	default:
		return r.Configured
	}
}

// TakenUp reports whether Redis knows what an operator said last. If not, a
// worker tells it with its next call.
func (r ActionRate) TakenUp() bool {
	return r.State != nil && (r.Set == nil || r.State.Version >= r.Set.Version)
}

// pace is what was measured of late, but no more than is allowed now, without
// the calls that were throttled. Where nothing is known it is the limit.
func (r ActionRate) pace() pace {
	if !r.TakenUp() || !r.State.Known {
		return pace{perSecond: r.Limit()}
	}
	s := r.State
	p := pace{perSecond: min(s.MeasuredRate(), s.Rate), frozen: s.FrozenFor}
	p.perSecond *= 1 - min(0.9, r.ThrottledShare())
	if !(p.perSecond > 0) {
		p.perSecond = r.Limit()
	}
	return p
}

// Allowed is how many calls a second go out at most at present: less than the
// limit after Quick BI has throttled.
func (r ActionRate) Allowed() float64 {
	if !r.TakenUp() || !r.State.Known {
		return r.Limit()
	}
	return r.State.Rate
}

// ThrottledShare is the share of the calls of the last minute that Quick BI
// throttled, as far as is known.
func (r ActionRate) ThrottledShare() float64 {
	if r.State == nil || r.State.Sent <= 0 {
		return 0
	}
	return min(1, float64(r.State.Throttled)/float64(r.State.Sent))
}

// WaitingIn is how many calls wait in a lane; 0 if nobody knows.
func (r ActionRate) WaitingIn(lane store.Lane) int {
	if r.State == nil {
		return 0
	}
	return r.State.Waiting[laneNamed(lane)]
}
