package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/access"
)

// ActionLane is one lane of one action. Its tasks wait, and are handed out, by
// themselves.
type ActionLane struct {
	Action access.Action
	Lane   Lane
}

const insertBacklog = `
WITH new AS (
    INSERT INTO backlog_lanes (action, lane) SELECT DISTINCT action, lane FROM unnest($2::text[], $3::text[]) AS x (action, lane) ORDER BY 1, 2
    ON CONFLICT (action, lane) DO NOTHING
)
INSERT INTO backlog (job_id, action, lane, next_no, last_no, turn)
SELECT x.job_id, x.action, x.lane, x.next_no, x.last_no, coalesce(l.turn, 0)
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::int[], $5::int[]) AS x (job_id, action, lane, next_no, last_no)
LEFT JOIN backlog_lanes l ON l.action = x.action AND l.lane = x.lane`

// actionRuns are the tasks of a new job by action, each in a run of numbers.
type actionRuns struct {
	actions     []access.Action
	first, last []int
	changes     int // of the tasks so far
	revokes     int // of these
}

// add takes in the task with that number, which is the next.
func (r *actionRuns) add(t NewTask, no int) error {
	if t.FirstChange != r.changes { // what waits is counted by its first and its last change
		return fmt.Errorf("the changes of task %d are not in the order of the tasks", no)
	}
	r.changes += t.Cells()
	if t.Operation == access.Revoke {
		r.revokes += t.Cells()
	}
	switch n := len(r.actions); {
	case n > 0 && r.actions[n-1] == t.Action:
		r.last[n-1] = no
	case slices.Contains(r.actions, t.Action):
		return fmt.Errorf("the tasks of %s are not in a run", t.Action)
	default:
		r.actions, r.first, r.last = append(r.actions, t.Action), append(r.first, no), append(r.last, no)
	}
	return nil
}

// queueBacklog has all tasks of new jobs wait to be handed out.
func queueBacklog(batch *pgx.Batch, jobs []*pending) {
	var (
		numbers        []int64
		actions, lanes []string
		next, last     []int
	)
	for _, j := range jobs {
		for i, action := range j.runs.actions {
			numbers, actions, lanes = append(numbers, j.number), append(actions, string(action)), append(lanes, string(j.Lane))
			next, last = append(next, j.runs.first[i]), append(last, j.runs.last[i])
		}
	}
	if len(numbers) > 0 {
		batch.Queue(insertBacklog, numbers, actions, lanes, next, last)
	}
}

const listBacklogs = `
SELECT t.action, t.lane FROM backlog_lanes t
WHERE EXISTS (SELECT FROM backlog b WHERE b.action = t.action AND b.lane = t.lane)
  AND NOT EXISTS (SELECT FROM action_stops s WHERE s.action = t.action)
  AND NOT EXISTS (SELECT FROM pauses p WHERE p.scope = 'all' OR p.scope = 'action' AND p.name = t.action)
ORDER BY array_position(ARRAY['urgent', 'normal', 'bulk'], t.lane), t.action`

// Backlogs lists where tasks wait to be handed out, urgent lanes first. It
// leaves out actions that are stopped or paused, but not jobs that are.
func (s *Store) Backlogs(ctx context.Context) ([]ActionLane, error) {
	rows, err := s.pool.Query(ctx, listBacklogs)
	if err != nil {
		return nil, outward("listing backlogs", err)
	}
	lanes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[ActionLane])
	return lanes, outward("listing backlogs", err)
}

// putFor bounds how long tasks may take to be put where they are handed out to.
// Whoever hangs for longer loses its transaction, so that others can go on.
const (
	putFor       = 5 * time.Second
	endIfHanging = `SET LOCAL idle_in_transaction_session_timeout = '8s'`
)

// The number has no meaning beyond being the same in every program.
const tryLane = `SELECT pg_try_advisory_xact_lock(hashtextextended($1 || ':' || $2, 7201884419))`

// A job that was paused comes back with a turn long past. It begins where its
// lane is now. What is in a CASE is no join, so that rows are read in the order of
// the turns, and no more of them than are wanted.
const nextInLine = `
SELECT t.job_id, t.next_no, t.last_no, greatest(t.turn, (SELECT l.turn FROM backlog_lanes l WHERE l.action = $1 AND l.lane = $2))
FROM backlog t
JOIN jobs j ON j.id = t.job_id
WHERE t.action = $1 AND t.lane = $2 AND j.status IN ('queued', 'running') AND NOT CASE WHEN ` + taskPaused + ` THEN true ELSE false END
  AND NOT EXISTS (SELECT FROM action_stops s WHERE s.action = $1)
ORDER BY t.turn, t.job_id
LIMIT $3`

// inLine is what waits of a job in a lane.
type inLine struct {
	Job        int64
	Next, Last int
	Turn       int64
}

const (
	endBacklog = `
DELETE FROM backlog b USING unnest($2::bigint[], $3::int[]) AS x (job_id, next_no)
WHERE b.job_id = x.job_id AND b.action = $1 AND b.last_no < x.next_no`

	moveBacklog = `
UPDATE backlog b SET next_no = x.next_no, turn = x.turn
FROM unnest($2::bigint[], $3::int[], $4::bigint[]) AS x (job_id, next_no, turn)
WHERE b.job_id = x.job_id AND b.action = $1 AND b.last_no >= x.next_no`

	moveLane = `UPDATE backlog_lanes SET turn = $3 WHERE action = $1 AND lane = $2`
)

// HandOut passes at most so many tasks of a lane that were never handed out to
// put, and returns how many: those that may be sent, in turns between the jobs
// of the lane, in the order of their numbers within a job. Once put has returned
// nil they are not handed out again. On an error some may be put and handed out
// again: put must allow for that. An error of put is returned as it is.
//
// One caller at a time hands out of a lane; to others it seems empty meanwhile.
// So nobody finds tasks that are neither in the backlog nor where they are put,
// unless those got lost there.
func (s *Store) HandOut(ctx context.Context, of ActionLane, most int, put func(context.Context, []Queued) error) (n int, err error) {
	var putErr error
	err = s.inTx(ctx, "handing tasks out", func(tx pgx.Tx) error {
		jobs, err := lineUp(ctx, tx, of, most)
		if err != nil {
			return err
		}
		var tasks []Queued
		jobs, tasks = inTurns(jobs, of, most)
		if n = len(tasks); n == 0 {
			return nil
		}
		within, cancel := context.WithTimeout(ctx, putFor)
		defer cancel()
		if putErr = put(within, tasks); putErr != nil {
			return errors.New("not put")
		}
		return handedOut(ctx, tx, of, jobs)
	})
	if putErr != nil { // not Postgres's: nothing else happened
		return 0, putErr
	}
	return n, err
}

// lineUp lists the jobs whose turn it is next, if nobody else hands out of their
// lane.
func lineUp(ctx context.Context, tx pgx.Tx, of ActionLane, most int) (jobs []inLine, err error) {
	var free bool
	var batch pgx.Batch
	batch.Queue(endIfHanging)
	batch.Queue(tryLane, of.Action, of.Lane).QueryRow(func(row pgx.Row) error { return row.Scan(&free) })
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil || !free {
		return nil, err
	}
	rows, err := tx.Query(ctx, nextInLine, of.Action, of.Lane, most)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[inLine])
}

// inTurns gives the next task to the job with the smallest turn, the older one
// of two, until there are as many as wanted. It returns the jobs that got any,
// as they stand then.
func inTurns(jobs []inLine, of ActionLane, most int) (served []inLine, tasks []Queued) {
	got := map[int64]bool{}
	left := slices.Clone(jobs)
	for len(left) > 0 && len(tasks) < most {
		at := 0
		for i, j := range left {
			if cmp.Or(cmp.Compare(j.Turn, left[at].Turn), cmp.Compare(j.Job, left[at].Job)) < 0 {
				at = i
			}
		}
		j := &left[at]
		tasks = append(tasks, Queued{TaskRef: TaskRef{Job: j.Job, No: j.Next}, Action: of.Action, Lane: of.Lane})
		j.Next, j.Turn, got[j.Job] = j.Next+1, j.Turn+1, true
		if j.Next > j.Last {
			served = append(served, *j)
			left = slices.Delete(left, at, at+1)
		}
	}
	for _, j := range left {
		if got[j.Job] {
			served = append(served, j)
		}
	}
	return served, tasks
}

// handedOut writes down how far jobs have come.
func handedOut(ctx context.Context, tx pgx.Tx, of ActionLane, jobs []inLine) error {
	slices.SortFunc(jobs, func(a, b inLine) int { return cmp.Compare(a.Job, b.Job) }) // rows are locked in one order
	numbers, next, turns := make([]int64, len(jobs)), make([]int, len(jobs)), make([]int64, len(jobs))
	var latest int64
	for i, j := range jobs {
		numbers[i], next[i], turns[i] = j.Job, j.Next, j.Turn
		latest = max(latest, j.Turn-1)
	}
	var batch pgx.Batch
	batch.Queue(endBacklog, of.Action, numbers, next)
	batch.Queue(moveBacklog, of.Action, numbers, next, turns)
	batch.Queue(moveLane, of.Action, of.Lane, latest)
	return tx.SendBatch(ctx, &batch).Close()
}
