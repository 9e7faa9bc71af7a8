package view

import (
	"cmp"
	"fmt"
	"time"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/people"
	"github.com/usher-bi/usher/internal/store"
)

// Event is an event of a person.
type Event struct {
	ID          string            `json:"event_id"`
	Type        people.Type       `json:"type"`
	Principal   string            `json:"principal,omitempty"`
	Profile     string            `json:"profile,omitempty"`
	EffectiveAt *time.Time        `json:"effective_at,omitempty"`
	Withdraws   string            `json:"withdraws,omitempty"`
	Source      string            `json:"source"`
	RequestedBy string            `json:"requested_by"`
	ReceivedAt  time.Time         `json:"received_at"`
	Status      store.EventStatus `json:"status"`
	Withdrawn   string            `json:"withdrawn,omitempty"` // of a withdrawal: the status of what it withdraws
	EndedBy     string            `json:"ended_by,omitempty"`  // the event that superseded or withdrew it
	Problem     string            `json:"problem,omitempty"`
	Note        string            `json:"note,omitempty"` // why a leaver revoked nothing
	Version     string            `json:"profiles_version,omitempty"`
	JobID       string            `json:"job_id,omitempty"`
	AppliedAt   *time.Time        `json:"applied_at,omitempty"`
	Open        bool              `json:"open"` // a revoke of it is not known to be done
	ClosedAt    *time.Time        `json:"closed_at,omitempty"`
	Rounds      int               `json:"revoke_rounds,omitempty"`
	Reads       int               `json:"reads,omitempty"`     // how often Quick BI was asked what a leaver still has
	ReadBack    *store.Remains    `json:"read_back,omitempty"` // what it said last
}

func eventOf(e store.PersonEvent) Event {
	v := Event{
		ID: e.ID, Type: e.Type, Principal: e.Principal, Profile: e.Profile, Withdraws: e.Withdraws, Source: e.Source, RequestedBy: e.RequestedBy,
		ReceivedAt: e.ReceivedAt, Status: e.Status, Problem: e.Problem, Version: e.Version, JobID: e.JobID, AppliedAt: e.AppliedAt,
		Open: e.Open, ClosedAt: e.ClosedAt, Rounds: e.Rounds, Reads: e.Reads, ReadBack: e.Found,
	}
	switch {
	case !e.Idle():
	case e.Status == store.EventSuperseded:
		v.Note = "nothing was revoked; if the person has left, send a leaver that is effective later"
	default:
		v.Note = "there was nothing to revoke; make sure that the id is right"
	}
	if e.Type == people.Withdraw {
		v.Withdrawn = e.EndedBy
	} else {
		v.EffectiveAt, v.EndedBy = &e.EffectiveAt, e.EndedBy
	}
	return v
}

// Events shows events.
func Events(found []store.PersonEvent) []Event {
	out := make([]Event, 0, len(found))
	for _, e := range found {
		out = append(out, eventOf(e))
	}
	return out
}

// AcceptedEvents is the document of what became of the events of a request.
type AcceptedEvents struct {
	Source   string          `json:"source"`
	Accepted int             `json:"accepted"`
	Replayed int             `json:"replayed"`
	Events   []AcceptedEvent `json:"events"`
	Warnings []string        `json:"warnings"` // withdrawals and leavers that came too late, doubtful ids
}

// AcceptedEvent is one of them.
type AcceptedEvent struct {
	Event

	Line     int  `json:"line"`
	Replayed bool `json:"replayed"`
}

// AcceptedEventsOf shows what became of events of a source.
func AcceptedEventsOf(source string, done []store.AcceptedEvent) AcceptedEvents {
	d := AcceptedEvents{Source: source, Events: make([]AcceptedEvent, 0, len(done)), Warnings: []string{}}
	uids, first := 0, 0
	for _, e := range done {
		d.Events = append(d.Events, AcceptedEvent{Event: eventOf(e.PersonEvent), Line: e.Line, Replayed: e.Replayed})
		if e.Replayed {
			d.Replayed++
		} else {
			d.Accepted++
		}
		if e.Type == people.Withdraw && e.EndedBy != "" && e.EndedBy != string(store.EventWithdrawn) {
			d.warnf("line %d: %s is %s already and cannot be withdrawn; send an event that says what holds now", e.Line, e.Withdraws, e.EndedBy)
		}
		if e.LateFor != "" {
			d.warnf("line %d: %s is effective before %s, which was applied already, and will revoke nothing; if the person has left, send a leaver that is effective later", e.Line, e.ID, e.LateFor)
		}
		if access.LooksLikeUID(e.Principal) {
			uids++
			first = cmp.Or(first, e.Line)
		}
	}
	if uids > 0 {
		d.warnf("%d events have a principal of 16 digits, the first on line %d: make sure that these are Quick BI user ids and not Alibaba Cloud UIDs, or numbers that a spreadsheet has changed", uids, first)
	}
	return d
}

func (d *AcceptedEvents) warnf(format string, args ...any) {
	d.Warnings = append(d.Warnings, fmt.Sprintf(format, args...))
}
