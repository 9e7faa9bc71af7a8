package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Heartbeat says that a worker lives.
type Heartbeat struct {
	Worker string        // of one life of one process: names are never used again
	For    time.Duration // so long it is believed; beats follow each other in less than half of it
}

// Census is what a worker learns when it says that it lives.
type Census struct {
	Alive int // workers, this one among them

	// Silent means that the time of another worker has passed, and that this one
	// may say so: see [Store.Reclaim].
	Silent bool
}

// A beat that comes after half of its time is a gap: Postgres or the worker was
// away, and others may not have been heard for the same reason.
const beat = `
WITH beat AS (
    INSERT INTO workers AS w (name, alive_until) VALUES ($1, now() + $2::interval)
    ON CONFLICT (name) DO UPDATE SET
        alive_until = excluded.alive_until,
        beating_since = CASE WHEN w.alive_until < now() + $2::interval / 2 THEN now() ELSE w.beating_since END
    RETURNING beating_since
)
SELECT 1 + count(*) FILTER (WHERE alive_until >= now()),
       count(*) FILTER (WHERE alive_until < now()) > 0 AND (SELECT beating_since <= now() - $2::interval FROM beat)
FROM workers WHERE name <> $1`

// Beat says that a worker lives, and learns who else does. What it claims is
// its own from its first beat on, for as long as it goes on.
func (s *Store) Beat(ctx context.Context, b Heartbeat) (Census, error) {
	var c Census
	err := s.vital.QueryRow(ctx, beat, b.Worker, b.For).Scan(&c.Alive, &c.Silent)
	return c, outward("saying that the worker lives", err)
}

const countAlive = `SELECT count(*), now() FROM workers WHERE alive_until >= now()`

// Alive counts the workers that live, and tells the time by which they do.
func (s *Store) Alive(ctx context.Context) (n int, now time.Time, err error) {
	err = s.pool.QueryRow(ctx, countAlive).Scan(&n, &now)
	return n, now, outward("counting workers", err)
}

// Leave strikes a worker off the list. What it still claims is up for
// [Store.Reclaim].
func (s *Store) Leave(ctx context.Context, worker string) error {
	_, err := s.vital.Exec(ctx, `DELETE FROM workers WHERE name = $1`, worker)
	return outward("leaving", err)
}

// judge is a row if worker $1 may call others silent: it lives, and has been
// heard without a gap for $2. Right after an outage of Postgres every worker
// looks silent, and every lease has run out; those that live come back first.
const judge = `
    SELECT FROM workers WHERE name = $1 AND alive_until > now() AND beating_since <= now() - $2::interval`

// The jobs are locked before their tasks, as everybody does.
const reclaim = `
WITH judge AS (` + judge + `
), held AS (
    SELECT j.id, j.lane FROM jobs j
    WHERE EXISTS (SELECT FROM judge) AND j.id IN (
        SELECT t.job_id FROM tasks t
        WHERE t.state = 'running'
          AND (t.claimed_until < now() OR NOT EXISTS (SELECT FROM workers w WHERE w.name = t.claimed_by AND w.alive_until >= now())))
    ORDER BY j.id
    FOR NO KEY UPDATE
), lost AS (
    UPDATE tasks t SET
        state = 'ready', generation = t.generation + 1, due_at = now(), claimed_by = NULL, claimed_until = NULL,
        attempts = t.attempts + unanswered.n, strikes = t.strikes + unanswered.n,
        unsure = t.unsure OR unanswered.n > 0,
        late_until = CASE WHEN unanswered.n > 0 THEN greatest(t.late_until, now() + $4::interval) ELSE t.late_until END
    FROM tasks o
    JOIN held j ON j.id = o.job_id
    CROSS JOIN LATERAL (
        SELECT least(count(*), 1)::int AS n, max(c.sent_at) FILTER (WHERE a.call_id IS NULL) AS last
        FROM calls c LEFT JOIN answers a ON a.job_id = c.job_id AND a.call_id = c.id
        WHERE c.job_id = o.job_id AND c.task_no = o.no AND c.generation = o.generation
          AND (a.call_id IS NULL OR a.class IN ('unknown_outcome', 'transient'))
    ) unanswered
    WHERE o.job_id = t.job_id AND o.no = t.no AND o.generation = t.generation AND o.state = 'running' AND t.state = 'running'
      AND (t.claimed_until < now() OR NOT EXISTS (SELECT FROM workers w WHERE w.name = t.claimed_by AND w.alive_until >= now()))
      AND (unanswered.last IS NULL OR unanswered.last < now() - $3::interval)
    RETURNING t.job_id, t.no, t.generation, t.action, j.lane, o.claimed_by, unanswered.n
), late AS (
    UPDATE jobs SET late_until = greatest(late_until, now() + $4::interval) WHERE id IN (SELECT job_id FROM lost WHERE n > 0)
), noted AS (
    INSERT INTO audit (actor, event, job_id, task_no, detail)
    SELECT 'usher', '` + EventReclaimed + `', job_id, no, jsonb_build_object('worker', claimed_by, 'call_unanswered', n > 0) FROM lost
)
SELECT job_id, no, generation, action, lane FROM lost`

const forgetSilent = `
WITH judge AS (` + judge + `
)
DELETE FROM workers w
WHERE w.alive_until < now() AND EXISTS (SELECT FROM judge)
  AND NOT EXISTS (SELECT FROM tasks t WHERE t.state = 'running' AND t.claimed_by = w.name)`

// ReclaimRequest says who asks for lost tasks.
type ReclaimRequest struct {
	Worker  string        // that asks
	Alive   time.Duration // as in [Heartbeat]: for so long it must have been heard without a gap
	Flight  time.Duration // how long a call may be on its way; one without an answer holds its task for that long
	LateFor time.Duration // how long after that it may still take effect
}

// Reclaim returns the tasks whose claim has run out, or whose worker is silent
// or gone, to the queue, with an audit row each, and says how to queue them. A
// call that was never answered, or not in a way that tells what became of it,
// counts as an attempt and leaves the task unsure. Silent workers that claim
// nothing any more are forgotten.
//
// Nothing is lost as long as the worker that asks has not been heard for the
// whole of Alive without a gap: after an outage of Postgres all look silent.
func (s *Store) Reclaim(ctx context.Context, r ReclaimRequest) ([]Queued, error) {
	const what = "reclaiming lost tasks"
	var lost []Queued
	err := again(func() error {
		rows, err := s.pool.Query(ctx, reclaim, r.Worker, r.Alive, r.Flight, r.LateFor)
		if err != nil {
			return err
		}
		lost, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (q Queued, err error) {
			err = row.Scan(&q.Job, &q.No, &q.Generation, &q.Action, &q.Lane)
			return q, err
		})
		return err
	})
	if err != nil {
		return nil, outward(what, err)
	}
	_, err = s.pool.Exec(ctx, forgetSilent, r.Worker, r.Alive)
	return lost, outward("forgetting silent workers", err)
}

const notSent = `
INSERT INTO answers (job_id, call_id, class, took, message)
SELECT job_id, id, '` + ClassNotSent + `', interval '0', $4
FROM calls
WHERE job_id = $1 AND task_no = $2 AND generation = $3
ON CONFLICT (job_id, call_id) DO NOTHING`

// ClassNotSent is the class of the answer to a call that was written down and
// then not sent.
const ClassNotSent = "not_sent"

// NotSent records that the calls of a claim that have no answer were not sent,
// and why. It follows a [Store.BeginCall] of which nobody knows whether it wrote
// one down, or that took too long.
func (s *Store) NotSent(ctx context.Context, c Claim, why string) error {
	_, err := s.pool.Exec(ctx, notSent, c.Job, c.No, c.Generation, why)
	return outward("recording that a call was not sent", err)
}
