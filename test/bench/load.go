//go:build unix

package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// expiry is the last day of all grants.
var expiry = access.Date{Year: 2099, Month: time.December, Day: 31}

// pair is one access.
type pair struct{ user, resource string }

// apart returns n pairs of which no call can carry two: each has a user and a
// Q&A resource of its own.
func apart(prefix string, n int) []pair {
	out := make([]pair, n)
	for i := range out {
		out[i] = pair{prefix + "u" + strconv.Itoa(i+1), prefix + "q" + strconv.Itoa(i+1)}
	}
	return out
}

// submit hands the grants of pairs in as "enqueue" does, but without a process
// of its own.
func (s *site) submit(ctx context.Context, name string, lane store.Lane, pairs []pair) error {
	rows := make(tasks.RowList, len(pairs))
	sub := tasks.Submission{
		Source: "bench", RequestedBy: "bench", Lane: lane, Key: name, Fingerprint: name, Header: []string{"action"},
		Input: store.Input{Rows: len(pairs)}, Rows: rows,
	}
	for i, p := range pairs {
		rows[i].Row = store.Row{Line: i + 2, RowID: "row-" + strconv.Itoa(i+2), Change: access.Change{
			Operation: access.Grant, Principal: access.Principal{Type: access.User, ID: p.user},
			Resource: access.Resource{Type: access.QAResource, ID: p.resource}, Terms: access.Terms{ExpiresOn: expiry},
		}}
	}
	if _, err := s.submitter.Submit(ctx, sub); err != nil {
		return fmt.Errorf("submitting %s: %w", name, err)
	}
	return nil
}
