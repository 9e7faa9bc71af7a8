package tasks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

// Submission is what somebody asks for: one job.
type Submission struct {
	Source      string
	RequestedBy string
	Reason      string
	Lane        store.Lane
	Key         string // idempotency key; "" means the fingerprint
	Fingerprint string // equal for equal rows of equal source
	ParentID    string // ULID of the job that this one retries or reads for; "" for none
	Retry       bool   // of ParentID: takes its place in the order between jobs
	UpdateRole  bool   // members of a workspace whose role differs are given the new one
	Token       string // by which it came in, for the audit; "" for none
	Guards      store.Guards
	Header      []string
	Input       store.Input
	Rows        Rows // nil for none

	// Progress is told how far the job is on its way in. It may be nil.
	Progress func(Stage, Step)
}

// Submitter turns submissions into jobs.
type Submitter struct {
	store  *store.Store
	queue  *Queue
	feeder feeder
}

// NewSubmitter returns a submitter over both stores.
func NewSubmitter(s *store.Store, q *Queue) *Submitter {
	return &Submitter{store: s, queue: q, feeder: feeder{store: s, queue: q, ahead: func(access.Action) int { return aheadOfWorkers }}}
}

// Submitted says what became of a submission.
type Submitted struct {
	JobID    string
	Replayed bool // the same rows stand under the same key already; nothing was sent again
	Held     bool // a guard holds the new job: see [store.Store.Release]
	Delayed  bool // the job is accepted, but Redis was lost meanwhile: a worker will queue it
}

// Submit accepts a job: changes and tasks are committed to Postgres in one
// transaction, and only then are the first of them queued, in turns with those of
// other jobs; workers queue the rest. An error means that nothing was accepted and that the same submission may be repeated under its key:
// [ErrRedisUnavailable], [store.ErrUnavailable], [store.ErrKeyReused].
//
// A replay queues nothing: workers see to what the first submission may have left
// undone.
func (s *Submitter) Submit(ctx context.Context, sub Submission) (Submitted, error) {
	if err := s.queue.Ping(ctx); err != nil {
		return Submitted{}, err
	}
	planned := plan(sub)
	created, err := s.store.CreateJob(ctx, planned.job())
	if err != nil {
		return Submitted{}, err
	}
	out := Submitted{JobID: created.ID, Replayed: created.Replayed, Held: created.Held}
	if created.Replayed {
		return out, nil
	}
	if planned.tasks.Len() == 0 {
		return out, s.store.Finalize(ctx, created.Number)
	}
	out.Delayed = errors.Is(s.feed(ctx, planned), ErrRedisUnavailable)
	return out, nil
}

// feed queues the first tasks of a new job, if there is room.
func (s *Submitter) feed(ctx context.Context, p planned) error {
	actions := p.actions()
	for done, action := range actions {
		p.sub.tell(StageQueueing, Step{Done: done, Total: len(actions)})
		if _, _, err := s.feeder.fill(ctx, store.ActionLane{Action: action, Lane: p.sub.Lane}); err != nil {
			return err
		}
	}
	return nil
}

// Plan is what a submission would cost.
type Plan struct {
	Rows    int
	Changes int
	Calls   map[access.Action]int
}

// PlanOf splits a submission and writes and sends nothing.
func PlanOf(sub Submission) Plan {
	planned := plan(sub)
	p := Plan{Rows: planned.rows, Changes: planned.open(), Calls: map[access.Action]int{}}
	for i := range planned.tasks.Len() {
		p.Calls[planned.tasks.Action(i)]++
	}
	return p
}

// Floor is the time that no job ends sooner in, where rate gives the calls per
// second of an action: the actions run side by side.
func (p Plan) Floor(rate func(access.Action) float64) time.Duration {
	var floor time.Duration
	for action, calls := range p.Calls {
		floor = max(floor, time.Duration(float64(calls)/rate(action)*float64(time.Second)))
	}
	return floor
}

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
}

// InvalidRow is a row that can no longer be sent, with the reasons.
type InvalidRow struct {
	store.Row

	Problems []access.Problem
}

// RetryInvalidError says that rows which failed can no longer be sent as they
// are: their expiry has passed, for example. Nothing was accepted.
type RetryInvalidError struct{ Rows []InvalidRow }

func (e *RetryInvalidError) Error() string {
	return fmt.Sprintf("%d of the failed rows can no longer be sent as they are", len(e.Rows))
}

// Retry submits the selected failures of a job as a new job linked to it. They
// keep their place in the order between jobs: what a newer job asked for
// meanwhile wins. Asking twice gives the same job.
func (s *Submitter) Retry(ctx context.Context, r RetryRequest) (Submitted, error) {
	parent, err := s.store.Job(ctx, r.JobID)
	if err != nil {
		return Submitted{}, err
	}
	header, err := s.store.Header(ctx, r.JobID)
	if err != nil {
		return Submitted{}, err
	}
	rows, err := s.store.RetryRows(ctx, r.JobID, r.Filter)
	if err != nil {
		return Submitted{}, err
	}
	if len(rows) == 0 {
		return Submitted{}, ErrNothingToRetry
	}
	sub := Submission{
		Source: parent.Source, RequestedBy: r.RequestedBy, Reason: r.Reason, Lane: parent.Lane, ParentID: parent.ID, Retry: true, UpdateRole: parent.UpdateRole, Token: r.Token,
		Header: header, Input: store.Input{SHA256: parent.Input.SHA256, Encoding: parent.Input.Encoding, Delimiter: parent.Input.Delimiter},
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "retry of %s\n", parent.ID)
	var invalid []InvalidRow
	again := make(RowList, 0, len(rows))
	for _, row := range rows {
		problems := row.Change.Problems(r.Today)
		if problems != nil && row.Change.Operation != access.Read { // a read is never a row of an input
			invalid = append(invalid, InvalidRow{Row: row.Row, Problems: problems})
		}
		fmt.Fprintln(hash, row.Line)
		again = append(again, SubmittedRow{Row: row.Row, Unsure: row.Unknown})
	}
	if invalid != nil {
		return Submitted{}, &RetryInvalidError{Rows: invalid}
	}
	sub.Rows, sub.Input.Rows = again, len(rows)
	sub.Fingerprint = hex.EncodeToString(hash.Sum(nil))
	return s.Submit(ctx, sub)
}
