package tasks

import (
	"context"

	"github.com/usher-bi/usher/internal/broken"
	"github.com/usher-bi/usher/internal/store"
)

// reconcile repairs, until ctx is done, what crashes and a forgetful Redis have
// left behind. One worker at a time does it.
func (w *Worker) reconcile(ctx context.Context) {
	defer w.logCheckpoint()
	if broken.Reconciler {
		return
	}
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
	reclaimed, err := w.store.Reclaim(ctx, w.options.LateFor)
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
	return w.keepAudit(ctx)
}

// page is how many due tasks are looked up at once.
const page = 1000

// stuckAfter is how many rounds a task may be due and in a worker's hands, as
// Redis sees it, while Postgres knows of no claim.
const stuckAfter = 4

// requeue puts tasks that have been due for a while, and that Redis does not
// hold, into the queue again: it forgot them, or a dying process never put them
// there. A task that Redis believes to be in a worker's hands, while nobody has
// claimed it, gets a new generation first: a worker died between the two, or the
// entry lost its lease and would stay for ever.
func (w *Worker) requeue(ctx context.Context) error {
	var after store.TaskRef
	for {
		due, err := w.store.DueTasks(ctx, w.options.Sweep, after, page)
		if err != nil || len(due) == 0 {
			return err
		}
		fates, err := w.queue.fates(ctx, due)
		if err != nil {
			return err
		}
		var lost, renew []store.Queued
		for i, t := range due {
			switch {
			case fates[i] == forgotten:
				lost = append(lost, t)
			case fates[i] == stuck && -t.Delay >= stuckAfter*w.options.Sweep:
				renew = append(renew, t)
			}
		}
		if len(renew) > 0 {
			renewed, err := w.store.Renew(ctx, renew)
			if err != nil {
				return err
			}
			lost = append(lost, renewed...)
		}
		if err := w.queue.Put(ctx, lost); err != nil {
			return err
		}
		if len(lost) > 0 {
			w.metrics.repairs.WithLabelValues("task_requeued").Add(float64(len(lost)))
			w.log.Warn().Int("tasks", len(lost)).Int("stuck", len(renew)).Msg("tasks that Redis had lost are queued again")
		}
		after = due[len(due)-1].TaskRef
	}
}
