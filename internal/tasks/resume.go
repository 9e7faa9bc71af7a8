package tasks

import (
	"context"

	"github.com/usher-bi/usher/internal/store"
)

// Requeue hands every task of a target that may be sent to Redis, due ones at
// once and the others for later, and says how many there are. It belongs after
// [store.Store.Resume]: while something is paused, its tasks are not queued. A
// task that is queued already is left as it is, so asking twice is harmless. An
// error leaves the rest to the reconciler.
func (s *Submitter) Requeue(ctx context.Context, of store.Target) (queued int, err error) {
	if err := s.queue.Ping(ctx); err != nil {
		return 0, err
	}
	var after store.TaskRef
	for {
		waiting, err := s.store.WaitingTasks(ctx, of, after, page)
		if err != nil || len(waiting) == 0 {
			return queued, err
		}
		if err := s.queue.Put(ctx, waiting); err != nil {
			return queued, err
		}
		queued += len(waiting)
		after = waiting[len(waiting)-1].TaskRef
	}
}
