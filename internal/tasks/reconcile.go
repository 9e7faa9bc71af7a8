package tasks

import (
	"context"

	"github.com/usher-bi/usher/internal/store"
)

// reconcile repairs, until ctx is done, what crashes and a forgetful Redis have
// left behind. One worker at a time does it.
func (w *Worker) reconcile(ctx context.Context) {
	for {
		if _, err := w.store.AsLeader(ctx, w.sweep); err != nil && ctx.Err() == nil {
			w.log.Warn().Err(err).Msg("repair round failed; the next one tries again")
		}
		if !pause(ctx, w.options.Sweep) {
			return
		}
	}
}

// sweep is one round of repair. Everything in it is compare and set, so a round
// that runs beside another, or beside the workers, does no harm.
func (w *Worker) sweep(ctx context.Context) error {
	reclaimed, err := w.store.Reclaim(ctx)
	if err != nil {
		return err
	}
	if reclaimed > 0 {
		w.metrics.repairs.WithLabelValues("claim_released").Add(float64(reclaimed))
		w.log.Warn().Int64("tasks", reclaimed).Msg("claims of silent workers released")
	}
	if err := w.requeue(ctx); err != nil {
		return err
	}
	open, err := w.store.OpenJobs(ctx)
	if err != nil {
		return err
	}
	for _, job := range open {
		if err := w.store.Finalize(ctx, job); err != nil {
			return err
		}
	}
	return nil
}

// page is how many due tasks are read at once.
const page = 1000

// requeue puts every task that has been due for a while into the queue again.
// Redis has most of them already and leaves them as they are; those that it
// forgot, or that a dying process never put there, come back.
func (w *Worker) requeue(ctx context.Context) error {
	var after store.TaskRef
	for {
		due, err := w.store.DueTasks(ctx, w.options.Sweep, after, page)
		if err != nil || len(due) == 0 {
			return err
		}
		if err := w.queue.Put(ctx, due); err != nil {
			return err
		}
		after = due[len(due)-1].TaskRef
	}
}
