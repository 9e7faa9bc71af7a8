package store

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// smallJob is how many changes a job may have that is written with others.
	smallJob = 1000

	// Of what is written together.
	mostArrivals       = 64
	mostArrivalChanges = 5000

	// longArrival is after how long those that come next do not wait for a group:
	// the key of a job may be taken by a large one that is being written.
	longArrival = 3 * time.Second
)

// arrivals has small jobs written together that come while others are being
// written. Nobody waits for company: one that comes alone is written at once. But
// there is one transaction at a time, unless one takes long, so the more come the
// more share one, and calls are kept from being written down no more often than that.
type arrivals struct {
	accept func(ctx context.Context, jobs []NewJob) ([]*pending, error)

	mu      sync.Mutex
	waiting []*arrival
	busy    bool
}

// arrival is a job and, once done is closed, what became of it.
type arrival struct {
	ctx  context.Context //nolint:containedctx // whose end matters while it waits, and if nobody else is written with it
	job  NewJob
	out  Created
	err  error
	done chan struct{}
}

// ask writes a job. If ctx ends before that began, nothing is written; after, it
// returns what became of it.
func (a *arrivals) ask(ctx context.Context, job NewJob) (Created, error) {
	one := &arrival{ctx: ctx, job: job, done: make(chan struct{})}
	a.mu.Lock()
	a.waiting = append(a.waiting, one)
	if !a.busy {
		a.busy = true
		go a.run() //nolint:contextcheck // each group has one of its own
	}
	a.mu.Unlock()
	select {
	case <-one.done:
		return one.out, one.err
	case <-ctx.Done():
	}
	if a.withdraw(one) {
		return Created{}, outward("writing the job", ctx.Err())
	}
	<-one.done
	return one.out, one.err
}

// withdraw drops a job that nobody has begun with.
func (a *arrivals) withdraw(one *arrival) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.Index(a.waiting, one)
	if i >= 0 {
		a.waiting = slices.Delete(a.waiting, i, i+1)
	}
	return i >= 0
}

// run writes what waits until nothing does.
func (a *arrivals) run() {
	for {
		a.mu.Lock()
		group := a.next()
		a.busy = len(group) > 0
		a.mu.Unlock()
		if len(group) == 0 {
			return
		}
		written := make(chan struct{})
		go func() {
			defer close(written)
			a.write(group)
		}()
		long := time.NewTimer(longArrival)
		select {
		case <-written:
		case <-long.C:
		}
		long.Stop()
	}
}

// next takes as many as are written together.
func (a *arrivals) next() []*arrival {
	n, changes := 0, 0
	for n < len(a.waiting) && n < mostArrivals {
		if changes += a.waiting[n].job.Changes.Len; n > 0 && changes > mostArrivalChanges {
			break
		}
		n++
	}
	group := slices.Clone(a.waiting[:n])
	a.waiting = slices.Delete(a.waiting, 0, n)
	return group
}

// write writes a group. If Postgres refuses it for the sake of one, each is
// written by itself, so that each has its own answer; the others that wait go on
// meanwhile.
func (a *arrivals) write(group []*arrival) {
	jobs := make([]NewJob, len(group))
	for i, one := range group {
		jobs[i] = one.job
	}
	ctx, cancel := lastOf(group)
	defer cancel()
	written, err := a.accept(ctx, jobs)
	if err != nil && len(group) > 1 && !errors.Is(err, ErrUnavailable) && ctx.Err() == nil {
		for _, one := range group {
			go a.write([]*arrival{one})
		}
		return
	}
	for i, one := range group {
		if one.err = err; err == nil {
			one.out, one.err = written[i].created, written[i].err
		}
		close(one.done)
	}
}

// lastOf returns a context that ends once all of the group's have.
func lastOf(group []*arrival) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(group[0].ctx), groupFor)
	left := new(atomic.Int64)
	left.Store(int64(len(group)))
	stops := make([]func() bool, len(group))
	for i, one := range group {
		stops[i] = context.AfterFunc(one.ctx, func() {
			if left.Add(-1) == 0 {
				cancel()
			}
		})
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
	}
}
