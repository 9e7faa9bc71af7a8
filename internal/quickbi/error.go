package quickbi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Error is a refusal that Quick BI spelled out: it answered, and said no. What
// the code means: [MeaningOf].
type Error struct {
	Action     string
	Code       string // the API's own; empty when it gave none
	Message    string // the API's words, in English or Chinese; may quote ids
	Recommend  string // where the API says help is; usually empty
	HTTPStatus int
	RequestID  string        // what the vendor's support asks for
	RetryAfter time.Duration // how long it asks us to wait; 0 when it did not
}

// Error leaves out the message, which may quote what was sent.
func (e *Error) Error() string {
	code := e.Code
	if code == "" {
		code = "refused without a code"
	}
	return fmt.Sprintf("quickbi: %s: %s (%s)", e.Action, code, origin(e.HTTPStatus, e.RequestID))
}

// AnswerKind says in what way an answer is none.
type AnswerKind string

// The kinds of unusable answers.
const (
	AnswerRedirect  AnswerKind = "redirect"          // 3xx; never followed
	AnswerEmpty     AnswerKind = "empty"             // no body
	AnswerHTML      AnswerKind = "html"              // a page or other markup: a proxy or gateway spoke
	AnswerNotJSON   AnswerKind = "not_json"          // something else again
	AnswerCutOff    AnswerKind = "cut_off"           // began and did not end
	AnswerOversized AnswerKind = "oversized"         // longer than Options.MaxBody
	AnswerUnclear   AnswerKind = "unclear"           // JSON that says neither yes nor no
	AnswerResult    AnswerKind = "unreadable_result" // a yes whose details cannot be read
)

// AnswerError means that something came back which is no answer of Quick BI.
// Whether the call took effect is open, unless the status says otherwise.
type AnswerError struct {
	Action     string
	Kind       AnswerKind
	HTTPStatus int
	RequestID  string        // of the header, if the body held none
	RetryAfter time.Duration // as in [Error]
	Err        error         // what ended the reading early; usually nil
}

// Error quotes nothing of what came back.
func (e *AnswerError) Error() string {
	return fmt.Sprintf("quickbi: %s: unusable answer: %s (%s)", e.Action, e.Kind, origin(e.HTTPStatus, e.RequestID))
}

// Unwrap makes a canceled context recognisable.
func (e *AnswerError) Unwrap() error { return e.Err }

// TransportError means that no answer arrived.
type TransportError struct {
	Action  string
	Sent    bool  // false only where the request certainly never left
	Timeout bool  // a deadline ran out, the call's or the caller's
	Err     error // the cause; may quote a malformed answer, so print the whole
}

func transportError(action string, err error, sent bool) *TransportError {
	var timeout interface{ Timeout() bool } // net.Error and context.DeadlineExceeded
	return &TransportError{
		Action: action, Sent: sent, Err: err,
		Timeout: errors.As(err, &timeout) && timeout.Timeout(),
	}
}

// Error says what happened in words that cannot quote the request.
func (e *TransportError) Error() string {
	how := "not sent"
	if e.Sent {
		how = "sent, no answer"
	}
	return fmt.Sprintf("quickbi: %s: %s: %s", e.Action, how, describe(e.Err))
}

// Unwrap makes a canceled context recognisable.
func (e *TransportError) Unwrap() error { return e.Err }

// CredentialError means that there was nothing to sign with. Nothing was sent.
type CredentialError struct {
	Action string
	Err    error
}

// Error repeats the source's words, which hold no secrets by contract.
func (e *CredentialError) Error() string {
	return fmt.Sprintf("quickbi: %s: no credentials: %v", e.Action, e.Err)
}

// Unwrap returns the source's own error.
func (e *CredentialError) Unwrap() error { return e.Err }

// RequestError means that a request was never one the API could accept.
// Nothing was sent.
type RequestError struct {
	Action string
	Field  string // of the request struct
	Reason string
}

// Error names the field and quotes no value.
func (e *RequestError) Error() string {
	return fmt.Sprintf("quickbi: %s: %s %s", e.Action, e.Field, e.Reason)
}

func origin(status int, requestID string) string {
	if requestID == "" {
		return fmt.Sprintf("HTTP %d, no request id", status)
	}
	return fmt.Sprintf("HTTP %d, request %s", status, requestID)
}

// describe puts a failure of the network into words. Errors of unknown make
// are not quoted: net/http repeats bytes of a malformed answer in its own, and
// those may repeat the request.
func describe(err error) string {
	if errors.Is(err, context.Canceled) {
		return context.Canceled.Error()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "time is up"
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the connection was closed"
	}
	if errors.Is(err, http.ErrSchemeMismatch) {
		return "the server speaks http, not https"
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return e.Error()
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Error()
	}
	return "the connection broke"
}
