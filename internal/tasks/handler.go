package tasks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/hibiken/asynq"
	"github.com/rs/zerolog"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/limit"
	"github.com/usher-bi/usher/internal/quickbi"
	"github.com/usher-bi/usher/internal/store"
)

// handler works on the tasks of one action.
type handler struct {
	store    *store.Store
	queue    *Queue
	quickbi  *quickbi.Client
	limiters map[access.Action]*limit.Limiter // by operation, shared by all handlers of the process
	trust    *trust
	log      zerolog.Logger
	metrics  *metrics
	costs    *costs
	options  Options
	gate     *gate
	stopping <-chan struct{} // closed when no further call may begin
	gone     <-chan struct{} // closed when nothing more will be recorded
}

// ProcessTask is asynq's way in. While Postgres is away it waits. It returns an
// error only when the worker stops before Postgres could be asked: asynq then
// delivers the task again. In all other cases Postgres knows what comes next.
// asynq's own context is not used: it ends when Redis is slow, and a call in
// flight must be recorded even then.
func (h *handler) ProcessTask(ctx context.Context, t *asynq.Task) error {
	ref, generation, err := parseTaskID(string(t.Payload()))
	if err != nil {
		return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
	}
	return h.run(context.WithoutCancel(ctx), attempt{ref: ref, generation: generation})
}

// attempt names a task as it was queued, and whether it is sent to find out if
// its action works again.
type attempt struct {
	ref        store.TaskRef
	generation int
	probe      bool
}

// run claims a task and works on it until it is over, given back or lost.
func (h *handler) run(ctx context.Context, a attempt) error {
	task, deadline, err := h.claim(ctx, a)
	if errors.Is(err, store.ErrStale) {
		return nil // somebody else has it, or it has ended
	}
	if err != nil {
		if !errors.Is(err, store.ErrUnavailable) {
			h.log.Error().Err(err).Msg("claiming a task")
		}
		return err
	}
	h.metrics.claimed.WithLabelValues(string(task.Action)).Inc()
	defer h.metrics.released.WithLabelValues(string(task.Action)).Inc()

	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	log := h.log.With().Str("job_id", task.JobID).Int("task", task.No).Int("generation", task.Generation).Logger()
	if err := h.work(log.WithContext(ctx), task, a.probe); err != nil && !errors.Is(err, store.ErrStale) {
		// The claim stands until its lease or this worker ends; then the reconciler
		// returns the task to the queue, as if this worker had died.
		log.Error().Err(err).Msg("task left to the reconciler")
	}
	return nil
}

// claim claims a task and says until when to work on it. A claim of which
// nobody knows whether it was made is made again, and is the same.
func (h *handler) claim(ctx context.Context, a attempt) (task store.Task, deadline time.Time, err error) {
	request := store.ClaimRequest{
		TaskRef: a.ref, Generation: a.generation, Worker: h.options.Name, Lease: h.options.Lease, Token: 1 + rand.Int64N(math.MaxInt64),
	}
	waiting, cancel := until(ctx, h.stopping)
	defer cancel()
	err = h.gate.persist(waiting, func() (err error) {
		deadline = time.Now().Add(h.options.Lease - leaseMargin(h.options.Lease))
		task, err = h.store.Claim(ctx, request)
		return err
	})
	return task, deadline, err
}

// leaseMargin is how long before its lease ends a claim is no longer used, so
// that the last write finds it current. It leaves room for a call in every lease
// that settings allow, which is twice the time-out of one.
func leaseMargin(lease time.Duration) time.Duration { return min(2*time.Second, lease/8) }

// work makes the calls of a task until it is over, given back or cut.
func (h *handler) work(ctx context.Context, task store.Task, probe bool) error {
	s := h.first(task)
	var overtaken *store.OlderCallError
	var took spent
	defer func() { h.costs.add(task.Action, took) }()
	for {
		r, err := h.call(ctx, task, s, probe)
		if err != nil {
			return h.notSent(ctx, task, err)
		}
		overtaken = cmp.Or(r.overtakes, overtaken)
		v := h.doubted(ctx, task, r, s.judge(r))
		h.report(ctx, task, s.action, r, v)
		if v.kind != hold {
			took.call(s.action)
		}
		switch v.kind {
		case another:
			task.Unsure = task.Unsure || s.action == task.Action && r.err != nil && mayHaveHappened(task, r, quickbi.Explain(r.err))
			s = v.next
			if err := h.answered(ctx, task, r.answer); err != nil {
				return err
			}
		case hold:
			r.turn.Throttled(ctx, v.wait)
			if err := h.answered(ctx, task, r.answer); err != nil {
				return err
			}
			if h.timeLeft(ctx) < v.wait {
				return h.giveBack(ctx, task, store.Again{Delay: v.wait, Unsure: task.Unsure})
			}
		default:
			v = oncemore(v, overtaken)
			err := h.carryOut(ctx, task, r, v, probe)
			if err == nil {
				took.end(task, v)
			}
			return err
		}
	}
}

// answered records how a call ended when the task goes on.
func (h *handler) answered(ctx context.Context, task store.Task, a store.Answer) error {
	return h.record(ctx, func(ctx context.Context) error { return h.store.Answered(ctx, task.TaskRef, a) })
}

// finalize ends a job whose last task has ended.
func (h *handler) finalize(ctx context.Context, job int64) error {
	return h.record(ctx, func(ctx context.Context) error { return h.store.Finalize(ctx, job) })
}

// timeLeft is how long the claim is good for waiting, with a call still to come.
func (h *handler) timeLeft(ctx context.Context) time.Duration {
	deadline, _ := ctx.Deadline()
	return time.Until(deadline) - h.options.CallTimeout
}

// mayWait returns ctx with an end at which nothing may be sent any more: the
// worker is stopping, or the claim would not outlive the call.
func (h *handler) mayWait(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, max(0, h.timeLeft(ctx)))
	ctx, release := until(ctx, h.stopping)
	return ctx, func() { release(); cancel() }
}

func (h *handler) isStopping() bool {
	select {
	case <-h.stopping:
		return true
	default:
		return false
	}
}

// notNow is how long a task stays away that could not be sent for a reason
// which will not be gone at once: its action is stopped, or its turn is further
// off than its claim lasts.
const notNow = 5 * time.Second

// carryOut records what follows from a reply.
func (h *handler) carryOut(ctx context.Context, task store.Task, r reply, v verdict, probe bool) error {
	if probe && v.kind != stop && v.kind != repeat {
		h.resume(ctx, task.Action)
	}
	switch v.kind {
	case finish:
		return h.finish(ctx, task, r.answer, store.Ending{Exceptions: v.exceptions, Works: v.works})
	case cut:
		return h.cut(ctx, task, r.answer, v.parts)
	case stop:
		h.stop(ctx, task.Action, r.answer, v.meaning)
		fallthrough
	default:
		if err := h.answered(ctx, task, r.answer); err != nil {
			return err
		}
		return h.giveBack(ctx, task, v.again)
	}
}

// finish ends a task, and its job if it was the last one.
func (h *handler) finish(ctx context.Context, task store.Task, a store.Answer, end store.Ending) error {
	err := h.record(ctx, func(ctx context.Context) error { return h.store.Finish(ctx, task.Claim, a, end) })
	if err != nil {
		return err
	}
	return h.finalize(ctx, task.Job)
}

func (h *handler) cut(ctx context.Context, task store.Task, a store.Answer, parts []store.Part) error {
	var queued []store.Queued
	err := h.record(ctx, func(ctx context.Context) (err error) {
		queued, err = h.store.Split(ctx, task.Claim, a, parts)
		return err
	})
	if err != nil {
		return err
	}
	h.put(ctx, queued...)
	if len(queued) == 0 {
		return h.finalize(ctx, task.Job)
	}
	return nil
}

// giveBack returns a task to the queue, or ends it if it is canceled. What is
// paused waits in Postgres.
func (h *handler) giveBack(ctx context.Context, task store.Task, again store.Again) error {
	var (
		queued store.Queued
		ok     bool
	)
	err := h.record(ctx, func(ctx context.Context) (err error) {
		queued, ok, err = h.store.GiveBack(ctx, task.Claim, again)
		return err
	})
	switch {
	case err != nil:
		return err
	case ok:
		h.put(ctx, queued)
		return nil
	default:
		return h.finalize(ctx, task.Job)
	}
}

// put queues tasks. If Redis is away the reconciler will do it.
func (h *handler) put(ctx context.Context, queued ...store.Queued) {
	if err := h.queue.Put(ctx, queued); err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("queueing left to the reconciler")
	}
}

// record repeats a write until Postgres has answered it, or until this worker
// has no more time to stop in: a claim that is lost then is settled by the call,
// which stands written down without an answer. The writes are fenced, so a
// repeat of one that did arrive changes nothing and returns [store.ErrStale];
// what would have followed from it is left to the next round of repair.
func (h *handler) record(ctx context.Context, write func(context.Context) error) error {
	ctx, cancel := until(context.WithoutCancel(ctx), h.gone)
	defer cancel()
	return h.gate.persist(ctx, func() error { return write(ctx) })
}

// stop stops the action for every worker.
func (h *handler) stop(ctx context.Context, action access.Action, a store.Answer, m quickbi.Meaning) {
	var first bool
	err := h.record(ctx, func(ctx context.Context) (err error) {
		first, err = h.store.StopAction(ctx, store.Stop{
			Action: action, Code: m.Code, APICode: a.APICode, Message: a.Message, RequestID: a.RequestID,
		}, h.options.ProbeFirst)
		return err
	})
	log := zerolog.Ctx(ctx)
	switch {
	case err != nil:
		log.Error().Err(err).Msg("stopping the action")
	case first:
		log.Error().Str("action", string(action)).Str("code", m.Code).Str("api_code", a.APICode).
			Str("request_id", a.RequestID).Str("hint", m.Hint).
			Msg("Quick BI refuses the account: the action is stopped, its tasks wait, no row has failed")
	}
}

func (h *handler) resume(ctx context.Context, action access.Action) {
	if was, err := h.store.ResumeAction(ctx, action, h.options.Name); err != nil {
		zerolog.Ctx(ctx).Error().Err(err).Msg("resuming the action")
	} else if was {
		zerolog.Ctx(ctx).Info().Str("action", string(action)).Msg("Quick BI accepts calls again: the action goes on")
	}
}

// report writes one line and the metrics of one call. Ids of people stay out of
// both.
func (h *handler) report(ctx context.Context, task store.Task, action access.Action, r reply, v verdict) {
	h.metrics.calls.WithLabelValues(string(action), r.answer.Class).Inc()
	h.metrics.took.WithLabelValues(string(action)).Observe(r.answer.Took.Seconds())
	h.metrics.cells.WithLabelValues(string(action)).Add(float64(task.Cells()))
	level := zerolog.InfoLevel
	if v.kind == repeat || v.kind == cut || len(v.exceptions) > 0 {
		level = zerolog.WarnLevel
	}
	zerolog.Ctx(ctx).WithLevel(level).Str("action", string(action)).Int("cells", task.Cells()).Str("class", r.answer.Class).
		Str("api_code", r.answer.APICode).Str("request_id", r.answer.RequestID).Int("failed", len(v.exceptions)).
		Dur("took", r.answer.Took).Msg("call answered")
}

// endOf is the last instant of a day where Quick BI counts days.
func (h *handler) endOf(d access.Date) time.Time {
	return time.Date(d.Year, d.Month, d.Day+1, 0, 0, 0, 0, h.options.Location).Add(-time.Millisecond)
}
