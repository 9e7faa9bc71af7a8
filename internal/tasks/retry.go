package tasks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

// ErrNothingToRetry means that no failure of the job fits the request.
var ErrNothingToRetry = errors.New("nothing to retry")

// RetryRequest says which failures of which job to send again.
type RetryRequest struct {
	JobID       string
	RequestedBy string
	Reason      string
	Token       string // by which the request came in, for the audit; "" for none
	Filter      store.RetryFilter
	Today       access.Date

	// Progress is told how far the new job is on its way in. It may be nil.
	Progress func(Stage, Step)
}

// InvalidRow is a row that can no longer be sent, with the reasons.
type InvalidRow struct {
	store.Row

	Problems []access.Problem
}

// RetryInvalidError says that rows which failed can no longer be sent as they
// are: their expiry has passed, for example. Nothing was accepted.
type RetryInvalidError struct {
	Rows  []InvalidRow // the first thousand
	Total int          // how many there are
}

// mostInvalid bounds what is told of rows that mostly have one cause.
const mostInvalid = 1000

func (e *RetryInvalidError) Error() string {
	return fmt.Sprintf("%d of the failed rows can no longer be sent as they are", e.Total)
}

// Retry submits the selected failures of a job as a new job linked to it. They
// keep their place in the order between jobs: what a newer job asked for
// meanwhile wins. Asking twice gives the same job. The rows are read once, and
// take as little memory as those of an input.
func (s *Submitter) Retry(ctx context.Context, r RetryRequest) (Submitted, error) {
	sub, err := s.RetryOf(ctx, r)
	if err != nil {
		return Submitted{}, err
	}
	return s.Submit(ctx, sub)
}

// RetryOf returns what [Submitter.Retry] submits.
func (s *Submitter) RetryOf(ctx context.Context, r RetryRequest) (Submission, error) {
	parent, err := s.store.Job(ctx, r.JobID)
	if err != nil {
		return Submission{}, err
	}
	header, err := s.store.Header(ctx, r.JobID)
	if err != nil {
		return Submission{}, err
	}
	retried := retrying{request: r, hash: sha256.New()}
	fmt.Fprintf(retried.hash, "retry of %s\n", parent.ID)
	err = retried.read(ctx, s.store)
	expired, isExpired := errors.AsType[*RetryInvalidError](err)
	if err != nil && !isExpired {
		return Submission{}, err
	}
	sub := Submission{
		Source: parent.Source, RequestedBy: r.RequestedBy, Reason: r.Reason, Lane: parent.Lane, ParentID: parent.ID, Retry: true,
		UpdateRole: parent.UpdateRole, Token: r.Token, Header: header, Rows: &retried.rows, Progress: r.Progress,
		Fingerprint: hex.EncodeToString(retried.hash.Sum(nil)),
		Input: store.Input{
			SHA256: parent.Input.SHA256, Rows: retried.step.Done, Encoding: parent.Input.Encoding, Delimiter: parent.Input.Delimiter,
		},
	}
	if !isExpired {
		return sub, nil
	}
	if _, err := s.store.JobOfKey(ctx, sub.Source, sub.Fingerprint); err == nil { // it was submitted while they could be sent
		return sub, nil
	}
	return Submission{}, expired
}

// retrying is a retry whose rows are being read.
type retrying struct {
	request RetryRequest
	rows    kept
	hash    hash.Hash         // over which rows they are
	invalid RetryInvalidError // as far as is known
	step    Step
}

// toldEach is after how many rows it is told that they were read.
const toldEach = 1000

// read reads the rows. It returns [ErrNothingToRetry] if there are none, and a
// [RetryInvalidError] if some can no longer be sent.
func (r *retrying) read(ctx context.Context, from *store.Store) (err error) {
	if r.step.Total, err = from.CountRetryRows(ctx, r.request.JobID, r.request.Filter); err != nil {
		return err
	}
	r.tell()
	if err := from.RetryRows(ctx, r.request.JobID, r.request.Filter, r.add); err != nil {
		return fmt.Errorf("job %s: %w", r.request.JobID, err)
	}
	r.tell()
	r.rows.seal()
	switch {
	case r.step.Done == 0:
		return ErrNothingToRetry
	case r.invalid.Total > 0:
		return &RetryInvalidError{Rows: r.invalid.Rows, Total: r.invalid.Total}
	}
	return nil
}

func (r *retrying) add(row store.RetryRow) error {
	if r.step.Done++; r.step.Done%toldEach == 0 {
		r.tell()
	}
	problems := row.Change.Problems(r.request.Today)
	if problems != nil && row.Change.Operation != access.Read { // a read is never a row of an input
		if r.invalid.Total++; r.invalid.Total <= mostInvalid {
			r.invalid.Rows = append(r.invalid.Rows, InvalidRow{Row: row.Row, Problems: problems})
		}
	}
	fmt.Fprintln(r.hash, row.Line)
	r.rows.add(row)
	return nil
}

func (r *retrying) tell() {
	if r.request.Progress != nil {
		r.request.Progress(StageReading, r.step)
	}
}
