package tasks

import (
	"context"

	"github.com/usher-bi/usher/internal/store"
)

// Requeue hands what may be sent of a target to Redis, due tasks at once and the
// others for later, and says how many there are. Of what was never queued it
// queues what there is room for; workers see to the rest. It belongs after
// [store.Store.Resume]: while something is paused, its tasks are not queued. A
// task that is queued already is left as it is, so asking twice is harmless. An
// error leaves the rest to the workers.
func (s *Submitter) Requeue(ctx context.Context, of store.Target) (waiting int, err error) {
	if err := s.queue.Ping(ctx); err != nil {
		return 0, err
	}
	if waiting, err = s.store.CountWaiting(ctx, of); err != nil {
		return 0, err
	}
	var after store.TaskRef
	for {
		some, err := s.store.WaitingTasks(ctx, of, after, page)
		if err != nil {
			return waiting, err
		}
		if len(some) == 0 {
			_, err := s.feeder.fillAll(ctx)
			return waiting, err
		}
		if err := s.queue.Put(ctx, some); err != nil {
			return waiting, err
		}
		after = some[len(some)-1].TaskRef
	}
}
