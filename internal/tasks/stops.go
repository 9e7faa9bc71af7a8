package tasks

import (
	"context"
	"errors"
	"time"

	"github.com/hibiken/asynq"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

// stopPoll is how soon a worker sees that another one stopped or resumed an
// action. No call is sent meanwhile: BeginCall looks at the stop itself.
const stopPoll = time.Second

// watchStops keeps the queues of stopped actions paused, so that their tasks
// stay where they are, and probes, until ctx is done.
func (w *Worker) watchStops(ctx context.Context) {
	inspector := asynq.NewInspectorFromRedisClient(w.redis)
	paused := map[access.Action]bool{} // none at first: an earlier process may have left a queue either way
	for {
		stops, err := w.store.Stops(ctx)
		if err != nil && ctx.Err() == nil {
			w.log.Warn().Err(err).Msg("reading stopped actions")
		}
		for _, action := range access.Actions() {
			if err != nil {
				break
			}
			stopped := isStopped(stops, action)
			if was, known := paused[action]; stopped || !known || was { // again and again while stopped: Redis may forget
				w.pauseQueues(inspector, action, stopped)
				paused[action] = stopped
			}
			if stopped {
				w.metrics.stopped.WithLabelValues(string(action)).Set(1)
				w.probe(ctx, action)
			} else {
				w.metrics.stopped.WithLabelValues(string(action)).Set(0)
			}
		}
		if !pause(ctx, stopPoll) {
			return
		}
	}
}

func isStopped(stops []store.Stop, action access.Action) bool {
	for _, s := range stops {
		if s.Action == action {
			return true
		}
	}
	return false
}

// pauseQueues pauses or unpauses the lanes of an action. asynq refuses to do
// what is done already; any other error only means that tasks are delivered and
// given back until the next change.
func (w *Worker) pauseQueues(inspector *asynq.Inspector, action access.Action, stop bool) {
	set := inspector.UnpauseQueue
	if stop {
		set = inspector.PauseQueue
	}
	for _, lane := range store.Lanes() {
		if err := set(queueName(action, lane)); err != nil {
			w.log.Debug().Err(err).Str("queue", queueName(action, lane)).Bool("pause", stop).Msg("queue left as it is")
		}
	}
}

// probe sends one waiting task of a stopped action, when it is time and no
// other worker does, to find out whether Quick BI accepts calls again.
func (w *Worker) probe(ctx context.Context, action access.Action) {
	turn, err := w.store.TakeProbe(ctx, action, w.options.ProbeFirst, w.options.ProbeMost)
	if err != nil || !turn {
		return
	}
	task, err := w.store.ReadyTask(ctx, action)
	if errors.Is(err, store.ErrNotFound) {
		return // nothing waits, so nothing is held up
	}
	if err == nil {
		err = w.handlers[action].run(context.WithoutCancel(ctx), attempt{ref: task.TaskRef, generation: task.Generation, probe: true})
	}
	if err != nil {
		w.log.Warn().Err(err).Str("action", string(action)).Msg("probing")
	}
}
