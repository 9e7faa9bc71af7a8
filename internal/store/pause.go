package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/access"
)

// ErrPaused is the [ErrStale] of a claim that is current but may send nothing:
// its task, or what the task belongs to, is paused.
var ErrPaused = fmt.Errorf("paused: %w", ErrStale)

const pauseTarget = `
INSERT INTO pauses (scope, name, actor, reason) VALUES ($1, $2, $3, $4)
ON CONFLICT (scope, name) DO NOTHING`

// Pause has nothing of t sent until [Store.Resume], and reports whether that is
// new. Calls in flight end as they would have. A pause that stands keeps who
// gave it, and why. A job that was canceled or has ended returns [ErrFinished].
func (s *Store) Pause(ctx context.Context, t Target, o Order) (changed bool, err error) {
	err = s.inTx(ctx, "pausing "+t.String(), func(tx pgx.Tx) error {
		job, err := pausable(ctx, tx, t)
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, pauseTarget, t.Scope, t.Name, o.Actor, o.Reason)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		changed = true
		return writeAudit(ctx, tx, AuditEvent{
			Actor: o.Actor, Event: string(t.Scope) + eventPaused, Job: job,
			Detail: map[string]any{"scope": t.Scope, "name": t.Name, "reason": o.Reason},
		})
	})
	return changed && err == nil, err
}

// pausable returns the number of a job that can be paused, and 0 for what is no
// job. It locks the job, so that it cannot end meanwhile.
func pausable(ctx context.Context, tx pgx.Tx, t Target) (number int64, err error) {
	if t.Scope != ScopeJob {
		return 0, nil
	}
	var status JobStatus
	err = tx.QueryRow(ctx, `SELECT id, status FROM jobs WHERE ulid = $1 FOR NO KEY UPDATE`, t.Name).Scan(&number, &status)
	if err == nil && status != JobQueued && status != JobRunning {
		err = fmt.Errorf("it is %s: %w", status, ErrFinished)
	}
	return number, err
}

const resumable = `
SELECT j.id, EXISTS (SELECT FROM pauses p WHERE p.scope = 'job' AND p.name = j.ulid AND p.guard <> '')
FROM jobs j WHERE j.ulid = $1`

const resumeTarget = `
DELETE FROM pauses WHERE scope = $1 AND name = $2 AND guard = ''
RETURNING jsonb_build_object('scope', scope, 'name', name, 'paused_at', at, 'paused_by', actor)`

// Resume takes back one pause and reports whether there was one. What is paused
// in another way too, such as a job whose source is paused, stays so. It sends
// and queues nothing: see [Store.WaitingTasks]. A job that a guard holds returns
// [ErrHeld]: see [Store.Release].
func (s *Store) Resume(ctx context.Context, t Target, o Order) (changed bool, err error) {
	err = s.inTx(ctx, "resuming "+t.String(), func(tx pgx.Tx) error {
		var job int64
		if t.Scope == ScopeJob {
			var held bool
			if err := tx.QueryRow(ctx, resumable, t.Name).Scan(&job, &held); err != nil {
				return err
			}
			if held {
				return ErrHeld
			}
		}
		var detail map[string]any
		err := tx.QueryRow(ctx, resumeTarget, t.Scope, t.Name).Scan(&detail)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		changed, detail["reason"] = true, o.Reason
		return writeAudit(ctx, tx, AuditEvent{Actor: o.Actor, Event: string(t.Scope) + eventResumed, Job: job, Detail: detail})
	})
	return changed && err == nil, err
}

const (
	selectPauses = `
SELECT p.scope, p.name, p.at, p.actor, p.reason, p.guard FROM pauses p`

	// The most general pause comes first.
	orderPauses = `
ORDER BY array_position(ARRAY['all', 'action', 'source', 'job'], p.scope), p.name`
)

// Pauses lists all that is paused.
func (s *Store) Pauses(ctx context.Context) ([]Pause, error) {
	return s.pauses(ctx, "")
}

// PausesOf lists what keeps a job that has not ended, or the tasks of it that
// are open, from being sent: pauses of everything, of an action, of its source
// and of itself.
func (s *Store) PausesOf(ctx context.Context, id string) ([]Pause, error) {
	var job int64
	err := s.pool.QueryRow(ctx, `SELECT id FROM jobs WHERE ulid = $1 AND status IN ('queued', 'running')`, id).Scan(&job)
	if errors.Is(err, pgx.ErrNoRows) {
		return []Pause{}, nil
	}
	if err != nil {
		return nil, outward("listing pauses", err)
	}
	return s.pauses(ctx, `JOIN jobs j ON j.id = $1
WHERE CASE p.scope WHEN 'job' THEN p.name = j.ulid WHEN 'source' THEN p.name = j.source
      WHEN 'action' THEN EXISTS (SELECT FROM tasks t WHERE t.job_id = $1 AND t.state IN ('ready', 'running') AND t.action = p.name)
      ELSE true END`, job)
}

func (s *Store) pauses(ctx context.Context, where string, args ...any) ([]Pause, error) {
	rows, err := s.pool.Query(ctx, selectPauses+" "+where+orderPauses, append([]any{planned}, args...)...)
	if err != nil {
		return nil, outward("listing pauses", err)
	}
	pauses, err := pgx.CollectRows(rows, scanPause)
	return pauses, outward("listing pauses", err)
}

func scanPause(row pgx.CollectableRow) (p Pause, err error) {
	err = row.Scan(&p.Scope, &p.Name, &p.Since, &p.Actor, &p.Reason, &p.Guard)
	return p, err
}

// PausesAction reports whether the pause keeps every task of an action from
// being sent.
func (p Pause) PausesAction(action access.Action) bool {
	return p.Scope == ScopeAll || p.Scope == ScopeAction && p.Name == string(action)
}

const openJobsOf = `
SELECT count(*) FROM jobs j
WHERE j.status IN ('queued', 'running')
  AND EXISTS (SELECT FROM tasks t WHERE t.job_id = j.id AND t.state IN ('ready', 'running') AND ` + concerns + `)`

// OpenJobsOf counts the jobs that have something of a target still to send.
func (s *Store) OpenJobsOf(ctx context.Context, t Target) (n int, err error) {
	err = s.pool.QueryRow(ctx, openJobsOf, t.Scope, t.Name).Scan(&n)
	return n, outward("counting open jobs", err)
}

const claimIsPaused = `
SELECT EXISTS (
    SELECT FROM tasks t
    JOIN jobs j ON j.id = t.job_id
    WHERE t.job_id = $1 AND t.no = $2 AND t.generation = $3 AND t.state = 'running' AND NOT t.withdrawn
      AND j.status <> 'canceling' AND ` + taskPaused + `
)`

// refused says why a call of a claim may not be sent: [ErrPaused] or [ErrStale].
func (s *Store) refused(ctx context.Context, c Claim) error {
	var paused bool
	if err := s.pool.QueryRow(ctx, claimIsPaused, c.Job, c.No, c.Generation).Scan(&paused); err != nil {
		return err
	}
	if paused {
		return ErrPaused
	}
	return ErrStale
}
