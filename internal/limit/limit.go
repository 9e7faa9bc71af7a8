// Package limit paces the calls of one action, so that the account's rate is
// used and never passed.
package limit

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limiter paces the calls of one action within this process. It is safe for
// concurrent use.
type Limiter struct {
	pace *rate.Limiter

	mu    sync.Mutex
	until time.Time // frozen until then
}

// headroom is the share of the rate that is used. Calls leave evenly spaced and
// arrive jittered: without it, one that is late and one that is early make a
// second that holds one call too many.
const headroom = 0.98

// New returns a limiter that lets almost perSecond calls a second through,
// evenly spaced. The burst is one: with a burst of a whole second, twice the
// limit leaves in the first second, which Quick BI counts as a violation.
func New(perSecond float64) *Limiter {
	return &Limiter{pace: rate.NewLimiter(rate.Limit(perSecond*headroom), 1)}
}

// Wait returns when the caller may send one call, or with ctx's error. A call
// must not be sent after an error.
func (l *Limiter) Wait(ctx context.Context) error {
	for {
		if err := sleep(ctx, time.Until(l.frozenUntil())); err != nil {
			return err
		}
		if err := l.pace.Wait(ctx); err != nil {
			return err
		}
		if !l.frozenUntil().After(time.Now()) { // nobody was throttled while we waited
			return nil
		}
	}
}

// Freeze lets no call through for d from now. A freeze that lasts longer
// already stays as it is.
func (l *Limiter) Freeze(d time.Duration) {
	until := time.Now().Add(d)
	l.mu.Lock()
	defer l.mu.Unlock()
	if until.After(l.until) {
		l.until = until
	}
}

func (l *Limiter) frozenUntil() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
