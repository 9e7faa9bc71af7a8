package limit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/usher-bi/usher/internal/limit"
	"github.com/usher-bi/usher/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// api is a quota over every sliding second, as the strictest server counts it.
type api struct {
	mu        sync.Mutex
	quota     int
	hint      bool
	window    []time.Time
	arrived   []time.Time
	throttled []time.Time
}

// call returns for how long the caller is told to wait, and whether it was let
// through.
func (a *api) call() (told time.Duration, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	a.arrived = append(a.arrived, now)
	for len(a.window) > 0 && now.Sub(a.window[0]) >= time.Second {
		a.window = a.window[1:]
	}
	if a.quota > 0 && len(a.window) >= a.quota {
		a.throttled = append(a.throttled, now)
		if a.hint {
			told = a.window[0].Add(time.Second).Sub(now)
		}
		return told, false
	}
	a.window = append(a.window, now)
	return 0, true
}

func (a *api) setQuota(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.quota = n
}

func (a *api) calls() []time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.arrived)
}

// between counts the calls and the throttled ones of a span.
func (a *api) between(from, to time.Time) (calls, throttled int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	in := func(all []time.Time) (n int) {
		for _, t := range all {
			if !t.Before(from) && t.Before(to) {
				n++
			}
		}
		return n
	}
	return in(a.arrived), in(a.throttled)
}

// densest is the most calls in any span of that length.
func densest(calls []time.Time, span time.Duration) (most int) {
	first := 0
	for i := range calls {
		for calls[i].Sub(calls[first]) >= span {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// open returns clients of one Redis, as those of processes.
func open(tb testing.TB, url string) *redis.Client {
	tb.Helper()
	opts, err := redis.ParseURL("unix://" + strings.TrimPrefix(url, "redis-socket://"))
	if err != nil {
		tb.Fatal(err)
	}
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	c := redis.NewClient(opts)
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

// hooked is a client whose hooks see what a limiter sends.
type hooked struct{ *redis.Client }

// fleet is processes that share a limit.
type fleet struct {
	client   *redis.Client
	commands *counter // that the limiters sent
	limiters []*limit.Limiter
}

const action = "SmartqAuthorize"

func setup(tb testing.TB, processes int, perSecond float64) *fleet {
	tb.Helper()
	f := &fleet{client: open(tb, testenv.Redis(tb)), commands: &counter{}}
	f.client.AddHook(f.commands)
	for i := range processes {
		f.limiters = append(f.limiters, limit.New(limit.Options{
			Redis: hooked{f.client}, Action: action, Process: fmt.Sprintf("p%d", i), PerSecond: perSecond,
			MinShare: 0.05, Processes: func() int { return processes },
		}))
	}
	return f
}

// load keeps callers calling until ctx ends.
type load struct {
	callers int // of each process
	latency func() time.Duration
	lane    limit.Lane
}

func realLatency() time.Duration { return 20*time.Millisecond + rand.N(380*time.Millisecond) }

func (f *fleet) run(ctx context.Context, a *api, o load) (wait func()) {
	var group sync.WaitGroup
	for _, l := range f.limiters {
		for c := range o.callers {
			group.Go(func() {
				for ctx.Err() == nil {
					oneCall(ctx, l, a, o, int64(c%3))
				}
			})
		}
	}
	return group.Wait
}

func oneCall(ctx context.Context, l *limit.Limiter, a *api, o load, job int64) {
	turn := l.Join(o.lane, job)
	defer turn.Leave()
	if turn.Near(ctx) != nil {
		return
	}
	if turn.Go(ctx) != nil {
		return
	}
	told, ok := a.call()
	if o.latency != nil {
		time.Sleep(o.latency())
	}
	if !ok {
		turn.Throttled(ctx, told)
	}
}

// counter counts the commands that are sent, and can keep them from Redis.
type counter struct {
	n    atomic.Int64
	away atomic.Bool
	fail atomic.Int64 // so many that come next
}

// goAway has Redis refuse what limiters send until it is set to false.
func (f *fleet) goAway() *atomic.Bool {
	f.commands.away.Store(true)
	return &f.commands.away
}

func (*counter) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (c *counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.n.Add(1)
		if c.away.Load() || c.fail.Add(-1) >= 0 {
			return errors.New("connection refused")
		}
		return next(ctx, cmd)
	}
}

func (*counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { return next(ctx, cmds) }
}
