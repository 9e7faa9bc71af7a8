package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
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
	Held     bool   // a guard holds the job, which is new
}

const insertJob = `
INSERT INTO jobs (ulid, parent_id, source, requested_by, reason, lane, idempotency_key, fingerprint,
                  rows, header, input_sha256, input_encoding, input_delimiter, next_task, update_role, ranks_as, watched)
VALUES ($1, (SELECT id FROM jobs WHERE ulid = $2), $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
        CASE WHEN $16 THEN (SELECT coalesce(ranks_as, id) FROM jobs WHERE ulid = $2) END,
        EXISTS (SELECT FROM webhooks w WHERE w.source IN ('', $3) AND ` + webhookActive + `))
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
			job.IdempotencyKey, job.Fingerprint, job.Changes.Len, job.Header, job.Input.SHA256,
			job.Input.Encoding, job.Input.Delimiter, job.Tasks.Len+1, job.UpdateRole, job.Retry).
			Scan(&created.Number, &acceptedAt)
		if errors.Is(err, pgx.ErrNoRows) {
			created, err = replay(ctx, tx, job)
			return err
		}
		if err != nil {
			return err
		}
		created.ID = id
		rows := pending{NewJob: job, number: created.Number}
		changes, err := rows.write(ctx, tx)
		if err != nil {
			return err
		}
		if err := writeBacklog(ctx, tx, rows); err != nil {
			return fmt.Errorf("writing the backlog: %w", err)
		}
		if rows.runs.revokes > 0 {
			if _, err := tx.Exec(ctx, `UPDATE jobs SET revokes = $2 WHERE id = $1`, created.Number, rows.runs.revokes); err != nil {
				return fmt.Errorf("counting revokes: %w", err)
			}
		}
		detail := map[string]any{
			"source": job.Source, "reason": job.Reason, "rows": job.Changes.Len, "tasks": job.Tasks.Len,
			"idempotency_key": job.IdempotencyKey, "input_sha256": job.Input.SHA256, "parent": job.ParentID,
			"id": created.ID, "accepted_at": acceptedAt, "changes_sha256": changes,
		}
		if job.Token != "" {
			detail["token"] = job.Token
		}
		err = writeAudit(ctx, tx, AuditEvent{Actor: job.RequestedBy, Event: EventSubmitted, Job: created.Number, Detail: detail})
		if err != nil {
			return err
		}
		if created.Held, err = guard(ctx, tx, created, rows); err != nil {
			return fmt.Errorf("judging by the guards: %w", err)
		}
		left, err := leaversAmong(ctx, tx, created.Number)
		if err != nil {
			return fmt.Errorf("looking for people who left: %w", err)
		}
		return acceptLast(ctx, tx, accepting{job: created.Number, actor: job.RequestedBy, left: left})
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

// pending is a job whose rows are being written.
type pending struct {
	NewJob

	number  int64
	runs    actionRuns
	settled int // changes with an exception
}

// write copies the rows of a job and returns the digest of its changes, by which
// the audit covers them.
func (j *pending) write(ctx context.Context, tx pgx.Tx) (changes string, err error) {
	digest := sha256.New()
	if err := copyRows(ctx, tx, "tasks", taskColumns, j.taskRows); err != nil {
		return "", err
	}
	if n := len(j.runs.last); n > 0 && j.runs.last[n-1] != j.Tasks.Len || n == 0 && j.Tasks.Len > 0 {
		return "", fmt.Errorf("%d tasks were announced and others written", j.Tasks.Len)
	}
	written, err := copyBinary(ctx, tx, "changes", changeColumns, j.changeBlocks(digest))
	if err == nil && written != int64(j.Changes.Len) {
		err = fmt.Errorf("%d changes were announced and %d written", j.Changes.Len, written)
	}
	if err != nil {
		return "", err
	}
	if j.settled == 0 {
		return hexSum(digest), nil
	}
	return hexSum(digest), copyRows(ctx, tx, "exceptions", exceptionColumns, j.exceptionRows)
}

// copyRows copies what rows yields, which may use the memory of a row again for
// the next. An error that it yields ends the copy.
func copyRows(ctx context.Context, tx pgx.Tx, table string, columns []string, rows iter.Seq2[[]any, error]) error {
	next, stop := iter.Pull2(rows)
	defer stop()
	_, err := tx.CopyFrom(ctx, pgx.Identifier{table}, columns, pgx.CopyFromFunc(func() ([]any, error) {
		row, err, _ := next()
		return row, err
	}))
	if err != nil {
		return fmt.Errorf("copying %s: %w", table, err)
	}
	return nil
}

var taskColumns = []string{
	"job_id", "no", "root_no", "first_change", "last_change", "action", "operation",
	"principal_type", "principals", "resources", "role", "expires_on", "unsure",
}

// taskRows yields the rows of the tasks and finds their runs.
func (j *pending) taskRows(yield func([]any, error) bool) {
	no := 0
	for t := range j.Tasks.each() {
		no++
		first := t.FirstChange + 1
		err := j.runs.add(t, no)
		row := []any{
			j.number, no, no, first, first + t.Cells() - 1, t.Action, t.Operation,
			t.Principals[0].Type, principalIDs(t.Rectangle), resourceKeys(t.Rectangle), t.Terms.Role, date(t.Terms.ExpiresOn), t.Unsure,
		}
		if !yield(row, err) {
			return
		}
	}
}

var changeColumns = []string{
	"job_id", "no", "task_no", "line", "row_id", "operation", "principal_type", "principal",
	"resource_type", "resource_id", "role", "expires_on", "reason", "ticket", "cells",
}

// changeBlocks yields the rows of the changes to be copied, and feeds h with each.
func (j *pending) changeBlocks(h hash.Hash) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		var r changeRow
		var text []byte
		block := make([]byte, 0, 2*copyBlock)
		no := 0
		for c := range j.Changes.each() {
			no++
			r.fill(j.number, no, c)
			if c.Exception != nil {
				j.settled++
			}
			text = r.appendTo(text[:0])
			_, _ = h.Write(text) // a hash never fails
			if block = r.copyTo(block); len(block) < copyBlock && no < j.Changes.Len {
				continue
			}
			if !yield(block) {
				return
			}
			block = block[:0]
			if j.Progress != nil {
				j.Progress(no)
			}
		}
		if len(block) > 0 { // fewer came than were announced
			yield(block)
		}
	}
}

var exceptionColumns = []string{"job_id", "change_no", "status", "code", "message", "retryable"}

func (j *pending) exceptionRows(yield func([]any, error) bool) {
	no := 0
	for c := range j.Changes.each() {
		no++
		if e := c.Exception; e != nil && !yield([]any{j.number, no, e.Status, e.Code, e.Message, e.Retryable}, nil) {
			return
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
	EventHeld      = "job.held"     // by a guard
	EventReleased  = "job.released" // from it
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

	eventProfilesLoaded  = "profiles.loaded"
	eventPeopleAccepted  = "people.accepted"
	eventPersonApplied   = "person.applied"
	eventPersonClosed    = "person.closed"
	eventPersonReopened  = "person.reopened" // by a job that grants something to somebody who left
	eventPersonRead      = "person.read"     // what a leaver still has at Quick BI
	eventScheduleAdded   = "schedule.added"
	eventSchedulePaused  = "schedule.paused"
	eventScheduleResumed = "schedule.resumed"
	eventScheduleRemoved = "schedule.removed"
	eventScheduleRun     = "schedule.run" // asked for, out of turn

	eventLimitSet   = "limit.set"
	eventLimitReset = "limit.reset"

	eventTokenAdded   = "token.added"
	eventTokenRevoked = "token.revoked"

	eventWebhookAdded    = "webhook.added"
	eventWebhookRemoved  = "webhook.removed"
	eventWebhookDisabled = "webhook.disabled"
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
