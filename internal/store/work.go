package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/access"
)

// TaskRef names a task: the number of its job and its own number in it.
type TaskRef struct {
	Job int64
	No  int
}

// Claim is the right to work on a task until its lease ends, and for as long as
// its worker is alive. Every later write carries its generation, so a claim that
// was lost can write nothing.
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
	Applied    bool // an earlier call was carried out, but may have been undone since by an older one
	Regrant    bool // of a work that was granted before on other terms: that it is there proves nothing
}

// ClaimRequest asks for a task at the generation it was queued with.
type ClaimRequest struct {
	TaskRef

	Generation int
	Worker     string // which must have said that it lives: see [Store.Beat]
	Lease      time.Duration

	// Token is one that nobody else uses. A request that is made again, because
	// nobody knows what became of it, gets the claim that it already got. Without
	// a token, of 0, it is refused.
	Token int64
}

// The statements of the hot path name tasks by their key and by nothing that a
// partial index is about, and jobs by an expression: of a new month nothing is
// known, and the planner would as soon read all tasks of a job as one. That a
// task is waiting or in work shows in claimed_by and finished_at too.
//
// What somebody has locked is about to change, and is passed over, so that
// nobody waits for a cancel of a million tasks who has another one to claim.
const claimTasks = `
WITH free AS (
    SELECT x.job_id, x.no, x.generation, x.worker, x.lease, x.token, x.place
    FROM unnest($1::bigint[], $2::int[], $3::int[], $4::text[], $5::interval[], $6::bigint[])
        WITH ORDINALITY AS x (job_id, no, generation, worker, lease, token, place)
    JOIN tasks t ON t.job_id = x.job_id AND t.no = x.no
    FOR NO KEY UPDATE OF t SKIP LOCKED
), claimed AS (
    UPDATE tasks t SET
        state = 'running', claimed_by = x.worker, claimed_until = now() + x.lease, generation = x.generation + 1, claim_token = x.token,
        early = t.early OR EXISTS (SELECT FROM backlog b WHERE b.job_id = x.job_id AND x.no BETWEEN b.next_no AND b.last_no)
    FROM free x
    JOIN jobs j ON j.id = x.job_id + 0
    WHERE t.job_id = x.job_id AND t.no = x.no AND t.finished_at IS NULL
      AND (t.generation = x.generation AND t.claimed_by IS NULL OR t.generation = x.generation + 1 AND t.claim_token = nullif(x.token, 0))
      AND j.status <> 'canceling' AND NOT t.withdrawn AND NOT ` + taskPaused + `
    RETURNING x.place, t.*, j.ulid, j.lane, j.status, j.update_role
)
SELECT t.place, t.generation, t.action, t.operation, t.principal_type, t.principals, t.resources, t.role, t.expires_on,
       t.attempts, t.strikes, t.unsure, t.ulid, t.lane, t.status = 'queued', t.update_role, t.overtook AND EXISTS (
           SELECT FROM calls c JOIN answers a ON a.job_id = c.job_id AND a.call_id = c.id
           WHERE c.job_id = t.job_id AND c.task_no = t.no AND c.action = t.action AND a.class = 'ok'),
       t.action = 'AddWorksAuthorization' AND EXISTS (
           SELECT FROM changes c
           WHERE access_key(c.principal_type, c.principal, c.resource_type || ':' || c.resource_id) = access_key(t.principal_type, t.principals[1], t.resources[1])
             AND c.job_id < t.job_id AND c.task_no IS NOT NULL AND c.operation <> 'read' AND c.operation = 'grant'
             AND c.principal = t.principals[1] AND (c.role, c.expires_on) IS DISTINCT FROM (t.role, t.expires_on))
FROM claimed t`

// A job that is locked starts with its next task.
const startJobs = `
UPDATE jobs SET status = 'running', started_at = now()
WHERE id IN (SELECT j.id FROM jobs j WHERE j.id = ANY ($1) AND j.status = 'queued' FOR NO KEY UPDATE SKIP LOCKED)`

// Claim takes a task by compare and set. It returns [ErrStale] when the task is
// not there to be taken: already claimed, ended, canceled, paused, or queued anew
// under another generation.
func (s *Store) Claim(ctx context.Context, r ClaimRequest) (Task, error) {
	const what = "claiming the task"
	found, err := s.claims.ask(ctx, r)
	switch {
	case err != nil:
		return Task{}, outward(what, err)
	case found == nil:
		return Task{}, fmt.Errorf("%s: %w", what, ErrStale)
	}
	found.task.TaskRef = r.TaskRef
	found.task.Terms.ExpiresOn = undate(found.expires)
	found.task.Principals, found.task.Resources, err = sides(found.principalType, found.principals, found.resources)
	return found.task, err
}

// claimed is a task as it was taken.
type claimed struct {
	task                  Task
	first                 bool // of its job
	principalType         access.PrincipalType
	principals, resources []string
	expires               *time.Time
}

// claim takes what can be taken of tasks. For the others there is nil.
func (s *Store) claim(ctx context.Context, asked []ClaimRequest) ([]*claimed, error) {
	n := len(asked)
	jobs, numbers, generations := make([]int64, n), make([]int, n), make([]int, n)
	workers, leases, tokens := make([]string, n), make([]time.Duration, n), make([]int64, n)
	for i, r := range asked {
		jobs[i], numbers[i], generations[i] = r.Job, r.No, r.Generation
		workers[i], leases[i], tokens[i] = r.Worker, r.Lease, r.Token
	}
	var out []*claimed
	err := again(func() error {
		out = make([]*claimed, n)
		rows, err := s.hot.Query(ctx, claimTasks, jobs, numbers, generations, workers, leases, tokens)
		if err != nil {
			return err
		}
		var place int
		var c claimed
		t := &c.task
		_, err = pgx.ForEachRow(rows, []any{
			&place, &t.Generation, &t.Action, &t.Operation, &c.principalType, &c.principals, &c.resources, &t.Terms.Role, &c.expires,
			&t.Attempts, &t.Strikes, &t.Unsure, &t.JobID, &t.Lane, &c.first, &t.UpdateRole, &t.Applied, &t.Regrant,
		}, func() error {
			row := c
			out[place-1] = &row
			return nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	var begun []int64
	for i, c := range out {
		if c != nil && c.first && !slices.Contains(begun, jobs[i]) {
			begun = append(begun, jobs[i])
		}
	}
	if begun == nil {
		return out, nil
	}
	_, err = s.hot.Exec(ctx, startJobs, begun)
	return out, err
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

// CellException is an exception of one cell of a task.
type CellException struct {
	Exception

	Principal string
	Resource  access.Resource
}

const finishTask = `
WITH finished AS (
    UPDATE tasks SET state = 'done', attempts = attempts + $4, request_id = $5, finished_at = now(),
                     claimed_by = NULL, claimed_until = NULL
    WHERE job_id = $1 AND no = $2 AND generation = $3 AND state = 'running'
    RETURNING job_id, no, first_change, last_change
), refused AS (
    INSERT INTO exceptions (job_id, change_no, task_no, status, code, message, retryable, api_code, request_id)
    SELECT c.job_id, c.no, f.no, x.status, x.code, x.message, x.retryable, x.api_code, x.request_id
    FROM finished f
    CROSS JOIN unnest($6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::boolean[], $12::text[], $13::text[])
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

// Finish records how the last call of a task ended, that the task is over, and
// what a read found: all of it or nothing. An answer without a call means that
// the task is over although none was sent. It returns [ErrStale], having
// recorded the answer and nothing else, when the claim was lost.
func (s *Store) Finish(ctx context.Context, c Claim, a Answer, end Ending) error {
	c = s.fenced(ctx, c)
	const what = "finishing the task"
	var finished bool
	var err error
	if len(end.Exceptions) == 0 && len(end.Works) == 0 && a.LateFor == 0 { // all succeeded, as mostly
		finished, err = s.endings.ask(ctx, finishing{c, a, nil})
		err = outward(what, err)
	} else {
		err = s.inTx(ctx, what, func(tx pgx.Tx) (err error) {
			finished, err = finish(ctx, tx, finishing{c, a, end.Exceptions})
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

// batcher is a pool or a transaction.
type batcher interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// finishing is what the end of a task brings.
type finishing struct {
	claim      Claim
	answer     Answer
	exceptions []CellException
}

const finishTasks = `
WITH finished AS (
    UPDATE tasks t SET state = 'done', attempts = t.attempts + x.calls, request_id = x.request_id, finished_at = now(),
                       claimed_by = NULL, claimed_until = NULL
    FROM unnest($1::bigint[], $2::int[], $3::int[], $4::int[], $5::text[])
        WITH ORDINALITY AS x (job_id, no, generation, calls, request_id, place)
    WHERE t.job_id = x.job_id AND t.no = x.no AND t.generation = x.generation AND t.claimed_by IS NOT NULL
    RETURNING x.place
)
SELECT array_agg(place) FROM finished`

// finishPlainly ends tasks all of whose changes succeeded, and reports which of
// them were still the claims'. The answers are recorded of all.
func (s *Store) finishPlainly(ctx context.Context, ending []finishing) ([]bool, error) {
	n := len(ending)
	jobs, numbers, generations := make([]int64, n), make([]int, n), make([]int, n)
	calls, requests := make([]int, n), make([]string, n)
	answers := answerColumns{}
	for i, f := range ending {
		jobs[i], numbers[i], generations[i] = f.claim.Job, f.claim.No, f.claim.Generation
		calls[i], requests[i] = f.answer.calls(), f.answer.RequestID
		answers.add(f.claim.Job, f.answer)
	}
	var places []int
	err := again(func() error {
		var batch pgx.Batch
		answers.queue(&batch)
		batch.Queue(finishTasks, jobs, numbers, generations, calls, requests).QueryRow(func(row pgx.Row) error { return row.Scan(&places) })
		return s.hot.SendBatch(ctx, &batch).Close()
	})
	finished := make([]bool, n)
	for _, place := range places {
		finished[place-1] = true
	}
	return finished, err
}

func finish(ctx context.Context, db batcher, f finishing) (bool, error) {
	var batch pgx.Batch
	f.answer.queue(&batch, f.claim.TaskRef)
	args := append([]any{f.claim.Job, f.claim.No, f.claim.Generation, f.answer.calls(), f.answer.RequestID}, columns(f.exceptions)...)
	var finished, refused int
	batch.Queue(finishTask, args...).QueryRow(func(row pgx.Row) error { return row.Scan(&finished, &refused) })
	if err := db.SendBatch(ctx, &batch).Close(); err != nil {
		return false, err
	}
	if finished == 1 && refused != len(f.exceptions) {
		return false, fmt.Errorf("%d of %d exceptions name a cell of task %d of job %d", refused, len(f.exceptions), f.claim.No, f.claim.Job)
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

	// Overtook means that it was carried out while an older call for the same
	// access was in flight, which may still undo it: it is to be carried out once
	// more when that call has ended. It counts as an attempt and is unsure.
	Overtook bool
}

const giveBack = `
WITH j AS (
    SELECT id, lane, ulid, source, status = 'canceling' AS canceling FROM jobs WHERE id = $1
), back AS (
    UPDATE tasks t SET
        state = 'ready', generation = t.generation + 1, due_at = now() + $5::interval,
        attempts = t.attempts + ($4 OR $7)::int, strikes = t.strikes + $4::int,
        unsure = t.unsure OR $6 OR $7, overtook = t.overtook OR $7, claimed_by = NULL, claimed_until = NULL
    FROM j
    WHERE t.job_id = j.id AND t.no = $2 AND t.generation = $3 AND t.state = 'running'
    RETURNING t.generation, t.action, j.lane, j.canceling OR t.withdrawn OR ` + taskPaused + ` AS held
)
SELECT generation, action, lane, held FROM back`

// GiveBack returns a claimed task to the queue under a new generation and says
// how to queue it. Of what is canceled or paused ok is false: the task is not to
// be queued. [Store.Finalize] ends it, or it waits to be resumed. It returns [ErrStale] when the
// claim was lost.
func (s *Store) GiveBack(ctx context.Context, c Claim, again Again) (q Queued, ok bool, err error) {
	c = s.fenced(ctx, c)
	q = Queued{TaskRef: c.TaskRef, Delay: again.Delay}
	var held bool
	err = s.pool.QueryRow(ctx, giveBack, c.Job, c.No, c.Generation, again.Counts, again.Delay, again.Unsure, again.Overtook).
		Scan(&q.Generation, &q.Action, &q.Lane, &held)
	if errors.Is(err, pgx.ErrNoRows) {
		return Queued{}, false, fmt.Errorf("giving the task back: %w", ErrStale)
	}
	return q, err == nil && !held, outward("giving the task back", err)
}
