//go:build unix

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"
)

// A worker that is frozen with calls in flight loses its claims, and wakes up
// with the answers at hand while another one sends for them.
const (
	zombieCall = 6 * time.Second
	zombieWait = 8 * time.Second // for the product to notice by itself that a worker is silent
)

func zombieWorld() world {
	w := smallWorld()
	w.settings = []string{"QUICKBI_TIMEOUT=20s", "QUICKBI_LATE=60s", "WORKER_LEASE=60s", "WORKER_DRAIN=20s"}
	return w
}

func zombie(ctx context.Context, r *rig, o *outcome, _ time.Duration) {
	_, pairs := apart(few)
	r.must(r.ill(slowly(zombieCall)))
	first := r.man(ctx, "first", 1)
	r.submit(ctx, all(grant, "normal", pairs))
	r.arrived(ctx, few)
	thaw := first.members[0].freeze()
	second := r.man(ctx, "second", 1)
	if !eventually(ctx, zombieWait, func() bool { return len(r.sandbox.Calls()) >= 2*few }) {
		_, err := r.sql.Exec(ctx, `UPDATE tasks SET claimed_until = now() - interval '1 second' WHERE state = 'running'`)
		r.must(err)
		r.notef("claims ended by hand")
	}
	r.arrived(ctx, 2*few)
	thaw()
	r.await(ctx, "an outcome", func() bool {
		return r.count(ctx, `SELECT count(*) FROM tasks WHERE state IN ('done', 'split')`) == few
	})
	r.must(r.ill())
	r.conclude(ctx, o, first, second)
}

// unrecorded kills the only worker while Quick BI works on its calls.
func unrecorded(ctx context.Context, r *rig, o *outcome, _ time.Duration) {
	_, pairs := apart(few)
	r.must(r.ill(slowly(2 * time.Second)))
	f := r.man(ctx, "w", 1)
	r.submit(ctx, all(grant, "normal", pairs))
	r.arrived(ctx, few)
	f.members[0].strike(syscall.SIGKILL)
	pause(ctx, time.Second)
	r.must(r.ill())
	r.conclude(ctx, o, f)
}

// forgotten has Redis forget a job before anybody works on it.
func forgotten(ctx context.Context, r *rig, o *outcome, _ time.Duration) {
	_, pairs := apart(few)
	r.patience = 30 * time.Second
	r.submit(ctx, all(grant, "normal", pairs))
	r.must(r.cache.FlushAll(ctx).Err())
	r.conclude(ctx, o, r.man(ctx, "w", 1))
}

// overtaken has urgent revokes wait beside older grants in the bulk lane.
func overtaken(ctx context.Context, r *rig, o *outcome, _ time.Duration) {
	_, pairs := apart(few)
	r.submit(ctx, all(grant, "bulk", pairs))
	r.submit(ctx, all(revoke, "urgent", pairs))
	r.settings = append(r.settings, "WORKER_CONCURRENCY=1")
	r.conclude(ctx, o, r.man(ctx, "w", 1))
}

// killed kills the only worker in the middle of a job and starts it again at
// once, with the product's own settings.
func killedWorld() world {
	w, _ := apart(manyTasks)
	w.settings = []string{
		"QUICKBI_TIMEOUT=15s", "QUICKBI_LATE=60s", "WORKER_LEASE=2m", "WORKER_ALIVE=10s", "WORKER_DRAIN=25s", "WORKER_SWEEP=15s", "WORKER_CONCURRENCY=24",
	}
	return w
}

const (
	manyTasks   = 300
	takeUpLimit = 30 * time.Second
)

// takeUp lists when each task that was claimed at a moment was claimed again,
// or had ended.
const takeUp = `
SELECT count(*) FILTER (WHERE took IS NULL), coalesce(extract(epoch FROM max(took)), 0)::float8, count(*)
FROM (
    SELECT (SELECT min(m.at) - $1::timestamptz FROM chaos.moves m
            WHERE (m.job_id, m.task_no) = (c.job_id, c.task_no) AND m.at > $1 AND m.state IN ('running', 'done')) AS took
    FROM (SELECT DISTINCT ON (job_id, task_no) job_id, task_no, state FROM chaos.moves WHERE at <= $1 ORDER BY job_id, task_no, id DESC) c
    WHERE c.state = 'running'
) t`

func killed(ctx context.Context, r *rig, o *outcome, _ time.Duration) {
	_, pairs := apart(manyTasks)
	r.patience = 4 * time.Minute
	r.must(r.ill(slowly(400 * time.Millisecond)))
	f := r.man(ctx, "w", 1)
	r.submit(ctx, all(grant, "normal", pairs))
	r.tasksDone(ctx, 60)
	f.members[0].strike(syscall.SIGKILL)
	var at time.Time
	r.must(r.sql.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&at))
	r.conclude(ctx, o, f)
	var never, tasks int
	var took float64
	r.must(r.sql.QueryRow(ctx, takeUp, at).Scan(&never, &took, &tasks))
	o.figures = append(o.figures, fmt.Sprintf("the %d tasks of the killed worker were taken up within %.1f s", tasks, took))
	if never > 0 || took > takeUpLimit.Seconds() || tasks == 0 {
		r.findf("the %d tasks of a killed worker were taken up within %.1f s, %d of them never; want %s", tasks, took, never, takeUpLimit)
	}
}

// flush empties Redis in the middle of ten thousand tasks.
const (
	flushTasks  = 10_000
	flushAfter  = 3_000
	repairLimit = 60 * time.Second
)

func flushWorld() world {
	w, _ := apart(flushTasks)
	w.settings = []string{"QUICKBI_RATE=400/s", "WORKER_CONCURRENCY=24", "WORKER_SWEEP=15s"}
	return w
}

func flush(ctx context.Context, r *rig, o *outcome, _ time.Duration) {
	_, pairs := apart(flushTasks)
	f := r.man(ctx, "w", 3)
	r.submit(ctx, all(grant, "bulk", pairs))
	r.tasksDone(ctx, flushAfter)
	r.must(r.cache.FlushAll(ctx).Err())
	start := time.Now()
	r.await(ctx, "every open task that was ever queued is in Redis again", func() bool {
		queued, err := r.queued(ctx)
		return err == nil && len(queued) >= r.count(ctx, `SELECT count(*) - (SELECT coalesce(sum(last_no - next_no + 1), 0) FROM backlog)
			FROM tasks WHERE state IN ('ready', 'running')`)
	})
	repaired := time.Since(start)
	r.conclude(ctx, o, f)
	done := r.count(ctx, `SELECT count(*) FROM tasks WHERE state = 'done'`)
	twice := r.count(ctx, `
SELECT count(*) - count(DISTINCT (c.job_id, c.task_no)) FROM calls c
WHERE NOT EXISTS (SELECT FROM answers a WHERE a.job_id = c.job_id AND a.call_id = c.id AND a.class = 'not_sent')`)
	o.figures = append(o.figures, fmt.Sprintf("every task that was ever queued was in Redis again after %.1f s; %d tasks done, %d calls repeated", repaired.Seconds(), done, twice))
	if repaired > repairLimit || done != flushTasks || twice > 0 {
		r.findf("after FLUSHALL %d of %d tasks ended, %d calls were repeated, Redis was whole again after %s; want all, none, %s",
			done, flushTasks, twice, repaired, repairLimit)
	}
}

// opposite grants twenty thousand pairs in the bulk lane, and revokes half of
// them in the urgent lane meanwhile.
const (
	oppositeUsers     = 2000
	oppositeResources = 10
	block             = 20 // users whose revokes are alike, and so go in one call
)

func oppositeWorld() world {
	var w world
	w.Users, w.QAResources = ids("u", oppositeUsers), ids("q", oppositeResources)
	w.Latency = 5_000_000
	w.settings = []string{"QUICKBI_RATE=20/s"}
	return w
}

func opposite(ctx context.Context, r *rig, o *outcome, _ time.Duration) {
	rng := rand.New(rand.NewPCG(o.seed, 3))
	pairs, half := make([]pair, 0, oppositeUsers*oppositeResources), make([]pair, 0, oppositeUsers*oppositeResources/2)
	var order []int
	for i, user := range ids("u", oppositeUsers) {
		if i%block == 0 {
			order = rng.Perm(oppositeResources)
		}
		for j, resource := range ids("q", oppositeResources) {
			p := pair{user, qaResource, resource}
			if pairs = append(pairs, p); order[j] < oppositeResources/2 {
				half = append(half, p)
			}
		}
	}
	f := r.man(ctx, "w", 4)
	r.submit(ctx, all(grant, "bulk", pairs))
	r.tasksDone(ctx, rng.IntN(50))
	r.submit(ctx, all(revoke, "urgent", half))
	r.conclude(ctx, o, f)
	wrong := 0
	held := inForce(r.sandbox)
	for _, p := range half {
		if held[p] != "" {
			wrong++
		}
	}
	o.figures = append(o.figures, fmt.Sprintf("%d in force, want %d; %d of %d revoked pairs are still granted", len(held), len(pairs)-len(half), wrong, len(half)))
}
