package view

import (
	"fmt"
	"time"

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
	Warnings []string        `json:"warnings"` // withdrawals that came too late
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
	for _, e := range done {
		d.Events = append(d.Events, AcceptedEvent{Event: eventOf(e.PersonEvent), Line: e.Line, Replayed: e.Replayed})
		if e.Replayed {
			d.Replayed++
		} else {
			d.Accepted++
		}
		if e.Type == people.Withdraw && e.EndedBy != "" && e.EndedBy != string(store.EventWithdrawn) {
			d.Warnings = append(d.Warnings, fmt.Sprintf("line %d: %s is %s already and cannot be withdrawn; send an event that says what holds now", e.Line, e.Withdraws, e.EndedBy))
		}
	}
	return d
}
