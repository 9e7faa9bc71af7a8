package tasks

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

const (
	// A worker looks for tasks to hand out: at once after it has handed some out,
	// while enough of them are queued, and while there are none.
	feedAgain = 10 * time.Millisecond
	feedPoll  = 100 * time.Millisecond
	feedIdle  = 500 * time.Millisecond

	// aheadFor is how long the tasks of a lane that are queued last at the rate of
	// its action. Whatever comes later waits behind them, so there are few of them.
	aheadFor              = 500 * time.Millisecond
	leastAhead, mostAhead = 16, 1000

	// aheadOfWorkers is how many tasks whoever submits a job has queued at most:
	// enough for workers to begin with, until they see to the rest. It is no more
	// than workers keep queued themselves, so that beside them there is nothing to do.
	aheadOfWorkers = leastAhead
)

// ahead is how many tasks of a lane are to be queued at so many calls a second.
func ahead(rate float64) int {
	return int(min(max(math.Ceil(rate*aheadFor.Seconds()), leastAhead), mostAhead))
}

// feeder hands tasks that wait in Postgres to Redis, in turns between their
// jobs, and only as many as are needed for some time: in Redis they have their
// order for good.
type feeder struct {
	store *store.Store
	queue *Queue
	ahead func(access.Action) int
}

// fill hands out tasks of a lane if less than half of what is to be queued is,
// and says whether it did and whether enough are queued already.
func (f feeder) fill(ctx context.Context, of store.ActionLane) (fed, enough bool, err error) {
	waiting, err := f.queue.waiting(ctx, of)
	if err != nil {
		return false, false, err
	}
	most := f.ahead(of.Action)
	if 2*waiting >= most {
		return false, true, nil
	}
	n, err := f.store.HandOut(ctx, of, most-waiting, f.queue.Put)
	return n > 0, false, err
}

// fillAll does so for every lane that has a backlog, and says when to look again.
func (f feeder) fillAll(ctx context.Context) (next time.Duration, err error) {
	lanes, err := f.store.Backlogs(ctx)
	next = feedIdle
	for _, of := range lanes {
		fed, enough, fillErr := f.fill(ctx, of)
		if fillErr != nil {
			return feedIdle, fillErr
		}
		if enough {
			next = min(next, feedPoll)
		}
		if fed {
			next = feedAgain
		}
	}
	return next, err
}

// waiting counts the tasks of a lane that a worker could take from Redis now.
func (q *Queue) waiting(ctx context.Context, of store.ActionLane) (int, error) {
	n, err := q.redis.LLen(ctx, keysOf(queueName(of.Action, of.Lane))+"pending").Result()
	if err != nil {
		return 0, fmt.Errorf("counting queued tasks: %w: %w", ErrRedisUnavailable, err)
	}
	return int(n), nil
}

// feed hands tasks out until ctx is done. Every worker does; they take turns.
func (w *Worker) feed(ctx context.Context) {
	f := feeder{store: w.store, queue: w.queue, ahead: func(a access.Action) int { return ahead(w.limits.inForce(a)) }}
	for {
		next, err := f.fillAll(ctx)
		switch {
		case errors.Is(err, ErrRedisUnavailable) && w.absence.away(): // that is said elsewhere
		case !w.gate.excuses(ctx, err):
			w.log.Warn().Err(err).Msg("handing tasks out; trying again")
		}
		if !pause(ctx, next) || !w.absence.wait(ctx) {
			return
		}
	}
}
