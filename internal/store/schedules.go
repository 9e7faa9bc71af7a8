package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNoSchedule is the [ErrNotFound] of a schedule.
var ErrNoSchedule = fmt.Errorf("there is no such schedule: %w", ErrNotFound)

// ErrScheduleExists means that a schedule of that name is there already.
var ErrScheduleExists = errors.New("a schedule of that name exists")

// ScheduleKind says what a schedule does.
type ScheduleKind string

// The kinds of schedules.
const (
	FileSchedule    ScheduleKind = "file"    // submits one file
	FolderSchedule  ScheduleKind = "folder"  // submits each file of a folder
	DesiredSchedule ScheduleKind = "desired" // submits what makes its grants those that a file lists
	RenewSchedule   ScheduleKind = "renew"   // extends what is about to end
)

// CatchUp says what becomes of slots that nobody was there for.
type CatchUp string

// The ways to catch up.
const (
	CatchUpOnce CatchUp = "once" // the newest of them is run
	CatchUpNone CatchUp = "none" // they are passed over
)

// Overlap says what becomes of a slot while jobs of the slot before are open.
type Overlap string

// The ways to deal with overlap.
const (
	OverlapSkip  Overlap = "skip"
	OverlapQueue Overlap = "queue"
)

// CompleteBy says how one knows that a file is complete.
type CompleteBy string

// The ways to complete a file.
const (
	CompleteByDone   CompleteBy = "done"   // NAME.done is written beside it, after it
	CompleteByRename CompleteBy = "rename" // it is written under another name and renamed at last
)

// Schedule is what is to happen when. Its JSON is API.
type Schedule struct {
	ID          int64         `json:"-"`
	Name        string        `json:"name"`
	Kind        ScheduleKind  `json:"kind"`
	Path        string        `json:"path,omitempty"` // below the folder that workers are given
	CompleteBy  CompleteBy    `json:"complete_by"`
	FileWithin  time.Duration `json:"-"`                          // of the slot; then it is missing
	RenewDays   int           `json:"renew_within_days,omitzero"` // what ends within
	ExpiryDays  int           `json:"expiry_days,omitzero"`       // of grants that name no expiry
	Sheet       string        `json:"sheet,omitempty"`            // of a workbook; "" for the first that is not hidden
	SkipInvalid bool          `json:"skip_invalid"`               // submits the good rows, and records the bad ones as failures
	Cron        string        `json:"cron"`
	Timezone    string        `json:"timezone"`
	CatchUp     CatchUp       `json:"catch_up"`
	Overlap     Overlap       `json:"overlap"`
	Lane        Lane          `json:"lane"`
	Source      string        `json:"source"`
	RequestedBy string        `json:"requested_by"`
	Reason      string        `json:"reason"`
	Guards      Guards        `json:"guards"`
	AllowStale  bool          `json:"allow_stale"` // submits also a file that is no newer than the one before

	PlannedUntil time.Time  `json:"-"` // the newest slot that was decided on
	CreatedAt    time.Time  `json:"created_at"`
	PausedAt     *time.Time `json:"paused_at"`
	PausedBy     string     `json:"paused_by,omitempty"`
	PauseReason  string     `json:"pause_reason,omitempty"`
}

const insertSchedule = `
INSERT INTO schedules (name, kind, path, complete_by, file_within, renew_days, expiry_days, cron, timezone, catch_up, overlap,
                       lane, source, requested_by, reason, max_revokes, max_revoke_share, max_revokes_per_day, max_shrink, allow_stale,
                       sheet, skip_invalid)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
ON CONFLICT (name) WHERE removed_at IS NULL DO NOTHING`

// AddSchedule adds a schedule, from whose first slot after now on it runs. A name
// that is taken is [ErrScheduleExists].
func (s *Store) AddSchedule(ctx context.Context, n Schedule) error {
	return s.inTx(ctx, "adding schedule "+n.Name, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, insertSchedule, n.Name, n.Kind, n.Path, n.CompleteBy, n.FileWithin, n.RenewDays, n.ExpiryDays,
			n.Cron, n.Timezone, n.CatchUp, n.Overlap, n.Lane, n.Source, n.RequestedBy, n.Reason,
			n.Guards.MaxRevokes, n.Guards.MaxRevokeShare, n.Guards.MaxRevokesPerDay, n.Guards.MaxShrink, n.AllowStale,
			n.Sheet, n.SkipInvalid)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return ErrScheduleExists
		}
		return writeAudit(ctx, tx, AuditEvent{Actor: n.RequestedBy, Event: eventScheduleAdded, Detail: map[string]any{
			"name": n.Name, "kind": n.Kind, "path": n.Path, "complete_by": n.CompleteBy, "file_within_seconds": n.FileWithin.Seconds(),
			"renew_within_days": n.RenewDays, "expiry_days": n.ExpiryDays, "sheet": n.Sheet, "skip_invalid": n.SkipInvalid,
			"cron": n.Cron, "timezone": n.Timezone, "catch_up": n.CatchUp, "overlap": n.Overlap, "source": n.Source, "lane": n.Lane,
			"guards": n.Guards, "allow_stale": n.AllowStale, "reason": n.Reason,
		}})
	})
}

const selectSchedules = `
SELECT id, name, kind, path, complete_by, file_within, renew_days, expiry_days, cron, timezone, catch_up, overlap, lane, source,
       requested_by, reason, max_revokes, max_revoke_share, max_revokes_per_day, max_shrink, allow_stale, sheet, skip_invalid,
       planned_until, created_at, paused_at, paused_by, pause_reason
FROM schedules`

func scanSchedule(row pgx.CollectableRow) (s Schedule, err error) {
	err = row.Scan(&s.ID, &s.Name, &s.Kind, &s.Path, &s.CompleteBy, &s.FileWithin, &s.RenewDays, &s.ExpiryDays, &s.Cron, &s.Timezone,
		&s.CatchUp, &s.Overlap, &s.Lane, &s.Source, &s.RequestedBy, &s.Reason,
		&s.Guards.MaxRevokes, &s.Guards.MaxRevokeShare, &s.Guards.MaxRevokesPerDay, &s.Guards.MaxShrink, &s.AllowStale, &s.Sheet, &s.SkipInvalid,
		&s.PlannedUntil, &s.CreatedAt, &s.PausedAt, &s.PausedBy, &s.PauseReason)
	return s, err
}

// Schedules lists the schedules that were not removed, by name.
func (s *Store) Schedules(ctx context.Context) ([]Schedule, error) {
	return s.schedules(ctx, ` WHERE removed_at IS NULL ORDER BY name`)
}

func (s *Store) schedules(ctx context.Context, where string, args ...any) ([]Schedule, error) {
	rows, err := s.pool.Query(ctx, selectSchedules+where, args...)
	if err != nil {
		return nil, outward("listing schedules", err)
	}
	list, err := pgx.CollectRows(rows, scanSchedule)
	return list, outward("listing schedules", err)
}

// Schedule returns the schedule of that name, or [ErrNoSchedule].
func (s *Store) Schedule(ctx context.Context, name string) (Schedule, error) {
	list, err := s.schedules(ctx, ` WHERE name = $1 AND removed_at IS NULL`, name)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("schedule %s: %w", name, ErrNoSchedule)
	}
	if err != nil {
		return Schedule{}, err
	}
	return list[0], nil
}

// What an operator does to a schedule: of a name, $1, if it is not so already.
const (
	pauseSchedule = `
UPDATE schedules SET paused_at = now(), paused_by = $2, pause_reason = $3
WHERE name = $1 AND removed_at IS NULL AND paused_at IS NULL`

	resumeSchedule = `
UPDATE schedules SET paused_at = NULL, paused_by = '', pause_reason = '', planned_until = greatest(planned_until, now())
WHERE name = $1 AND removed_at IS NULL AND paused_at IS NOT NULL AND ($2 || $3) IS NOT NULL`

	removeSchedule = `
WITH removed AS (
    UPDATE schedules SET removed_at = now() WHERE name = $1 AND removed_at IS NULL AND ($2 || $3) IS NOT NULL RETURNING id
), dropped AS (
    UPDATE schedule_runs r SET state = 'skipped', why = 'the schedule was removed', ended_at = now()
    FROM removed WHERE r.schedule_id = removed.id AND r.state = 'due'
)
SELECT FROM removed`

	runSchedule = `
INSERT INTO schedule_runs (schedule_id, slot, manual, state)
SELECT id, date_trunc('milliseconds', now()), true, 'due' FROM schedules WHERE name = $1 AND removed_at IS NULL AND ($2 || $3) IS NOT NULL
ON CONFLICT DO NOTHING`
)

// PauseSchedule has a schedule pass its slots over until [Store.ResumeSchedule],
// and reports whether that is new. Jobs that it submitted go on.
func (s *Store) PauseSchedule(ctx context.Context, name string, o Order) (changed bool, err error) {
	return s.order(ctx, name, o, scheduleOrder{pauseSchedule, eventSchedulePaused})
}

// ResumeSchedule has a schedule go on with the next slot: those that it passed
// over are not caught up.
func (s *Store) ResumeSchedule(ctx context.Context, name string, o Order) (changed bool, err error) {
	return s.order(ctx, name, o, scheduleOrder{resumeSchedule, eventScheduleResumed})
}

// RemoveSchedule ends a schedule. Jobs that it submitted go on, and what it
// picked up is filed.
func (s *Store) RemoveSchedule(ctx context.Context, name string, o Order) (changed bool, err error) {
	return s.order(ctx, name, o, scheduleOrder{removeSchedule, eventScheduleRemoved})
}

// RunSchedule has a schedule run once more, now, also if it is paused.
func (s *Store) RunSchedule(ctx context.Context, name string, o Order) (changed bool, err error) {
	return s.order(ctx, name, o, scheduleOrder{runSchedule, eventScheduleRun})
}

type scheduleOrder struct{ statement, event string }

func (s *Store) order(ctx context.Context, name string, o Order, do scheduleOrder) (changed bool, err error) {
	if _, err := s.Schedule(ctx, name); err != nil {
		return false, err
	}
	err = s.inTx(ctx, "changing schedule "+name, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, do.statement, name, o.Actor, o.Reason)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		changed = true
		return writeAudit(ctx, tx, AuditEvent{Actor: o.Actor, Event: do.event, Detail: map[string]any{"name": name, "reason": o.Reason}})
	})
	return changed && err == nil, err
}
