package accounts

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/limit"
	"github.com/usher-bi/usher/internal/quickbi"
)

// mostTries is how often a look-up is sent that fails for a passing reason.
const mostTries = 6

// ask looks one account up.
func (r *Resolver) ask(ctx context.Context, d Directory, a intake.Account) (intake.Owner, error) {
	for try := 1; ; try++ {
		answer, err := r.send(ctx, d, a)
		m := quickbi.Explain(err)
		switch {
		case ctx.Err() != nil:
			return intake.Owner{}, ctx.Err()
		case err == nil && answer.UserID == "":
			return nobody(a, "it answers without a user"), nil
		case err == nil:
			return intake.Owner{UserID: answer.UserID}, nil
		case isDuplicate(err):
			return several(a), nil
		case m.Class == quickbi.ClassAccount:
			return intake.Owner{}, &LookupError{Err: err, Hint: m.Hint}
		case passes(m.Class) && try < mostTries:
		case passes(m.Class):
			return intake.Owner{}, &LookupError{Err: err, Hint: m.Hint, Wait: true}
		default:
			return nobody(a, said(err)), nil
		}
	}
}

// passes reports whether the same look-up may be answered later. It changes
// nothing, so that one of unknown outcome may be repeated.
func passes(c quickbi.Class) bool {
	return c == quickbi.ClassThrottled || c == quickbi.ClassTransient || c == quickbi.ClassUnknownOutcome
}

// send sends one call when it is its turn.
func (r *Resolver) send(ctx context.Context, d Directory, a intake.Account) (quickbi.QueryUserInfoByAccountResponse, error) {
	turn := r.limiter.Join(limit.Normal, 0)
	defer turn.Leave()
	if err := turn.Go(ctx); err != nil {
		return quickbi.QueryUserInfoByAccountResponse{}, err
	}
	answer, err := d.QueryUserInfoByAccount(ctx, quickbi.AccountName{Account: a.Name, Parent: a.Parent})
	if quickbi.Explain(err).Class == quickbi.ClassThrottled {
		turn.Throttled(ctx, toldToWait(err))
	}
	return answer, err
}

func toldToWait(err error) time.Duration {
	if refusal, ok := errors.AsType[*quickbi.Error](err); ok {
		return refusal.RetryAfter
	}
	return 0
}

// isDuplicate reports whether a refusal says that several users have the name.
// The code for it is not published; the page speaks of a duplicate user.
func isDuplicate(err error) bool {
	refusal, ok := errors.AsType[*quickbi.Error](err)
	if !ok {
		return false
	}
	words := strings.ToLower(refusal.Code + " " + refusal.Message)
	return strings.Contains(words, "duplicate") || strings.Contains(words, "重复")
}

// said is what Quick BI calls a refusal. What its hints advise is meant for changes.
func said(err error) string {
	if refusal, ok := errors.AsType[*quickbi.Error](err); ok && refusal.Code != "" {
		return "it says " + refusal.Code
	}
	return "it names no reason"
}

func nobody(a intake.Account, why string) intake.Owner {
	return intake.Owner{Code: intake.CodeAccountUnknown, Reason: fmt.Sprintf(
		"Quick BI knows no account %q in the organization (%s); correct it, or write the user's id", a, why)}
}

func several(a intake.Account) intake.Owner {
	advice := "write account:parent/" + a.Name + " with the main account that it belongs to"
	if a.Parent != "" {
		advice = "write the user's id"
	}
	return intake.Owner{Code: intake.CodeAccountAmbiguous, Reason: fmt.Sprintf("several users have the account %q; %s", a, advice)}
}
