package schedule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// work is what there is to do of one run in one round.
type work struct {
	*Runner

	run            store.OpenRun
	now            time.Time
	earlier, later []store.OpenRun // of all schedules

	code string // of what the first input was rejected for, if that was now
}

// advance takes the run as far as it goes now.
func (w *work) advance(ctx context.Context) error {
	if w.takesFiles() && w.options.Inbox == nil {
		if !w.blind[w.run.Schedule] {
			w.options.Log.Warn().Str("schedule", w.run.Of.Name).Msg("this worker sees no files: WORKER_INBOX is not set; another one has to run it")
			w.blind[w.run.Schedule] = true
		}
		return nil
	}
	if w.run.State == store.RunDue {
		started, err := w.start(ctx)
		if err != nil || !started {
			return err
		}
	}
	if w.run.State == store.RunRunning {
		if err := w.submitAll(ctx); err != nil {
			return err
		}
	}
	return w.fileAll(ctx)
}

func (w *work) takesFiles() bool { return w.run.Of.Kind != store.RenewSchedule }

// end ends the run. Why it ended so may quote a file and stays in Postgres: ids of
// people are not for the log.
func (w *work) end(ctx context.Context, state store.RunState, why string) error {
	succeeded := (state == store.RunDone || state == store.RunNothing) &&
		!slices.ContainsFunc(w.run.Inputs, func(in store.RunInput) bool { return !in.Succeeded })
	level := zerolog.InfoLevel
	switch {
	case state == store.RunRejected, state == store.RunMissing:
		level = zerolog.WarnLevel
	case state == store.RunNothing && len(w.run.Inputs) == 0: // an empty folder
		level = zerolog.DebugLevel
	}
	w.options.Log.WithLevel(level).Str("schedule", w.run.Of.Name).Time("slot", w.run.Slot).Str("state", string(state)).
		Bool("succeeded", succeeded).Str("code", w.code).Msg("a run of a schedule has ended")
	w.run.State = state
	return w.store.SetRun(ctx, w.run.RunRef, store.RunChange{State: state, Why: why, At: w.now, Succeeded: succeeded})
}

// start picks up what the run is about, if it is time.
func (w *work) start(ctx context.Context) (started bool, err error) {
	if w.run.Of.PausedAt != nil && !w.run.Manual {
		return false, w.end(ctx, store.RunSkipped, "the schedule was paused")
	}
	busy, err := w.busy(ctx)
	if err != nil {
		return false, err
	}
	if busy != "" {
		if w.run.Of.Overlap == store.OverlapQueue {
			return false, nil
		}
		return false, w.end(ctx, store.RunSkipped, busy)
	}
	inputs := []store.RunInput{{}}
	if w.takesFiles() {
		var none absence
		if inputs, none, err = w.inbox().complete(); err != nil {
			return false, err
		}
		if len(inputs) == 0 {
			return false, w.await(ctx, none)
		}
	}
	if err := w.store.StartRun(ctx, w.run.RunRef, w.now, inputs); err != nil {
		if errors.Is(err, store.ErrStale) { // somebody else did
			return false, nil
		}
		return false, err
	}
	for i := range inputs {
		inputs[i].No, inputs[i].State = i+1, store.InputPicked
	}
	w.run.State, w.run.StartedAt, w.run.Inputs = store.RunRunning, &w.now, inputs
	return true, nil
}

// await waits for a file for as long as the schedule says.
func (w *work) await(ctx context.Context, none absence) error {
	until := w.run.Slot.Add(w.run.Of.FileWithin)
	overtaken := slices.ContainsFunc(w.later, func(o store.OpenRun) bool { return o.Schedule == w.run.Schedule })
	if overtaken || !w.now.Before(until) {
		return w.end(ctx, none.state, none.why)
	}
	return nil
}

// busy says which job of an earlier run keeps this one from starting; "" if
// none does. A job that a guard holds keeps nobody: it waits for a person.
func (w *work) busy(ctx context.Context) (why string, err error) {
	for _, run := range w.earlier {
		switch {
		case run.Schedule != w.run.Schedule:
			continue
		case run.State == store.RunDue, run.State == store.RunRunning:
			return "the run of " + run.Slot.Format(time.RFC3339) + " has not ended", nil
		}
		if run.State != store.RunOpen {
			continue
		}
		job, err := w.unended(ctx, run)
		if err != nil || job != "" {
			return "job " + job + " of the run of " + run.Slot.Format(time.RFC3339) + " has not ended", err
		}
	}
	return "", nil
}

// unended is a job of a run that has not ended; "" where all have.
func (w *work) unended(ctx context.Context, run store.OpenRun) (string, error) {
	for _, in := range run.Inputs {
		if in.Job == "" || in.Filed {
			continue
		}
		job, err := w.store.RunJob(ctx, in.Job)
		if err != nil || !job.Status.Final() && job.Guard == "" {
			return in.Job, err
		}
	}
	return "", nil
}

// today is the day on which the run started, where a day ends for Quick BI: a
// repeat of it means the same.
func (w *work) today() access.Date {
	return access.DateOf(w.run.StartedAt.In(w.options.Location))
}

// key is the idempotency key of the job of an input.
func (w *work) key(in store.RunInput) string {
	key := tasks.ScheduleKey + w.run.Of.Name + ":" + w.run.Slot.Format(time.RFC3339Nano)
	if w.run.Of.Kind == store.FolderSchedule {
		key += fmt.Sprintf(":%d", in.No)
	}
	return key
}

// submitAll makes jobs of all that was picked up.
func (w *work) submitAll(ctx context.Context) error {
	for i := range w.run.Inputs {
		if w.run.Inputs[i].State != store.InputPicked {
			continue
		}
		if err := w.submit(ctx, &w.run.Inputs[i]); err != nil {
			return err
		}
		if err := w.store.SetInput(ctx, w.run.RunRef, w.run.Inputs[i]); err != nil {
			return err
		}
	}
	w.run.State = store.RunOpen
	return w.store.SetRun(ctx, w.run.RunRef, store.RunChange{State: store.RunOpen})
}

// fileAll files what has ended, and ends the run when all has.
func (w *work) fileAll(ctx context.Context) error {
	states := map[store.InputState]int{}
	why := ""
	for i := range w.run.Inputs {
		in := &w.run.Inputs[i]
		if !in.Filed {
			if err := w.file(ctx, in); err != nil || !in.Filed {
				return err
			}
		}
		states[in.State]++
		if in.State != store.InputSubmitted {
			why = in.Why
		}
	}
	switch {
	case states[store.InputRejected] > 0:
		return w.end(ctx, store.RunRejected, why)
	case states[store.InputSubmitted] > 0:
		return w.end(ctx, store.RunDone, "")
	default:
		return w.end(ctx, store.RunNothing, why)
	}
}
