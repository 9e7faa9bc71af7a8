//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hibiken/asynq"
	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/store"
)

// What everybody has to do: grant Q&A resources to users, some of whom have
// left.
const (
	rivalUsers     = 2000
	rivalResources = 5
	rivalLeft      = 20 // of so many users one has left the organization
)

// rivals does the same work as people would without the product, in front of
// the same sandbox with the same quota. What would take minutes is measured for
// some seconds and extrapolated.
func rivals(ctx context.Context, b *bench) error {
	for _, rival := range []func(context.Context, *site, work) (row, error){loop, plain, product} {
		w := newWork()
		s, err := b.newSandbox(ctx, world(busyRate, w.members))
		if err != nil {
			return err
		}
		r, err := rival(ctx, s, w)
		if err := errors.Join(err, s.close(ctx)); err != nil {
			return err
		}
		b.add(r)
	}
	return nil
}

// work is what a rival has to do.
type work struct{ members, left []pair }

// newWork shuffles everybody's pairs.
func newWork() (w work) {
	for u := range rivalUsers {
		for q := range rivalResources {
			p := pair{fmt.Sprint("u", u), fmt.Sprint("q", q)}
			if u%rivalLeft == 0 {
				w.left = append(w.left, p)
			} else {
				w.members = append(w.members, p)
			}
		}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for _, pairs := range [][]pair{w.members, w.left} {
		rng.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
	}
	return w
}

func (w work) size() int { return len(w.members) + len(w.left) }

// pairs returns all of them. Every so many there is one of somebody who has
// left, so that a short sample is like the whole.
func (w work) pairs() []pair {
	out := make([]pair, 0, w.size())
	for i := range w.size() {
		next := &w.members
		if i%rivalLeft == rivalLeft/2 {
			next = &w.left
		}
		out = append(out, (*next)[0])
		*next = (*next)[1:]
	}
	return out
}

// race is how a rival did.
type race struct {
	name      string
	sample    time.Duration // that it was watched for; all of it took that long where done is the work
	calls     int           // in the sample
	throttled float64
	done      int // pairs in the sample that it need not come back to
	lost      int // of which it took so many for granted that are not
}

// row tells of a race, and of the whole work where the race was a part of it.
func (r race) row(w work) row {
	scale := float64(w.size()) / float64(max(r.done, 1))
	about := ""
	if r.done < w.size() {
		about = "≈ "
	}
	seconds := r.sample.Seconds() * scale
	calls, lost := float64(r.calls)*scale, float64(r.lost)*scale
	return row{
		Case: r.name,
		Measured: fmt.Sprintf("%s%.0f calls, %s%s, %.1f %% throttled, %s%.0f refusals lost",
			about, calls, about, spoken(seconds), r.throttled*100, about, lost),
		Figures: map[string]float64{
			"calls": calls, "seconds": seconds, "throttled": r.throttled, "lost": lost,
			"sample_pairs": float64(r.done), "sample_seconds": r.sample.Seconds(), "pairs": float64(w.size()),
		},
	}
}

// spoken says a time as people do.
func spoken(seconds float64) string {
	if seconds < 120 {
		return fmt.Sprintf("%.0f s", seconds)
	}
	return fmt.Sprintf("%.0f min", seconds/60)
}

// loop is a shell loop: a process for each pair, one after the other.
func loop(ctx context.Context, s *site, w work) (row, error) {
	limit := short(s.options, 15*time.Second, 6*time.Second)
	pairs, began, done := w.pairs(), time.Now(), 0
	for time.Since(began) < limit {
		p := pairs[done]
		if err := s.play(ctx, nil, roleCall, p.user, p.resource); err != nil {
			return row{}, err
		}
		done++
	}
	calls := s.record.arrivals()
	return race{
		name: "loop: a process a call", sample: time.Since(began), calls: len(calls), throttled: calls.throttledShare(), done: done, lost: calls.failed(),
	}.row(w), nil
}

// plain is a worker as one writes it in an hour: asynq with a task a pair, a
// rate limiter in each process, and asynq's own retries.
func plain(ctx context.Context, s *site, w work) (row, error) {
	client := asynq.NewClientFromRedisClient(s.redis)
	for _, p := range w.pairs() {
		if _, err := client.EnqueueContext(ctx, asynq.NewTask(rolePlain, []byte(p.user+" "+p.resource))); err != nil {
			return row{}, err
		}
	}
	var running []*process
	for range busyWorkers {
		p, err := launch(command{path: s.programs.self, args: []string{rolePlain, s.redisURL()}, env: s.env(), log: s.file(s.name + "-plain.log")})
		if err != nil {
			return row{}, err
		}
		running = append(running, p)
	}
	if err := s.await(ctx, readyLimit, func() bool { return s.record.len() > 0 }); err != nil {
		return row{}, err
	}
	began := time.Now()
	pause(ctx, short(s.options, 20*time.Second, 8*time.Second))
	calls, took := s.record.arrivals(), time.Since(began)
	var errs []error
	for _, p := range running {
		errs = append(errs, p.stop())
	}
	return race{
		name: "plain asynq worker, 2 processes", sample: took, calls: len(calls), throttled: calls.throttledShare(),
		done: len(calls.admitted()), lost: calls.failed(),
	}.row(w), errors.Join(errs...)
}

// product is what this repository is for.
func product(ctx context.Context, s *site, w work) (row, error) {
	if err := s.man(ctx, busyWorkers, rateOf(busyRate)); err != nil {
		return row{}, err
	}
	conn, err := pgx.Connect(ctx, s.databaseURL())
	if err != nil {
		return row{}, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	began := time.Now()
	if err := s.submitCSV(ctx, "rival", store.Normal, w.pairs()); err != nil {
		return row{}, err
	}
	ended := func() bool { return count(ctx, conn, `SELECT count(*) FROM jobs WHERE status = 'completed'`) == 1 }
	if err := s.await(ctx, 2*time.Minute, ended); err != nil {
		return row{}, fmt.Errorf("waiting for the job: %w", err)
	}
	calls, took := s.record.arrivals(), time.Since(began)
	known := count(ctx, conn, `SELECT count(*) FROM exceptions`) + len(s.sandbox.Grants())
	return race{
		name: "usher, 2 processes", sample: took, calls: len(calls), throttled: calls.throttledShare(), done: w.size(), lost: w.size() - known,
	}.row(w), nil
}
