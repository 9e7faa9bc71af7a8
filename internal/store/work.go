package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/access"
)

// TaskRef names a task: the number of its job and its own number in it.
type TaskRef struct {
	Job int64
	No  int
}

// Claim is the right to work on a task until its lease ends. Every later write
// carries its generation, so a claim that was lost can write nothing.
type Claim struct {
	TaskRef

	Generation int
}

// Task is a claimed task.
type Task struct {
	Claim
	access.Rectangle

	JobID      string // ULID, for logs
	Lane       Lane
	UpdateRole bool // as in [NewJob]
	Attempts   int  // calls that carried these cells so far
	Strikes    int  // calls in a row that a repeat may cure
	Unsure     bool // an earlier call was sent, and nobody knows what became of it
}

// ClaimRequest asks for a task at the generation it was queued with.
type ClaimRequest struct {
	TaskRef

	Generation int
	Worker     string
	Lease      time.Duration
}

const claimTask = `
WITH claimed AS (
    UPDATE tasks t SET
        state = 'running', claimed_by = $4, claimed_until = now() + $5::interval, generation = t.generation + 1
    FROM jobs j
    WHERE t.job_id = $1 AND t.no = $2 AND t.generation = $3 AND t.state = 'ready' AND j.id = t.job_id AND j.status <> 'canceling'
    RETURNING t.*, j.ulid, j.lane, j.status, j.update_role
)
SELECT generation, action, operation, principal_type, principals, resources, role, expires_on,
       attempts, strikes, unsure, ulid, lane, status, update_role
FROM claimed`

const startJob = `UPDATE jobs SET status = 'running', started_at = now() WHERE id = $1 AND status = 'queued'`

// Claim takes a task by compare and set. It returns [ErrStale] when the task is
// not there to be taken: already claimed, ended, canceled, or queued anew under
// another generation.
func (s *Store) Claim(ctx context.Context, r ClaimRequest) (Task, error) {
	task := Task{Claim: Claim{TaskRef: r.TaskRef}}
	var (
		status        JobStatus
		principalType access.PrincipalType
		principals    []string
		resources     []string
		expires       *time.Time
	)
	err := s.pool.QueryRow(ctx, claimTask, r.Job, r.No, r.Generation, r.Worker, r.Lease).Scan(
		&task.Generation, &task.Action, &task.Operation, &principalType, &principals, &resources, &task.Terms.Role, &expires,
		&task.Attempts, &task.Strikes, &task.Unsure, &task.JobID, &task.Lane, &status, &task.UpdateRole)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Task{}, fmt.Errorf("claiming the task: %w", ErrStale)
	case err != nil:
		return Task{}, outward("claiming the task", err)
	case status == JobQueued:
		if _, err := s.pool.Exec(ctx, startJob, r.Job); err != nil {
			return Task{}, outward("starting the job", err)
		}
	}
	task.Terms.ExpiresOn = undate(expires)
	task.Principals, task.Resources, err = sides(principalType, principals, resources)
	return task, err
}

// sides turns the arrays of a task row back into the sides of its rectangle.
func sides(typ access.PrincipalType, ids, keys []string) ([]access.Principal, []access.Resource, error) {
	principals := make([]access.Principal, len(ids))
	for i, id := range ids {
		principals[i] = access.Principal{Type: typ, ID: id}
	}
	resources := make([]access.Resource, len(keys))
	for i, key := range keys {
		r, err := access.ParseResource(key)
		if err != nil {
			return nil, nil, fmt.Errorf("reading a task's resources: %w", err)
		}
		resources[i] = r
	}
	return principals, resources, nil
}

const beginCall = `
INSERT INTO calls (job_id, task_no, generation, action, cells, worker)
SELECT t.job_id, t.no, t.generation, $5, t.cells, t.claimed_by
FROM tasks t
JOIN jobs j ON j.id = t.job_id
WHERE t.job_id = $1 AND t.no = $2 AND t.generation = $3 AND t.state = 'running' AND t.claimed_until > now()
  AND j.status <> 'canceling'
  AND ($4 OR NOT EXISTS (SELECT FROM action_stops s WHERE s.action = t.action))
RETURNING id`

// NewCall is a call about to be sent for a claimed task.
type NewCall struct {
	Claim

	Action access.Action // of this call; a task may need another one to look something up
	Probe  bool          // sent although the task's action is stopped
}

// BeginCall writes a call down before it is sent, and in the same statement
// checks that it still may be: the claim is current, the job is not canceled,
// the task's action is not stopped. It returns [ErrStale] when the call must
// not be sent.
func (s *Store) BeginCall(ctx context.Context, c NewCall) (call int64, err error) {
	err = s.pool.QueryRow(ctx, beginCall, c.Job, c.No, c.Generation, c.Probe, c.Action).Scan(&call)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, fmt.Errorf("writing the call down: %w", ErrStale)
	}
	return call, outward("writing the call down", err)
}

// Answer is how a call ended.
type Answer struct {
	Call       int64  // as BeginCall returned it
	Class      string // what it means
	HTTPStatus int    // 0 when no answer came
	APICode    string
	Message    string
	RequestID  string
	Result     string // what it returned that must be kept, such as the id of an authorization
	Took       time.Duration
}

const insertAnswer = `
INSERT INTO answers (job_id, call_id, class, http_status, api_code, message, request_id, took, result)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (job_id, call_id) DO NOTHING`

// Answered records how a call of a job ended when nothing else follows from it
// yet.
func (s *Store) Answered(ctx context.Context, job int64, a Answer) error {
	_, err := s.pool.Exec(ctx, insertAnswer, a.args(job)...)
	return outward("recording an answer", err)
}

func (a Answer) args(job int64) []any {
	return []any{job, a.Call, a.Class, a.HTTPStatus, a.APICode, a.Message, a.RequestID, a.Took, a.Result}
}

// CellException is an exception of one cell of a task.
type CellException struct {
	Exception

	Principal string
	Resource  access.Resource
}

const finishTask = `
WITH finished AS (
    UPDATE tasks SET state = 'done', attempts = attempts + 1, request_id = $4, finished_at = now(),
                     claimed_by = NULL, claimed_until = NULL
    WHERE job_id = $1 AND no = $2 AND generation = $3 AND state = 'running'
    RETURNING job_id, no, first_change, last_change
), answered AS (
    INSERT INTO answers (job_id, call_id, class, http_status, api_code, message, request_id, took, result)
    VALUES ($1, $5, $6, $7, $8, $9, $4, $10, $11)
    ON CONFLICT (job_id, call_id) DO NOTHING
), refused AS (
    INSERT INTO exceptions (job_id, change_no, task_no, status, code, message, retryable, api_code, request_id)
    SELECT c.job_id, c.no, f.no, x.status, x.code, x.message, x.retryable, x.api_code, x.request_id
    FROM finished f
    CROSS JOIN unnest($12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::boolean[], $18::text[], $19::text[])
        AS x (principal, resource, status, code, message, retryable, api_code, request_id)
    JOIN changes c ON c.job_id = f.job_id AND c.no BETWEEN f.first_change AND f.last_change
                  AND c.principal = x.principal AND c.resource_type || ':' || c.resource_id = x.resource
    RETURNING 1
)
SELECT (SELECT count(*) FROM finished), (SELECT count(*) FROM refused)`

// Ending is what a task comes to.
type Ending struct {
	Exceptions []CellException // every other cell succeeded
	Works      []SharedWork    // what a read found
}

// Finish records in one statement that a task is over, and in the same
// transaction what a read found. It returns [ErrStale], having recorded the
// answer and nothing else, when the claim was lost.
func (s *Store) Finish(ctx context.Context, c Claim, a Answer, end Ending) error {
	const what = "finishing the task"
	var finished bool
	var err error
	if len(end.Exceptions) == 0 && len(end.Works) == 0 { // nothing to undo: spare the round trips of a transaction
		finished, err = finish(ctx, s.pool, c, a, nil)
		err = outward(what, err)
	} else {
		err = s.inTx(ctx, what, func(tx pgx.Tx) (err error) {
			finished, err = finish(ctx, tx, c, a, end.Exceptions)
			if err != nil || !finished || len(end.Works) == 0 {
				return err
			}
			return writeWorks(ctx, tx, c.TaskRef, end.Works)
		})
	}
	if err == nil && !finished {
		return fmt.Errorf("%s: %w", what, ErrStale)
	}
	return err
}

// querier is a pool or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func finish(ctx context.Context, q querier, c Claim, a Answer, exceptions []CellException) (bool, error) {
	args := append([]any{c.Job, c.No, c.Generation, a.RequestID, a.Call, a.Class, a.HTTPStatus, a.APICode, a.Message, a.Took, a.Result},
		columns(exceptions)...)
	var finished, refused int
	if err := q.QueryRow(ctx, finishTask, args...).Scan(&finished, &refused); err != nil {
		return false, err
	}
	if finished == 1 && refused != len(exceptions) {
		return false, fmt.Errorf("%d of %d exceptions name a cell of task %d of job %d", refused, len(exceptions), c.No, c.Job)
	}
	return finished == 1, nil
}

// columns turns exceptions into one array a column, for unnest.
func columns(exceptions []CellException) []any {
	n := len(exceptions)
	principal, resource, status := make([]string, n), make([]string, n), make([]string, n)
	code, message, retryable := make([]string, n), make([]string, n), make([]bool, n)
	apiCode, requestID := make([]string, n), make([]string, n)
	for i, e := range exceptions {
		principal[i], resource[i], status[i] = e.Principal, e.Resource.String(), string(e.Status)
		code[i], message[i], retryable[i] = e.Code, e.Message, e.Retryable
		apiCode[i], requestID[i] = e.APICode, e.RequestID
	}
	return []any{principal, resource, status, code, message, retryable, apiCode, requestID}
}

// Queued is a task as it stands to be queued: whoever claims it must name this
// generation.
type Queued struct {
	TaskRef

	Generation int
	Action     access.Action
	Lane       Lane
	Delay      time.Duration // until it is due; 0 or less: now
}

// Again says how a task returns to the queue.
type Again struct {
	Delay  time.Duration
	Counts bool // the call counts as an attempt and as a strike
	Unsure bool // it was sent, and nobody knows what became of it
}

const giveBack = `
WITH j AS (
    SELECT id, lane, status = 'canceling' AS canceling FROM jobs WHERE id = $1
), back AS (
    UPDATE tasks t SET
        state = 'ready', generation = t.generation + 1, due_at = now() + $5::interval,
        attempts = t.attempts + $4::int, strikes = t.strikes + $4::int, unsure = t.unsure OR $6,
        claimed_by = NULL, claimed_until = NULL
    FROM j
    WHERE t.job_id = j.id AND t.no = $2 AND t.generation = $3 AND t.state = 'running'
    RETURNING t.generation, t.action, j.lane, j.canceling
)
SELECT generation, action, lane, canceling FROM back`

// GiveBack returns a claimed task to the queue under a new generation and says
// how to queue it. In a job that is being canceled ok is false: the task is not
// to be queued, and [Store.Finalize] ends it. It returns [ErrStale] when the
// claim was lost.
func (s *Store) GiveBack(ctx context.Context, c Claim, again Again) (q Queued, ok bool, err error) {
	counts := 0
	if again.Counts {
		counts = 1
	}
	q = Queued{TaskRef: c.TaskRef, Delay: again.Delay}
	var canceled bool
	err = s.pool.QueryRow(ctx, giveBack, c.Job, c.No, c.Generation, counts, again.Delay, again.Unsure).Scan(&q.Generation, &q.Action, &q.Lane, &canceled)
	if errors.Is(err, pgx.ErrNoRows) {
		return Queued{}, false, fmt.Errorf("giving the task back: %w", ErrStale)
	}
	return q, err == nil && !canceled, outward("giving the task back", err)
}
