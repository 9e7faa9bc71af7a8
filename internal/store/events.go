package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/people"
)

// EventStatus says how far an event of a person has come.
type EventStatus string

// The life of an event.
const (
	EventWaiting    EventStatus = "waiting"  // until it is effective, or for what its problem says
	EventApplying   EventStatus = "applying" // its job is being submitted
	EventApplied    EventStatus = "applied"
	EventSuperseded EventStatus = "superseded" // an event that took effect later was applied
	EventWithdrawn  EventStatus = "withdrawn"
	EventFailed     EventStatus = "failed"   // it cannot be applied: its problem says why
	EventRecorded   EventStatus = "recorded" // a withdrawal; what came of it says the event that it names
)

// EventKey names an event.
type EventKey struct {
	Source string
	ID     string
}

// PersonEvent is an event of a person as it stands.
type PersonEvent struct {
	people.Event

	Source      string
	RequestedBy string
	ReceivedAt  time.Time
	Status      EventStatus
	Problem     string // why it is not applied although it is due; "" for none
	EndedBy     string // the event that superseded or withdrew it; of a withdrawal: the status of what it names
	ProfileSet  int64  // the profiles that it was applied by; 0 for none
	Version     string // of those
	JobID       string // ULID; "" for none
	AppliedAt   *time.Time
	Open        bool // a revoke of it is not known to be done
	ClosedAt    *time.Time
	Rounds      int  // how often what failed was revoked again
	MayAgain    bool // it is time for another round, if one is needed
	Reads       int  // how often Quick BI was asked what a leaver still has
	Read        *Reading
	Found       *Remains // what came of the last one that ended; nil for none

	lookAt time.Time
}

// Reading is the newest job that reads what a leaver still has.
type Reading struct {
	JobID string // ULID
	Asked time.Time
	Ended bool
}

// Key names the event.
func (e PersonEvent) Key() EventKey { return EventKey{Source: e.Source, ID: e.ID} }

const selectEvents = `
SELECT e.event_id, e.type, e.principal, e.profile, coalesce(e.effective_at, '0001-01-01Z'), e.withdraws,
       e.source, e.requested_by, e.received_at, e.status, e.problem,
       CASE WHEN e.type = 'withdraw' THEN coalesce((SELECT t.status FROM person_events t WHERE t.source = e.source AND t.event_id = e.withdraws), '') ELSE e.ended_by END,
       coalesce(e.profile_set, 0), coalesce(p.version, ''), coalesce(j.ulid, ''), e.applied_at, e.open, e.closed_at, e.rounds, coalesce(e.again_at <= now(), true),
       e.reads, r.ulid, r.created_at, r.status IN ('completed', 'canceled', 'failed'), e.found, coalesce(e.look_at, '0001-01-01Z')
FROM person_events e
LEFT JOIN profile_sets p ON p.no = e.profile_set
LEFT JOIN jobs j ON j.id = e.job_id
LEFT JOIN jobs r ON r.id = e.read_job_id`

func scanEvent(row pgx.CollectableRow) (e PersonEvent, err error) {
	var read struct {
		job   *string
		asked *time.Time
		ended *bool
	}
	err = row.Scan(&e.ID, &e.Type, &e.Principal, &e.Profile, &e.EffectiveAt, &e.Withdraws,
		&e.Source, &e.RequestedBy, &e.ReceivedAt, &e.Status, &e.Problem, &e.EndedBy,
		&e.ProfileSet, &e.Version, &e.JobID, &e.AppliedAt, &e.Open, &e.ClosedAt, &e.Rounds, &e.MayAgain,
		&e.Reads, &read.job, &read.asked, &read.ended, &e.Found, &e.lookAt)
	e.EffectiveAt = e.EffectiveAt.UTC()
	if read.job != nil {
		e.Read = &Reading{JobID: *read.job, Asked: *read.asked, Ended: *read.ended}
	}
	return e, err
}

func (s *Store) events(ctx context.Context, where string, args ...any) ([]PersonEvent, error) {
	rows, err := s.pool.Query(ctx, selectEvents+where, args...)
	if err != nil {
		return nil, outward("reading events", err)
	}
	found, err := pgx.CollectRows(rows, scanEvent)
	return found, outward("reading events", err)
}

// EventsOf lists the events of a person, the one that takes effect last first.
func (s *Store) EventsOf(ctx context.Context, principal string) ([]PersonEvent, error) {
	return s.events(ctx, ` WHERE e.principal = $1 ORDER BY `+eventOrder+` DESC`, principal)
}

// eventOpen is true of an event e of which a revoke is not known to be done.
const eventOpen = `(e.open OR e.type = 'leaver' AND e.status IN ('waiting', 'applying') AND e.effective_at <= now())`

// OpenEvents lists the events of which a revoke is not known to be done, the oldest
// first: leavers and movers who may still have what was taken away, and leavers
// whose event is due and not applied yet.
func (s *Store) OpenEvents(ctx context.Context) ([]PersonEvent, error) {
	return s.events(ctx, ` WHERE `+eventOpen+` ORDER BY e.effective_at, e.source, e.event_id`)
}

// StuckEvents lists the events that are due and cannot be applied.
func (s *Store) StuckEvents(ctx context.Context) ([]PersonEvent, error) {
	return s.events(ctx, ` WHERE e.status IN ('waiting', 'applying', 'failed') AND e.problem <> '' ORDER BY e.effective_at, e.source, e.event_id`)
}

// EventsRequest is what a feed sends at once.
type EventsRequest struct {
	Source      string
	RequestedBy string
	Events      []people.Line
}

// AcceptedEvent says what became of one event of a request.
type AcceptedEvent struct {
	PersonEvent

	Line     int
	Replayed bool   // the same event was accepted before
	LateFor  string // of a leaver: the event, applied already, that supersedes it; "" for none
}

// EventConflictError means that events have the ids of others that say something
// else, or profiles that are not in force. Nothing was written.
type EventConflictError struct{ Problems []people.Problem }

func (e *EventConflictError) Error() string {
	return fmt.Sprintf("%d of the events cannot be accepted; nothing was written", len(e.Problems))
}

// CodeEventReused marks an event whose id stands for another one.
const CodeEventReused = "event_id_reused"

const insertEvents = `
INSERT INTO person_events (source, event_id, type, principal, profile, effective_at, withdraws, fingerprint, requested_by, status, look_at, batch)
SELECT $1, x.id, x.type, x.principal, x.profile, x.at, x.withdraws, x.fingerprint, $2, CASE x.type WHEN 'withdraw' THEN 'recorded' ELSE 'waiting' END, x.at, $10
FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::text[], $9::text[])
    WITH ORDINALITY AS x (id, type, principal, profile, at, withdraws, fingerprint, place)
ORDER BY x.id, x.place
ON CONFLICT (source, event_id) DO NOTHING
RETURNING event_id`

// eventWithdrawn is true of an event e that was withdrawn.
const eventWithdrawn = `EXISTS (SELECT FROM person_events w WHERE w.type = 'withdraw' AND w.source = e.source AND w.withdraws = e.event_id)`

const withdrawEvents = `
UPDATE person_events e
SET status = 'withdrawn', problem = '', ended_by = (SELECT min(w.event_id) FROM person_events w WHERE w.type = 'withdraw' AND w.source = e.source AND w.withdraws = e.event_id)
WHERE e.status = 'waiting' AND ` + eventWithdrawn

// AcceptEvents writes events down: all of them, or none. One that says what an
// earlier one with its id said is a replay; one that says something else, and one
// whose profile is not in force, is in an [EventConflictError].
func (s *Store) AcceptEvents(ctx context.Context, r EventsRequest) ([]AcceptedEvent, error) {
	var out []AcceptedEvent
	err := s.inTx(ctx, "accepting events", func(tx pgx.Tx) error {
		batch := rand.Text()
		fresh, err := writeEvents(ctx, tx, r, batch)
		if err != nil {
			return err
		}
		if len(fresh) > 0 {
			ids := make([]string, 0, len(fresh))
			for id := range fresh {
				ids = append(ids, id)
			}
			const among = ` AND e.source = $1 AND (e.event_id = ANY ($2) OR e.event_id = ANY (SELECT n.withdraws FROM person_events n WHERE n.source = $1 AND n.event_id = ANY ($2)))`
			if _, err := tx.Exec(ctx, withdrawEvents+among, r.Source, ids); err != nil {
				return fmt.Errorf("withdrawing: %w", err)
			}
			if err := auditEvents(ctx, tx, r, accepted{batch: batch, fresh: fresh}); err != nil {
				return err
			}
		}
		if out, err = judgeEvents(ctx, tx, r, fresh); err != nil {
			return err
		}
		return findLate(ctx, tx, out)
	})
	if conflict, ok := errors.AsType[*EventConflictError](err); ok {
		return nil, conflict
	}
	return out, err
}

// writeEvents returns the ids of those that were not there.
func writeEvents(ctx context.Context, tx pgx.Tx, r EventsRequest, batch string) (map[string]bool, error) {
	n := len(r.Events)
	ids, types, principals, profiles := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	withdraws, prints, at := make([]string, n), make([]string, n), make([]*time.Time, n)
	for i, e := range r.Events {
		ids[i], types[i], principals[i], profiles[i] = e.ID, string(e.Type), e.Principal, e.Profile
		withdraws[i], prints[i] = e.Withdraws, e.Fingerprint()
		if e.Type != people.Withdraw {
			at[i] = &e.EffectiveAt
		}
	}
	rows, err := tx.Query(ctx, insertEvents, r.Source, r.RequestedBy, ids, types, principals, profiles, at, withdraws, prints, batch)
	if err != nil {
		return nil, err
	}
	fresh := map[string]bool{}
	var id string
	_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
		fresh[id] = true
		return nil
	})
	return fresh, err
}

// accepted are the events of a request that were not there, and the name that the
// audit has for them.
type accepted struct {
	batch string
	fresh map[string]bool
}

// auditEvents writes down who sent events, and what the new ones come to: the rows
// of the batch can be held against that. Whom they are about is not in it.
func auditEvents(ctx context.Context, tx pgx.Tx, r EventsRequest, a accepted) error {
	all, prints := sha256.New(), map[string]string{}
	for _, e := range r.Events {
		fmt.Fprintln(all, e.Fingerprint())
		if a.fresh[e.ID] {
			prints[e.ID] = e.Fingerprint()
		}
	}
	fresh := sha256.New()
	for _, id := range slices.Sorted(maps.Keys(prints)) {
		fmt.Fprintln(fresh, prints[id])
	}
	return writeAudit(ctx, tx, AuditEvent{Actor: r.RequestedBy, Event: eventPeopleAccepted, Detail: map[string]any{
		"source": r.Source, "events": len(r.Events), "new": len(a.fresh), "sha256": hexSum(all), "batch": a.batch, "new_sha256": hexSum(fresh),
	}})
}

// judgeEvents reads what the events of a request have become.
func judgeEvents(ctx context.Context, tx pgx.Tx, r EventsRequest, fresh map[string]bool) ([]AcceptedEvent, error) {
	ids := make([]string, len(r.Events))
	for i, e := range r.Events {
		ids[i] = e.ID
	}
	rows, err := tx.Query(ctx, selectEvents+` WHERE e.source = $1 AND e.event_id = ANY ($2)`, r.Source, ids)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, scanEvent)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]PersonEvent, len(found))
	for _, e := range found {
		byID[e.ID] = e
	}
	set, err := newestProfiles(ctx, tx)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, err
	}
	var conflict EventConflictError
	out := make([]AcceptedEvent, 0, len(r.Events))
	for _, e := range r.Events {
		known := byID[e.ID]
		_, hasProfile := set.Profiles.Profiles[e.Profile]
		switch {
		case known.Fingerprint() != e.Fingerprint():
			conflict.add(e, "event_id", CodeEventReused, fmt.Sprintf("%q is the id of an event that says something else; give a correction an id of its own, and withdraw the other one if it is not applied yet", e.ID))
		case fresh[e.ID] && e.Profile != "" && !hasProfile:
			conflict.add(e, "profile", people.CodeUnknownProfile, unknownProfile(e.Profile, set))
		}
		out = append(out, AcceptedEvent{PersonEvent: known, Line: e.No, Replayed: !fresh[e.ID]})
		delete(fresh, e.ID) // once more in the same document is a replay
	}
	if conflict.Problems != nil {
		return nil, &conflict
	}
	return out, nil
}

func (e *EventConflictError) add(l people.Line, field, code, message string) {
	e.Problems = append(e.Problems, people.Problem{Line: l.No, Field: field, Code: code, Message: message})
}

func unknownProfile(name string, set ProfileSet) string {
	if set.No == 0 {
		return fmt.Sprintf("there is no profile %q, because no profiles are loaded; load them first", name)
	}
	return fmt.Sprintf("there is no profile %q in version %s; there are %s", name, set.Version, strings.Join(set.Names(), ", "))
}
