package events

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/people"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// Options adjusts an Applier. The zero value works.
type Options struct {
	Name     string         // of the worker, in the audit; "" means worker
	Location *time.Location // where a day ends for Quick BI; nil means UTC
	Log      zerolog.Logger
}

// Applier applies events that are due, and looks after what leavers and movers
// must not keep. Only one may be at it at a time: see [Applier.Chore].
type Applier struct {
	store   *store.Store
	submits *tasks.Submitter
	options Options
}

// NewApplier returns an applier. It does nothing by itself.
func NewApplier(s *store.Store, submits *tasks.Submitter, o Options) *Applier {
	o.Name = cmp.Or(o.Name, "worker")
	o.Location = cmp.Or(o.Location, time.UTC)
	return &Applier{store: s, submits: submits, options: o}
}

// Chore has the workers do it, whichever is first.
func (a *Applier) Chore() tasks.Chore {
	return tasks.Chore{Name: "people", Every: time.Second, Due: a.store.AnyEventDue, Do: a.Round}
}

// roundEvents is how many events a round takes at once.
const roundEvents = 500

// Round applies what is due, each person's events in order, and looks after open
// ones. It may be ended anywhere: the next round goes on. What fails for one person
// holds up nobody else.
func (a *Applier) Round(ctx context.Context) error {
	due, err := a.store.DueEvents(ctx, roundEvents)
	if err != nil {
		return err
	}
	failed := each(due, func(e store.PersonEvent) error { return a.apply(ctx, e) })
	if away(failed) {
		return fmt.Errorf("applying events: %w", failed)
	}
	open, err := a.store.OpenEventsDue(ctx, roundEvents)
	if err != nil {
		return errors.Join(failed, err)
	}
	return errors.Join(failed, each(open, func(e store.PersonEvent) error { return a.lookAfter(ctx, e) }))
}

// away reports whether an error says that nothing else can be done now.
func away(err error) bool {
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, tasks.ErrRedisUnavailable) || errors.Is(err, context.Canceled)
}

// each calls f for all events, unless a server is away.
func each(events []store.PersonEvent, f func(store.PersonEvent) error) error {
	var failed []error
	for _, e := range events {
		err := f(e)
		if err != nil {
			failed = append(failed, fmt.Errorf("event %s: %w", e.ID, err))
		}
		if away(err) {
			break
		}
	}
	return errors.Join(failed...)
}

const (
	unknownProfileFor = time.Minute     // how long an event waits for its profile to be loaded
	refusedFor        = 5 * time.Second // likewise for another of its person to be applied, or to end it
)

// apply begins an event, unless that was done, and carries it out.
func (a *Applier) apply(ctx context.Context, e store.PersonEvent) error {
	if e.Status == store.EventApplying {
		return a.carryOut(ctx, e)
	}
	if e.Profile != "" {
		set, err := a.store.Profiles(ctx)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if _, known := set.Profiles.Profiles[e.Profile]; !known {
			a.options.Log.Warn().Str("event", e.ID).Str("profile", e.Profile).Msg("an event waits: there is no such profile")
			return a.store.PostponeEvent(ctx, e.Key(), fmt.Sprintf("there is no profile %q in the profiles in force; load them", e.Profile), unknownProfileFor)
		}
		e.ProfileSet = set.No
	}
	begun, err := a.store.BeginEvent(ctx, e.Key(), e.ProfileSet)
	if err != nil {
		return err
	}
	if !begun { // and it leaves its place in the next round to others
		return a.store.PostponeEvent(ctx, e.Key(), "", refusedFor)
	}
	return a.carryOut(ctx, e)
}

// carryOut submits the job of an event that was begun. The job's key is made of
// the event's id: what was submitted already is not planned anew.
func (a *Applier) carryOut(ctx context.Context, e store.PersonEvent) error {
	job := eventJob(e, 0)
	id, err := a.store.JobOfEvent(ctx, job)
	revokes := true // of a job that is there already nobody knows
	if errors.Is(err, store.ErrNotFound) {
		id, revokes, err = a.submit(ctx, e, job)
	}
	if errors.Is(err, store.ErrKeyReused) {
		return a.store.FailEvent(ctx, e.Key(), fmt.Sprintf("the idempotency key %q of its job was used for other rows", job.Key))
	}
	if err != nil {
		return err
	}
	return a.store.EventApplied(ctx, store.AppliedEvent{EventKey: e.Key(), JobID: id, Open: revokes || e.Type == people.Leaver, Actor: a.options.Name})
}

// submit plans an event and submits its job, if anything has to be done.
func (a *Applier) submit(ctx context.Context, e store.PersonEvent, job store.EventJob) (id string, revokes bool, err error) {
	sub := tasks.Submission{
		Source: e.Source, RequestedBy: e.RequestedBy, Lane: store.Normal, Key: job.Key, Fingerprint: job.Fingerprint, UpdateRole: true,
		Reason: "leaver, event " + e.ID,
	}
	var changes []access.Change
	if e.Type == people.Leaver {
		sub.Lane = store.Urgent
		changes, err = a.leave(ctx, e)
	} else {
		var set store.ProfileSet
		if set, err = a.store.ProfilesOf(ctx, e.ProfileSet); err != nil {
			return "", false, err
		}
		sub.Reason = fmt.Sprintf("%s, event %s, profile %s of profiles %s", e.Type, e.ID, e.Profile, set.Label())
		changes, err = a.move(ctx, e, set.Profiles.Profiles[e.Profile])
	}
	if err != nil || len(changes) == 0 {
		return "", false, err
	}
	fill(&sub, e, changes)
	done, err := a.submits.Submit(ctx, sub)
	revokes = slices.ContainsFunc(changes, func(c access.Change) bool { return c.Operation == access.Revoke })
	return done.JobID, revokes, err
}

// header are the columns that the results of an event's job have.
var header = []string{"row_id", "action", "principal", "principal_type", "resource_type", "resource_id", "role", "expires_on", "reason", "ticket"}

// fill makes the rows of a submission. Each says why, and of which event it is.
func fill(sub *tasks.Submission, e store.PersonEvent, changes []access.Change) {
	sub.Header = header
	sub.Input.Rows = len(changes)
	rows := make(tasks.RowList, len(changes))
	for i, c := range changes {
		rows[i].Row = store.Row{Line: i + 1, RowID: fmt.Sprintf("line-%d", i+1), Change: c, Reason: sub.Reason, Ticket: e.ID}
	}
	sub.Rows = rows
}

// eventJob is how the job of an event is known, or that of a later round.
func eventJob(e store.PersonEvent, round int) store.EventJob {
	key := tasks.EventKey + e.ID
	if round > 0 {
		key = fmt.Sprintf("%s%d:%s", tasks.EventAgainKey, round, e.ID)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "usher event job 1 %q %q", key, e.Fingerprint()))
	return store.EventJob{Source: e.Source, Key: key, Fingerprint: hex.EncodeToString(sum[:])}
}

// move plans for who gets a profile. The old one counts as it was when it was
// applied.
func (a *Applier) move(ctx context.Context, e store.PersonEvent, to people.Profile) ([]access.Change, error) {
	m := people.Move{User: e.Principal, New: to.Entries}
	before, err := a.store.AppliedBefore(ctx, e)
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return nil, err
	case before.Profile != "":
		set, err := a.store.ProfilesOf(ctx, before.ProfileSet)
		if err != nil {
			return nil, err
		}
		m.Old = set.Profiles.Profiles[before.Profile].Entries
	}
	held := map[access.Resource]access.Date{}
	err = a.granted(ctx, e.Principal, func(g store.Granted) {
		newest, _ := g.Newest()
		switch {
		case newest.Operation == access.Grant && (g.State == store.Granting || g.State == store.Unsure):
			held[g.Resource] = newest.Terms.ExpiresOn
		case g.State == store.InForce:
			held[g.Resource] = g.Terms.ExpiresOn
		}
	})
	if err != nil {
		return nil, err
	}
	now, err := a.store.Now(ctx)
	if err != nil {
		return nil, err
	}
	m.Held = func(r access.Resource) (access.Date, bool) {
		ends, ok := held[r]
		return ends, ok
	}
	return m.Changes(access.DateOf(now.In(a.options.Location))), nil
}

// leave plans for who leaves: whatever this system granted and is not known to be
// gone, and what waits to be granted. What could not be granted is revoked, too: the
// revoke finds nothing, and is newer than any retry of the grant. Of all that is
// granted to a user, Quick BI has a call that revokes it.
func (a *Applier) leave(ctx context.Context, e store.PersonEvent) ([]access.Change, error) {
	var held []access.Resource
	err := a.granted(ctx, e.Principal, func(g store.Granted) {
		if newest, ok := g.Newest(); g.MayHold() || ok && newest.Operation == access.Grant {
			held = append(held, g.Resource)
		}
	})
	return people.Leave(e.Principal, held), err
}

// granted calls f for each access of a user.
func (a *Applier) granted(ctx context.Context, user string, f func(store.Granted)) error {
	of := store.GrantedFilter{Principal: access.Principal{Type: access.User, ID: user}, Location: a.options.Location}
	return a.store.Granted(ctx, of, func(g store.Granted) error {
		f(g)
		return nil
	})
}
