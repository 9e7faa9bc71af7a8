package tasks

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

// ReadRequest asks what users were given: one row and one call a user.
type ReadRequest struct {
	Users       []string // Quick BI ids
	Source      string
	RequestedBy string
	Reason      string
	Lane        store.Lane
	Key         string // idempotency key; "" means that this reads anew
	ParentID    string // ULID of the job that is to be verified; "" for none
}

// readEverything is the resource of a read: all that the user was given.
var readEverything = access.Resource{Type: access.Shares, ID: "*"}

// Read submits a job that takes down every work which the users were given.
// Users named twice are read once. Errors are those of [Submitter.Submit].
func (s *Submitter) Read(ctx context.Context, r ReadRequest) (Submitted, error) {
	sub := Submission{
		Source: r.Source, RequestedBy: r.RequestedBy, Reason: r.Reason, Lane: r.Lane, Key: r.Key, ParentID: r.ParentID,
		Header: []string{"principal"},
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "read for %q\n", r.ParentID)
	seen := make(map[string]int, len(r.Users))
	rows := make(RowList, 0, len(r.Users))
	for i, user := range r.Users {
		row := store.Row{Line: i + 1, RowID: fmt.Sprintf("line-%d", i+1), Change: access.Change{
			Operation: access.Read, Principal: access.Principal{Type: access.User, ID: user}, Resource: readEverything,
		}}
		var settled *store.Exception
		if first, twice := seen[user]; twice {
			settled = &store.Exception{Status: store.NoChange, Code: "duplicate_row", Message: fmt.Sprintf("duplicate of line %d", first)}
		} else {
			seen[user] = row.Line
		}
		fmt.Fprintf(hash, "%q\n", user)
		rows = append(rows, SubmittedRow{Row: row, Settled: settled})
	}
	sub.Rows, sub.Input.Rows = rows, len(rows)
	sub.Fingerprint = hex.EncodeToString(hash.Sum(nil))
	if sub.Key == "" {
		sub.Key = "read-" + rand.Text()
	}
	return s.Submit(ctx, sub)
}

// VerifyUsers lists the users whom a verification of a job has to read.
func (s *Submitter) VerifyUsers(ctx context.Context, jobID string) ([]string, error) {
	users, err := s.store.SharedWith(ctx, jobID)
	return slices.Compact(users), err
}
