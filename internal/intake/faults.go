package intake

import (
	"slices"
	"strings"
)

// faults says how much of what is wrong with a file is kept, and counts the rest.
type faults struct {
	mostErrors  int  // Options.MostErrors
	dropInvalid bool // Options.DropInvalid

	rows     int // that were not kept
	problems int // that were not listed
	held     int // bytes that invalid rows and errors take
	messages map[string]string
}

func newFaults(o Options) faults {
	return faults{mostErrors: o.MostErrors, dropInvalid: o.DropInvalid, messages: map[string]string{}}
}

// Wrong returns the number of rows that are not sound, kept or not.
func (b *Batch) Wrong() int { return len(b.Invalid) + b.faults.rows }

// Problems returns the number of problems, listed or not.
func (b *Batch) Problems() int { return len(b.Errors) + b.faults.problems }

// What an error, a row and a string take by themselves, in bytes.
const (
	sizeOfError  = 72
	sizeOfRow    = 320
	sizeOfString = 16
)

// lists reports whether one more problem is listed.
func (f *faults) lists(b *Batch) bool { return f.mostErrors == 0 || len(b.Errors) < f.mostErrors }

// list adds a problem to those that are told.
func (b *Batch) list(e RowError) {
	if !b.faults.lists(b) {
		b.faults.problems++
		return
	}
	e.Message = b.faults.message(e.Message)
	b.faults.held += sizeOfError + len(e.RowID)
	b.Errors = append(b.Errors, e)
}

// refuse files a row under the invalid ones. cells makes those that are kept of it.
func (b *Batch) refuse(row InvalidRow, cells func(Row) []string) {
	if b.faults.dropInvalid {
		b.faults.rows++
		return
	}
	row.Cells = slices.Clip(cells(row.Row))
	row.Problem.Message = b.faults.message(row.Problem.Message)
	b.faults.held += sizeOfRow + len(row.RowID) + sizeOfString*len(row.Cells) + lengthOf(row.Cells)
	b.Invalid = append(b.Invalid, row)
}

// cellsOf returns the cells of r, as written or as its other fields say.
func (l Layout) cellsOf(r Row) []string {
	if r.Cells != nil {
		return r.Cells
	}
	return l.AppendCells(nil, r)
}

// longestMessage is how many bytes of a message are kept: one that repeats a cell is
// as long as the cell.
const longestMessage = 2000

// message keeps equal messages once.
func (f *faults) message(s string) string {
	if len(s) > longestMessage {
		s = strings.ToValidUTF8(s[:longestMessage], "") + "…"
	}
	kept, ok := f.messages[s]
	if ok {
		return kept
	}
	f.held += len(s)
	if len(f.messages) < mostTexts {
		f.messages[s] = s
	}
	return s
}

// mostHeld is how many bytes invalid rows and errors may take: those of half a
// million rows as people have them. Each such row has all cells of the header,
// however short it is in the file.
const mostHeld = 256 << 20

// overfull refuses a file of which more is wrong than can be kept.
func (b *Batch) overfull() error {
	if b.faults.held <= mostHeld {
		return nil
	}
	return fileError(CodeTooManyInvalidRows, "more rows are wrong than can be listed, %d so far; correct the first ones: %s", b.Wrong(), b.Errors[0])
}
