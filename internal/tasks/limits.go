package tasks

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/limit"
	"github.com/usher-bi/usher/internal/store"
)

// limitsEvery is how often a worker reads what operators have set. Redis tells
// everybody at once; this is for a Redis that was away, or forgot.
const limitsEvery = 5 * time.Second

// limitSetter is told what an operator set; see [limit.Limiter.SetLimit].
type limitSetter interface {
	SetLimit(perSecond float64, version int64)
}

// limits passes on what operators have set.
type limits struct {
	list       func(context.Context) ([]store.Limit, error)
	configured func(access.Action) float64
	tell       map[access.Action]limitSetter
	set        atomic.Pointer[map[access.Action]float64] // calls a second; nil before anything was read
}

func (w *Worker) newLimits(limiters map[access.Action]*limit.Limiter) *limits {
	l := &limits{list: w.store.Limits, configured: w.options.Rate, tell: map[access.Action]limitSetter{}}
	for action, limiter := range limiters {
		l.tell[action] = limiter
	}
	return l
}

// learn reads what is set, and tells those whom it concerns.
func (l *limits) learn(ctx context.Context) error {
	list, err := l.list(ctx)
	if err != nil {
		return err
	}
	set := map[access.Action]float64{}
	for _, s := range list {
		if limiter, ok := l.tell[s.Action]; ok {
			limiter.SetLimit(s.PerSecond, s.Version)
		}
		if s.PerSecond > 0 {
			set[s.Action] = s.PerSecond
		}
	}
	l.set.Store(&set)
	return nil
}

// inForce is how many calls a second of an action all workers together may send.
func (l *limits) inForce(action access.Action) float64 {
	if set := l.set.Load(); set != nil && (*set)[action] > 0 {
		return (*set)[action]
	}
	return l.configured(action)
}

// keepLimits learns what is set again and again, until ctx is done.
func (w *Worker) keepLimits(ctx context.Context) {
	for pause(ctx, limitsEvery) {
		if err := w.limits.learn(ctx); !w.gate.excuses(ctx, err) {
			w.log.Warn().Err(err).Msg("reading the limits that are set")
		}
	}
}

// PublishLimit makes what was set hold for all workers at once. While Redis is
// away, which is [ErrRedisUnavailable], they learn it within seconds of its
// return all the same.
func PublishLimit(ctx context.Context, client redis.UniversalClient, l store.Limit) error {
	if err := limit.Publish(ctx, client, string(l.Action), l.PerSecond, l.Version); err != nil {
		return fmt.Errorf("%w: %w", ErrRedisUnavailable, err)
	}
	return nil
}
