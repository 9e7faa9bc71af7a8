package store

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/usher-bi/usher/internal/access"
)

const lockWithdrawn = `
SELECT FROM jobs j
WHERE j.id = $1 AND EXISTS (SELECT FROM tasks t WHERE t.job_id = $1 AND t.state = 'ready' AND t.withdrawn)
FOR NO KEY UPDATE`

// Tasks end from the first to the last, so what is open is looked for at the far
// end: there is no need to pass the traces of all that have ended.
const finalizeJob = `
WITH ended AS (
    UPDATE jobs SET finished_at = now(), status = CASE status WHEN 'canceling' THEN 'canceled' ELSE 'completed' END
    WHERE id = $1 AND status IN ('queued', 'running', 'canceling')
      AND (SELECT no FROM tasks WHERE job_id = $1 AND state IN ('ready', 'running') ORDER BY no DESC LIMIT 1) IS NULL
    RETURNING id, ulid, status
), unpaused AS (
    DELETE FROM pauses p USING ended WHERE p.scope = 'job' AND p.name = ended.ulid
), never_queued AS ( -- a probe may send what was never handed out
    DELETE FROM backlog b USING ended WHERE b.job_id = ended.id
)
INSERT INTO audit (actor, event, job_id, detail)
SELECT 'usher', '` + EventFinished + `', id, jsonb_build_object('status', status) FROM ended`

// What is left to be done of jobs is looked for without a lock: while somebody
// cancels a million tasks, nobody waits for their jobs who asks about another one.
const endableJobs = `
SELECT x.place
FROM unnest($1::bigint[]) WITH ORDINALITY AS x (job_id, place)
WHERE (SELECT t.no FROM tasks t WHERE t.job_id = x.job_id AND t.state IN ('ready', 'running') ORDER BY t.no DESC LIMIT 1) IS NULL
   OR EXISTS (SELECT FROM tasks t WHERE t.job_id = x.job_id AND t.state = 'ready' AND t.withdrawn)`

// Finalize withdraws what was canceled in a worker's hands and came back, and
// ends a job whose last task has ended; otherwise it does nothing.
// Whoever comes first ends it, exactly once. It looks at what was committed
// before it was asked, and asking many times at once costs little.
func (s *Store) Finalize(ctx context.Context, job int64) error {
	endable, err := s.finals.ask(ctx, job)
	if err != nil || !endable {
		return outward("finishing the job", err)
	}
	_, err = s.finalize(ctx, job)
	return err
}

// endable says of which jobs there is something to finalize.
func (s *Store) endable(ctx context.Context, jobs []int64) ([]bool, error) {
	distinct := slices.Compact(slices.Sorted(slices.Values(jobs)))
	rows, err := s.hot.Query(ctx, endableJobs, distinct)
	if err != nil {
		return nil, err
	}
	places, err := pgx.CollectRows(rows, pgx.RowTo[int])
	out := make([]bool, len(jobs))
	for i, job := range jobs {
		out[i] = slices.ContainsFunc(places, func(place int) bool { return distinct[place-1] == job })
	}
	return out, err
}

// finalize also reports whether it was this call that ended the job.
func (s *Store) finalize(ctx context.Context, job int64) (ended bool, err error) {
	err = again(func() error {
		var batch pgx.Batch
		batch.Queue(lockWithdrawn, job)
		batch.Queue(withdrawReturned, job)
		batch.Queue(finalizeJob, job).Exec(func(tag pgconn.CommandTag) error {
			ended = tag.RowsAffected() == 1
			return nil
		})
		return s.pool.SendBatch(ctx, &batch).Close()
	})
	return ended && err == nil, outward("finishing the job", err)
}

const readyTask = `
SELECT j.id, t.no, t.generation, t.action, j.lane
FROM jobs j
CROSS JOIN LATERAL (
    SELECT t.no, t.generation, t.action, t.due_at FROM tasks t
    WHERE t.job_id = j.id AND t.state = 'ready' AND t.action = $1 AND NOT t.withdrawn
    ORDER BY t.no
    LIMIT 1
) t
WHERE j.status IN ('queued', 'running') AND NOT ` + taskPaused + `
ORDER BY t.due_at
LIMIT 1`

// ReadyTask returns some task of action that waits to be sent, or [ErrNotFound].
func (s *Store) ReadyTask(ctx context.Context, action access.Action) (Queued, error) {
	var q Queued
	err := s.pool.QueryRow(ctx, readyTask, action).Scan(&q.Job, &q.No, &q.Generation, &q.Action, &q.Lane)
	return q, outward("looking for a task to probe with", err)
}

const somebodyServed = `
SELECT t.principals[1] FROM tasks t
WHERE t.state = 'done' AND t.operation = 'grant' AND t.principal_type = 'user'
  AND NOT EXISTS (SELECT FROM exceptions e
                  WHERE e.job_id = t.job_id AND e.change_no BETWEEN t.first_change AND t.last_change AND e.task_no = t.no)
ORDER BY t.job_id DESC, t.no DESC
LIMIT 1`

// SomebodyServed returns a user whom Quick BI accepted a grant for, lately, or
// [ErrNotFound].
func (s *Store) SomebodyServed(ctx context.Context) (string, error) {
	var user string
	err := s.pool.QueryRow(ctx, somebodyServed).Scan(&user)
	return user, outward("looking for a user who was served", err)
}
