package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/people"
)

// The order of the events of a person, whatever order they came in, of an event e and
// of one that was applied, a. At one moment whoever leaves comes last, so that nothing
// of that moment gives access back, and of two counted ids the shorter comes first.
const (
	eventOrder   = `(e.effective_at, e.type = 'leaver', e.type = 'mover', e.source, length(e.event_id), e.event_id)`
	appliedOrder = `(a.effective_at, a.type = 'leaver', a.type = 'mover', a.source, length(a.event_id), a.event_id)`
)

// newerApplied are the applied events of the person of an event e that come after
// it.
const newerApplied = `
SELECT a.event_id FROM person_events a
WHERE a.principal = e.principal AND a.status = 'applied' AND ` + appliedOrder + ` > ` + eventOrder + `
ORDER BY ` + appliedOrder + ` DESC LIMIT 1`

const supersedeEvents = `
UPDATE person_events e SET status = 'superseded', problem = '', ended_by = (` + newerApplied + `)
WHERE e.status = 'waiting' AND e.look_at <= now() AND EXISTS (` + newerApplied + `)`

// DueEvents returns at most that many events that are to be applied now, by
// Postgres's clock: those that were begun, then leavers, then the others, each in the
// order in which they take effect. An older event of somebody who has left is
// superseded by that, and ends as if it had come first. Before that it ends those that were withdrawn or come too
// late.
func (s *Store) DueEvents(ctx context.Context, limit int) ([]PersonEvent, error) {
	for _, end := range []string{withdrawEvents + ` AND e.look_at <= now()`, supersedeEvents} {
		if _, err := s.pool.Exec(ctx, end); err != nil {
			return nil, outward("ending events", err)
		}
	}
	return s.events(ctx, ` WHERE e.status IN ('waiting', 'applying') AND e.look_at <= now() ORDER BY e.status, e.type <> 'leaver', `+eventOrder+` LIMIT $1`, limit)
}

// AnyEventDue reports whether there is something to apply or to look after.
func (s *Store) AnyEventDue(ctx context.Context) (due bool, err error) {
	const query = `SELECT EXISTS (SELECT FROM person_events WHERE status IN ('waiting', 'applying') AND look_at <= now())
                       OR EXISTS (SELECT FROM person_events WHERE open AND look_at <= now())`
	err = s.pool.QueryRow(ctx, query).Scan(&due)
	return due, outward("looking for due events", err)
}

const beginEvent = `
UPDATE person_events e SET status = 'applying', problem = '', profile_set = nullif($3, 0::bigint)
WHERE e.source = $1 AND e.event_id = $2 AND e.status = 'waiting' AND NOT ` + eventWithdrawn + `
  AND NOT EXISTS (` + newerApplied + `)
  AND NOT EXISTS (SELECT FROM person_events o WHERE o.principal = e.principal AND o.status = 'applying')`

// BeginEvent has an event be applied by profiles, of which nothing takes it back.
// It reports false when it must not, or not yet: it was withdrawn or superseded,
// or another event of the person is being applied.
func (s *Store) BeginEvent(ctx context.Context, k EventKey, profileSet int64) (begun bool, err error) {
	tag, err := s.pool.Exec(ctx, beginEvent, k.Source, k.ID, profileSet)
	return tag.RowsAffected() == 1, outward("beginning an event", err)
}

// PostponeEvent keeps an event waiting, and says why; "" for no reason to show.
func (s *Store) PostponeEvent(ctx context.Context, k EventKey, problem string, after time.Duration) error {
	_, err := s.pool.Exec(ctx, `UPDATE person_events SET problem = $3, look_at = now() + $4::interval WHERE source = $1 AND event_id = $2 AND status = 'waiting'`,
		k.Source, k.ID, problem, after)
	return outward("postponing an event", err)
}

// FailEvent ends an event that cannot be applied.
func (s *Store) FailEvent(ctx context.Context, k EventKey, problem string) error {
	_, err := s.pool.Exec(ctx, `UPDATE person_events SET status = 'failed', problem = $3 WHERE source = $1 AND event_id = $2 AND status IN ('waiting', 'applying')`,
		k.Source, k.ID, problem)
	return outward("ending an event", err)
}

// AppliedEvent is how an event was applied.
type AppliedEvent struct {
	EventKey

	JobID string // ULID; "" where nothing had to be done
	Open  bool   // it has revokes, or is a leaver's
	Actor string // for the audit
}

// EventApplied writes down that an event which was begun is applied. No job is
// accepted meanwhile: each was accepted before, and what it grants is seen by who
// looks after the event, or sees the event when it is accepted.
func (s *Store) EventApplied(ctx context.Context, a AppliedEvent) error {
	return s.inTx(ctx, "writing down an event", func(tx pgx.Tx) error {
		var batch pgx.Batch
		queueAlone(&batch)
		if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
			return fmt.Errorf("waiting for jobs that are being accepted: %w", err)
		}
		var number int64
		var kind people.Type
		err := tx.QueryRow(ctx, `
UPDATE person_events SET status = 'applied', applied_at = clock_timestamp(), job_id = (SELECT id FROM jobs WHERE ulid = $3), open = $4, look_at = now()
WHERE source = $1 AND event_id = $2 AND status = 'applying'
RETURNING coalesce(job_id, 0), type`, a.Source, a.ID, a.JobID, a.Open).Scan(&number, &kind)
		if err != nil {
			return err
		}
		return writeAudit(ctx, tx, AuditEvent{Actor: a.Actor, Event: eventPersonApplied, Job: number, Detail: map[string]any{
			"source": a.Source, "event_id": a.ID, "type": kind, "open": a.Open,
		}})
	})
}

const lastApplied = ` WHERE e.principal = $1 AND e.status = 'applied'
  AND EXISTS (SELECT FROM person_events a WHERE a.source = $2 AND a.event_id = $3 AND ` + appliedOrder + ` > ` + eventOrder + `)
ORDER BY ` + eventOrder + ` DESC LIMIT 1`

// AppliedBefore returns the event of the person that was applied last before e,
// or [ErrNotFound].
func (s *Store) AppliedBefore(ctx context.Context, e PersonEvent) (PersonEvent, error) {
	found, err := s.events(ctx, lastApplied, e.Principal, e.Source, e.ID)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("an event before: %w", ErrNotFound)
	}
	if err != nil {
		return PersonEvent{}, err
	}
	return found[0], nil
}

// JobOfEvent returns the ULID of the job that was submitted for an event, known by
// its idempotency key and fingerprint, or [ErrNotFound].
func (s *Store) JobOfEvent(ctx context.Context, j EventJob) (id string, err error) {
	err = s.pool.QueryRow(ctx, `SELECT ulid FROM jobs WHERE source = $1 AND idempotency_key = $2 AND fingerprint = $3`, j.Source, j.Key, j.Fingerprint).Scan(&id)
	return id, outward("looking for the job of an event", err)
}

// EventJob is how the job of an event is known.
type EventJob struct{ Source, Key, Fingerprint string }

// OpenEventsDue returns open events that are to be looked after now.
func (s *Store) OpenEventsDue(ctx context.Context, limit int) ([]PersonEvent, error) {
	return s.events(ctx, ` WHERE e.open AND e.look_at <= now() ORDER BY e.look_at LIMIT $1`, limit)
}

// Rehired reports whether an event that comes after e was applied for its person.
func (s *Store) Rehired(ctx context.Context, e PersonEvent) (rehired bool, err error) {
	err = s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM person_events e WHERE e.source = $1 AND e.event_id = $2 AND EXISTS (`+newerApplied+`))`, e.Source, e.ID).Scan(&rehired)
	return rehired, outward("looking for later events", err)
}

// LookAgain has an open event be looked after again, with a problem to show.
func (s *Store) LookAgain(ctx context.Context, e PersonEvent, after time.Duration) error {
	_, err := s.pool.Exec(ctx, `UPDATE person_events SET problem = $3, look_at = now() + $4::interval WHERE source = $1 AND event_id = $2 AND open`,
		e.Source, e.ID, e.Problem, after)
	return outward("putting an open event off", err)
}

// RoundDone writes down that what failed was revoked once more, as e.Rounds counts.
// The next such round may be after a while.
func (s *Store) RoundDone(ctx context.Context, e PersonEvent, next time.Duration) error {
	_, err := s.pool.Exec(ctx, `UPDATE person_events SET rounds = $3, problem = $4, again_at = now() + $5::interval WHERE source = $1 AND event_id = $2 AND open`,
		e.Source, e.ID, e.Rounds, e.Problem, next)
	return outward("writing down a round of revokes", err)
}

// CloseEvent ends the care for an open event: all of its revokes are done. Where a
// job was accepted since e was read that grants something to its leaver, the event
// stays open, to be looked at again.
func (s *Store) CloseEvent(ctx context.Context, e PersonEvent, actor string) error {
	return s.inTx(ctx, "closing an event", func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE person_events SET open = false, problem = '', closed_at = clock_timestamp() WHERE source = $1 AND event_id = $2 AND open AND look_at = $3`,
			e.Source, e.ID, e.lookAt)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return writeAudit(ctx, tx, AuditEvent{Actor: actor, Event: eventPersonClosed, Detail: map[string]any{"source": e.Source, "event_id": e.ID}})
	})
}

// Now is the time by Postgres's clock.
func (s *Store) Now(ctx context.Context) (now time.Time, err error) {
	err = s.pool.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now)
	return now, outward("asking for the time", err)
}
