package quickbi

import (
	"context"
	"slices"
	"strings"
)

// Receipt is what is kept of a call that was carried out.
type Receipt struct {
	RequestID  string // what the vendor's support asks for; may be empty
	HTTPStatus int
}

func (a answer) receipt() Receipt { return Receipt{RequestID: a.requestID, HTTPStatus: a.status} }

// unreadable is what a is when its result cannot be read.
func (a answer) unreadable() *AnswerError {
	return &AnswerError{Action: a.action, Kind: AnswerResult, HTTPStatus: a.status, RequestID: a.requestID}
}

// done reads the result of operations that answer with a boolean. False takes
// the yes of the envelope back, and without either nothing is known.
func (a answer) done() (Receipt, error) {
	var f flag
	_ = f.UnmarshalJSON(payload(a.result))
	switch f {
	case yes:
		return a.receipt(), nil
	case no:
		return Receipt{}, a.denial
	default:
		return Receipt{}, a.unreadable()
	}
}

// rule is one way in which a request could never be accepted.
type rule struct {
	field  string // of the request struct
	broken bool
	reason string
}

// anID is broken by what cannot be an id. Nothing else is known of ids.
func anID(field, id string) rule {
	return rule{field, isNoID(id), "is empty or holds a comma, which separates ids"}
}

func anIDList(field string, ids []string) rule {
	return rule{field, len(ids) == 0 || slices.ContainsFunc(ids, isNoID), "is empty, holds an empty id, or one with a comma, which separates ids"}
}

func isNoID(id string) bool { return strings.TrimSpace(id) == "" || strings.Contains(id, ",") }

// firstBroken returns a [RequestError] for the first broken rule, or nil.
func firstBroken(action string, rules ...rule) error {
	for _, r := range rules {
		if r.broken {
			return &RequestError{Action: action, Field: r.field, Reason: r.reason}
		}
	}
	return nil
}

// order sends a request whose result is a boolean.
func (c *Client) order(ctx context.Context, action string, params map[string]string) (Receipt, error) {
	a, err := c.call(ctx, action, params)
	if err != nil {
		return Receipt{}, err
	}
	return a.done()
}
