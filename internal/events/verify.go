package events

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// readSource is the source of the jobs that read what leavers still have: what they
// find is no business of the feed, whose webhooks need not hear of them.
const readSource = "leavers"

// verify has Quick BI asked what a leaver still has, of whom all revokes are done,
// and closes the event once nothing is there that this system granted.
func (a *Applier) verify(ctx context.Context, e store.PersonEvent, left leftover) error {
	request := left.readable()
	switch {
	case len(left.gone) == 0:
		return a.store.CloseEvent(ctx, e, a.options.Name)
	case !request.Works && len(request.Workspaces) == 0:
		e.Read = nil
		return a.conclude(ctx, e, left)
	case e.Read == nil, e.Read.Ended && left.ended.After(e.Read.Asked):
		return a.readBack(ctx, e, request)
	case !e.Read.Ended:
		e.Problem = "job " + e.Read.JobID + " reads what is left at Quick BI"
		return a.store.LookAgain(ctx, e, lookPending)
	default:
		return a.conclude(ctx, e, left)
	}
}

// readable is what can be read back of what was taken away.
func (l *leftover) readable() (r tasks.RemainsRequest) {
	for _, resource := range l.gone {
		switch {
		case resource.Type == access.Membership:
			r.Workspaces = append(r.Workspaces, resource.ID)
		case resource.Type == access.Share || resource.Type.IsWork():
			r.Works = true
		}
	}
	return r
}

// readBack submits a job that reads what is left. Its key is made of the event's id
// and the number of the read, so that it is submitted once.
func (a *Applier) readBack(ctx context.Context, e store.PersonEvent, r tasks.RemainsRequest) error {
	e.Reads++
	r.User, r.Source, r.RequestedBy, r.ParentID, r.Ticket = e.Principal, readSource, e.RequestedBy, e.JobID, e.ID
	r.Reason = fmt.Sprintf("%s, event %s, read back (%d)", e.Type, e.ID, e.Reads)
	r.Key = fmt.Sprintf("%s%d:%q:%s", tasks.EventReadKey, e.Reads, e.Source, e.ID)
	sum := sha256.Sum256(fmt.Appendf(nil, "usher event read 1 %q %q", r.Key, e.Fingerprint()))
	r.Fingerprint = hex.EncodeToString(sum[:])
	done, err := a.submits.ReadRemains(ctx, r)
	if err != nil {
		return err
	}
	e.Read = &store.Reading{JobID: done.JobID}
	e.Problem = "job " + done.JobID + " reads what is left at Quick BI"
	if err := a.store.ReadAsked(ctx, e, againAfter(e.Reads-1)); err != nil {
		return err
	}
	return a.store.LookAgain(ctx, e, lookPending)
}

// conclude writes down what was found, and does what follows from it.
func (a *Applier) conclude(ctx context.Context, e store.PersonEvent, left leftover) error {
	found, err := a.judge(ctx, e, left)
	if err != nil {
		return err
	}
	if e.Found == nil || e.Found.JobID != found.JobID || !slices.Equal(e.Found.Found, found.Found) {
		if err := a.store.RemainsFound(ctx, e, &found, a.options.Name); err != nil {
			return err
		}
	}
	there, unread := found.Of(store.FoundThere), found.Of(store.FoundUnread)
	switch {
	case len(there) > 0 && e.MayAgain && e.Rounds < againRounds:
		return a.revokeAgain(ctx, e, there)
	case len(there)+len(unread) > 0 && e.MayAgain:
		return a.readBack(ctx, e, left.readable())
	case len(there) > 0:
		e.Problem = "still there at Quick BI, though it was revoked: " + naming(there)
		return a.store.LookAgain(ctx, e, lookFailed)
	case len(unread) > 0:
		e.Problem = "Quick BI did not tell whether it is gone: " + naming(unread)
		return a.store.LookAgain(ctx, e, lookFailed)
	default:
		return a.store.CloseEvent(ctx, e, a.options.Name)
	}
}

// mostNamed is how many things a remark names.
const mostNamed = 3

// naming names resources for a person.
func naming(resources []access.Resource) string {
	names := make([]string, 0, mostNamed)
	for _, r := range resources[:min(len(resources), mostNamed)] {
		names = append(names, fmt.Sprintf("%s %s", r.Type, r.ID))
	}
	text := strings.Join(names, ", ")
	if more := len(resources) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// judge holds what the newest read found against what this system granted.
func (a *Applier) judge(ctx context.Context, e store.PersonEvent, left leftover) (store.Remains, error) {
	var out store.Remains
	seen := sight{rows: map[access.Resource]store.Result{}, works: map[string]store.SharedWork{}, rooms: map[string]store.SharedWork{}}
	if e.Read != nil {
		out.JobID = e.Read.JobID
		if err := seen.load(ctx, a.store, e.Read.JobID); err != nil {
			return out, err
		}
	}
	for _, r := range left.gone {
		finding, detail := seen.finding(r)
		out.Found = append(out.Found, store.Remnant{ResourceType: r.Type, ResourceID: r.ID, Finding: finding, Detail: detail})
	}
	out.Found = append(out.Found, seen.foreign(left)...)
	return out, nil
}
