// Package intake turns files into changes of access. It checks a whole file
// before anything is made of it, and reports every bad row with its line, its
// column, a stable code and what to do.
//
// The package is pure: the current day comes in with [Options], and nothing is
// opened, sent or looked up.
package intake

import (
	"github.com/usher-bi/usher/internal/access"
)

// DefaultMaxRows is how many rows one file may have unless Options say
// otherwise.
const DefaultMaxRows = 5_000_000

// DefaultMaxBytes is how large one file may be unless Options say otherwise.
const DefaultMaxBytes = 2 << 30

// Options adjusts how a file is read. With the zero value no expiry is in the
// past and none is filled in.
type Options struct {
	// Today is the current day where Quick BI counts expiry. A grant that ends
	// before it is an error.
	Today access.Date

	// DefaultExpiryDays is written into every grant that has no expiry, counted
	// from Today. A file without that column gets it, at the end. Zero or less
	// leaves such grants alone, and they are errors.
	DefaultExpiryDays int

	// Sheet is the name of the sheet of a workbook to read. Empty means the first
	// that is not hidden.
	Sheet string

	// MaxRows is how many rows the file may have. Zero means DefaultMaxRows.
	MaxRows int

	// MaxBytes is how large the file may be. Zero, and more than that, means
	// DefaultMaxBytes.
	MaxBytes int64

	// MostErrors is how many problems are listed; all are counted. Zero means all.
	MostErrors int

	// DropInvalid is for whoever submits nothing of a file with a bad row: such rows
	// are counted, but not kept.
	DropInvalid bool
}

// Batch is the content of one file. Every row of the file is among the sound
// ones ([Batch.Rows]) or, unless Options.DropInvalid, in Invalid, each in the order
// of the file; blank lines are no rows. A million sound rows take some 50 MB.
type Batch struct {
	// Header has the column names as written, without result__ columns, and
	// with expires_on at the end if a default expiry needs a place to stand.
	Header   []string
	Invalid  []InvalidRow // the rows that are not sound
	Errors   []RowError   // the problems of all invalid rows, or Options.MostErrors of them, in file order; a contradiction of two rows once, at the later
	Warnings []string     // remarks about the whole file, for a person

	// ResultOf names the jobs of which the file is a result file: the values of
	// its column result__job_id, each once, sorted. Nil for any other file.
	ResultOf []string

	SHA256    string // of the bytes read, in hex
	Encoding  string // utf-8, utf-8-bom, utf-16le, utf-16be, gb18030 or xlsx
	Delimiter string // comma, semicolon, tab or bar, as the character itself; empty for xlsx

	rows        columns // the sound ones
	filled      lineSet // lines of the rows, sound or not, whose expiry is the default
	defaultDays int     // Options.DefaultExpiryDays
	faults      faults
}

// Total returns the number of rows of the file.
func (b *Batch) Total() int { return b.Len() + b.Wrong() }

// Row is one row of a file.
type Row struct {
	// Line is where the row starts in the file, counted from 1 as an editor
	// does: line breaks inside quotes count.
	Line int

	// RowID is the sender's own id of the row, unique in the file. Where the
	// sender gave none it is made from Line.
	RowID string

	Change access.Change
	Reason string
	Ticket string

	// Cells are the row's cells, aligned with Batch.Header: as given, but for
	// the apostrophe that [Restore] removes and a default expiry, which is
	// filled in. Nil means that [Layout.AppendCells] makes exactly them of the
	// other fields.
	Cells []string

	// DuplicateOf is the line of the first row with the same change, and 0 for
	// that first row itself. A repeat is not to be sent again.
	DuplicateOf int
}

// InvalidRow is a row that must not be sent. Its Change is what could be read
// of it, and its Cells are never nil: aligned with Batch.Header, blank where
// the row was too short or broken, cut off where it was too long.
type InvalidRow struct {
	Row

	Problem access.Problem // the first of its problems
}
