package tasks

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/quickbi"
	"github.com/usher-bi/usher/internal/store"
)

// verdict is what follows from a reply.
type verdict struct {
	kind       verdictKind
	exceptions []store.CellException // finish: every other cell succeeded
	works      []store.SharedWork    // finish: what a read found
	parts      []store.Part          // cut: together they are the task
	again      store.Again           // repeat
	next       step                  // another
	wait       time.Duration         // hold: for everyone
	meaning    quickbi.Meaning       // stop: why
}

type verdictKind int

const (
	finish  verdictKind = iota + 1 // the task is over
	cut                            // it goes on in parts
	repeat                         // it is sent again later
	another                        // it goes on at once with another call
	hold                           // the same call again after a throttle; costs no attempt
	stop                           // the account is refused: nobody's row fails for it
)

// judge is the only place that decides what an answer means for a task.
func (h *handler) judge(task store.Task, r reply) verdict {
	if r.err == nil {
		return h.settle(task, r)
	}
	m := quickbi.Explain(r.err)
	switch m.Class {
	case quickbi.ClassThrottled:
		return verdict{kind: hold, wait: retryAfter(r.err)}
	case quickbi.ClassAccount:
		return verdict{kind: stop, meaning: m}
	case quickbi.ClassTransient, quickbi.ClassUnknownOutcome:
		return h.passing(task, r, m)
	default:
		return refused(task, r, m)
	}
}

// triesOf is how often a part of a task that ran out of patience is sent before
// it is cut again or fails. What is cut again needs no second try to find the
// culprit; a change that stands alone gets one.
func triesOf(part access.Rectangle) int {
	if part.Cells() == 1 {
		return 2
	}
	return 1
}

// passing judges what a repeat may cure: bounded repeats, then smaller parts
// (something in the call may be what breaks it), then a failure to retry later.
// What must not be repeated blindly is looked for before it is sent again, and
// once more when there are no tries left.
func (h *handler) passing(task store.Task, r reply, m quickbi.Meaning) verdict {
	unsure := mayHaveHappened(task, r, m)
	switch {
	case task.Strikes+1 < h.options.MaxStrikes:
		return verdict{kind: repeat, again: store.Again{Delay: h.delay(r, task.Strikes), Counts: true, Unsure: unsure}}
	case task.Cells() > 1:
		first, second := task.Halves()
		v := cutInto(first, second)
		for i := range v.parts {
			v.parts[i].Strikes = max(0, h.options.MaxStrikes-triesOf(v.parts[i].Rectangle))
			v.parts[i].Unsure = unsure || task.Unsure
			v.parts[i].Delay = h.delay(r, min(task.Strikes, cutPause))
		}
		return v
	case (unsure || task.Unsure) && !repeatable(task.Action):
		return verdict{kind: another, next: h.lookFor(task, func(f finding) verdict { return lastWord(task, r, m, f) })}
	default:
		e := exception(m, r)
		if unsure || task.Unsure {
			e.Status, e.Code, e.Retryable = store.Unknown, codeOutcomeUnknown, true
		}
		return verdict{kind: finish, exceptions: everyCell(task.Rectangle, e)}
	}
}

// cutPause bounds the pause before the parts of a call that kept failing, so
// that a culprit among a hundred is found within a minute.
const cutPause = 3

// codeUnreachable is quickbi's code for a request that certainly never left.
const codeUnreachable = "quickbi_unreachable"

// mayHaveHappened reports whether a call that failed for a passing reason may
// have been carried out. An error that Quick BI itself words says that it was
// not; a gateway's does not know what became of what it passed on. Of a grant
// that must not be doubled nothing is taken on trust, where a look can tell.
func mayHaveHappened(task store.Task, r reply, m quickbi.Meaning) bool {
	if m.Class == quickbi.ClassUnknownOutcome {
		return true
	}
	if !repeatable(task.Action) && provable(task) {
		return m.Code != codeUnreachable
	}
	switch r.answer.HTTPStatus {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		return r.answer.APICode == "" || r.answer.APICode == "InternalError"
	default:
		return false
	}
}

// lastWord ends a grant of a work that ran out of tries and may have been
// carried out.
func lastWord(task store.Task, r reply, m quickbi.Meaning, f finding) verdict {
	e := exception(m, r)
	switch f {
	case present:
		return verdict{kind: finish}
	case absent:
		e.Retryable = true
	default:
		e.Status, e.Code, e.Retryable = store.Unknown, codeOutcomeUnknown, true
	}
	return verdict{kind: finish, exceptions: everyCell(task.Rectangle, e)}
}

const (
	// codeOutcomeUnknown marks a change that was sent, but of which no answer ever
	// told what became of it.
	codeOutcomeUnknown = "outcome_unknown"

	// These are quickbi's codes for a date and a role that Quick BI refuses. All
	// changes of a call share theirs, so no smaller call would fare better.
	codeInvalidExpiry = "invalid_expiry"
	codeInvalidRole   = "invalid_role"
)

// refused judges a refusal of the whole call for something in it. A culprit
// that stands alone fails; otherwise the call is cut so that the innocent go
// through.
func refused(task store.Task, r reply, m quickbi.Meaning) verdict {
	about := m.Class
	if about == quickbi.ClassRequest || about == quickbi.ClassUnrecognised { // the message may say what the code does not
		about = quickbi.MeaningOfDetail(r.answer.Message).Class
	}
	aboutUser := about == quickbi.ClassUser || about == quickbi.ClassUserGone
	aboutResource := about == quickbi.ClassResource || about == quickbi.ClassWorkGone
	switch {
	case task.Cells() == 1, aboutUser && len(task.Principals) == 1, aboutResource && len(task.Resources) == 1, m.Code == codeInvalidExpiry, m.Code == codeInvalidRole:
		return alreadySo(task, r, m)
	case aboutUser:
		return cutInto(divide(task.Rectangle, r.answer.Message, byPrincipal)).unsure(task.Unsure)
	case aboutResource:
		return cutInto(divide(task.Rectangle, r.answer.Message, byResource)).unsure(task.Unsure)
	default:
		return cutInto(task.Halves()).unsure(task.Unsure)
	}
}

// alreadySo ends a task whose changes are all refused, as failed or, where the
// refusal says that it is so already, as no change. What is so after a call of
// this task that was carried out is that call's work; after one that was never
// answered it may be, but nothing is said to be done that may not have been.
func alreadySo(task store.Task, r reply, m quickbi.Meaning) verdict {
	e := exception(m, r)
	if asGoodAsDone(task.Operation, m.Class) {
		if task.Applied && m.Class != quickbi.ClassUserGone {
			return verdict{kind: finish}
		}
		e.Status = store.NoChange
		if task.Unsure {
			e.Message += " (an earlier call was never answered, and may have done it)"
		}
	}
	return verdict{kind: finish, exceptions: everyCell(task.Rectangle, e)}
}

// asGoodAsDone reports whether a refusal says that what was asked for is so
// already: who is not there has no access, who has the role needs no other.
func asGoodAsDone(op access.Operation, class quickbi.Class) bool {
	if op == access.Revoke {
		return class == quickbi.ClassUserGone || class == quickbi.ClassNotMember
	}
	return op == access.Grant && class == quickbi.ClassSatisfied
}

// side tells how to see one side of a rectangle, and how to replace it.
type side struct {
	names func(access.Rectangle) []string
	keep  func(access.Rectangle, func(i int) bool) access.Rectangle
}

var byPrincipal = side{
	names: func(r access.Rectangle) []string {
		return texts(r.Principals, func(p access.Principal) string { return p.ID })
	},
	keep: func(r access.Rectangle, keep func(int) bool) access.Rectangle {
		r.Principals = pick(r.Principals, keep)
		return r
	},
}

var byResource = side{
	names: func(r access.Rectangle) []string {
		return texts(r.Resources, func(res access.Resource) string { return res.ID })
	},
	keep: func(r access.Rectangle, keep func(int) bool) access.Rectangle {
		r.Resources = pick(r.Resources, keep)
		return r
	},
}

// divide cuts r across s: those whom the message names apart from the rest, or
// in halves when it names nobody or everybody.
func divide(r access.Rectangle, message string, s side) (first, second access.Rectangle) {
	names := s.names(r)
	named := make([]bool, len(names))
	count := 0
	for i, name := range names {
		if mentions(message, name) {
			named[i] = true
			count++
		}
	}
	if count == 0 || count == len(names) {
		for i := range named {
			named[i] = i < len(names)/2
		}
	}
	return s.keep(r, func(i int) bool { return named[i] }), s.keep(r, func(i int) bool { return !named[i] })
}

// mentions reports whether message holds id as a word of its own, so that user
// "12" is not found in "AE0121". Ids are not case-folded.
func mentions(message, id string) bool {
	for rest := message; ; {
		at := strings.Index(rest, id)
		if at < 0 {
			return false
		}
		before, after := rest[:at], rest[at+len(id):]
		if (before == "" || !idByte(before[len(before)-1])) && (after == "" || !idByte(after[0])) {
			return true
		}
		rest = rest[at+1:]
	}
}

func idByte(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '-' || b == '_'
}

// unsure marks the parts that are left to send as possibly carried out already.
func (v verdict) unsure(may bool) verdict {
	for i := range v.parts {
		v.parts[i].Unsure = v.parts[i].Unsure || may && !v.parts[i].Done
	}
	return v
}

func cutInto(rectangles ...access.Rectangle) verdict {
	v := verdict{kind: cut}
	for _, r := range rectangles {
		v.parts = append(v.parts, store.Part{Rectangle: r})
	}
	return v
}

func texts[T any](all []T, text func(T) string) []string {
	out := make([]string, len(all))
	for i, x := range all {
		out[i] = text(x)
	}
	return out
}

func pick[T any](all []T, keep func(i int) bool) []T {
	var kept []T
	for i, x := range all {
		if keep(i) {
			kept = append(kept, x)
		}
	}
	return kept
}

// exception words a refusal as the failure of a change.
func exception(m quickbi.Meaning, r reply) store.Exception {
	message := r.answer.Message
	if message == "" && r.err != nil {
		message = r.err.Error()
	}
	return store.Exception{
		Status: store.Failed, Code: m.Code, Message: message, Retryable: m.Retryable,
		APICode: r.answer.APICode, RequestID: r.answer.RequestID,
	}
}

func everyCell(r access.Rectangle, e store.Exception) []store.CellException {
	out := make([]store.CellException, 0, r.Cells())
	for _, p := range r.Principals {
		for _, res := range r.Resources {
			out = append(out, store.CellException{Principal: p.ID, Resource: res, Exception: e})
		}
	}
	return out
}

// retryAfter is how long Quick BI asks us to wait, 0 if it did not say.
func retryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*quickbi.Error](err); ok {
		return e.RetryAfter
	}
	if e, ok := errors.AsType[*quickbi.AnswerError](err); ok {
		return e.RetryAfter
	}
	return 0
}

// delay is how long to wait after so many strikes, the last of them r: as long
// as Quick BI asks for, or longer.
func (h *handler) delay(r reply, strikes int) time.Duration {
	return max(retryAfter(r.err), backoff(h.options.Backoff, strikes))
}

// backoffMost bounds the pause between two tries.
const backoffMost = time.Minute

// backoff is how long to wait after so many strikes: doubling from first, and
// half of it random, so that tasks that failed together do not return together.
func backoff(first time.Duration, strikes int) time.Duration {
	d := min(backoffMost, first<<min(strikes, 16))
	return d/2 + rand.N(d/2+1)
}

// answerOf puts how a call ended into words for the record.
func answerOf(call int64, out outcome, err error, took time.Duration) store.Answer {
	a := store.Answer{
		Call: call, Class: string(quickbi.Classify(err)), HTTPStatus: out.HTTPStatus, RequestID: out.RequestID, Result: out.result, Took: took,
	}
	if err == nil {
		if len(out.failures) > 0 {
			a.Class = classPartial
		}
		return a
	}
	a.Message = err.Error()
	if e, ok := errors.AsType[*quickbi.Error](err); ok {
		a.HTTPStatus, a.RequestID, a.APICode = e.HTTPStatus, e.RequestID, e.Code
		if e.Message != "" {
			a.Message = e.Message
		}
	} else if e, ok := errors.AsType[*quickbi.AnswerError](err); ok {
		a.HTTPStatus, a.RequestID = e.HTTPStatus, e.RequestID
	}
	return a
}

// classPartial is recorded for a call that was carried out but for some rows.
const classPartial = "partial"
