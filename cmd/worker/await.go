package main

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/usher-bi/usher/internal/accounts"
	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// stores are what the worker keeps everything in. They may be away.
type stores struct {
	db    *store.Store
	queue redis.UniversalClient

	accounts *accounts.Resolver // over both
}

// silence is how long Postgres may say nothing in the middle of a statement.
// Those of the worker take milliseconds, and a second when a sweep has much to
// repair.
const silence = 10 * time.Second

// newStores connects to nothing yet.
func newStores(ctx context.Context, cfg config.Config) (stores, error) {
	db, err := store.New(ctx, cfg.DatabaseURL.Reveal(), store.Options{MaxConns: connections, Silence: silence})
	if err != nil {
		return stores{}, err
	}
	queue, err := tasks.NewRedis(cfg.RedisURL.Reveal())
	if err != nil {
		db.Close()
		return stores{}, err
	}
	return stores{db: db, queue: queue}, nil
}

func (s stores) close() {
	_ = s.queue.Close()
	s.db.Close()
}

// await waits until both can be worked with. What waiting does not mend is an
// error: a password that is refused, a schema that is missing, a Redis that would
// lose tasks.
func (s stores) await(ctx context.Context, log zerolog.Logger) error {
	err := tasks.Outlast(ctx, tasks.Outage{
		Name: "Postgres", Log: log, Ask: s.db.CheckSchema,
		Passing: func(err error) bool { return errors.Is(err, store.ErrUnavailable) },
	})
	if err != nil {
		return err
	}
	if err := warnOfRights(ctx, s.db, log); err != nil {
		return err
	}
	return tasks.Outlast(ctx, tasks.Outage{
		Name: "Redis", Log: log, Ask: func(ctx context.Context) error { return s.checkQueue(ctx, log) }, Passing: tasks.RedisAway,
	})
}

// checkQueue refuses a Redis that would lose tasks.
func (s stores) checkQueue(ctx context.Context, log zerolog.Logger) error {
	if err := tasks.PingRedis(ctx, s.queue); err != nil {
		return err
	}
	warnings, err := tasks.CheckRedis(ctx, s.queue)
	for _, warning := range warnings {
		log.Warn().Msg(warning)
	}
	if errors.Is(err, tasks.ErrRedisUnfit) {
		return config.Blame("REDIS_URL", err)
	}
	return err
}
