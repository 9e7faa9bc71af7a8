package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/access"
)

// ErrFinished means that a job has ended, or is about to, and can no longer be
// changed.
var ErrFinished = errors.New("the job has ended already")

// Withdrawal counts what a cancel withdraws, or would. Its JSON is API.
type Withdrawal struct {
	Jobs     int `json:"jobs"`      // that lose something
	Rows     int `json:"rows"`      // that are never sent
	Revokes  int `json:"revokes"`   // of Rows
	Unknown  int `json:"unknown"`   // sent before and never answered: they end as unknown
	InFlight int `json:"in_flight"` // in a worker's hands: a call that was sent ends as it would have
}

const planWithdrawal = `
SELECT count(DISTINCT t.job_id),
       coalesce(sum(t.cells) FILTER (WHERE t.state = 'ready' AND NOT t.unsure), 0),
       coalesce(sum(t.cells) FILTER (WHERE t.state = 'ready' AND NOT t.unsure AND t.operation = 'revoke'), 0),
       coalesce(sum(t.cells) FILTER (WHERE t.state = 'ready' AND t.unsure), 0),
       coalesce(sum(t.cells) FILTER (WHERE t.state = 'running'), 0)
FROM tasks t
JOIN jobs j ON j.id = t.job_id
WHERE t.state IN ('ready', 'running') AND NOT t.withdrawn AND j.status IN ('queued', 'running') AND ` + concerns

// PlanCancel says what [Store.Cancel] would withdraw at this moment, and
// changes nothing.
func (s *Store) PlanCancel(ctx context.Context, t Target) (w Withdrawal, err error) {
	err = s.pool.QueryRow(ctx, planWithdrawal, t.Scope, t.Name).Scan(&w.Jobs, &w.Rows, &w.Revokes, &w.Unknown, &w.InFlight)
	return w, outward("counting what would be withdrawn", err)
}

const asksBeyond = `
SELECT EXISTS (SELECT FROM tasks t JOIN jobs j ON j.id = t.job_id WHERE j.ulid = $1 AND t.operation <> ALL ($2::text[]))`

// AsksBeyond reports whether a job asks for other operations than these.
func (s *Store) AsksBeyond(ctx context.Context, id string, operations []access.Operation) (beyond bool, err error) {
	err = s.pool.QueryRow(ctx, asksBeyond, id, operations).Scan(&beyond)
	return beyond, outward("reading what job "+id+" asks for", err)
}

// Jobs are locked before their tasks, as everybody does, and in one order.
const lockOpenJobs = `
SELECT j.id FROM jobs j
WHERE j.status IN ('queued', 'running') AND CASE $1::text WHEN 'job' THEN j.ulid = $2 WHEN 'source' THEN j.source = $2 ELSE true END
ORDER BY j.id
FOR NO KEY UPDATE`

// Cancel withdraws every change of a target that has not been sent. Calls in
// flight end as they would have, and changes that were sent and never answered
// end as unknown. Canceling an action leaves the rest of its jobs alone; its
// tasks that are in a worker's hands are marked, and end when they come back.
// Canceling twice is the same as once: the second withdraws of no job. A job
// that has completed returns [ErrFinished].
func (s *Store) Cancel(ctx context.Context, t Target, o Order) (Withdrawal, error) {
	var (
		done Withdrawal
		jobs []int64
	)
	err := s.inTx(ctx, "canceling "+t.String(), func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, lockOpenJobs, t.Scope, t.Name)
		if err != nil {
			return err
		}
		if jobs, err = pgx.CollectRows(rows, pgx.RowTo[int64]); err != nil {
			return err
		}
		if len(jobs) == 0 && t.Scope == ScopeJob {
			return alreadyCanceled(ctx, tx, t.Name)
		}
		c := canceling{tx: tx, target: t, order: o}
		jobs, done, err = c.run(ctx, jobs)
		return err
	})
	if err != nil {
		return Withdrawal{}, err
	}
	for _, job := range jobs {
		_ = s.Finalize(ctx, job) // what fails here the reconciler does: the cancel itself is committed
	}
	return done, nil
}

func alreadyCanceled(ctx context.Context, tx pgx.Tx, id string) error {
	var status JobStatus
	if err := tx.QueryRow(ctx, `SELECT status FROM jobs WHERE ulid = $1`, id).Scan(&status); err != nil {
		return err
	}
	if status == JobCanceling || status == JobCanceled {
		return nil
	}
	return fmt.Errorf("it is %s: %w", status, ErrFinished)
}

// canceling is one cancel in progress.
type canceling struct {
	tx     pgx.Tx
	target Target
	order  Order
}

// What is in a worker's hands is marked, and so is what came back while the rest
// was withdrawn.
const markWithdrawn = `
WITH marked AS (
    UPDATE tasks SET withdrawn = true
    WHERE job_id = ANY ($1) AND ($2 = '' OR action = $2) AND state IN ('ready', 'running') AND NOT withdrawn
    RETURNING job_id, cells
)
SELECT job_id, 0, 0, 0, 0, sum(cells)::int FROM marked GROUP BY job_id`

// It comes last, so that whoever hands tasks out waits for a moment only.
const withdrawBacklog = `DELETE FROM backlog WHERE job_id = ANY ($1) AND ($2 = '' OR action = $2)`

// withdrawn counts what was withdrawn of one job.
type withdrawn struct {
	Job                                     int64
	Tasks, Rows, Revokes, Unknown, InFlight int
}

// run cancels in the locked jobs, and returns those that have something to
// withdraw.
func (c canceling) run(ctx context.Context, locked []int64) (jobs []int64, w Withdrawal, err error) {
	action := ""
	if c.target.Scope == ScopeAction {
		action = c.target.Name
	} else if _, err := c.tx.Exec(ctx, `UPDATE jobs SET status = 'canceling' WHERE id = ANY ($1)`, locked); err != nil {
		return nil, w, err
	}
	per := map[int64]withdrawn{}
	for _, statement := range []string{withdrawWaiting, markWithdrawn} { // in this order: what is withdrawn cannot be claimed any more
		if err := c.count(ctx, per, statement, locked, action); err != nil {
			return nil, w, err
		}
	}
	if _, err := c.tx.Exec(ctx, withdrawBacklog, locked, action); err != nil {
		return nil, w, err
	}
	for _, job := range locked {
		of, concerned := per[job]
		if !concerned && action != "" {
			continue
		}
		jobs = append(jobs, job)
		w = w.plus(of)
		if err := c.note(ctx, job, of); err != nil {
			return nil, w, err
		}
	}
	return jobs, w, nil
}

// count runs a statement that withdraws, and adds up by job what it did.
func (c canceling) count(ctx context.Context, per map[int64]withdrawn, statement string, args ...any) error {
	rows, err := c.tx.Query(ctx, statement, args...)
	if err != nil {
		return err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[withdrawn])
	for _, w := range list {
		sum := per[w.Job]
		w.Tasks, w.Rows, w.Revokes = w.Tasks+sum.Tasks, w.Rows+sum.Rows, w.Revokes+sum.Revokes
		w.Unknown, w.InFlight = w.Unknown+sum.Unknown, w.InFlight+sum.InFlight
		per[w.Job] = w
	}
	return err
}

// plus adds a job.
func (w Withdrawal) plus(of withdrawn) Withdrawal {
	w.Jobs++
	w.Rows, w.Revokes, w.Unknown, w.InFlight = w.Rows+of.Rows, w.Revokes+of.Revokes, w.Unknown+of.Unknown, w.InFlight+of.InFlight
	return w
}

// note writes the audit of one job.
func (c canceling) note(ctx context.Context, job int64, w withdrawn) error {
	event := EventCanceled
	if c.target.Scope == ScopeAction {
		event = EventActionCanceled
	}
	return writeAudit(ctx, c.tx, AuditEvent{Actor: c.order.Actor, Event: event, Job: job, Detail: map[string]any{
		"scope": c.target.Scope, "name": c.target.Name, "reason": c.order.Reason,
		"tasks_withdrawn": w.Tasks, "rows_withdrawn": w.Rows, "rows_unknown": w.Unknown,
	}})
}

// Tasks that wait are withdrawn: withdrawWaiting does it in jobs that are
// canceled now, withdrawReturned later with those that came back. One that was
// sent before, and of which nobody knows what became, cannot be withdrawn any
// more: its changes end as unknown. withdrawReturned runs whenever a task ends,
// and mostly finds nothing; an index of its own keeps that cheap.
const (
	withdrawWaiting  = withdraw + `t.job_id = ANY ($1::bigint[]) AND t.state = 'ready' AND ($2 = '' OR t.action = $2)` + andTell
	withdrawReturned = withdraw + `t.job_id = $1::bigint AND t.state = 'ready' AND t.withdrawn` + andTell

	withdraw = `
WITH withdrawn AS (
    UPDATE tasks t SET state = CASE WHEN t.unsure THEN 'done' ELSE 'canceled' END, finished_at = now()
    WHERE `

	andTell = `
    RETURNING t.job_id, t.no, t.first_change, t.last_change, t.principals, t.resources, t.unsure, t.cells, t.operation
), unknown AS (
    INSERT INTO exceptions (job_id, change_no, task_no, status, code, message, retryable)
    SELECT c.job_id, c.no, w.no, 'unknown', 'outcome_unknown', 'sent, never answered, and withdrawn before it was settled', true
    FROM withdrawn w
    JOIN changes c ON c.job_id = w.job_id AND c.no BETWEEN w.first_change AND w.last_change
                  AND c.principal = ANY (w.principals) AND c.resource_type || ':' || c.resource_id = ANY (w.resources)
    WHERE w.unsure
), counted AS (
    UPDATE jobs j SET withdrawn_rows = j.withdrawn_rows + w.cells
    FROM (SELECT job_id, sum(cells) AS cells FROM withdrawn WHERE NOT unsure GROUP BY job_id) w
    WHERE j.id = w.job_id
)
SELECT job_id, count(*)::int, coalesce(sum(cells) FILTER (WHERE NOT unsure), 0)::int,
       coalesce(sum(cells) FILTER (WHERE NOT unsure AND operation = 'revoke'), 0)::int, coalesce(sum(cells) FILTER (WHERE unsure), 0)::int, 0
FROM withdrawn
GROUP BY job_id`
)
