package tasks

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/usher-bi/usher/internal/store"
)

// Outage is about something that may be away for a second or for an hour.
type Outage struct {
	Name string // in the log
	Log  zerolog.Logger

	// Ask asks it something. It is given five seconds.
	Ask func(ctx context.Context) error

	// Passing reports whether an error of Ask means that it is away. Any other
	// error is an answer.
	Passing func(error) bool
}

const (
	askFor   = 5 * time.Second
	askPause = 100 * time.Millisecond // after the first question; doubles
	askMost  = 5 * time.Second
)

// Outlast asks until there is an answer, and returns it, or until ctx ends, and
// returns its error. It asks at once, and then after growing, jittered pauses.
// It logs when there is no answer, once a minute while there is none, and when
// there is one again.
func Outlast(ctx context.Context, o Outage) error {
	away := absence{server: o.Name, log: o.Log}
	for try := 0; ; try++ {
		err := o.ask(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err() //nolint:wrapcheck // the caller's own
		case err != nil && !o.Passing(err):
			return err
		case err == nil:
			away.answered()
			return nil
		}
		away.failed(err)
		if !pause(ctx, askAgain(try)) {
			return ctx.Err() //nolint:wrapcheck // the caller's own
		}
	}
}

func (o Outage) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	return o.Ask(ctx)
}

// RedisAway reports whether err says that Redis is away, and not that it refuses
// to be asked like that: with this password, or for this database.
func RedisAway(err error) bool {
	if !errors.Is(err, ErrRedisUnavailable) {
		return false
	}
	for _, refusal := range []string{"WRONGPASS", "NOAUTH", "NOPERM", "AUTH ", "DB index", "invalid DB index"} {
		if redis.HasErrorPrefix(err, refusal) {
			return false
		}
	}
	return true
}

// NewRedis is [OpenRedis] for a Redis that may be away: it asks nothing.
func NewRedis(rawURL string) (redis.UniversalClient, error) { return newRedis(rawURL) }

// askAgain is how long to wait after so many questions without an answer. Half
// of it is random, so that workers do not come back all at once.
func askAgain(tries int) time.Duration {
	d := min(askMost, askPause<<min(tries, 10))
	return d/2 + rand.N(d/2+1)
}

// gate is where everything of a process waits while Postgres is away, so that
// one question at a time is asked instead of one for each task.
type gate struct {
	outage Outage // of Postgres
	up     prometheus.Gauge
	shut   chan struct{} // somebody waits; capacity 1

	mu   sync.Mutex
	back chan struct{} // closed when Postgres has answered; nil while nobody waits
}

func newGate(o Outage, up prometheus.Gauge) *gate {
	return &gate{outage: o, up: up, shut: make(chan struct{}, 1)}
}

// run asks Postgres whenever somebody waits, until ctx is done.
func (g *gate) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.shut:
		}
		if err := Outlast(ctx, g.outage); err != nil && ctx.Err() == nil {
			g.outage.Log.Error().Err(err).Msg("Postgres answers, but not as it should")
		}
		if ctx.Err() != nil {
			return
		}
		g.up.Set(1)
		g.mu.Lock()
		close(g.back)
		g.back = nil
		g.mu.Unlock()
	}
}

// wait returns true once Postgres has answered again, after somebody found it
// away, and false if ctx ends before.
func (g *gate) wait(ctx context.Context) bool {
	g.mu.Lock()
	if g.back == nil {
		g.back = make(chan struct{})
		g.shut <- struct{}{}
	}
	back := g.back
	g.mu.Unlock()
	select {
	case <-back:
		return true
	case <-ctx.Done():
		return false
	}
}

// persist does f, and does it again for as long as it fails because Postgres is
// away and ctx lasts.
func (g *gate) persist(ctx context.Context, f func() error) error {
	for try := 0; ; try++ {
		err := f()
		if !errors.Is(err, store.ErrUnavailable) || !g.wait(ctx) {
			return err
		}
		if try > 0 && !pause(ctx, askAgain(try)) { // Postgres is there, but not for this
			return err
		}
	}
}

// excuses reports whether err says no more than that Postgres is away, which
// the gate logs, or that ctx has ended. It returns once Postgres is back.
func (g *gate) excuses(ctx context.Context, err error) bool {
	if errors.Is(err, store.ErrUnavailable) {
		g.wait(ctx)
		return true
	}
	return err == nil || ctx.Err() != nil
}

// until returns ctx with another end: when done is closed.
func until(ctx context.Context, done <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-done:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
