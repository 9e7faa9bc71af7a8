package tasks

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/limit"
	"github.com/usher-bi/usher/internal/quickbi"
	"github.com/usher-bi/usher/internal/store"
)

const (
	// doubtAfter is how many refusals in a row, with nothing carried out between
	// them, are reason to ask Quick BI whether it is the account, and to stop the
	// action if there is nobody to ask about.
	doubtAfter = 12

	// trustFor is how long a call that was carried out proves that the account
	// works. Quick BI keeps an account's rights for about five minutes.
	trustFor = time.Minute
)

// trust remembers, for one process, when the account last worked, and how many
// refusals came since that need not be about the rows: codes that can mean the
// owner of the AccessKey as well, and codes that nobody has seen before.
type trust struct {
	mu     sync.Mutex
	proved time.Time
	inRow  map[access.Action]int
}

// note takes one answer down and returns how many doubtful ones came in a row,
// and whether something was carried out a short while ago.
func (t *trust) note(action access.Action, m quickbi.Meaning) (inRow int, fresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case m.Class == quickbi.ClassOK:
		t.proved = time.Now()
		t.inRow = nil
	case m.MayBeCaller, m.Class == quickbi.ClassUnrecognised:
		if t.inRow == nil {
			t.inRow = map[access.Action]int{}
		}
		t.inRow[action]++
	}
	return t.inRow[action], time.Since(t.proved) < trustFor
}

// doubted turns a refusal of rows into one of the account when it may be that,
// so that an administrator who was removed does not become ten thousand
// failures, nor ten thousand revokes that look done. Refusals that only lead to
// smaller calls are let through.
func (h *handler) doubted(ctx context.Context, task store.Task, r reply, v verdict) verdict {
	m := quickbi.Explain(r.err)
	inRow, fresh := h.trust.note(task.Action, m)
	if v.kind != finish || !m.MayBeCaller && m.Class != quickbi.ClassUnrecognised {
		return v
	}
	suspect := inRow >= doubtAfter
	if m.MayBeCaller && (suspect || !fresh) {
		switch h.askAboutAccount(ctx, task) {
		case accountWorks:
			h.trust.note(task.Action, quickbi.Meaning{Class: quickbi.ClassOK})
			suspect = false
		case accountRefused:
			suspect = true
		case accountWorked:
			suspect = false
		case accountNew: // the count decides
		}
	}
	if suspect {
		return verdict{kind: stop, meaning: m}
	}
	return v
}

// accountState is what asking Quick BI tells about the account.
type accountState int

const (
	accountNew     accountState = iota // it was never served, so there is nobody to ask about
	accountWorks                       // it may read what somebody has
	accountRefused                     // it may not, with a code that can mean it
	accountWorked                      // it was served once; now Quick BI does not tell
)

// askAboutAccount reads what a user has who was served before: that cannot be
// refused for the user's sake.
func (h *handler) askAboutAccount(ctx context.Context, task store.Task) accountState {
	user, err := h.store.SomebodyServed(ctx)
	if errors.Is(err, store.ErrNotFound) {
		return accountNew
	}
	if err != nil {
		return accountWorked
	}
	// Everybody waits for what it tells.
	turn := h.limiters[access.QuerySharesToUserList].Join(limit.Urgent, task.Job)
	defer turn.Leave()
	waiting, cancel := h.mayWait(ctx)
	defer cancel()
	if turn.Go(waiting) != nil {
		return accountWorked
	}
	begun, err := h.store.BeginCall(ctx, store.NewCall{Claim: task.Claim, Action: access.QuerySharesToUserList, Probe: true})
	if err != nil {
		return accountWorked
	}
	r := h.send(ctx, task, step{action: access.QuerySharesToUserList, send: func(ctx context.Context) (outcome, error) {
		resp, err := h.quickbi.QuerySharesToUserList(ctx, user)
		return outcome{Receipt: resp.Receipt}, err
	}}, begun.Call)
	h.report(ctx, task, access.QuerySharesToUserList, r, verdict{})
	if err := h.answered(ctx, task, r.answer); err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("recording what Quick BI said of the account")
	}
	m := quickbi.Explain(r.err)
	if m.Class == quickbi.ClassThrottled {
		turn.Throttled(ctx, retryAfter(r.err))
	}
	switch {
	case r.err == nil:
		return accountWorks
	case m.MayBeCaller, m.Class == quickbi.ClassAccount && m.Code != CodeNotOffered:
		return accountRefused
	default:
		return accountWorked
	}
}
