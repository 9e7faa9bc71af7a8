// Package schedule runs schedules: it decides which slots are due, picks up what
// they are about, submits it, and files it away when its jobs have ended.
//
// Everything is written down before it is done. A slot is a row that one process
// writes; a file is a row before it is touched; and a job has a key made of the
// schedule and the slot, so that it is submitted once, whoever dies when.
package schedule

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/slots"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// Submitter turns submissions into jobs.
type Submitter interface {
	Submit(ctx context.Context, sub tasks.Submission) (tasks.Submitted, error)
}

// Options adjusts a Runner. The zero value works, but sees no files.
type Options struct {
	Inbox    *os.Root       // below which files are picked up; nil leaves them to other processes
	Location *time.Location // where a day ends for Quick BI; nil means UTC
	Interval time.Duration  // between two rounds of each chore; 0 means 5s
	Log      zerolog.Logger
	Accounts Resolver // nil rejects files whose rows name accounts
}

// Resolver puts users in the place of the accounts that rows name.
type Resolver interface {
	Resolve(ctx context.Context, b *intake.Batch) error
}

// Runner runs schedules, beside others in other processes: one at a time decides
// on slots, and one carries runs out.
type Runner struct {
	store     *store.Store
	submitter Submitter
	options   Options
	blind     map[int64]bool // schedules of which it was said that their files are out of sight
}

// NewRunner returns a runner that does nothing by itself: see [Runner.Chores].
func NewRunner(st *store.Store, submitter Submitter, o Options) *Runner {
	if o.Location == nil {
		o.Location = time.UTC
	}
	if o.Interval <= 0 {
		o.Interval = 5 * time.Second
	}
	return &Runner{store: st, submitter: submitter, options: o, blind: map[int64]bool{}}
}

// Chores have the workers do rounds, whichever is first. Deciding on slots waits for
// no run: a slot that comes while one takes its time is not missed.
func (r *Runner) Chores() []tasks.Chore {
	at := func(round func(context.Context, time.Time) error) func(context.Context) error {
		return func(ctx context.Context) error {
			now, err := r.store.Now(ctx)
			if err != nil {
				return err
			}
			return round(ctx, now)
		}
	}
	plan := func(ctx context.Context, now time.Time) error {
		_, err := r.plan(ctx, now)
		return err
	}
	return []tasks.Chore{
		{Name: "slots", Every: r.options.Interval, Do: at(plan)},
		{Name: "schedules", Every: r.options.Interval, Do: at(r.carryOut)},
	}
}

// carryOut does what can be done of every run that is open. What fails of one holds
// up no other. Rounds beside each other do no harm.
func (r *Runner) carryOut(ctx context.Context, now time.Time) error {
	open, err := r.store.OpenRuns(ctx)
	if err != nil {
		return err
	}
	var problems []error
	for i, run := range open {
		w := work{Runner: r, run: run, now: now, earlier: open[:i], later: open[i+1:]}
		err := w.advance(ctx)
		open[i] = w.run
		if err != nil {
			if away(ctx, err) {
				return err
			}
			problems = append(problems, fmt.Errorf("schedule %s: %w", run.Of.Name, err))
		}
	}
	return errors.Join(problems...)
}

// away reports whether an error says that nothing else can be done now.
func away(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, store.ErrUnavailable)
}

// plan decides on the slots of each schedule up to now, and counts those that are due
// by it. What fails of one schedule holds up no other.
func (r *Runner) plan(ctx context.Context, now time.Time) (due int, err error) {
	schedules, err := r.store.Schedules(ctx)
	if err != nil {
		return 0, err
	}
	var problems []error
	for _, s := range schedules {
		isDue, err := r.planOne(ctx, s, now)
		if err != nil {
			if away(ctx, err) {
				return due, err
			}
			problems = append(problems, fmt.Errorf("schedule %s: %w", s.Name, err))
		}
		if isDue {
			due++
		}
	}
	return due, errors.Join(problems...)
}

// planOne decides on the slots of one schedule.
func (r *Runner) planOne(ctx context.Context, s store.Schedule, now time.Time) (isDue bool, err error) {
	calendar, err := slots.Parse(s.Cron, s.Timezone)
	if err != nil { // it was judged when it was added
		return false, err
	}
	d, ok := decide(s, calendar, now)
	if !ok {
		return false, nil
	}
	isDue, err = r.store.Decide(ctx, d)
	if err == nil && (isDue || d.State == store.RunMissed) {
		r.options.Log.Info().Str("schedule", s.Name).Time("slot", d.Until).Str("state", string(d.State)).Int("passed_over", d.Missed).Msg("a slot has come")
	}
	return isDue, err
}
