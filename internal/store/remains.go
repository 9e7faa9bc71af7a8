package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/access"
)

// Remains is what Quick BI said that a leaver still has, held against what this
// system granted. Its JSON is API.
type Remains struct {
	JobID    string    `json:"job_id,omitempty"` // ULID of the read; "" where nothing can be read
	JudgedAt time.Time `json:"judged_at"`        // by Postgres's clock
	Found    []Remnant `json:"found"`
}

// Remnant is what was found of one thing. Its JSON is API.
type Remnant struct {
	ResourceType access.ResourceType `json:"resource_type,omitempty"` // "" for a work that this system did not grant
	ResourceID   string              `json:"resource_id"`
	Finding      Trace               `json:"finding"`
	Detail       string              `json:"detail,omitempty"` // for a person
}

// Trace says what a look at Quick BI found of one thing that a leaver had.
type Trace string

// The findings. What this system did not grant is none of its business: it is told,
// and stays.
const (
	FoundGone     Trace = "gone"        // Quick BI was asked, and it is not there
	FoundAnswered Trace = "answered"    // Quick BI has no way to tell; it answered that it was revoked
	FoundThere    Trace = "still_there" // revoked, and there all the same
	FoundUnread   Trace = "unread"      // Quick BI did not tell: it is asked again
	FoundForeign  Trace = "not_granted" // there, and not granted by this system
)

// Of lists what was found so.
func (r Remains) Of(f Trace) (out []access.Resource) {
	for _, found := range r.Found {
		if found.Finding == f {
			out = append(out, access.Resource{Type: found.ResourceType, ID: found.ResourceID})
		}
	}
	return out
}

// ReadAsked writes down that a job reads what the leaver of an event still has, as
// e.Reads counts. After a while it may be asked again.
func (s *Store) ReadAsked(ctx context.Context, e PersonEvent, next time.Duration) error {
	_, err := s.pool.Exec(ctx, `
UPDATE person_events SET read_job_id = (SELECT id FROM jobs WHERE ulid = $3), reads = $4, problem = $5, again_at = now() + $6::interval
WHERE source = $1 AND event_id = $2 AND open`, e.Source, e.ID, e.Read.JobID, e.Reads, e.Problem, next)
	return outward("writing down a read", err)
}

// RemainsFound writes down what a look at Quick BI found of the leaver of an event,
// and sets r.JudgedAt.
func (s *Store) RemainsFound(ctx context.Context, e PersonEvent, r *Remains, actor string) error {
	return s.inTx(ctx, "writing down what a leaver still has", func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT now()`).Scan(&r.JudgedAt); err != nil {
			return err
		}
		var number int64
		err := tx.QueryRow(ctx, `UPDATE person_events SET found = $3 WHERE source = $1 AND event_id = $2 RETURNING coalesce(read_job_id, 0)`,
			e.Source, e.ID, r).Scan(&number)
		if err != nil {
			return err
		}
		detail := map[string]any{"source": e.Source, "event_id": e.ID}
		for _, f := range []Trace{FoundGone, FoundAnswered, FoundThere, FoundUnread, FoundForeign} {
			detail[string(f)] = len(r.Of(f))
		}
		return writeAudit(ctx, tx, AuditEvent{Actor: actor, Event: eventPersonRead, Job: number, Detail: detail})
	})
}
