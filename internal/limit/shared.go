package limit

import (
	"context"
	_ "embed" // the scripts
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// headroom is the share of a limit that is used. Calls leave evenly spaced and
// arrive jittered: without it, one that is late and one that is early make a second
// that holds one call too many. So arrivals may be 23 ms closer than departures.
const headroom = 0.977

// askFor is how long Redis may take before it counts as away. An answer that
// comes later is used.
const askFor = 250 * time.Millisecond

//go:embed state.lua
var stateSource string

//go:embed reserve.lua
var reserveSource string

//go:embed throttled.lua
var throttledSource string

//go:embed publish.lua
var publishSource string

var (
	reserveScript   = redis.NewScript(stateSource + reserveSource)
	throttledScript = redis.NewScript(stateSource + throttledSource)
	publishScript   = redis.NewScript(stateSource + publishSource)
)

// keys of an action. They hold rates, times and names of processes.
func keys(action string) []string {
	state := "usher:limit:" + action
	return []string{state, state + ":waiting", state + ":minute", state + ":slots", state + ":throttled"}
}

// shared is what all processes know, in Redis.
type shared struct {
	redis     redis.UniversalClient
	keys      []string
	process   string
	perSecond float64

	mu    sync.Mutex
	clock clock
}

func newShared(o Options) *shared {
	client := o.Redis
	if c, ok := client.(*redis.Client); ok {
		client = c.WithTimeout(2 * askFor)
	}
	return &shared{redis: client, keys: keys(o.Action), process: o.Process, perSecond: o.PerSecond, clock: clock{start: time.Now()}}
}

// reply is what Redis told.
type reply struct {
	slots  []slot
	frozen time.Time
	rate   float64 // calls a second
	limit  float64 // calls a second
}

// request is a booking.
type request struct {
	slots   int
	lead    time.Duration // no slot comes sooner from now
	frozen  time.Time     // nothing goes out before; zero means nothing
	over    override
	sharers int // processes, if this one was without Redis until now
	unused  int
	last    int64 // slot that was booked before
	late    lateness
	waiting [lanes]int // after these slots
}

func (s *shared) reserve(ctx context.Context, r request) (reply, error) {
	waiting := fmt.Sprintf("%d %d %d", r.waiting[Urgent], r.waiting[Normal], r.waiting[Bulk])
	v, err := reserveScript.Run(ctx, s.redis, s.keys,
		r.slots, s.perSecond, r.over.perSecond, r.over.version, headroom, r.sharers, r.unused, s.process, waiting, r.last,
		max(0, time.Until(r.frozen)).Microseconds(), r.lead.Microseconds(), r.late.by.Microseconds(), r.late.slot).Int64Slice()
	if err != nil || len(v) != 6 {
		return reply{}, errors.Join(err, errAnswer(v, 6))
	}
	now, first, spacing := v[0], v[1], v[2]
	out := reply{rate: float64(v[4]) / 1000, limit: float64(v[5]) / 1000}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock.hear(now)
	out.frozen = s.clock.local(v[3])
	for i := range int64(r.slots) {
		at := first + i*spacing
		out.slots = append(out.slots, slot{at: s.clock.local(at), redis: at, booked: now})
	}
	return out, nil
}

func (s *shared) throttled(ctx context.Context, of slot, told time.Duration, over override) (reply, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 4*askFor)
	defer cancel()
	v, err := throttledScript.Run(ctx, s.redis, s.keys,
		told.Microseconds(), of.booked, of.redis, s.perSecond, over.perSecond, over.version).Int64Slice()
	if err != nil || len(v) != 4 {
		return reply{}, errors.Join(err, errAnswer(v, 4))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock.hear(v[0])
	return reply{frozen: s.clock.local(v[1]), rate: float64(v[2]) / 1000, limit: float64(v[3]) / 1000}, nil
}

// tell is an instant by Redis's clock, in microseconds; 0 if it is zero. If Redis
// was never heard, it is one long ago.
func (s *shared) tell(at time.Time) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at.IsZero() {
		return 0
	}
	return s.clock.redis(at)
}

func errAnswer(v []int64, want int) error {
	if len(v) == want {
		return nil
	}
	return fmt.Errorf("redis answered %d numbers instead of %d", len(v), want)
}
