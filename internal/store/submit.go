package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"
	"github.com/oklog/ulid/v2"

	"github.com/usher-bi/usher/internal/access"
)

// ErrKeyReused means that the idempotency key stands for other rows already.
var ErrKeyReused = errors.New("idempotency key was used for other rows")

// Created says which job a submission led to.
type Created struct {
	ID       string // ULID
	Number   int64  // the job's number, for [TaskRef]
	Replayed bool   // the job was there already; nothing was written
}

const insertJob = `
INSERT INTO jobs (ulid, parent_id, source, requested_by, reason, lane, idempotency_key, fingerprint,
                  rows, header, input_sha256, input_encoding, input_delimiter, next_task, update_role, ranks_as)
VALUES ($1, (SELECT id FROM jobs WHERE ulid = $2), $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
        CASE WHEN $16 THEN (SELECT coalesce(ranks_as, id) FROM jobs WHERE ulid = $2) END)
ON CONFLICT (source, idempotency_key) DO NOTHING
RETURNING id, to_jsonb(created_at AT TIME ZONE 'UTC') #>> '{}'`

const jobByKey = `SELECT id, ulid, fingerprint FROM jobs WHERE source = $1 AND idempotency_key = $2`

// CreateJob writes a job with its changes, tasks and first audit row in one
// transaction: all of it or nothing. The tasks wait for [Store.HandOut]. The same key with the same fingerprint
// returns the job that is there; with another fingerprint, [ErrKeyReused].
func (s *Store) CreateJob(ctx context.Context, job NewJob) (Created, error) {
	var created Created
	err := s.inTx(ctx, "writing the job", func(tx pgx.Tx) error {
		var acceptedAt string
		id := ulid.Make().String()
		err := tx.QueryRow(ctx, insertJob, id, job.ParentID, job.Source, job.RequestedBy, job.Reason, job.Lane,
			job.IdempotencyKey, job.Fingerprint, len(job.Changes), job.Header, job.Input.SHA256,
			job.Input.Encoding, job.Input.Delimiter, len(job.Tasks)+1, job.UpdateRole, job.Retry).
			Scan(&created.Number, &acceptedAt)
		if errors.Is(err, pgx.ErrNoRows) {
			created, err = replay(ctx, tx, job)
			return err
		}
		if err != nil {
			return err
		}
		created.ID = id
		changes, err := writeRows(ctx, tx, created, job)
		if err != nil {
			return err
		}
		if err := writeBacklog(ctx, tx, created.Number, job); err != nil {
			return fmt.Errorf("writing the backlog: %w", err)
		}
		err = writeAudit(ctx, tx, AuditEvent{Actor: job.RequestedBy, Event: EventSubmitted, Job: created.Number, Detail: map[string]any{
			"source": job.Source, "reason": job.Reason, "rows": len(job.Changes), "tasks": len(job.Tasks),
			"idempotency_key": job.IdempotencyKey, "input_sha256": job.Input.SHA256, "parent": job.ParentID,
			"id": created.ID, "accepted_at": acceptedAt, "changes_sha256": changes,
		}})
		if err != nil {
			return err
		}
		return acceptLast(ctx, tx)
	})
	return created, err
}

// replay finds the job that already stands for the key of job.
func replay(ctx context.Context, tx pgx.Tx, job NewJob) (Created, error) {
	found := Created{Replayed: true}
	var fingerprint string
	err := tx.QueryRow(ctx, jobByKey, job.Source, job.IdempotencyKey).Scan(&found.Number, &found.ID, &fingerprint)
	if err != nil {
		return Created{}, err
	}
	if fingerprint != job.Fingerprint {
		return Created{}, fmt.Errorf("key %q of source %q is job %s: %w", job.IdempotencyKey, job.Source, found.ID, ErrKeyReused)
	}
	return found, nil
}

// writeRows copies the rows of a job and returns the digest of its changes, by
// which the audit covers them.
func writeRows(ctx context.Context, tx pgx.Tx, created Created, job NewJob) (changes string, err error) {
	digest := sha256.New()
	copies := []struct {
		table   string
		columns []string
		rows    iter.Seq[[]any]
	}{
		{"tasks", taskColumns, taskRows(created.Number, job.Tasks)},
		{"changes", changeColumns, digested(created.Number, job.Changes, digest)},
		{"exceptions", exceptionColumns, exceptionRows(created.Number, job.Changes)},
	}
	for _, c := range copies {
		next, stop := iter.Pull(c.rows)
		_, err := tx.CopyFrom(ctx, pgx.Identifier{c.table}, c.columns, pgx.CopyFromFunc(func() ([]any, error) {
			row, _ := next()
			return row, nil
		}))
		stop()
		if err != nil {
			return "", fmt.Errorf("copying %s: %w", c.table, err)
		}
	}
	return hexSum(digest), nil
}

var taskColumns = []string{
	"job_id", "no", "root_no", "first_change", "last_change", "action", "operation",
	"principal_type", "principals", "resources", "role", "expires_on", "unsure",
}

func taskRows(number int64, tasks []NewTask) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		for i, t := range tasks {
			first := t.FirstChange + 1
			if !yield([]any{
				number, i + 1, i + 1, first, first + t.Cells() - 1, t.Action, t.Operation,
				t.Principals[0].Type, principalIDs(t.Rectangle), resourceKeys(t.Rectangle), t.Terms.Role, date(t.Terms.ExpiresOn), t.Unsure,
			}) {
				return
			}
		}
	}
}

var changeColumns = []string{
	"job_id", "no", "task_no", "line", "row_id", "operation", "principal_type", "principal",
	"resource_type", "resource_id", "role", "expires_on", "reason", "ticket", "cells",
}

var exceptionColumns = []string{"job_id", "change_no", "status", "code", "message", "retryable"}

func exceptionRows(number int64, changes []NewChange) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		for i, c := range changes {
			if e := c.Exception; e != nil && !yield([]any{number, i + 1, e.Status, e.Code, e.Message, e.Retryable}) {
				return
			}
		}
	}
}

func principalIDs(r access.Rectangle) []string {
	ids := make([]string, len(r.Principals))
	for i, p := range r.Principals {
		ids[i] = p.ID
	}
	return ids
}

func resourceKeys(r access.Rectangle) []string {
	keys := make([]string, len(r.Resources))
	for i, res := range r.Resources {
		keys[i] = res.String()
	}
	return keys
}

const insertAudit = `INSERT INTO audit (actor, event, job_id, task_no, detail) VALUES ($1, $2, nullif($3, 0::bigint), nullif($4, 0), $5)`

// The events of the audit.
const (
	EventSubmitted = "job.submitted"
	EventCanceled  = "job.canceled"
	EventFinished  = "job.finished"
	EventReclaimed = "task.reclaimed"
	EventVerified  = "job.verified"
	EventExported  = "audit.exported"
	EventDropped   = "audit.dropped"

	EventProbeAsked = "action.probe_asked"
	EventStopped    = "action.stopped"
	EventResumed    = "action.resumed"

	EventActionCanceled = "action.canceled" // in one job

	// Of what an operator pauses and resumes; the scope goes before.
	eventPaused  = ".paused"
	eventResumed = ".resumed"

	eventLimitSet   = "limit.set"
	eventLimitReset = "limit.reset"
)

// AuditEvent is one fact for the auditor. Job and Task of 0 mean none.
type AuditEvent struct {
	Actor  string
	Event  string
	Job    int64
	Task   int
	Detail map[string]any
}

func writeAudit(ctx context.Context, tx pgx.Tx, e AuditEvent) error {
	detail, err := json.Marshal(e.Detail)
	if err != nil {
		return fmt.Errorf("encoding audit detail: %w", err)
	}
	if _, err := tx.Exec(ctx, insertAudit, e.Actor, e.Event, e.Job, e.Task, detail); err != nil {
		return fmt.Errorf("writing the audit: %w", err)
	}
	return nil
}
