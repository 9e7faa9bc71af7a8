package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/events"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/view"
)

// events writes down what a feed tells of people. An event may grant and revoke,
// so whoever sends one must be allowed both.
func (s *Server) events(w http.ResponseWriter, r *http.Request, by store.Token) error {
	for _, o := range []access.Operation{access.Grant, access.Revoke} {
		if !slices.Contains(by.Operations, o) {
			return problemf(http.StatusForbidden, codeNotAllowed, "events grant and revoke, and the token may not %s; nothing was accepted", o)
		}
	}
	d := events.Document{Source: by.Source}
	var err error
	if d.RequestedBy, err = requestedBy(r, by); err != nil {
		return err
	}
	in, err := s.openBody(w, r, by)
	if err != nil {
		return err
	}
	defer in.Close()
	if d.Body, err = eventLines(w, r, in); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), acceptWithin)
	defer cancel()
	done, err := events.Accept(ctx, s.options.Store, d)
	if err != nil {
		return err
	}
	status, document := http.StatusAccepted, view.AcceptedEventsOf(d.Source, done)
	if document.Accepted == 0 {
		status = http.StatusOK
		w.Header().Set("Idempotent-Replayed", "true")
	}
	return reply(w, status, document)
}

// requestedBy reads who asks, which is all that the query may say of events.
func requestedBy(r *http.Request, by store.Token) (string, error) {
	query, err := queryOf(r)
	if err != nil {
		return "", err
	}
	p := params{requestedBy: actor(by)}
	for name, value := range query {
		if name != "requested_by" {
			return "", badParam(name, "%.40q is not a parameter; use requested_by", name)
		}
		if err := p.set(name, value); err != nil {
			return "", err
		}
	}
	return p.requestedBy, nil
}

// maxEvent is how long a JSON document of one event may be.
const maxEvent = 64 << 10

// eventLines are the events of a body, one a line.
func eventLines(w http.ResponseWriter, r *http.Request, in io.Reader) (io.Reader, error) {
	switch kind := mediaType(r); kind {
	case "application/x-ndjson", "application/ndjson", "application/jsonl":
		return in, nil
	case "application/json":
		text, err := io.ReadAll(io.LimitReader(in, maxEvent+1))
		if err != nil {
			return nil, err
		}
		if len(text) > maxEvent {
			return nil, tooLargeProblem(maxEvent)
		}
		var line bytes.Buffer
		if err := json.Compact(&line, text); err != nil {
			return nil, problemf(http.StatusBadRequest, "invalid_json", "the body is no JSON object of an event: %.200s", err.Error())
		}
		return &line, nil
	default:
		return nil, wrongType(w, kind, "application/json, application/x-ndjson")
	}
}
