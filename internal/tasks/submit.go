package tasks

import (
	"context"
	"errors"
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

	New *store.NewlyCreated // as in [store.Created]
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
	out := Submitted{JobID: created.ID, Replayed: created.Replayed, Held: created.Held, New: created.New}
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
