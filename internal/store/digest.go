package store

import (
	"encoding/binary"
	"encoding/hex"
	"hash"
	"strconv"

	"github.com/usher-bi/usher/internal/access"
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

	// Of a row that is to be written.
	task int // what Task points to
	day  access.Date
}

// appendTo appends the canonical text of r: each column as its length in bytes,
// a colon, its text and a comma; a null is a tilde and a comma. Cells are one
// column whose text is that of its elements in the same form.
func (r *changeRow) appendTo(b []byte) []byte {
	b = appendNumber(b, r.Job)
	b = appendNumber(b, int64(r.No))
	if r.Task == nil {
		b = append(b, "~,"...)
	} else {
		b = appendNumber(b, int64(*r.Task))
	}
	b = appendNumber(b, int64(r.Line))
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

func appendNumber(b []byte, n int64) []byte {
	var digits [20]byte
	return appendField(b, string(strconv.AppendInt(digits[:0], n, 10)))
}

func appendField(b []byte, s string) []byte {
	b = strconv.AppendInt(b, int64(len(s)), 10)
	b = append(b, ':')
	b = append(b, s...)
	return append(b, ',')
}

// fill makes r the row of a change with the given number.
func (r *changeRow) fill(job int64, no int, c NewChange) {
	terms := c.Change.Terms
	if day := terms.ExpiresOn; day != r.day { // in most jobs it is one day, or a few
		r.day, r.ExpiresOn = day, nil
		if !day.IsZero() {
			r.ExpiresOn = new(day.String())
		}
	}
	r.Job, r.No, r.Task, r.Line, r.RowID = job, no, nil, c.Line, c.RowID
	if c.Task != NoTask {
		r.task = c.Task + 1
		r.Task = &r.task
	}
	r.Operation, r.PrincipalType, r.Principal = string(c.Change.Operation), string(c.Change.Principal.Type), c.Change.Principal.ID
	r.ResourceType, r.ResourceID, r.Role = string(c.Change.Resource.Type), c.Change.Resource.ID, terms.Role
	r.Reason, r.Ticket, r.Cells = c.Reason, c.Ticket, c.Cells
}

// copyTo appends r as a row to be copied, in the order of changeColumns.
func (r *changeRow) copyTo(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(changeColumns))) //nolint:gosec // a few
	dst = copyInt(copyBig(dst, r.Job), r.No)
	if r.Task == nil {
		dst = copyNull(dst)
	} else {
		dst = copyInt(dst, *r.Task)
	}
	dst = copyInt(dst, r.Line)
	for _, s := range []string{r.RowID, r.Operation, r.PrincipalType, r.Principal, r.ResourceType, r.ResourceID, r.Role} {
		dst = copyText(dst, s)
	}
	dst = copyText(copyText(copyDate(dst, r.day), r.Reason), r.Ticket)
	return copyTexts(dst, r.Cells)
}

func hexSum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
