//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/usher-bi/usher/internal/store"
)

const (
	pollEvery   = 300 * time.Millisecond
	settleLimit = 120 * time.Second // for all jobs to end after the last fault
	emptyLimit  = 30 * time.Second  // for Redis to hold no task after that
	manyJobs    = 1000
)

// poll reads all jobs as the product counts them, checks that the counts add
// up, and returns how many jobs have not ended.
func (r *rig) poll(ctx context.Context) (open int, err error) {
	jobs, err := r.store.Jobs(ctx, store.JobFilter{Limit: manyJobs})
	if err != nil {
		return 0, err
	}
	for _, j := range jobs {
		c := j.Counts
		parts := []int{c.Succeeded, c.NoChange, c.Failed, c.Unknown, c.Superseded, c.Canceled, c.Pending}
		sum := 0
		for _, n := range parts {
			if sum += n; n < 0 {
				r.findf("job %s has a negative count: %+v", j.ID, c)
			}
		}
		if sum != c.Total {
			r.findf("the counts of job %s add up to %d of %d rows: %+v", j.ID, sum, c.Total, c)
		}
		if !j.Status.Final() {
			open++
		} else if c.Pending > 0 {
			r.findf("job %s is %s with %d rows pending", j.ID, j.Status, c.Pending)
		}
	}
	return open, nil
}

// keepPolling polls until ctx ends.
func (r *rig) keepPolling(ctx context.Context) {
	for pause(ctx, pollEvery) {
		if _, err := r.poll(ctx); err != nil && !errors.Is(err, store.ErrUnavailable) && ctx.Err() == nil {
			r.notef("poll: %v", err)
		}
	}
}

// settle waits until every job has ended, and returns how long that took.
func (r *rig) settle(ctx context.Context) time.Duration {
	start := time.Now()
	open := 0
	ended := eventually(ctx, r.patience, func() (done bool) {
		var err error
		open, err = r.poll(ctx)
		return err == nil && open == 0
	})
	took := time.Since(start)
	r.notef("settled after %s: %v", took, ended)
	if !ended && ctx.Err() == nil {
		r.findf("%s: %d had not ended %s after the last fault; tasks: %s", jobsNotEnded, open, r.patience, r.openTasks(ctx))
	}
	return took
}

// checkQueue waits until Redis holds no task.
func (r *rig) checkQueue(ctx context.Context) {
	var left []string
	if !eventually(ctx, emptyLimit, func() bool {
		var err error
		left, err = r.queued(ctx)
		return err == nil && len(left) == 0
	}) && ctx.Err() == nil {
		r.findf("what has ended leaves nothing in Redis: %d tasks after %s, such as %s", len(left), emptyLimit, left[:min(1, len(left))])
	}
}

func (r *rig) openTasks(ctx context.Context) string {
	var text string
	err := r.sql.QueryRow(ctx, `SELECT coalesce(string_agg(format('%s-%s %s@%s due %s', job_id, no, state, generation, due_at - now()), '; '), 'none')
		FROM (SELECT job_id, no, state, generation, due_at FROM tasks WHERE state IN ('ready', 'running') LIMIT 5) t`).Scan(&text)
	if err != nil {
		return err.Error()
	}
	return text
}

// queued lists the tasks that Redis knows of, with their state.
func (r *rig) queued(ctx context.Context) ([]string, error) {
	var keys []string
	all := r.cache.Scan(ctx, 0, "asynq:{*}:t:*", manyJobs).Iterator()
	for all.Next(ctx) {
		keys = append(keys, all.Val())
	}
	if err := all.Err(); err != nil || len(keys) == 0 {
		return nil, err
	}
	state, err := r.cache.HGet(ctx, keys[0], "state").Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	keys[0] = fmt.Sprintf("%s (%s)", keys[0], state)
	return keys, nil
}
