package tasks

import (
	"context"
	"errors"
	"time"
)

// Chore is something that one worker at a time does now and then, beside the
// tasks. It must survive being ended in the middle, and being done twice.
type Chore struct {
	Name  string // of its lock, and in logs
	Every time.Duration

	// Due reports whether there is something to do. It is asked by every worker
	// each time, so it must be cheap. Nil means that there always is.
	Due func(context.Context) (bool, error)
	Do  func(context.Context) error
}

// keepDoing does a chore until ctx is done. What fails is done again.
func (w *Worker) keepDoing(ctx context.Context, c Chore) {
	tick := time.NewTicker(c.Every)
	defer tick.Stop()
	for {
		err := w.do(ctx, c)
		if known := errors.Is(err, ErrRedisUnavailable) && w.absence.away(); !w.gate.excuses(ctx, err) && !known {
			w.log.Warn().Err(err).Str("chore", c.Name).Msg("a chore failed; it is tried again")
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (w *Worker) do(ctx context.Context, c Chore) error {
	if c.Due != nil {
		if due, err := c.Due(ctx); err != nil || !due {
			return err
		}
	}
	_, err := w.store.Alone(ctx, c.Name, c.Do)
	return err
}
