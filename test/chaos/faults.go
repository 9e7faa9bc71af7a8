//go:build unix

package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

// fault is one way in which the world goes wrong.
type fault struct {
	name   string
	hits   target
	length time.Duration // at least, of the runs in which it occurs
	strike func(ctx context.Context, r *ruin) error
}

// target is what a fault hits. Faults of one target come one after the other,
// those of several side by side.
type target int

const (
	workers target = iota
	theRedis
	thePostgres
	theAPI
)

// ruin is what a fault may lay hands on.
type ruin struct {
	*rig
	*rand.Rand

	fleet *fleet
}

// faults lists all that can happen.
func faults() []fault {
	const long = 2 * time.Minute
	return []fault{
		{"worker: kill -9", workers, 0, func(_ context.Context, r *ruin) error { r.someone().strike(syscall.SIGKILL); return nil }},
		{"worker: SIGTERM", workers, 0, func(_ context.Context, r *ruin) error { r.someone().strike(syscall.SIGTERM); return nil }},
		{"worker: frozen beyond its lease", workers, 0, freeze},
		{"worker: clock +1 h", workers, 0, clock("+3600")},
		{"worker: clock -1 h", workers, 0, clock("-3600")},

		{"Redis: cut for 3 s", theRedis, 0, cut(redisWire, 3*time.Second)},
		{"Redis: cut for 45 s", theRedis, long, cut(redisWire, 45*time.Second)},
		{"Redis: silent for 3 s", theRedis, 0, silence(redisWire, 3*time.Second)},
		{"Redis: FLUSHALL", theRedis, 0, func(ctx context.Context, r *ruin) error { return r.cache.FlushAll(ctx).Err() }},
		{"Redis: restarted empty", theRedis, 0, restartRedis},

		{"Postgres: cut for 1 to 4 s", thePostgres, 0, func(ctx context.Context, r *ruin) error {
			return cut(postgresWire, time.Second+time.Duration(r.IntN(3000))*time.Millisecond)(ctx, r)
		}},
		{"Postgres: silent for 3 s", thePostgres, 0, silence(postgresWire, 3*time.Second)},
		{"Postgres: answers lost for 1 s", thePostgres, 0, losePostgresAnswers},
		{"Postgres: connections reset", thePostgres, 0, cut(postgresWire, 0)},
		{"Postgres: restarted", thePostgres, 0, restartPostgres},
		{"Postgres: killed", thePostgres, 0, killPostgres},

		{"API: slow", theAPI, 0, ill(3*time.Second, quickbitest.Fault{Kind: quickbitest.Delay, Delay: quickbitest.Duration(1500 * time.Millisecond), Every: 2})},
		{"API: carried out late", theAPI, 0, ill(2*time.Second, quickbitest.Fault{
			Kind: quickbitest.Delay, Late: true, Delay: quickbitest.Duration(5 * time.Second), Every: 3, // after the caller has given up
		})},
		{"API: answers lost", theAPI, 0, ill(2*time.Second, quickbitest.Fault{Kind: quickbitest.LoseAnswer, Every: 3})},
		{"API: answers cut", theAPI, 0, ill(2*time.Second, quickbitest.Fault{Kind: quickbitest.CutAnswer, Every: 3})},
		{"API: internal errors", theAPI, 0, ill(2*time.Second, quickbitest.Fault{Kind: quickbitest.Refuse, Every: 2})},
		{"API: throttling storm", theAPI, 0, ill(3*time.Second, quickbitest.Fault{
			Kind: quickbitest.Throttle, RetryAfter: quickbitest.Duration(200 * time.Millisecond),
		})},
		{"API: account expired", theAPI, 0, ill(3*time.Second, quickbitest.Fault{
			Kind: quickbitest.Refuse, Code: "Instance.Expired", Message: "The instance has expired.",
		})},
	}
}

// drawFaults chooses what is hit, by what and when. The first half second of a
// run is left to its start.
func drawFaults(rng *rand.Rand, length time.Duration) [][]strike {
	targets := []target{workers, theRedis, thePostgres, theAPI}
	rng.Shuffle(len(targets), func(i, j int) { targets[i], targets[j] = targets[j], targets[i] })
	targets = targets[:1+rng.IntN(len(targets))]
	out := make([][]strike, 0, len(targets))
	for _, t := range targets {
		candidates := slices.DeleteFunc(faults(), func(f fault) bool { return f.hits != t || f.length > length })
		var list []strike
		for at := 500 * time.Millisecond; ; {
			at += time.Duration(500+rng.IntN(3500)) * time.Millisecond
			if at >= length {
				break
			}
			list = append(list, strike{at: at, fault: candidates[rng.IntN(len(candidates))], seed: rng.Uint64()})
		}
		out = append(out, list)
	}
	return out
}

func (r *ruin) someone() *member { return r.fleet.members[r.IntN(len(r.fleet.members))] }

// freeze lets a worker sleep while its claims run out and others take over.
func freeze(ctx context.Context, r *ruin) error {
	thaw := r.someone().freeze()
	defer thaw()
	pause(ctx, 8*time.Second)
	return nil
}

// clock restarts a worker whose clock jumps after two seconds, and mends it
// later.
func clock(by string) func(context.Context, *ruin) error {
	return func(ctx context.Context, r *ruin) error {
		m := r.someone()
		m.setClock("2:" + by)
		m.strike(syscall.SIGKILL)
		pause(ctx, 6*time.Second)
		m.setClock("")
		m.strike(syscall.SIGKILL)
		return nil
	}
}

type wire func(*rig) *proxy

func redisWire(r *rig) *proxy    { return r.redis }
func postgresWire(r *rig) *proxy { return r.postgres }

// away keeps a store unreachable between begin and end, and has everybody know
// who may be judged by it.
func (r *ruin) away(ctx context.Context, d time.Duration, begin, end func() error) error {
	r.disturb()
	err := begin()
	for left := d; left > 0 && pause(ctx, min(left, time.Second)); left -= time.Second {
		r.disturb()
	}
	err = errors.Join(err, end())
	r.disturb()
	return err
}

func cut(w wire, d time.Duration) func(context.Context, *ruin) error {
	return func(ctx context.Context, r *ruin) error {
		p := w(r.rig)
		return r.away(ctx, d, func() error { p.Stop(); return nil }, p.start)
	}
}

func silence(w wire, d time.Duration) func(context.Context, *ruin) error {
	return func(ctx context.Context, r *ruin) error {
		p := w(r.rig)
		return r.away(ctx, d, p.swallow, func() error { return p.heal(context.WithoutCancel(ctx)) })
	}
}

func losePostgresAnswers(ctx context.Context, r *ruin) error {
	return r.away(ctx, time.Second, r.postgres.loseAnswers, func() error { return r.postgres.heal(context.WithoutCancel(ctx)) })
}

func restartRedis(ctx context.Context, r *ruin) error {
	return r.away(ctx, time.Second, r.stack.Redis().Stop, func() error { return r.stack.Redis().Start(context.WithoutCancel(ctx)) })
}

func restartPostgres(ctx context.Context, r *ruin) error {
	return r.away(ctx, time.Second, r.stack.Postgres().Stop, func() error { return r.stack.Postgres().Start(context.WithoutCancel(ctx)) })
}

func killPostgres(ctx context.Context, r *ruin) error {
	return r.away(ctx, 0, r.stack.Postgres().Kill, func() error { return r.stack.Postgres().Start(context.WithoutCancel(ctx)) })
}

// ill has the API go wrong for a while.
func ill(d time.Duration, f quickbitest.Fault) func(context.Context, *ruin) error {
	return func(ctx context.Context, r *ruin) error {
		err := r.ill(f)
		pause(ctx, d)
		return errors.Join(err, r.ill())
	}
}
