package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// ErrHeld means that a guard holds the job: it is released, not resumed.
var ErrHeld = errors.New("a guard holds the job")

// The guards. They are API.
const (
	GuardRevokes       = "too_many_revokes"           // of one job
	GuardRevokeShare   = "too_large_share_of_revokes" // likewise
	GuardRevokesPerDay = "too_many_revokes_a_day"     // of the jobs of a source
	GuardShrink        = "shrunken_input"
	GuardStale         = "stale_input"
)

// Guards are the limits beyond which a job is accepted, but held: nothing of it
// is sent before [Store.Release]. A limit of 0 is none. They do not judge a
// retry, whose rows were judged before.
type Guards struct {
	MaxRevokes       int     `json:"max_revokes"`         // that one job sends
	MaxRevokeShare   float64 `json:"max_revoke_share"`    // of RevokesOf; from [RevokeShareFrom] revokes on
	MaxRevokesPerDay int     `json:"max_revokes_per_day"` // that the jobs of the source send within 24 hours; of those that are canceled, what was sent
	MaxShrink        float64 `json:"max_shrink"`          // of the rows, against the newest job of the source that was neither held nor canceled

	RevokesOf  int         `json:"-"` // what MaxRevokeShare is a share of; 0 means the rows that are sent
	Objections []Objection `json:"-"` // of the caller, for which the job is held whatever its limits
}

// RevokeShareFrom is how many revokes a job must have for their share to say
// something.
const RevokeShareFrom = 10

// Objection is what a guard has against a job.
type Objection struct {
	Guard   string
	Message string
}

// watch reports whether there is anything that a job could be held for.
func (g Guards) watch() bool {
	return g.MaxRevokes > 0 || g.MaxRevokeShare > 0 || g.MaxRevokesPerDay > 0 || g.MaxShrink > 0 || len(g.Objections) > 0
}

// byGuard is the actor of what guards do.
const byGuard = "usher"

const holdJob = `INSERT INTO pauses (scope, name, actor, reason, guard) VALUES ('job', $1, $2, $3, $4)`

// guard holds a new job in the transaction that writes it, if its guards have
// something against it.
func guard(ctx context.Context, tx pgx.Tx, job *pending) (held bool, err error) {
	created := job.created
	found, err := objections(ctx, tx, created, job)
	if err != nil || len(found) == 0 {
		return false, err
	}
	messages := make([]string, len(found))
	for i, f := range found {
		messages[i] = f.Message
	}
	reason := strings.Join(messages, "; ")
	if _, err := tx.Exec(ctx, holdJob, created.ID, byGuard, reason, found[0].Guard); err != nil {
		return false, err
	}
	return true, writeAudit(ctx, tx, AuditEvent{
		Actor: byGuard, Event: EventHeld, Job: created.Number, Detail: map[string]any{"guard": found[0].Guard, "reason": reason},
	})
}

func objections(ctx context.Context, tx pgx.Tx, created Created, job *pending) ([]Objection, error) {
	g, sent, revokes := job.Guards, job.runs.changes, job.runs.revokes
	found := append([]Objection{}, g.Objections...)
	if g.MaxRevokes > 0 && revokes > g.MaxRevokes {
		found = append(found, Objection{GuardRevokes, fmt.Sprintf("it revokes %d times, and %d is the most for one job", revokes, g.MaxRevokes)})
	}
	of := max(g.RevokesOf, 0)
	if of == 0 {
		of = sent
	}
	if share := float64(revokes) / float64(max(of, 1)); g.MaxRevokeShare > 0 && revokes >= RevokeShareFrom && share > g.MaxRevokeShare {
		found = append(found, Objection{GuardRevokeShare, fmt.Sprintf("it revokes %d of %d, which is %s, and %s is the most",
			revokes, of, percent(share), percent(g.MaxRevokeShare))})
	}
	daily, err := dailyObjection(ctx, tx, created, job)
	if err != nil {
		return nil, err
	}
	shrunk, err := shrinkObjection(ctx, tx, created, job)
	return append(append(found, daily...), shrunk...), err
}

// A job j says something to guards unless it is held or only repeats another. One that
// was canceled is no measure for others, but what was sent of it counts.
const (
	unheld = `j.ranks_as IS NULL AND NOT EXISTS (SELECT FROM pauses p WHERE p.scope = 'job' AND p.name = j.ulid AND p.guard <> '')`
	spared = unheld + ` AND j.status NOT IN ('canceling', 'canceled')`
)

// The number has no meaning beyond being the same in every program.
const lockSource = `SELECT pg_advisory_xact_lock(hashtextextended($1, 7201884421))`

const revokedToday = `
SELECT coalesce(sum(CASE WHEN j.status IN ('canceling', 'canceled') THEN (
    SELECT coalesce(sum(t.cells), 0) FROM tasks t
    WHERE t.job_id = j.id AND t.operation = 'revoke' AND (t.state IN ('running', 'done') OR t.state = 'ready' AND t.unsure)
) ELSE j.revokes END), 0)
FROM jobs j
WHERE j.source = $1 AND j.created_at > now() - interval '1 day' AND j.revokes > 0 AND j.id <> $2 AND ` + unheld

// dailyObjection judges jobs of a source one after the other, so that two which
// come at once do not both find room.
func dailyObjection(ctx context.Context, tx pgx.Tx, created Created, job *pending) ([]Objection, error) {
	revokes, most := job.runs.revokes, job.Guards.MaxRevokesPerDay
	if most <= 0 || revokes == 0 {
		return nil, nil
	}
	if _, err := tx.Exec(ctx, lockSource, job.Source); err != nil {
		return nil, err
	}
	var before int
	if err := tx.QueryRow(ctx, revokedToday, job.Source, created.Number).Scan(&before); err != nil {
		return nil, err
	}
	if before+revokes <= most {
		return nil, nil
	}
	return []Objection{{GuardRevokesPerDay, fmt.Sprintf("with it, %s revokes %d times within 24 hours, and %d is the most", job.Source, before+revokes, most)}}, nil
}

const rowsBefore = `
SELECT j.rows FROM jobs j
WHERE j.source = $1 AND j.id <> $2 AND j.parent_id IS NULL AND j.input_sha256 <> '' AND ` + spared + `
ORDER BY j.created_at DESC
LIMIT 1`

func shrinkObjection(ctx context.Context, tx pgx.Tx, created Created, job *pending) ([]Objection, error) {
	if job.Guards.MaxShrink <= 0 {
		return nil, nil
	}
	var before int
	switch err := tx.QueryRow(ctx, rowsBefore, job.Source, created.Number).Scan(&before); {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, err
	}
	f, shrank := Shrunk(job.Changes.Len, before, job.Guards.MaxShrink)
	if !shrank {
		return nil, nil
	}
	return []Objection{f}, nil
}

// rounding is what a share may be off by because it is a float.
const rounding = 1e-9

// Shrunk judges whether an input has lost more than a share of the rows that
// the one before had.
func Shrunk(rows, before int, most float64) (f Objection, shrank bool) {
	lost := 1 - float64(rows)/float64(max(before, 1))
	if most <= 0 || lost <= most+rounding {
		return f, false
	}
	return Objection{GuardShrink, fmt.Sprintf("it has %d rows, and the one before had %d: %s less, and %s is the most",
		rows, before, percent(lost), percent(most))}, true
}

func percent(share float64) string { return fmt.Sprintf("%.3g%%", share*100) }

const releaseJob = `
DELETE FROM pauses p USING jobs j
WHERE j.ulid = $1 AND p.scope = 'job' AND p.name = j.ulid AND p.guard <> ''
RETURNING j.id, p.guard, p.reason, p.at`

// Release lets a job go on that a guard holds, and reports whether one did. It
// sends and queues nothing: see [Store.WaitingTasks]. A job that is not there
// returns [ErrNotFound].
func (s *Store) Release(ctx context.Context, id string, o Order) (released bool, err error) {
	err = s.inTx(ctx, "releasing job "+id, func(tx pgx.Tx) error {
		job, err := pausable(ctx, tx, OfJob(id))
		if err != nil {
			return err
		}
		var p Pause
		err = tx.QueryRow(ctx, releaseJob, id).Scan(&job, &p.Guard, &p.Reason, &p.Since)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		released = true
		return writeAudit(ctx, tx, AuditEvent{Actor: o.Actor, Event: EventReleased, Job: job, Detail: map[string]any{
			"guard": p.Guard, "held_for": p.Reason, "held_at": p.Since, "reason": o.Reason,
		}})
	})
	return released && err == nil, err
}
