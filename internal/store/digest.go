package store

import (
	"encoding/hex"
	"hash"
	"iter"
	"strconv"
)

// changeRow is a row of changes as it is digested: every column, in order. One
// that is added later may be in the text only where it is not null.
type changeRow struct {
	Job           int64
	No            int
	Task          *int
	Line          int
	RowID         string
	Operation     string
	PrincipalType string
	Principal     string
	ResourceType  string
	ResourceID    string
	Role          string
	ExpiresOn     *string // as JSON writes a date
	Reason        string
	Ticket        string
	Cells         []string
}

// appendTo appends the canonical text of r: each column as its length in bytes,
// a colon, its text and a comma; a null is a tilde and a comma. Cells are one
// column whose text is that of its elements in the same form.
func (r changeRow) appendTo(b []byte) []byte {
	b = appendField(b, strconv.FormatInt(r.Job, 10))
	b = appendField(b, strconv.Itoa(r.No))
	if r.Task == nil {
		b = append(b, "~,"...)
	} else {
		b = appendField(b, strconv.Itoa(*r.Task))
	}
	b = appendField(b, strconv.Itoa(r.Line))
	for _, s := range []string{r.RowID, r.Operation, r.PrincipalType, r.Principal, r.ResourceType, r.ResourceID, r.Role} {
		b = appendField(b, s)
	}
	if r.ExpiresOn == nil {
		b = append(b, "~,"...)
	} else {
		b = appendField(b, *r.ExpiresOn)
	}
	b = appendField(appendField(b, r.Reason), r.Ticket)
	if r.Cells == nil {
		return append(b, "~,"...)
	}
	var cells []byte
	for _, c := range r.Cells {
		cells = appendField(cells, c)
	}
	return appendField(b, string(cells))
}

func appendField(b []byte, s string) []byte {
	b = strconv.AppendInt(b, int64(len(s)), 10)
	b = append(b, ':')
	b = append(b, s...)
	return append(b, ',')
}

// digested yields the rows to copy of a job's changes, and feeds h with each.
func digested(number int64, changes []NewChange, h hash.Hash) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		var text []byte
		for i, c := range changes {
			r := changeRow{
				Job: number, No: i + 1, Line: c.Line, RowID: c.RowID, Operation: string(c.Change.Operation),
				PrincipalType: string(c.Change.Principal.Type), Principal: c.Change.Principal.ID,
				ResourceType: string(c.Change.Resource.Type), ResourceID: c.Change.Resource.ID,
				Role: c.Change.Terms.Role, Reason: c.Reason, Ticket: c.Ticket, Cells: c.Cells,
			}
			if c.Task != NoTask {
				no := c.Task + 1
				r.Task = &no
			}
			expires := date(c.Change.Terms.ExpiresOn)
			if expires != nil {
				on := c.Change.Terms.ExpiresOn.String()
				r.ExpiresOn = &on
			}
			text = r.appendTo(text[:0])
			_, _ = h.Write(text) // a hash never fails
			if !yield([]any{
				r.Job, r.No, r.Task, r.Line, r.RowID, r.Operation, r.PrincipalType, r.Principal,
				r.ResourceType, r.ResourceID, r.Role, expires, r.Reason, r.Ticket, r.Cells,
			}) {
				return
			}
		}
	}
}

func hexSum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
