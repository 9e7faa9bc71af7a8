package tasks

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hibiken/asynq"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

const (
	// stopPoll is how soon a worker sees that an action was stopped, paused or
	// resumed elsewhere. No call is sent meanwhile: BeginCall looks itself.
	stopPoll = time.Second

	// assertEvery is how many looks later the queues of actions that run are
	// opened once more: whoever closed them last may have died before opening.
	assertEvery = 30
)

// watchStops keeps the queues of actions that are stopped or paused closed, so
// that their tasks stay where they are, and probes those that are stopped, until
// ctx is done.
func (w *Worker) watchStops(ctx context.Context) {
	inspector := asynq.NewInspectorFromRedisClient(w.redis)
	closed := map[access.Action]bool{} // none at first: an earlier process may have left a queue either way
	for look := 1; ; look++ {
		standing, err := w.standstill(ctx)
		if !w.gate.excuses(ctx, err) {
			w.log.Warn().Err(err).Msg("reading what is stopped and paused")
		}
		if look%assertEvery == 0 {
			clear(closed)
		}
		for _, action := range access.Actions() {
			if err != nil {
				break
			}
			stopped, paused := standing.stopped(action), standing.paused(action)
			shut := stopped || paused
			if was, known := closed[action]; shut || !known || was { // again and again while shut: Redis may forget
				w.closeQueues(inspector, action, shut)
				closed[action] = shut
			}
			w.metrics.stopped.WithLabelValues(string(action)).Set(gauge(stopped))
			w.metrics.paused.WithLabelValues(string(action)).Set(gauge(paused))
			if stopped && !paused {
				w.probe(ctx, action)
			}
		}
		if !pause(ctx, stopPoll) {
			return
		}
	}
}

// standstill is what keeps actions from being sent.
type standstill struct {
	stops  []store.Stop
	pauses []store.Pause
}

func (w *Worker) standstill(ctx context.Context) (standstill, error) {
	stops, err := w.store.Stops(ctx)
	if err != nil {
		return standstill{}, err
	}
	pauses, err := w.store.Pauses(ctx)
	return standstill{stops: stops, pauses: pauses}, err
}

// stopped reports whether Quick BI refuses the account for an action.
func (s standstill) stopped(action access.Action) bool {
	return slices.ContainsFunc(s.stops, func(stop store.Stop) bool { return stop.Action == action })
}

// paused reports whether an operator paused an action, or everything.
func (s standstill) paused(action access.Action) bool {
	return slices.ContainsFunc(s.pauses, func(p store.Pause) bool { return p.PausesAction(action) })
}

func gauge(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

// closeQueues pauses or unpauses the lanes of an action. asynq refuses to do
// what is done already; any other error only means that tasks are delivered and
// given back until the next change.
func (w *Worker) closeQueues(inspector *asynq.Inspector, action access.Action, shut bool) {
	set := inspector.UnpauseQueue
	if shut {
		set = inspector.PauseQueue
	}
	for _, lane := range store.Lanes() {
		if err := set(queueName(action, lane)); err != nil {
			w.log.Debug().Err(err).Str("queue", queueName(action, lane)).Bool("pause", shut).Msg("queue left as it is")
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
