//go:build unix

package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// outcome is what a run came to.
type outcome struct {
	seed     uint64
	findings []string
	injected map[string]int // faults by name
	last     string         // the fault that ended last
	repair   time.Duration  // from then on until every job had ended
	figures  []string       // what a scenario measured
	dir      string
}

// random lives through the plan of a seed.
func random(ctx context.Context, r *rig, o *outcome, length time.Duration) {
	p := draw(o.seed, length)
	fleet := r.man(ctx, "w", p.workers)
	polling, stopPolling := context.WithCancel(ctx)
	var poller, busy sync.WaitGroup
	poller.Go(func() { r.keepPolling(polling) })
	start := time.Now()
	busy.Go(func() { r.submitAll(ctx, start, p.submissions, o) })
	var mu sync.Mutex
	var last time.Time
	for _, list := range p.faults {
		busy.Go(func() {
			for _, s := range list {
				if late := time.Since(start) > length; late || !pause(ctx, s.at-time.Since(start)) {
					return
				}
				r.notef("fault: %s", s.fault.name)
				if err := s.fault.strike(ctx, &ruin{rig: r, fleet: fleet, Rand: rand.New(rand.NewPCG(s.seed, 2))}); err != nil {
					r.findf("the suite could not carry out %q: %v", s.fault.name, err)
				}
				r.notef("over: %s", s.fault.name)
				mu.Lock()
				o.injected[s.fault.name]++
				o.last, last = s.fault.name, time.Now()
				mu.Unlock()
			}
		})
	}
	busy.Wait()
	since := time.Since(last)
	o.repair = since + r.settle(ctx)
	if o.repair < r.patience { // else it is hopeless
		r.retryAll(ctx)
		r.settle(ctx)
	}
	stopPolling()
	poller.Wait()
	r.check(ctx)
	fleet.retire()
	r.checkEnd(ctx)
}

// submitAll hands in one file after the other: who is accepted later is newer.
func (r *rig) submitAll(ctx context.Context, start time.Time, all []submission, o *outcome) {
	jobs := map[string]string{}
	for _, s := range all {
		if !pause(ctx, s.at-time.Since(start)) {
			return
		}
		switch {
		case s.name != "":
			jobs[s.name] = r.submit(ctx, s)
		case jobs[s.retry] != "":
			r.retry(ctx, jobs[s.retry])
		case jobs[s.cancel] != "":
			r.ask(ctx, "cancel", jobs[s.cancel])
		}
		if s.kill != 0 {
			r.mu.Lock()
			o.injected["enqueue: "+killing[s.kill]]++
			r.mu.Unlock()
		}
	}
}

// retryAll sends the failures of the oldest jobs again when all is quiet: that
// must not undo what was accepted after them.
func (r *rig) retryAll(ctx context.Context) {
	rows, err := r.sql.Query(ctx, `SELECT ulid FROM jobs WHERE parent_id IS NULL ORDER BY id LIMIT 2`)
	if err != nil {
		r.findf("listing jobs: %v", err)
		return
	}
	var ids []string
	for rows.Next() {
		var id string
		_ = rows.Scan(&id)
		ids = append(ids, id)
	}
	for _, id := range ids {
		r.retry(ctx, id)
	}
}

// checkEnd follows the end of all programs.
func (r *rig) checkEnd(ctx context.Context) {
	r.store.Close()
	r.store = nil
	r.checkLeftBehind(ctx)
}
