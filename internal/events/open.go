package events

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/people"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

const (
	lookPending = 5 * time.Second  // after which it is asked again whether revokes have ended
	lookFailed  = 30 * time.Second // likewise whether it is time for another round
	lookGranted = 10 * time.Minute // likewise whether what was granted again is still there
	againFirst  = time.Minute      // between two rounds of revokes; four times as long each time
	againMost   = 6 * time.Hour
	againRounds = 40 // more than a week; then only a person can help
)

// againAfter is how long a round of revokes is given before the next.
func againAfter(rounds int) time.Duration {
	wait := againFirst
	for range rounds {
		wait = min(4*wait, againMost)
	}
	return wait
}

// leftover is what a person has, or may have, although it was taken away.
type leftover struct {
	failed  []access.Resource // to be revoked again
	waiting int               // revokes that have not ended
	since   []access.Resource // granted to a leaver after the event was applied
	away    bool              // it is a leaver, for whom nothing was applied since

	gone  []access.Resource // that was granted once, and by the answers of Quick BI is not there any more
	ended time.Time         // when the last of these answers came
}

// lookAfter closes an open event once all of its revokes are done, and revokes
// again what could not be revoked. Of a leaver Quick BI is asked, too.
func (a *Applier) lookAfter(ctx context.Context, e store.PersonEvent) error {
	left, err := a.leftover(ctx, e)
	switch {
	case err != nil:
		return err
	case len(left.failed) > 0 && e.Rounds < againRounds && e.MayAgain:
		return a.revokeAgain(ctx, e, left.failed)
	case len(left.failed) > 0:
		e.Problem = fmt.Sprintf("accesses that could not be revoked: %d, tried again: %d times (%s); look at the failures of its jobs", len(left.failed), e.Rounds, naming(left.failed))
		return a.store.LookAgain(ctx, e, lookFailed)
	case left.waiting > 0:
		return a.store.LookAgain(ctx, e, lookPending)
	case len(left.since) > 0:
		e.Problem = fmt.Sprintf("accesses that were granted again after it: %d (%s)", len(left.since), naming(left.since))
		return a.store.LookAgain(ctx, e, lookGranted)
	case left.away:
		return a.verify(ctx, e, left)
	default:
		return a.store.CloseEvent(ctx, e, a.options.Name)
	}
}

// leftover judges each access by the newest change of it: a revoke must be done,
// and of a leaver there must be nothing else. What a job grants that began to be
// written before the event was applied is taken away, too; what somebody granted to
// a leaver afterwards is told and stays.
func (a *Applier) leftover(ctx context.Context, e store.PersonEvent) (leftover, error) {
	var out leftover
	if e.Type == people.Leaver {
		rehired, err := a.store.Rehired(ctx, e)
		if err != nil {
			return leftover{}, err
		}
		out.away = !rehired
	}
	err := a.granted(ctx, e.Principal, func(g store.Granted) {
		newest, asked := g.Newest()
		switch {
		case !asked:
		case newest.Operation == access.Revoke && newest.Status == store.Pending:
			out.waiting++
		case g.State == store.Gone || g.State == store.Expired:
			out.over(g, newest)
		case newest.Operation == access.Revoke:
			out.failed = append(out.failed, g.Resource)
		case out.away && !newest.AcceptedAt.After(*e.AppliedAt):
			out.failed = append(out.failed, g.Resource)
		case out.away:
			out.since = append(out.since, g.Resource)
		}
	})
	for _, list := range [][]access.Resource{out.failed, out.since, out.gone} {
		slices.SortFunc(list, func(a, b access.Resource) int { return strings.Compare(a.String(), b.String()) })
	}
	return out, err
}

// over takes down an access that is not there any more.
func (l *leftover) over(g store.Granted, newest store.Asked) {
	if !g.WasGranted() {
		return
	}
	l.gone = append(l.gone, g.Resource)
	if newest.FinishedAt != nil && newest.FinishedAt.After(l.ended) {
		l.ended = *newest.FinishedAt
	}
}

// revokeAgain submits another job for what could not be revoked.
func (a *Applier) revokeAgain(ctx context.Context, e store.PersonEvent, failed []access.Resource) error {
	job := eventJob(e, e.Rounds+1)
	sub := tasks.Submission{
		Source: e.Source, RequestedBy: e.RequestedBy, Lane: store.Urgent, Key: job.Key, Fingerprint: job.Fingerprint, ParentID: e.JobID,
		Reason: fmt.Sprintf("%s, event %s, revoked again (%d)", e.Type, e.ID, e.Rounds+1),
	}
	fill(&sub, e, people.Leave(e.Principal, failed))
	if _, err := a.submits.Submit(ctx, sub); err != nil {
		return err
	}
	next := againAfter(e.Rounds)
	e.Problem = fmt.Sprintf("accesses that are being revoked again: %d (%s)", len(failed), naming(failed))
	e.Rounds++
	a.options.Log.Warn().Str("event", e.ID).Int("accesses", len(failed)).Int("round", e.Rounds).Msg("what was taken away could not be revoked; it is revoked again")
	if err := a.store.RoundDone(ctx, e, next); err != nil {
		return err
	}
	return a.store.LookAgain(ctx, e, lookPending)
}
