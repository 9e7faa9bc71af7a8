package tasks

import (
	"context"
	"errors"
	"time"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/broken"
	"github.com/usher-bi/usher/internal/limit"
	"github.com/usher-bi/usher/internal/quickbi"
	"github.com/usher-bi/usher/internal/store"
)

// call waits for the turn of a call of a task, writes it down and sends it. An
// error means that none was sent; [handler.notSent] says what then.
func (h *handler) call(ctx context.Context, task store.Task, s step, probe bool) (reply, error) {
	turn := h.limiters[s.action].Join(laneNamed(task.Lane), task.Job)
	defer turn.Leave()
	start := time.Now()
	waiting, cancel := h.mayWait(ctx)
	defer cancel()
	if turn.Near(waiting) != nil || h.isStopping() {
		return reply{}, errNotNow
	}
	if broken.Recording {
		return h.callUnrecorded(ctx, turn, task, s, probe)
	}
	asked := time.Now()
	begun, err := h.store.BeginCall(ctx, newCall(task, s, probe))
	if err != nil {
		return reply{}, err
	}
	waiting, release := context.WithDeadline(waiting, asked.Add(h.sendWithin()))
	defer release()
	err = turn.Go(waiting)
	h.metrics.waited.Observe(time.Since(start).Seconds())
	if err != nil || h.isStopping() || time.Since(asked) > h.sendWithin() {
		return reply{}, errHeldUp
	}
	r := h.send(ctx, task, s, begun.Call)
	r.overtakes, r.turn = begun.Overtakes, turn
	return r, nil
}

// laneNamed is the lane of the limiter in which the tasks of a lane wait.
func laneNamed(lane store.Lane) limit.Lane {
	switch lane {
	case store.Urgent:
		return limit.Urgent
	case store.Bulk:
		return limit.Bulk
	default:
		return limit.Normal
	}
}

func newCall(task store.Task, s step, probe bool) store.NewCall {
	return store.NewCall{Claim: task.Claim, Action: s.action, Probe: probe, Repeatable: repeatable(task.Action)}
}

// callUnrecorded sends first and writes down afterwards, as no release does.
func (h *handler) callUnrecorded(ctx context.Context, turn *limit.Turn, task store.Task, s step, probe bool) (reply, error) {
	waiting, cancel := h.mayWait(ctx)
	defer cancel()
	if turn.Go(waiting) != nil {
		return reply{}, errNotNow
	}
	r := h.send(ctx, task, s, 0)
	r.turn = turn
	begun, err := h.store.BeginCall(context.WithoutCancel(ctx), newCall(task, s, probe))
	r.answer.Call = begun.Call
	return r, err
}

// send sends the call that was written down. It is never cut short by a stop:
// what has begun is finished and recorded.
func (h *handler) send(ctx context.Context, task store.Task, s step, call int64) reply {
	start := time.Now()
	out, err := s.send(ctx)
	r := reply{outcome: out, answer: answerOf(call, out, err, time.Since(start)), err: err}
	if !readsOnly(s.action) && mayComeLate(task, r) {
		r.answer.LateFor = h.options.LateFor
	}
	return r
}

// mayComeLate reports whether a call that has ended may still take effect.
func mayComeLate(task store.Task, r reply) bool {
	m := quickbi.Explain(r.err)
	return (m.Class == quickbi.ClassTransient || m.Class == quickbi.ClassUnknownOutcome) && mayHaveHappened(task, r, m)
}

// readsOnly reports whether an operation changes nothing.
func readsOnly(action access.Action) bool {
	switch action {
	case access.QuerySharesToUserList, queryShareList, queryRoleInWorkspace, listWorkspaceRoles:
		return true
	default:
		return false
	}
}

// sendWithin is how old the permission to send a call may be. A worker that was
// frozen between the two, and long given up for dead, must not send what has
// been overtaken meanwhile: whoever waits for its call waits for LateFor.
func (h *handler) sendWithin() time.Duration { return min(5*time.Second, h.options.LateFor/4) }

var (
	// errHeldUp means that a call was written down too long ago to be sent, or
	// that the worker stops.
	errHeldUp = errors.New("the worker was held up for too long before it could send")

	// errNotNow means that the turn of a call is further off than its claim lasts,
	// or that the worker stops. Nothing was written down.
	errNotNow = errors.New("not now")
)

// notSent goes on with a task whose call was not sent.
func (h *handler) notSent(ctx context.Context, task store.Task, err error) error {
	newer, isNewer := errors.AsType[*store.SupersededError](err)
	older, isOlder := errors.AsType[*store.OlderCallError](err)
	isHeld := errors.Is(err, errHeldUp)
	switch {
	case isNewer:
		return h.drop(ctx, task, newer.Cells)
	case isOlder:
		return h.giveBack(ctx, task, store.Again{Delay: waitFor(older), Unsure: task.Unsure})
	case errors.Is(err, errNotNow) && h.isStopping():
		return h.giveBack(ctx, task, store.Again{Unsure: task.Unsure})
	case errors.Is(err, errNotNow):
		return h.giveBack(ctx, task, store.Again{Delay: notNow, Unsure: task.Unsure})
	case isHeld, errors.Is(err, store.ErrUnavailable): // then it may be written down all the same
		why := err.Error()
		if err := h.record(ctx, func(ctx context.Context) error { return h.store.NotSent(ctx, task.Claim, why) }); err != nil {
			return err
		}
		return h.giveBack(ctx, task, store.Again{Unsure: task.Unsure})
	case errors.Is(err, store.ErrPaused): // due again as soon as it is resumed
		return h.giveBack(ctx, task, store.Again{Unsure: task.Unsure})
	case errors.Is(err, store.ErrStale): // lost, canceled or stopped
		return h.giveBack(ctx, task, store.Again{Delay: notNow, Unsure: task.Unsure})
	default:
		return err
	}
}
