package main

import (
	"cmp"
	"fmt"
	"io"

	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// codeRejected is the error code of every rejected input. It is API.
const codeRejected = "input_rejected"

// rejection is an input that was refused: nothing was written or sent.
type rejection struct {
	message string
	advice  string
	rows    int
	errors  []intake.RowError
	place   string // what the line of an error counts; "" for lines
	reused  bool   // ids stand for something else already
}

// code is the error code of the rejection as a whole.
func (r *rejection) code() string {
	if r.reused {
		return store.CodeEventReused
	}
	return codeRejected
}

func (r *rejection) exit() int {
	if r.reused {
		return exitKeyReused
	}
	return exitRejected
}

func (r *rejection) Error() string { return r.message }

// rejectionDocument is what --json prints for a rejection. Its JSON is API.
type rejectionDocument struct {
	Error  fault             `json:"error"`
	Rows   int               `json:"rows"`
	Errors []intake.RowError `json:"errors"`
}

func (r *rejection) document() rejectionDocument {
	return rejectionDocument{
		Error: fault{Code: r.code(), Message: r.message}, Rows: r.rows, Errors: append([]intake.RowError{}, r.errors...),
	}
}

// rejectUsers refuses a list of users for its bad rows. place is what the line
// of an error counts.
func rejectUsers(u *intake.Users, place string) *rejection {
	return &rejection{
		message: fmt.Sprintf("%s in %s; nothing was written or sent", plural(len(u.Errors), "error"), plural(u.Rows, "user")),
		advice:  "Correct the ids and give the command again.", rows: u.Rows, errors: u.Errors, place: place,
	}
}

// printErrors writes one line an error: every one, because people mend them all
// at once.
func printErrors(out io.Writer, errors []intake.RowError, place string) {
	for _, e := range errors {
		if e.Line == 0 {
			continue // about the whole file, which the message says
		}
		where := ""
		if e.Column != "" {
			where = ", " + e.Column
		}
		fmt.Fprintf(out, "%s %d%s: %s [%s]\n", cmp.Or(place, "line"), e.Line, where, printable(e.Message), e.Code)
	}
}

const adviceSkip = "Correct these rows and submit the file again, or give --skip-invalid to submit the others."

// rejectBatch refuses a file for its bad rows.
func rejectBatch(b *intake.Batch, skipInvalid bool) *rejection {
	r := &rejection{
		message: fmt.Sprintf("%s in %s; nothing was written or sent", plural(len(b.Errors), "error"), plural(b.Total(), "row")),
		advice:  adviceSkip, rows: b.Total(), errors: b.Errors,
	}
	if skipInvalid {
		r.message = "no row is valid: " + r.message
		r.advice = "Correct the rows and submit the file again."
	}
	return r
}

// rejectFile refuses a file of which no row can be read.
func rejectFile(name string, e *intake.FileError) *rejection {
	r := &rejection{
		message: name + ": " + e.Message + "; nothing was written or sent",
		errors:  []intake.RowError{{Code: e.Code, Message: e.Message}},
	}
	if e.Code == intake.CodeTooManyRows {
		r.advice = "Split the file, or set ENQUEUE_MAX_ROWS to more: memory grows with it, by some 250 MB for a million rows."
	}
	return r
}

// rejectRetry refuses rows that can no longer be sent as they are.
func rejectRetry(job string, e *tasks.RetryInvalidError) *rejection {
	r := &rejection{
		message: e.Error() + "; nothing was written or sent",
		advice:  "Correct them in a file of their own: enqueue results " + job + " --status failed,unknown -o failed.csv",
		rows:    e.Total,
	}
	for _, row := range e.Rows {
		for _, p := range row.Problems {
			r.errors = append(r.errors, intake.RowError{
				Line: row.Line, Column: p.Column, RowID: row.RowID, Code: p.Code, Message: p.Message,
			})
		}
	}
	return r
}
