// Package submit makes of what was read what can be submitted. Every way in
// uses it, so that the same rows mean the same job whichever way they come.
package submit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// Request is what a batch of rows does not say itself.
type Request struct {
	Source      string
	RequestedBy string
	Reason      string
	Key         string // idempotency key; "" means the fingerprint of the rows, and of the day where a default expiry counts from it
	Lane        store.Lane
	UpdateRole  bool         // members of a workspace whose role differs are given the new one
	Guards      store.Guards // beyond which the job is held
	Token       string       // by which it came in, for the audit; "" for none
}

// Submission makes of a batch what the submitter takes. Bad rows and repeats
// come with what became of them already.
func Submission(b *intake.Batch, r Request) tasks.Submission {
	if r.Key == "" && b.FillsIn() {
		r.Key = fingerprint(b.DatedFingerprint(r.Source), r)
	}
	return tasks.Submission{
		Source: r.Source, RequestedBy: r.RequestedBy, Reason: r.Reason, Lane: r.Lane, Key: r.Key,
		UpdateRole: r.UpdateRole, Guards: r.Guards, Token: r.Token, Fingerprint: fingerprint(b.Fingerprint(r.Source), r), Header: b.Header,
		Input: store.Input{SHA256: b.SHA256, Rows: b.Total(), Encoding: b.Encoding, Delimiter: b.Delimiter},
		Rows:  rows{b},
	}
}

// rows are the rows of a batch: the sound ones, then the others.
type rows struct{ *intake.Batch }

// Row makes a row as it is asked for.
func (r rows) Row(i int) tasks.SubmittedRow {
	if i >= r.Len() {
		bad := r.Invalid[i-r.Len()]
		return tasks.SubmittedRow{Row: storeRow(bad.Row), Settled: &store.Exception{
			Status: store.Failed, Code: bad.Problem.Code, Message: bad.Problem.Message,
		}}
	}
	sound := r.Batch.Row(i)
	row := tasks.SubmittedRow{Row: storeRow(sound)}
	if first := sound.DuplicateOf; first != 0 {
		row.Settled = &store.Exception{
			Status: store.NoChange, Code: "duplicate_row", Message: fmt.Sprintf("duplicate of line %d", first),
		}
	}
	return row
}

// Columns tells that the sound rows are to be sent, unless they repeat others.
func (r rows) Columns() tasks.Columns {
	return tasks.Columns{Len: r.Total(), Changes: r.Changes(), Open: r.Distinct()}
}

// fingerprint identifies what is asked for. Rows whose roles are to be forced
// ask for more than the same rows without.
func fingerprint(plain string, r Request) string {
	if !r.UpdateRole {
		return plain
	}
	sum := sha256.Sum256([]byte("update role\n" + plain))
	return hex.EncodeToString(sum[:])
}

func storeRow(r intake.Row) store.Row {
	return store.Row{Line: r.Line, RowID: r.RowID, Change: r.Change, Reason: r.Reason, Ticket: r.Ticket, Cells: r.Cells}
}
