package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/access"
)

// Part is a piece of a task that was cut up.
type Part struct {
	access.Rectangle

	Done       bool            // its call was answered: nothing is left to send
	Exceptions []CellException // of a part that is done

	// Of a part that is not done:
	Strikes int           // to begin with
	Unsure  bool          // as in [Task]
	Delay   time.Duration // before it is due
}

const takeNumbers = `
UPDATE jobs j SET next_task = next_task + $2, cut_tasks = cut_tasks + 1 WHERE id = $1
RETURNING next_task - $2, lane, status = 'canceling' OR ` + jobPaused

const splitTask = `
UPDATE tasks SET state = 'split', attempts = attempts + $5, request_id = $4, finished_at = now(),
                 claimed_by = NULL, claimed_until = NULL
WHERE job_id = $1 AND no = $2 AND generation = $3 AND state = 'running'
RETURNING root_no, first_change, last_change, attempts, withdrawn`

const insertPart = `
INSERT INTO tasks (job_id, no, root_no, first_change, last_change, action, operation, principal_type, principals,
                   resources, role, expires_on, state, attempts, strikes, unsure, request_id, withdrawn, due_at, finished_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $19, now() + $18::interval,
        CASE WHEN $13::text = 'ready' THEN NULL ELSE now() END)`

const insertPartExceptions = `
INSERT INTO exceptions (job_id, change_no, task_no, status, code, message, retryable, api_code, request_id)
SELECT c.job_id, c.no, $2, x.status, x.code, x.message, x.retryable, x.api_code, x.request_id
FROM unnest($5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::boolean[], $11::text[], $12::text[])
    AS x (principal, resource, status, code, message, retryable, api_code, request_id)
JOIN changes c ON c.job_id = $1 AND c.no BETWEEN $3 AND $4
              AND c.principal = x.principal AND c.resource_type || ':' || c.resource_id = x.resource`

// Split replaces a claimed task by its parts, which must hold exactly its
// cells, and returns those that are left to queue; none when the task or its job
// is canceled or the job paused. An answer without a call means that none was
// sent. It returns [ErrStale] when the claim was lost.
func (s *Store) Split(ctx context.Context, c Claim, a Answer, parts []Part) ([]Queued, error) {
	var queued []Queued
	err := s.inTx(ctx, "splitting the task", func(tx pgx.Tx) error {
		queued = queued[:0]
		cut := cutting{claim: c, requestID: a.RequestID, calls: a.calls()}
		if err := cut.begin(ctx, tx, len(parts)); err != nil {
			return err
		}
		for i, part := range parts {
			state, err := cut.insert(ctx, tx, cut.firstNo+i, part)
			if err != nil {
				return err
			}
			if state == "ready" && !cut.held && !cut.withdrawn {
				queued = append(queued, Queued{
					TaskRef: TaskRef{Job: c.Job, No: cut.firstNo + i}, Action: part.Action, Lane: cut.lane, Delay: part.Delay,
				})
			}
		}
		return a.record(ctx, tx, c.TaskRef)
	})
	return queued, err
}

// cutting is one split in progress: what the parts take over from the whole.
type cutting struct {
	claim       Claim
	requestID   string
	calls       int // 1, or 0 if the task is cut without one
	firstNo     int
	lane        Lane
	held        bool // the job is canceled or paused
	withdrawn   bool
	root        int
	firstChange int
	lastChange  int
	attempts    int
}

// begin locks the job before the task, as everybody does, and ends the whole.
func (c *cutting) begin(ctx context.Context, tx pgx.Tx, parts int) error {
	if err := tx.QueryRow(ctx, takeNumbers, c.claim.Job, parts).Scan(&c.firstNo, &c.lane, &c.held); err != nil {
		return fmt.Errorf("numbering the parts: %w", err)
	}
	err := tx.QueryRow(ctx, splitTask, c.claim.Job, c.claim.No, c.claim.Generation, c.requestID, c.calls).
		Scan(&c.root, &c.firstChange, &c.lastChange, &c.attempts, &c.withdrawn)
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrStale
	}
	return err
}

// insert writes one part with its exceptions and returns the part's state.
func (c *cutting) insert(ctx context.Context, tx pgx.Tx, no int, p Part) (string, error) {
	state, request := "ready", ""
	if p.Done {
		state, request = "done", c.requestID
	}
	_, err := tx.Exec(ctx, insertPart, c.claim.Job, no, c.root, c.firstChange, c.lastChange, p.Action, p.Operation,
		p.Principals[0].Type, principalIDs(p.Rectangle), resourceKeys(p.Rectangle), p.Terms.Role, date(p.Terms.ExpiresOn),
		state, c.attempts, p.Strikes, p.Unsure, request, p.Delay, c.withdrawn)
	if err != nil {
		return "", fmt.Errorf("writing part %d: %w", no, err)
	}
	if len(p.Exceptions) == 0 {
		return state, nil
	}
	args := append([]any{c.claim.Job, no, c.firstChange, c.lastChange}, columns(p.Exceptions)...)
	tag, err := tx.Exec(ctx, insertPartExceptions, args...)
	if err == nil && tag.RowsAffected() != int64(len(p.Exceptions)) {
		err = fmt.Errorf("%d of %d exceptions name a cell of part %d", tag.RowsAffected(), len(p.Exceptions), no)
	}
	return state, err
}
