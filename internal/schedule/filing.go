package schedule

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/intake/xlsx"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/view"
)

// file files an input whose end has come, and says so in it.
func (w *work) file(ctx context.Context, in *store.RunInput) error {
	switch in.State {
	case store.InputSubmitted:
		job, err := w.store.RunJob(ctx, in.Job)
		if err != nil || !job.Status.Final() {
			return err
		}
		if in.Succeeded, err = w.fileResults(ctx, *in); err != nil {
			return err
		}
	case store.InputNothing:
		in.Succeeded = true
		if err := w.putDone(*in); err != nil {
			return err
		}
	default: // its file lies where it belongs already
	}
	in.Filed = true
	return w.store.SetInput(ctx, w.run.RunRef, *in)
}

// putDone puts an input away that asks for nothing, if it is a file.
func (w *work) putDone(in store.RunInput) error {
	if in.File == "" {
		return nil
	}
	return w.inbox().put(doneFolder, in.File)
}

// reject puts a file that cannot be submitted among the errors, with what is
// wrong beside it. Unless that fails it returns errSettled.
func (w *work) reject(in *store.RunInput, why string, problems []intake.RowError) error {
	in.State, in.Why, w.code = store.InputRejected, why, cmp.Or(w.code, problems[0].Code)
	box := w.inbox()
	if err := box.write(box.place(errorsFolder, in.File)+".errors.csv", func(out io.Writer) error { return writeErrors(out, problems) }); err != nil {
		return err
	}
	if err := box.put(errorsFolder, in.File); err != nil {
		return err
	}
	return errSettled
}

func writeErrors(out io.Writer, problems []intake.RowError) error {
	if _, err := io.WriteString(out, view.ByteOrderMark); err != nil {
		return err
	}
	w := csv.NewWriter(out)
	_ = w.Write([]string{"line", "column", "row_id", "code", "message"}) // Error tells
	for _, p := range problems {
		_ = w.Write(view.Neutralised([]string{strconv.Itoa(p.Line), p.Column, p.RowID, p.Code, p.Message}))
	}
	w.Flush()
	return w.Error()
}

// fileResults puts a file whose job has ended where it belongs: among those that
// are done if every row succeeded or was so already, with the results beside it.
func (w *work) fileResults(ctx context.Context, in store.RunInput) (succeeded bool, err error) {
	job, err := w.store.Job(ctx, in.Job)
	_, dropped := errors.AsType[*store.DroppedError](err) // of which no results are left
	if err != nil && !dropped {
		return false, err
	}
	succeeded = dropped || job.Status == store.JobCompleted && job.Outcome == store.OutcomeSucceeded
	if in.File == "" {
		return succeeded, nil
	}
	box, folder := w.inbox(), doneFolder
	if !succeeded {
		folder = errorsFolder
	}
	if !dropped {
		if err := w.writeResults(ctx, box.place(folder, in.File), in.Job); err != nil {
			return false, err
		}
	}
	return succeeded, box.put(folder, in.File)
}

// writeResults writes the rows of a job with what became of each, beside the file
// that they were in and in its form: a workbook beside one, unless they do not fit.
func (w *work) writeResults(ctx context.Context, file, job string) error {
	header, err := w.store.Header(ctx, job)
	if err != nil {
		return err
	}
	of := view.Results{Store: w.store, JobID: job, Header: header}
	if isWorkbook(file) {
		err := w.inbox().write(file+".results.xlsx", func(out io.Writer) error {
			_, err := of.WriteXLSX(ctx, out)
			return err
		})
		if !errors.Is(err, xlsx.ErrTooManyRows) && !errors.Is(err, xlsx.ErrTextTooLong) {
			return err
		}
	}
	return w.inbox().write(file+".results.csv", func(out io.Writer) error {
		if _, err := io.WriteString(out, view.ByteOrderMark); err != nil {
			return err
		}
		_, err := of.WriteCSV(ctx, out)
		return err
	})
}

// isWorkbook reports whether a file calls itself an Excel workbook.
func isWorkbook(name string) bool { return strings.EqualFold(path.Ext(name), ".xlsx") }
