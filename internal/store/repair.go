package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// RepairKind names what the reconciler put right. Behind "repair." it is the
// event of an audit row.
type RepairKind string

// What can be put right.
const (
	TaskRequeued RepairKind = "task_requeued" // due, and not in the queue
	TaskRenewed  RepairKind = "task_renewed"  // due, and in nobody's hands although the queue says so: a new generation
	TaskRemoved  RepairKind = "task_removed"  // ended or queued anew, and still in the queue
	GhostCleared RepairKind = "ghost_cleared" // in the queue's list of work in progress, and nobody's work
	QueueNamed   RepairKind = "queue_named"   // a queue whose name the queue's own list had lost
	JobEnded     RepairKind = "job_ended"     // nothing left to do, and nobody had said so
)

// Repair is what one round of repair did to one job.
type Repair struct {
	Kind  RepairKind
	Job   int64 // 0: none in particular
	Count int   // of tasks, of queues for QueueNamed, of jobs for JobEnded
}

const noteRepairs = `
INSERT INTO audit (actor, event, job_id, detail)
SELECT 'usher', 'repair.' || x.kind, nullif(x.job_id, 0), jsonb_build_object('count', x.n)
FROM unnest($1::text[], $2::bigint[], $3::int[]) WITH ORDINALITY AS x (kind, job_id, n, place)
ORDER BY x.place`

// NoteRepairs writes an audit row for each repair, in their order, or none.
func (s *Store) NoteRepairs(ctx context.Context, repairs []Repair) error {
	kinds, jobs, counts := make([]string, len(repairs)), make([]int64, len(repairs)), make([]int, len(repairs))
	for i, r := range repairs {
		kinds[i], jobs[i], counts[i] = string(r.Kind), r.Job, r.Count
	}
	_, err := s.pool.Exec(ctx, noteRepairs, kinds, jobs, counts)
	return outward("noting repairs", err)
}

const renew = `
WITH renewed AS (
    UPDATE tasks t SET generation = t.generation + 1
    FROM unnest($1::bigint[], $2::int[], $3::int[]) AS x (job_id, no, generation), jobs j
    WHERE t.job_id = x.job_id AND t.no = x.no AND t.generation = x.generation AND t.state = 'ready' AND j.id = t.job_id
    RETURNING t.job_id, t.no, t.generation, t.action, j.lane
)
SELECT job_id, no, generation, action, lane FROM renewed`

// Renew gives waiting tasks a new generation, under which they can be queued
// although the queue clings to the old one. Those that were claimed meanwhile
// are left out.
func (s *Store) Renew(ctx context.Context, tasks []Queued) ([]Queued, error) {
	jobs, numbers, generations := named(tasks)
	rows, err := s.pool.Query(ctx, renew, jobs, numbers, generations)
	if err != nil {
		return nil, outward("renewing tasks", err)
	}
	renewed, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (q Queued, err error) {
		err = row.Scan(&q.Job, &q.No, &q.Generation, &q.Action, &q.Lane)
		return q, err
	})
	return renewed, outward("renewing tasks", err)
}

// Standing says what Postgres knows of a task as it was queued.
type Standing string

// Where a queued task can stand.
const (
	Waiting Standing = "waiting" // to be claimed
	Working Standing = "working" // claimed
	Over    Standing = "over"    // ended, queued anew under another generation, or unknown: what was queued will never count again
)

// A claim raises the generation by one, so a task in work is still known to the
// queue by the one before.
const standings = `
SELECT CASE WHEN t.state = 'ready' AND t.generation = x.generation THEN 'waiting'
            WHEN t.state = 'running' AND t.generation = x.generation + 1 THEN 'working'
            ELSE 'over' END
FROM unnest($1::bigint[], $2::int[], $3::int[]) WITH ORDINALITY AS x (job_id, no, generation, place)
LEFT JOIN tasks t ON t.job_id = x.job_id AND t.no = x.no
ORDER BY x.place`

// Standings says where each of tasks stands, at the generation it was queued
// with.
func (s *Store) Standings(ctx context.Context, tasks []Queued) ([]Standing, error) {
	jobs, numbers, generations := named(tasks)
	rows, err := s.pool.Query(ctx, standings, jobs, numbers, generations)
	if err != nil {
		return nil, outward("looking where tasks stand", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[Standing])
	return found, outward("looking where tasks stand", err)
}

// named turns tasks into one array a column, for unnest.
func named(tasks []Queued) (jobs []int64, numbers, generations []int) {
	for _, t := range tasks {
		jobs, numbers, generations = append(jobs, t.Job), append(numbers, t.No), append(generations, t.Generation)
	}
	return jobs, numbers, generations
}

const forsakenJobs = `
SELECT id FROM jobs j
WHERE status IN ('queued', 'running', 'canceling')
  AND (status = 'canceling'
       OR EXISTS (SELECT FROM tasks t WHERE t.job_id = j.id AND t.state = 'ready' AND t.withdrawn)
       OR (SELECT t.no FROM tasks t WHERE t.job_id = j.id AND t.state IN ('ready', 'running') ORDER BY t.no DESC LIMIT 1) IS NULL)
ORDER BY id`

// FinalizeForsaken does for every job what [Store.Finalize] does for one, and
// returns the numbers of those it ended: whoever finished their last task did
// not live to end them.
func (s *Store) FinalizeForsaken(ctx context.Context) (ended []int64, err error) {
	rows, err := s.pool.Query(ctx, forsakenJobs)
	if err != nil {
		return nil, outward("listing open jobs", err)
	}
	jobs, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, outward("listing open jobs", err)
	}
	for _, job := range jobs {
		was, err := s.finalize(ctx, job)
		if err != nil {
			return ended, err
		}
		if was {
			ended = append(ended, job)
		}
	}
	return ended, nil
}
