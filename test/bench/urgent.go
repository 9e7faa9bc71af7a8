//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/usher-bi/usher/internal/store"
)

const (
	busyWorkers = 2  // of urgent, fair and rivals
	busyRate    = 50 // calls a second

	bulkTasks   = 10_000
	urgentLater = time.Second // than in the idle system, at most
)

// urgent measures how long one urgent change takes from the beginning of its
// submission until it is in force: when nothing else is to be done, and with
// many bulk tasks waiting.
func urgent(ctx context.Context, b *bench) error {
	idle, err := b.urgentOf(ctx, 0)
	if err != nil {
		return err
	}
	b.add(urgentRow("idle", idle))
	busy, err := b.urgentOf(ctx, bulkTasks)
	if err != nil {
		return err
	}
	r := urgentRow("10,000 bulk tasks waiting", busy)
	limit := quantile(idle, 0.99) + urgentLater
	r.Wanted = fmt.Sprintf("p99 ≤ %.2f s (idle + %.0f s)", limit.Seconds(), urgentLater.Seconds())
	r.OK = new(quantile(busy, 0.99) <= limit)
	b.add(r)
	return nil
}

func urgentRow(name string, took []time.Duration) row {
	p50, p99 := quantile(took, 0.5).Seconds(), quantile(took, 0.99).Seconds()
	return row{
		Case:     name,
		Measured: fmt.Sprintf("p50 %.2f s, p99 %.2f s, of %d", p50, p99, len(took)),
		Figures:  map[string]float64{"p50_seconds": p50, "p99_seconds": p99, "jobs": float64(len(took))},
	}
}

// urgentOf submits urgent jobs of one change each, one after the other at
// random moments, and returns what they took. Where they take long there are
// fewer of them.
func (b *bench) urgentOf(ctx context.Context, bulk int) (took []time.Duration, err error) {
	jobs, limit := short(b.options, 100, 30), short(b.options, 150*time.Second, 30*time.Second)
	others, leavers := apart("bulk-", bulk), apart("urgent-", jobs)
	s, err := b.newSandbox(ctx, world(busyRate, others, leavers))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if bulk > 0 {
		if err := s.submit(ctx, "bulk", store.Bulk, others); err != nil {
			return nil, err
		}
	}
	if err := s.man(ctx, busyWorkers, rateOf(busyRate)); err != nil {
		return nil, err
	}
	if err := s.await(ctx, time.Minute, func() bool { return s.record.len() >= min(bulk, busyRate) }); err != nil {
		return nil, fmt.Errorf("waiting for the bulk tasks: %w", err)
	}
	over := time.Now().Add(limit)
	for i, p := range leavers {
		if time.Now().After(over) {
			break
		}
		pause(ctx, rand.N(400*time.Millisecond))
		began := time.Now()
		if err := s.submit(ctx, "urgent-"+strconv.Itoa(i), store.Urgent, []pair{p}); err != nil {
			return nil, err
		}
		ended, err := s.applied(ctx, []pair{p}, time.Until(over))
		if err != nil {
			return nil, err
		}
		took = append(took, ended.Sub(began))
	}
	return took, nil
}

// applied waits until every one of pairs, which no two calls combine, is in
// force, and returns when the last one came to be. What is not in force within
// limit counts as if it were at its end.
func (s *site) applied(ctx context.Context, pairs []pair, limit time.Duration) (last time.Time, err error) {
	err = s.await(ctx, limit, func() bool {
		for len(pairs) > 0 {
			done := s.record.appliedTo(pairs[0].user)
			if done.IsZero() {
				return false
			}
			if done.After(last) {
				last = done
			}
			pairs = pairs[1:]
		}
		return true
	})
	if errors.Is(err, errPatience) {
		return time.Now(), nil
	}
	return last, err
}
