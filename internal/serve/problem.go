package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/usher-bi/usher/internal/accounts"
	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/people"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// Problem is why a request was refused, as RFC 9457 has it. Its JSON is API.
type Problem struct { //nolint:errname // RFC 9457 calls it that
	Type      string       `json:"type"`  // about:blank: the status says what kind it is
	Title     string       `json:"title"` // of the status
	Status    int          `json:"status"`
	Code      string       `json:"code"`             // stable; switch on this
	Detail    string       `json:"detail,omitempty"` // for a person, with what to do
	RequestID string       `json:"request_id"`
	Limit     int64        `json:"limit,omitempty"`  // that was passed
	Rows      int          `json:"rows,omitempty"`   // of a rejected input
	Errors    []RowProblem `json:"errors,omitempty"` // the first hundred
	Omitted   int          `json:"errors_omitted,omitempty"`

	RetryAfter time.Duration `json:"-"` // 0: repeating it does not help
	Cause      error         `json:"-"` // for the log alone
}

// RowProblem is what is wrong with one row.
type RowProblem struct {
	Line   int    `json:"line"` // 0: the whole input is meant
	Column string `json:"column,omitempty"`
	RowID  string `json:"row_id,omitempty"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Error returns code and detail.
func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Cause }

func problemf(status int, code, format string, args ...any) *Problem {
	return &Problem{Status: status, Code: code, Detail: fmt.Sprintf(format, args...)}
}

// mostErrors is how many rows at fault a problem lists.
const mostErrors = 100

// with adds row errors, the first of them one by one.
func (p *Problem) with(rows int, errs []intake.RowError) *Problem {
	p.Rows = rows
	for _, e := range errs[:min(mostErrors, len(errs))] {
		p.Errors = append(p.Errors, RowProblem{Line: e.Line, Column: e.Column, RowID: e.RowID, Code: e.Code, Detail: e.Message})
	}
	p.Omitted = len(errs) - len(p.Errors)
	return p
}

// refuse tells why a request is refused.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	seen := observed(r.Context())
	if seen.started() { // half an answer must not look like a whole one
		seen.cause = err
		panic(http.ErrAbortHandler) //nolint:forbidigo // the way that net/http documents to cut an answer off
	}
	p := *meaning(err)
	p.Type, p.Title, p.RequestID = "about:blank", http.StatusText(p.Status), seen.id
	seen.code, seen.cause = p.Code, p.Cause
	header := w.Header()
	if p.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(int(math.Ceil(p.RetryAfter.Seconds()))))
	}
	header.Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	if r.Method == http.MethodHead {
		return
	}
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	if err := out.Encode(p); err != nil {
		seen.cause = err // whoever does not read it has left
	}
}

// comeBack is how long to stay away while Postgres or Redis is.
const comeBack = 5 * time.Second

// meaning turns an error into what is told of it. What nobody can act upon stays
// in the log.
func meaning(err error) *Problem {
	var p *Problem
	var refused *intake.FileError
	var invalid *tasks.RetryInvalidError
	var dropped *store.DroppedError
	var notConnected *accounts.NotConnectedError
	var lookup *accounts.LookupError
	var badEvents *people.RejectedError
	var conflict *store.EventConflictError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &refused):
		return fileProblem(refused)
	case errors.As(err, &notConnected):
		return noAccounts()
	case errors.As(err, &lookup):
		return &Problem{
			Status: http.StatusServiceUnavailable, Code: "accounts_unavailable", RetryAfter: comeBack, Cause: err,
			Detail: "rows name accounts, and Quick BI cannot be asked whose they are; nothing was accepted. Repeat the request with the same key",
		}
	case errors.As(err, &badEvents):
		return eventsProblem(badEvents)
	case errors.As(err, &conflict):
		return conflictProblem(conflict)
	case errors.As(err, &invalid):
		return retryProblem(invalid)
	case errors.As(err, &dropped):
		return problemf(http.StatusNotFound, "job_dropped", "%s", dropped.Error())
	case errors.Is(err, store.ErrKeyReused):
		return problemf(http.StatusUnprocessableEntity, "idempotency_key_reused",
			"this key stands for other rows already; nothing was accepted. Use another key for other rows")
	case errors.Is(err, store.ErrFinished):
		return problemf(http.StatusConflict, "job_ended", "the job has ended, or is being canceled, and can no longer be changed")
	case errors.Is(err, store.ErrHeld):
		return problemf(http.StatusConflict, "held_by_guard", "a guard holds the job; an operator releases it with \"enqueue release\", or cancels it")
	case errors.Is(err, tasks.ErrNothingToRetry):
		return problemf(http.StatusConflict, "nothing_to_retry", "no failed row fits; with \"all\" rows are taken along that a retry is not known to help")
	case errors.Is(err, store.ErrNotFound):
		return noJob()
	default:
		return failing(err)
	}
}

// failing is for what the client did not cause.
func failing(err error) *Problem {
	p := &Problem{Status: http.StatusServiceUnavailable, RetryAfter: comeBack, Cause: err}
	switch {
	case errors.Is(err, store.ErrUnavailable):
		p.Code, p.Detail = "postgres_unavailable", "the database is away; nothing was accepted that was not answered. Repeat the request with the same key"
	case errors.Is(err, store.ErrSchema):
		p.Code, p.Detail = "schema_outdated", "the database is being upgraded; repeat the request with the same key"
	case errors.Is(err, tasks.ErrRedisUnavailable):
		p.Code, p.Detail = "redis_unavailable", "the queue is away; nothing was accepted. Repeat the request with the same key"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		p.Code, p.Detail = "interrupted", "it took too long; repeat the request with the same key"
	default:
		p.Status, p.RetryAfter = http.StatusInternalServerError, 0
		p.Code, p.Detail = "unexpected", "this should not happen; the log of the server says more under the request id"
	}
	return p
}

func noAccounts() *Problem {
	return problemf(http.StatusUnprocessableEntity, "accounts_not_configured",
		"rows name accounts, and this server has no access key to look them up; nothing was accepted. Write ids of users")
}

func noJob() *Problem {
	return problemf(http.StatusNotFound, "job_not_found", "there is no such job of the source of this token")
}

// codeRejected is the code of every rejected input, as on the command line.
const codeRejected = "input_rejected"

// fileProblem is about an input of which no row can be read.
func fileProblem(e *intake.FileError) *Problem {
	p := problemf(http.StatusUnprocessableEntity, codeRejected, "%s; nothing was accepted", e.Message)
	p.Errors = []RowProblem{{Code: e.Code, Detail: e.Message}}
	return p
}

// eventsProblem is about events that are malformed.
func eventsProblem(e *people.RejectedError) *Problem {
	p := problemf(http.StatusUnprocessableEntity, codeRejected, "%s in %s; nothing was accepted",
		plural(len(e.Problems)+e.Omitted, "problem"), plural(e.Entries, "event")).with(e.Entries, rowErrors(e.Problems))
	p.Omitted += e.Omitted
	return p
}

// plural counts things, such as "1 row" and "2 rows".
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// conflictProblem is about events that contradict what is known.
func conflictProblem(e *store.EventConflictError) *Problem {
	code := codeRejected
	if slices.ContainsFunc(e.Problems, func(p people.Problem) bool { return p.Code == store.CodeEventReused }) {
		code = store.CodeEventReused
	}
	return problemf(http.StatusUnprocessableEntity, code, "%s", e.Error()).with(0, rowErrors(e.Problems))
}

func rowErrors(problems []people.Problem) []intake.RowError {
	out := make([]intake.RowError, len(problems))
	for i, p := range problems {
		out[i] = intake.RowError{Line: p.Line, Column: p.Field, Code: p.Code, Message: p.Message}
	}
	return out
}

func retryProblem(e *tasks.RetryInvalidError) *Problem {
	var errs []intake.RowError
	for _, row := range e.Rows {
		for _, bad := range row.Problems {
			errs = append(errs, intake.RowError{Line: row.Line, Column: bad.Column, RowID: row.RowID, Code: bad.Code, Message: bad.Message})
		}
	}
	p := problemf(http.StatusUnprocessableEntity, codeRejected, "%s; nothing was accepted", e.Error()).with(e.Total, errs)
	p.Omitted += e.Total - len(e.Rows)
	return p
}
