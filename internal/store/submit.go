package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

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

	// New is the job as it was committed, if it is new and has something to send in
	// every row; nil where [Store.Job] has to be asked.
	New *NewlyCreated
}

// NewlyCreated is a job as it was committed, and what keeps it from being sent.
type NewlyCreated struct {
	Job    Job
	Pauses []Pause // as [Store.PausesOf] lists them
}

const insertJob = `
INSERT INTO jobs (ulid, parent_id, source, requested_by, reason, lane, idempotency_key, fingerprint,
                  rows, header, input_sha256, input_encoding, input_delimiter, next_task, update_role, ranks_as, watched)
VALUES ($1, (SELECT id FROM jobs WHERE ulid = $2), $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
        CASE WHEN $16 THEN (SELECT coalesce(ranks_as, id) FROM jobs WHERE ulid = $2) END,
        EXISTS (SELECT FROM webhooks w WHERE w.source IN ('', $3) AND ` + webhookActive + `))
ON CONFLICT (source, idempotency_key) DO NOTHING
RETURNING id, created_at, to_jsonb(created_at AT TIME ZONE 'UTC') #>> '{}'`

const jobByKey = `SELECT id, ulid, fingerprint FROM jobs WHERE source = $1 AND idempotency_key = $2`

// CreateJob writes a job with its changes, tasks and first audit row in one
// transaction: all of it or nothing. The tasks wait for [Store.HandOut]. The same key with the same fingerprint
// returns the job that is there; with another fingerprint, [ErrKeyReused].
//
// Small jobs that come while others are being written share a transaction, and so
// a commit, with those that come likewise.
func (s *Store) CreateJob(ctx context.Context, job NewJob) (Created, error) {
	if job.Changes.Len <= smallJob {
		return s.arrivals.ask(ctx, job)
	}
	jobs, err := s.accept(ctx, []NewJob{job})
	if err != nil {
		return Created{}, err
	}
	return jobs[0].created, jobs[0].err
}

// pending is a job that is being written.
type pending struct {
	NewJob

	number     int64
	created    Created
	createdAt  time.Time
	acceptedAt string     // createdAt, as it is sealed
	runs       actionRuns // once its tasks were written
	digest     string     // of its changes, once they were
	written    int        // changes
	settled    int        // of them, with an exception
	broken     error      // what is wrong with its tasks
	err        error      // why it was not written, though others were
}

var taskColumns = []string{
	"job_id", "no", "root_no", "first_change", "last_change", "action", "operation",
	"principal_type", "principals", "resources", "role", "expires_on", "unsure",
}

// copyTasks yields the rows of the tasks to be copied, in blocks that begin with
// what is in block, and finds their runs. It returns the last one, which is not
// yielded yet, and false if no more is wanted.
func (j *pending) copyTasks(block []byte, yield func([]byte) bool) (last []byte, more bool) {
	no := 0
	for t := range j.Tasks.each() {
		no++
		if err := j.runs.add(t, no); err != nil && j.broken == nil {
			j.broken = err
		}
		if block = copyTask(block, j.number, no, t); len(block) < copyBlock {
			continue
		}
		if !yield(block) {
			return nil, false
		}
		block = block[:0]
	}
	return block, true
}

// copyTask appends a task as a row to be copied, in the order of taskColumns.
func copyTask(dst []byte, job int64, no int, t NewTask) []byte {
	first := t.FirstChange + 1
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(taskColumns))) //nolint:gosec // a few
	dst = copyInt(copyInt(copyBig(dst, job), no), no)
	dst = copyInt(copyInt(dst, first), first+t.Cells()-1)
	dst = copyText(copyText(dst, string(t.Action)), string(t.Operation))
	dst = copyText(dst, string(t.Principals[0].Type))
	dst = copyTexts(copyTexts(dst, principalIDs(t.Rectangle)), resourceKeys(t.Rectangle))
	dst = copyDate(copyText(dst, t.Terms.Role), t.Terms.ExpiresOn)
	return copyBool(dst, t.Unsure)
}

var changeColumns = []string{
	"job_id", "no", "task_no", "line", "row_id", "operation", "principal_type", "principal",
	"resource_type", "resource_id", "role", "expires_on", "reason", "ticket", "cells",
}

// copyChanges is as copyTasks, for the changes, and digests them.
func (j *pending) copyChanges(block []byte, yield func([]byte) bool) (last []byte, more bool) {
	var r changeRow
	var text []byte
	h := sha256.New()
	for c := range j.Changes.each() {
		j.written++
		r.fill(j.number, j.written, c)
		if c.Exception != nil {
			j.settled++
		}
		text = r.appendTo(text[:0])
		_, _ = h.Write(text) // a hash never fails
		if block = r.copyTo(block); len(block) < copyBlock {
			continue
		}
		if !yield(block) {
			return nil, false
		}
		block = block[:0]
		j.tell()
	}
	j.digest = hexSum(h)
	j.tell()
	return block, true
}

func (j *pending) tell() {
	if j.Progress != nil {
		j.Progress(j.written)
	}
}

var exceptionColumns = []string{"job_id", "change_no", "status", "code", "message", "retryable"}

// copyExceptions is as copyTasks, for what changes are settled with.
func (j *pending) copyExceptions(block []byte, yield func([]byte) bool) (last []byte, more bool) {
	no := 0
	for c := range j.Changes.each() {
		no++
		e := c.Exception
		if e == nil {
			continue
		}
		block = binary.BigEndian.AppendUint16(block, uint16(len(exceptionColumns))) //nolint:gosec // a few
		block = copyInt(copyBig(block, j.number), no)
		block = copyText(copyText(copyText(block, string(e.Status)), e.Code), e.Message)
		if block = copyBool(block, e.Retryable); len(block) < copyBlock {
			continue
		}
		if !yield(block) {
			return nil, false
		}
		block = block[:0]
	}
	return block, true
}

// announced returns an error unless what was copied is what the job announced.
func (j *pending) announced() error {
	tasks := 0
	if n := len(j.runs.last); n > 0 {
		tasks = j.runs.last[n-1]
	}
	switch {
	case j.broken != nil:
		return j.broken
	case tasks != j.Tasks.Len:
		return fmt.Errorf("%d tasks were announced and others written", j.Tasks.Len)
	case j.written != j.Changes.Len:
		return fmt.Errorf("%d changes were announced and %d written", j.Changes.Len, j.written)
	default:
		return nil
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
	var batch pgx.Batch
	if err := e.queue(&batch); err != nil {
		return err
	}
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("writing the audit: %w", err)
	}
	return nil
}

// queue adds the writing of e to a batch.
func (e AuditEvent) queue(batch *pgx.Batch) error {
	detail, err := json.Marshal(e.Detail)
	if err != nil {
		return fmt.Errorf("encoding audit detail: %w", err)
	}
	batch.Queue(insertAudit, e.Actor, e.Event, e.Job, e.Task, detail)
	return nil
}
