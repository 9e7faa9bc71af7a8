package tasks

import (
	"context"
	"sync/atomic"
)

// room is for how many tasks of a lane a worker has handlers: a number that may
// change while it runs. asynq has a number of its own, which cannot, so it is the
// most that there may ever be, and fetching waits here.
type room struct {
	most func() int
	busy atomic.Int64
	left chan struct{} // somebody left; capacity 1
}

func newRoom(most func() int) *room { return &room{most: most, left: make(chan struct{}, 1)} }

// wait waits until there is room for one more, and reports whether there was
// before ctx ended. One goroutine waits. Who was fetched just before may not have
// entered yet, so a few more than the most may be in. A number that rose counts
// as soon as somebody has left.
func (r *room) wait(ctx context.Context) bool {
	for r.busy.Load() >= int64(r.most()) {
		select {
		case <-r.left:
		case <-ctx.Done():
			return false
		}
	}
	return ctx.Err() == nil
}

func (r *room) enter() { r.busy.Add(1) }

func (r *room) leave() {
	r.busy.Add(-1)
	select {
	case r.left <- struct{}{}:
	default: // it has been told
	}
}
