package schedule

import (
	"context"
	"encoding/csv"
	"errors"
	"io"
	"strconv"

	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/view"
)

// file files an input whose end has come, and says so in it.
func (w *work) file(ctx context.Context, in *store.RunInput) error {
	if in.State == store.InputSubmitted {
		job, err := w.store.RunJob(ctx, in.Job)
		if err != nil || !job.Status.Final() {
			return err
		}
		if err := w.fileResults(ctx, *in); err != nil {
			return err
		}
	} else if in.State == store.InputNothing && in.File != "" {
		if err := w.inbox().put(doneFolder, in.File); err != nil {
			return err
		}
	}
	in.Filed = true
	return w.store.SetInput(ctx, w.run.RunRef, *in)
}

// reject puts a file that cannot be submitted among the errors, with what is
// wrong beside it. Unless that fails it returns errSettled.
func (w *work) reject(in *store.RunInput, why string, problems []intake.RowError) error {
	in.State, in.Why = store.InputRejected, why
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
func (w *work) fileResults(ctx context.Context, in store.RunInput) error {
	if in.File == "" {
		return nil
	}
	box, folder := w.inbox(), doneFolder
	job, err := w.store.Job(ctx, in.Job)
	if _, dropped := errors.AsType[*store.DroppedError](err); dropped { // of which no results are left
		return box.put(folder, in.File)
	}
	if err != nil {
		return err
	}
	if job.Status != store.JobCompleted || job.Outcome != store.OutcomeSucceeded {
		folder = errorsFolder
	}
	err = box.write(box.place(folder, in.File)+".results.csv", func(out io.Writer) error { return w.writeResults(ctx, out, in.Job) })
	if err != nil {
		return err
	}
	return box.put(folder, in.File)
}

// writeResults writes the rows of a job with what became of each.
func (w *work) writeResults(ctx context.Context, out io.Writer, job string) error {
	header, err := w.store.Header(ctx, job)
	if err != nil {
		return err
	}
	_, err = view.Results{Store: w.store, JobID: job, Header: header}.WriteCSV(ctx, out)
	return err
}
