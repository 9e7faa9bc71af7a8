// Package events takes in what HR feeds tell of people, and turns it into jobs
// when it takes effect.
package events

import (
	"context"
	"io"

	"github.com/usher-bi/usher/internal/people"
	"github.com/usher-bi/usher/internal/store"
)

// Document is what a feed sends: one event as a JSON object a line.
type Document struct {
	Body        io.Reader
	Source      string // of the feed; an event id is unique in it
	RequestedBy string // for the audit
}

// Book is where events are written down.
type Book interface {
	AcceptEvents(ctx context.Context, r store.EventsRequest) ([]store.AcceptedEvent, error)
}

// Accept writes the events of a document down: all of them or none. It is done
// when it returns, and needs Postgres only; a worker applies each event once it is
// effective. The same document may be sent again. It returns
//   - a [people.RejectedError] for events that are malformed,
//   - a [store.EventConflictError] for ids that stand for something else, and for
//     profiles that are not there,
//   - [store.ErrUnavailable] when nobody knows whether they were accepted: send
//     them again.
func Accept(ctx context.Context, b Book, d Document) ([]store.AcceptedEvent, error) {
	lines, err := people.ReadEvents(d.Body)
	if err != nil {
		return nil, err
	}
	return b.AcceptEvents(ctx, store.EventsRequest{Source: d.Source, RequestedBy: d.RequestedBy, Events: lines})
}
