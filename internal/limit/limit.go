// Package limit lets the calls of an action through at the rate that the account
// is allowed: one rate for all processes, shared through Redis, urgent calls
// first. It finds out by itself when the account is allowed less.
package limit

import (
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/time/rate"
)

// Lane says who goes first.
type Lane int

// The lanes. An urgent call passes every other one that has no slot yet.
const (
	Urgent Lane = iota
	Normal
	Bulk
	lanes // how many there are
)

// Options describe a Limiter. All but MinShare and Processes are required.
type Options struct {
	Redis     redis.UniversalClient
	Action    string
	Process   string     // of this life of this process: no other limiter of the action has it
	PerSecond float64    // the limit of all processes together, unless an operator has set another: see SetLimit
	MinShare  float64    // of the slots of a process, for each lane below urgent that waits; 0 means none
	Processes func() int // that share the limit now; nil means one. It decides while Redis is away
}

// Limiter paces the calls of one action. It is safe for concurrent use, and
// needs no closing: it does nothing while nobody waits.
type Limiter struct {
	options Options
	shared  *shared

	kick chan struct{} // the pump has to look again; capacity 1

	mu      sync.Mutex
	line    line
	pumping bool
	booking bool      // Redis is being asked for slots
	asked   time.Time // since then
	booked  []slot    // in order of time
	unused  int       // slots that were booked and not used, of which Redis does not know
	guard   *rate.Limiter
	rate    float64   // allowed for all processes, as last heard
	limit   float64   // as last heard
	late    lateness  // of which Redis does not know
	last    int64     // the slot that was booked last, by Redis's clock
	far     time.Time // there is no slot before, as last heard
	frozen  time.Time // nothing goes out before
	missed  time.Time // until when it was told to wait, where Redis could not be told; zero if it was
	away    bool      // Redis is
	again   time.Time // when to ask it again
	over    override
}

// override is what an operator set.
type override struct {
	perSecond float64 // 0: nothing
	version   int64
}

// slot is the right to send a call at an instant.
type slot struct {
	at      time.Time
	guarded time.Time // not before, for the guard's sake; zero: it was not asked
	redis   int64     // at by Redis's clock, in microseconds
	booked  int64     // when, by Redis's clock
	local   bool      // Redis knows nothing of it
}

// lateness says by how much more than lateMost a call was late.
type lateness struct {
	by   time.Duration
	slot int64 // of the call, by Redis's clock
}

// New returns a limiter. It sends nothing.
func New(o Options) *Limiter {
	if o.Processes == nil {
		o.Processes = func() int { return 1 }
	}
	return &Limiter{
		options: o, shared: newShared(o), kick: make(chan struct{}, 1),
		line: newLine(o.MinShare), guard: rate.NewLimiter(guarded(o.PerSecond), 1), rate: o.PerSecond, limit: o.PerSecond,
	}
}

// SetLimit tells what an operator set: calls a second, or 0 for what this process
// is configured with. Of two calls the one with the higher version counts, also
// among processes; version 0 is none. Here it holds at once, a higher one from the
// next booking on, and for all processes from then on; see [Publish] for at once.
func (l *Limiter) SetLimit(perSecond float64, version int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if version <= l.over.version {
		return
	}
	l.over = override{perSecond: perSecond, version: version}
	l.limit = perSecond
	if perSecond <= 0 {
		l.limit = l.options.PerSecond
	}
	l.rate = min(l.rate, l.limit)
	l.pace(time.Now())
}

// Join takes a place in a lane, at the end of those of the job. The caller must
// leave the turn when it is done with it.
func (l *Limiter) Join(lane Lane, job int64) *Turn {
	t := &Turn{limiter: l, lane: lane, job: job, near: make(chan struct{}), granted: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line.join(t)
	l.wake()
	return t
}

// wake has the pump look again, and starts it if it does not run. The caller
// holds the lock.
func (l *Limiter) wake() {
	if !l.pumping {
		l.pumping = true
		go l.pump()
		return
	}
	select {
	case l.kick <- struct{}{}:
	default: // it has been told
	}
}
