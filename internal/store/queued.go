package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/access"
)

// handedOutFrom are the numbers of the tasks of a job j that were handed out,
// from one number on: what is not in its backlog. They come in few ranges, so
// that a backlog of any size is passed over without a look at it.
const (
	handedOutFrom = `unnest(int4multirange(int4range(least(`
	toTheEnd      = `, j.next_task), j.next_task)) - coalesce(
    (SELECT range_agg(int4range(b.next_no, b.last_no + 1)) FROM backlog b WHERE b.job_id = j.id), '{}'::int4multirange)) AS r (nos)`
)

// inRange is true of a task t of a job j in a range r. What has an OFFSET or a
// LIMIT is planned by itself, and so starts from the range.
const inRange = `t.job_id = j.id AND t.no >= lower(r.nos) AND t.no < upper(r.nos)`

const waitingTasks = `
SELECT j.id, t.no, t.generation, t.action, j.lane, t.due_at - now()
FROM jobs j
CROSS JOIN ` + handedOutFrom + `CASE WHEN j.id = $3::bigint THEN $4::int + 1 ELSE 1 END` + toTheEnd + `
CROSS JOIN LATERAL (
    SELECT t.no, t.generation, t.action, t.due_at FROM tasks t
    WHERE ` + inRange + ` AND t.state = 'ready' AND NOT t.withdrawn AND t.due_at < now() - $6::interval
      AND ` + concerns + ` AND NOT ` + taskPaused + `
    ORDER BY t.no
    LIMIT $5
) t
WHERE j.status IN ('queued', 'running') AND j.id >= $3
ORDER BY j.id, t.no
LIMIT $5`

// anyTime is before any task can be due by so much.
const anyTime = -100 * 365 * 24 * time.Hour

// DueTasks lists tasks that have been due for at least the given time, in the
// order of their refs, from the one behind after, and leaves out what is paused
// and what was never handed out. Their Delay is negative: for so long they have
// been due.
func (s *Store) DueTasks(ctx context.Context, since time.Duration, after TaskRef, limit int) ([]Queued, error) {
	return s.queued(ctx, "listing due tasks", waitingTasks, ScopeAll, "", after.Job, after.No, limit, since)
}

// WaitingTasks lists the tasks of a target that may be sent, now or when their
// Delay is over, in the order of their refs, from the one behind after. It leaves
// out what was never handed out.
func (s *Store) WaitingTasks(ctx context.Context, of Target, after TaskRef, limit int) ([]Queued, error) {
	return s.queued(ctx, "listing waiting tasks", waitingTasks, of.Scope, of.Name, after.Job, after.No, limit, anyTime)
}

func (s *Store) queued(ctx context.Context, what, query string, args ...any) ([]Queued, error) {
	rows, err := s.pool.Query(ctx, query, args...)
	if err != nil {
		return nil, outward(what, err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (q Queued, err error) {
		err = row.Scan(&q.Job, &q.No, &q.Generation, &q.Action, &q.Lane, &q.Delay)
		return q, err
	})
	return list, outward(what, err)
}

const countWaiting = `
SELECT (
    SELECT count(*) FROM jobs j
    CROSS JOIN ` + handedOutFrom + `1` + toTheEnd + `
    CROSS JOIN LATERAL (
        SELECT FROM tasks t
        WHERE ` + inRange + ` AND t.state = 'ready' AND NOT t.withdrawn AND ` + concerns + ` AND NOT ` + taskPaused + `
        OFFSET 0
    ) t
    WHERE j.status IN ('queued', 'running')
) + (
    SELECT coalesce(sum(t.last_no - t.next_no + 1), 0) FROM backlog t
    JOIN jobs j ON j.id = t.job_id
    WHERE j.status IN ('queued', 'running') AND ` + concerns + ` AND NOT ` + taskPaused + `
)`

// CountWaiting counts the tasks of a target that may be sent, now or later,
// whether they were handed out or not.
func (s *Store) CountWaiting(ctx context.Context, of Target) (n int, err error) {
	err = s.pool.QueryRow(ctx, countWaiting, of.Scope, of.Name).Scan(&n)
	return n, outward("counting waiting tasks", err)
}

// Left is what is left of an open job in one action.
type Left struct {
	Job     int64
	JobID   string // ULID
	Action  access.Action
	Lane    Lane
	Backlog int           // tasks that were never handed out
	Queued  int           // tasks that were and have not ended: queued, put off or in a worker's hands
	DueIn   time.Duration // until the last of those that were put off is due; 0 if none was
	Held    bool          // nothing of it is sent: it is paused, stopped or canceled
}

const workLeft = `
SELECT j.id, j.ulid, t.action, j.lane, t.backlog, t.queued, greatest(t.due_at - now(), interval '0'),
       j.status = 'canceling' OR ` + taskPaused + ` OR EXISTS (SELECT FROM action_stops s WHERE s.action = t.action)
FROM jobs j
CROSS JOIN LATERAL (
    SELECT x.action, sum(x.backlog)::int AS backlog, sum(x.queued)::int AS queued, coalesce(max(x.due_at), now()) AS due_at
    FROM (
        SELECT b.action, b.last_no - b.next_no + 1 AS backlog, 0 AS queued, NULL::timestamptz AS due_at
        FROM backlog b WHERE b.job_id = j.id
        UNION ALL
        SELECT t.action, 0, 1, CASE t.state WHEN 'ready' THEN t.due_at END
        FROM ` + handedOutFrom + `1` + toTheEnd + `
        CROSS JOIN LATERAL (
            SELECT t.action, t.state, t.due_at FROM tasks t
            WHERE t.job_id = ANY ($1) AND ` + inRange + ` AND t.state IN ('ready', 'running') OFFSET 0
        ) t
    ) x
    GROUP BY x.action
) t
WHERE j.id = ANY ($1) AND j.status IN ('queued', 'running', 'canceling')
ORDER BY j.id, t.action`

const openJobs = `SELECT id FROM jobs WHERE status IN ('queued', 'running', 'canceling') ORDER BY id`

// WorkLeft says for every open job what is left of it, paused or not. What it
// costs depends on what is queued, not on the size of the jobs.
func (s *Store) WorkLeft(ctx context.Context) ([]Left, error) {
	rows, err := s.pool.Query(ctx, openJobs)
	if err != nil {
		return nil, outward("listing open jobs", err)
	}
	jobs, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil || len(jobs) == 0 {
		return nil, outward("listing open jobs", err)
	}
	if rows, err = s.pool.Query(ctx, workLeft, planned, jobs); err != nil {
		return nil, outward("counting what is left", err)
	}
	left, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Left])
	return left, outward("counting what is left", err)
}
