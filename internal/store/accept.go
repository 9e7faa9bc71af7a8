package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/oklog/ulid/v2"

	"github.com/usher-bi/usher/internal/access"
)

// accept writes jobs, all of them or none, and returns them as they stand then.
// Where a job was there already, or its key stands for others, that is told of
// the job alone.
func (s *Store) accept(ctx context.Context, jobs []NewJob) (out []*pending, err error) {
	err = again(func() error {
		out, err = s.acceptOnce(ctx, jobs)
		return err
	})
	return out, outward("writing the job", err)
}

func (s *Store) acceptOnce(ctx context.Context, jobs []NewJob) (out []*pending, err error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback(ctx) // or else the connection is dropped
		}
	}()
	out, fresh, err := insertJobs(ctx, tx, jobs)
	if err != nil || len(fresh) == 0 {
		if err == nil {
			err = tx.Commit(ctx)
		}
		return out, err
	}
	if err := copyJobs(ctx, tx, fresh); err != nil {
		return nil, err
	}
	return out, conclude(ctx, tx, fresh)
}

// waitForKey bounds how long jobs wait for another one of the same key that is
// being written elsewhere, for the sake of those that wait with it.
const waitForKey = `SET LOCAL lock_timeout = '1s'`

// insertJobs writes the rows of jobs, and returns all of them and those that are
// new.
func insertJobs(ctx context.Context, tx pgx.Tx, jobs []NewJob) (all, fresh []*pending, err error) {
	var batch pgx.Batch
	if len(jobs) > 1 {
		batch.Queue(waitForKey)
	}
	for _, job := range jobs {
		j := &pending{NewJob: job}
		all = append(all, j)
		id := ulid.Make().String()
		batch.Queue(insertJob, id, job.ParentID, job.Source, job.RequestedBy, job.Reason, job.Lane,
			job.IdempotencyKey, job.Fingerprint, job.Changes.Len, job.Header, job.Input.SHA256,
			job.Input.Encoding, job.Input.Delimiter, job.Tasks.Len+1, job.UpdateRole, job.Retry).QueryRow(func(row pgx.Row) error {
			err := row.Scan(&j.number, &j.createdAt, &j.acceptedAt)
			if errors.Is(err, pgx.ErrNoRows) {
				return nil
			}
			j.created = Created{ID: id, Number: j.number}
			return err
		})
	}
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
		return nil, nil, err
	}
	for _, j := range all {
		if j.number != 0 {
			fresh = append(fresh, j)
		} else if err := j.replay(ctx, tx); err != nil {
			return nil, nil, err
		}
	}
	return all, fresh, nil
}

// replay finds the job that already stands for the key of j.
func (j *pending) replay(ctx context.Context, tx pgx.Tx) error {
	found := Created{Replayed: true}
	var fingerprint string
	if err := tx.QueryRow(ctx, jobByKey, j.Source, j.IdempotencyKey).Scan(&found.Number, &found.ID, &fingerprint); err != nil {
		return err
	}
	if j.created = found; fingerprint != j.Fingerprint {
		j.created = Created{}
		j.err = fmt.Errorf("writing the job: key %q of source %q is job %s: %w", j.IdempotencyKey, j.Source, found.ID, ErrKeyReused)
	}
	return nil
}

// copyJobs writes the rows of new jobs.
func copyJobs(ctx context.Context, tx pgx.Tx, jobs []*pending) error {
	if _, err := copyBinary(ctx, tx, "tasks", taskColumns, blocksOf(jobs, (*pending).copyTasks)); err != nil {
		return err
	}
	written, err := copyBinary(ctx, tx, "changes", changeColumns, blocksOf(jobs, (*pending).copyChanges))
	if err != nil {
		return err
	}
	settled := 0
	for _, j := range jobs {
		if err := j.announced(); err != nil {
			return err
		}
		settled += j.settled
		written -= int64(j.written)
	}
	if written != 0 {
		return fmt.Errorf("%d more changes were written than are known of", written)
	}
	if settled == 0 {
		return nil
	}
	_, err = copyBinary(ctx, tx, "exceptions", exceptionColumns, blocksOf(jobs, (*pending).copyExceptions))
	return err
}

// blocksOf has each job yield its rows, in blocks that they share.
func blocksOf(jobs []*pending, rows func(j *pending, block []byte, yield func([]byte) bool) ([]byte, bool)) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		var block []byte
		var more bool
		for _, j := range jobs {
			if block, more = rows(j, block, yield); !more {
				return
			}
		}
		if len(block) > 0 {
			yield(block)
		}
	}
}

// conclude writes what follows from the rows of new jobs, judges them by their
// guards and commits.
func conclude(ctx context.Context, tx pgx.Tx, jobs []*pending) error {
	batch := &pgx.Batch{}
	queueBacklog(batch, jobs)
	queueRevokes(batch, jobs)
	guarded := false
	for _, j := range jobs {
		if err := j.event().queue(batch); err != nil {
			return err
		}
		guarded = guarded || j.guarded()
	}
	if guarded {
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("writing what is to be sent: %w", err)
		}
		if err := judgeAll(ctx, tx, jobs); err != nil {
			return fmt.Errorf("judging by the guards: %w", err)
		}
		batch = &pgx.Batch{}
	}
	left, err := leaversAmong(ctx, tx, jobs)
	if err != nil {
		return fmt.Errorf("looking for people who left: %w", err)
	}
	var pauses []Pause
	queuePauses(batch, jobs, &pauses)
	if err := commitLast(ctx, tx, batch, accepting{jobs, left}); err != nil {
		return err
	}
	for _, j := range jobs {
		j.created.New = j.document(pauses)
	}
	return nil
}

// commitLast does the rest of what accepts jobs, and commits. Acceptance excludes
// the writing down of calls, and the application of events, from the closing of the
// gate to the commit, so these go out together: nothing of this process stands
// between them. Should a part of it get lost on its way, the transaction is. Leavers
// whom the jobs grant something are looked after again.
func commitLast(ctx context.Context, tx pgx.Tx, rest *pgx.Batch, a accepting) error {
	rest.Queue(`SET LOCAL lock_timeout TO DEFAULT`)
	queueAlone(rest)
	a.reopen(rest)
	rest.Queue(`COMMIT`)
	if err := tx.SendBatch(ctx, rest).Close(); err != nil {
		return fmt.Errorf("committing, once no call is being written down: %w", err)
	}
	return nil
}

const countRevokes = `UPDATE jobs j SET revokes = x.n FROM unnest($1::bigint[], $2::int[]) AS x (id, n) WHERE j.id = x.id`

func queueRevokes(batch *pgx.Batch, jobs []*pending) {
	var numbers []int64
	var revokes []int
	for _, j := range jobs {
		if j.runs.revokes > 0 {
			numbers, revokes = append(numbers, j.number), append(revokes, j.runs.revokes)
		}
	}
	if len(numbers) > 0 {
		batch.Queue(countRevokes, numbers, revokes)
	}
}

// event is what the audit has of a new job.
func (j *pending) event() AuditEvent {
	detail := map[string]any{
		"source": j.Source, "reason": j.Reason, "rows": j.Changes.Len, "tasks": j.Tasks.Len,
		"idempotency_key": j.IdempotencyKey, "input_sha256": j.Input.SHA256, "parent": j.ParentID,
		"id": j.created.ID, "accepted_at": j.acceptedAt, "changes_sha256": j.digest,
	}
	if j.Token != "" {
		detail["token"] = j.Token
	}
	return AuditEvent{Actor: j.RequestedBy, Event: EventSubmitted, Job: j.number, Detail: detail}
}

func (j *pending) guarded() bool { return !j.Retry && j.Guards.watch() }

// judgeAll holds those of new jobs that their guards object to.
func judgeAll(ctx context.Context, tx pgx.Tx, jobs []*pending) (err error) {
	for _, j := range jobs {
		if !j.guarded() {
			continue
		}
		if j.created.Held, err = guard(ctx, tx, j); err != nil {
			return err
		}
	}
	return nil
}

// pausesOfNew is all that may keep new jobs from being sent.
const pausesOfNew = selectPauses + `
WHERE p.scope IN ('all', 'action') OR p.scope = 'job' AND p.name = ANY ($1) OR p.scope = 'source' AND p.name = ANY ($2)` + orderPauses

func queuePauses(batch *pgx.Batch, jobs []*pending, pauses *[]Pause) {
	ids, sources := make([]string, 0, len(jobs)), make([]string, 0, len(jobs))
	for _, j := range jobs {
		ids, sources = append(ids, j.created.ID), append(sources, j.Source)
	}
	batch.Queue(pausesOfNew, ids, sources).Query(func(rows pgx.Rows) (err error) {
		*pauses, err = pgx.CollectRows(rows, scanPause)
		return err
	})
}

// document is a new job as it is committed; nil if some of it has ended already.
func (j *pending) document(pauses []Pause) *NewlyCreated {
	if j.settled > 0 || j.Tasks.Len == 0 {
		return nil
	}
	n := NewlyCreated{Pauses: []Pause{}, Job: Job{
		ID: j.created.ID, Status: JobQueued, Outcome: OutcomeNone, Source: j.Source, RequestedBy: j.RequestedBy, Reason: j.Reason, Lane: j.Lane,
		Counts: Counts{Total: j.Changes.Len, Pending: j.Changes.Len}, Tasks: TaskCounts{Total: j.Tasks.Len},
		Input: j.Input, IdempotencyKey: j.IdempotencyKey, CreatedAt: j.createdAt, UpdateRole: j.UpdateRole,
	}}
	n.Job.Input.Rows = j.Changes.Len
	if j.ParentID != "" {
		n.Job.ParentID = &j.ParentID
	}
	for _, p := range pauses {
		of := p.concerns(j)
		if of {
			n.Pauses = append(n.Pauses, p)
		}
		if of && p.Scope != ScopeAction {
			n.Job.Status = JobPaused
		}
	}
	return &n
}

// concerns reports whether p keeps tasks of a new job from being sent.
func (p Pause) concerns(j *pending) bool {
	switch p.Scope {
	case ScopeJob:
		return p.Name == j.created.ID
	case ScopeSource:
		return p.Name == j.Source
	case ScopeAction:
		return slices.Contains(j.runs.actions, access.Action(p.Name))
	default:
		return true
	}
}
