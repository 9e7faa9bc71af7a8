package schedule

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/submit"
)

// The codes of files that are not what was judged, beside those of package intake.
const (
	codeGone    = "file_gone"
	codeChanged = "file_changed"
)

// errSettled means that an input leads to no job, and says why itself.
var errSettled = errors.New("the input is settled")

// submit makes a job of what was picked up, and writes into the input what
// became of it. An error means that nothing is known of that, and that it is to
// be repeated.
func (w *work) submit(ctx context.Context, in *store.RunInput) error {
	known, err := w.store.JobOfKey(ctx, w.run.Of.Source, w.key(*in))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	var batch *intake.Batch
	if w.takesFiles() {
		if batch, err = w.read(ctx, in); err != nil {
			return unsettled(err)
		}
	}
	if known.ID != "" { // it was submitted before, and nobody lived to write that down
		in.State, in.Job = store.InputSubmitted, known.ID
		return nil
	}
	batch, guards, err := w.derive(ctx, in, batch)
	if err != nil {
		return unsettled(err)
	}
	return w.accept(ctx, in, batch, guards)
}

// unsettled is err, unless that only says that the input is settled.
func unsettled(err error) error {
	if errors.Is(err, errSettled) {
		return nil
	}
	return err
}

// derive makes of what was read what is submitted, and under which guards.
func (w *work) derive(ctx context.Context, in *store.RunInput, read *intake.Batch) (batch *intake.Batch, guards store.Guards, err error) {
	guards = w.run.Of.Guards
	if w.takesFiles() {
		if guards.Objections, err = w.objections(ctx, *in); err != nil {
			return nil, guards, err
		}
	}
	switch w.run.Of.Kind {
	case store.DesiredSchedule:
		batch, guards.RevokesOf, err = w.desired(ctx, in, read)
	case store.RenewSchedule:
		batch, err = w.renewals(ctx, in)
	default:
		batch = read
	}
	return batch, guards, err
}

func (w *work) accept(ctx context.Context, in *store.RunInput, batch *intake.Batch, guards store.Guards) error {
	guards.MaxShrink = 0 // which was judged by the file
	s := w.run.Of
	done, err := w.submitter.Submit(ctx, submit.Submission(batch, submit.Request{
		Source: s.Source, RequestedBy: s.RequestedBy, Reason: s.Reason, Key: w.key(*in), Lane: s.Lane, Guards: guards,
	}))
	if err != nil {
		return err
	}
	in.State, in.Job = store.InputSubmitted, done.JobID
	level := zerolog.InfoLevel
	if done.Held {
		level = zerolog.WarnLevel
	}
	w.options.Log.WithLevel(level).Str("schedule", s.Name).Time("slot", w.run.Slot).Str("job", done.JobID).Bool("held", done.Held).Msg("a schedule has submitted a job")
	return nil
}

// read takes a file and reads it. What is wrong with it makes the input rejected.
func (w *work) read(ctx context.Context, in *store.RunInput) (*intake.Batch, error) {
	box := w.inbox()
	if err := box.take(*in); err != nil {
		return nil, w.untaken(in, err)
	}
	f, err := box.open(in.File)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	batch, err := intake.Read(f, w.reading(in.File))
	if bad, ok := errors.AsType[*intake.FileError](err); ok {
		return nil, w.reject(in, bad.Message, []intake.RowError{{Code: bad.Code, Message: bad.Message}})
	}
	if err != nil {
		return nil, err
	}
	if err := w.asJudged(in, f); err != nil { // whoever had it open may have gone on writing
		return nil, err
	}
	if err := w.resolve(ctx, in, batch); err != nil {
		return nil, err
	}
	in.SHA256, in.Rows = batch.SHA256, batch.Total()
	if batch.Wrong() == 0 {
		return batch, nil
	}
	why := fmt.Sprintf("%s: %d of its %d rows are invalid", in.File, batch.Wrong(), batch.Total())
	if !w.run.Of.SkipInvalid || batch.Len() == 0 {
		return nil, w.reject(in, why, batch.Errors)
	}
	in.Why = why + "; they are recorded as failures and not sent"
	return batch, nil
}

// reading is how a file is read. Of those of a folder, only workbooks have sheets.
func (w *work) reading(file string) intake.Options {
	s := w.run.Of
	o := intake.Options{Sheet: s.Sheet, DropInvalid: !s.SkipInvalid}
	if s.Kind == store.FolderSchedule && !isWorkbook(file) {
		o.Sheet = ""
	}
	if s.Kind != store.DesiredSchedule { // in which what has ended is no longer desired
		o.Today, o.DefaultExpiryDays = w.today(), s.ExpiryDays
	}
	return o
}

// untaken settles an input whose file cannot be taken any more. One that was changed
// stays where it is, for the next run to judge.
func (w *work) untaken(in *store.RunInput, err error) error {
	switch {
	case errors.Is(err, errGone):
		w.code = codeGone
	case errors.Is(err, errChanged):
		w.code = codeChanged
	default:
		return err
	}
	in.State, in.Why = store.InputRejected, in.File+": "+err.Error()
	if w.inbox().wasRejected(in.File) { // and nobody lived to write that down
		in.Why = in.File + ": what is wrong with it lies beside it"
	}
	return errSettled
}

// asJudged rejects a file that was taken and is not what was judged to be complete.
func (w *work) asJudged(in *store.RunInput, f *os.File) error {
	now, err := f.Stat()
	if err != nil || unchanged(*in, now) {
		return err
	}
	return w.reject(in, in.File+": "+errChanged.Error(), []intake.RowError{{Code: codeChanged, Message: errChanged.Error() + "; deliver it once more"}})
}

// resolve puts users in the place of the accounts that rows name.
func (w *work) resolve(ctx context.Context, in *store.RunInput, batch *intake.Batch) error {
	if w.options.Accounts != nil {
		return w.options.Accounts.Resolve(ctx, batch)
	}
	batch.Resolve(nil)
	if len(batch.Accounts()) == 0 {
		return nil
	}
	const why = "rows name accounts, which are not looked up here; write ids"
	return w.reject(in, in.File+": "+why, []intake.RowError{{Column: "principal", Code: intake.CodeAccountUnknown, Message: why}})
}

// objections are what speaks against a file beside its revokes.
func (w *work) objections(ctx context.Context, in store.RunInput) (found []store.Objection, err error) {
	before, err := w.store.InputBefore(ctx, w.run.RunRef)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	stale, err := w.stale(ctx, in, before)
	if err != nil {
		return nil, err
	}
	if stale != "" {
		found = append(found, store.Objection{Guard: store.GuardStale, Message: stale})
	}
	if o, shrank := store.Shrunk(in.Rows, before.Rows, w.run.Of.Guards.MaxShrink); shrank {
		found = append(found, o)
	}
	return found, nil
}

// stale says why a file is no newer than one before; "" if it is.
func (w *work) stale(ctx context.Context, in store.RunInput, before store.Before) (why string, err error) {
	switch {
	case w.run.Of.AllowStale:
		return "", nil
	case w.run.Of.Kind == store.FolderSchedule: // its files are one as old as the other
		same, err := w.store.SameInputBefore(ctx, w.run.RunRef, in.SHA256)
		if err != nil || same == "" {
			return "", err
		}
		return in.File + " has the content of " + same + ", which was submitted before", nil
	case in.SHA256 == before.SHA256:
		return in.File + " has the content of the file before", nil
	case in.ModifiedAt != nil && in.ModifiedAt.Before(before.StartedAt):
		return fmt.Sprintf("%s was last written at %s, before the run of the file before, at %s",
			in.File, in.ModifiedAt.UTC().Format(time.RFC3339), before.StartedAt.UTC().Format(time.RFC3339)), nil
	default:
		return "", nil
	}
}

// rows makes a batch of rows that were found, by the same way that files go.
func (w *work) rows(csv []byte) (*intake.Batch, error) {
	return intake.ReadCSV(bytes.NewReader(csv), intake.Options{Today: w.today()})
}
