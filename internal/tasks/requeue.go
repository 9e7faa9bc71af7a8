package tasks

import (
	"context"
	"errors"
	"time"

	"github.com/usher-bi/usher/internal/store"
)

// distantFuture is further off than any task is due. With all of Redis lost,
// those that are not due yet are queued again too.
const distantFuture = 365 * 24 * time.Hour

// requeue puts tasks that have been due for a while, and that Redis does not
// hold, into the queue again: it forgot them, or a dying process never put them
// there. While all is well a round looks at some and the next one goes on from
// there; when Redis lost everything it looks at all.
func (w *Worker) requeue(lost bool) func(context.Context, repairs) error {
	since := w.options.Sweep
	if lost {
		since = -distantFuture
	}
	return func(ctx context.Context, done repairs) error {
		m := &w.memory
		for pages := 0; m.whole || pages < stepPages; pages++ {
			due, err := w.store.DueTasks(ctx, since, m.place, page)
			if err != nil {
				return err
			}
			if err := w.requeueAmong(ctx, due, done); err != nil {
				return err
			}
			if len(due) < page { // the end: the next walk begins anew
				m.whole, m.place = false, store.TaskRef{}
				return nil
			}
			m.place = due[len(due)-1].TaskRef
		}
		return nil
	}
}

// requeueAmong repairs one page. What Redis has put away for good, or until long
// after it was due because a worker's clock was wrong, gets a new generation
// first.
func (w *Worker) requeueAmong(ctx context.Context, due []store.Queued, done repairs) error {
	fates, err := w.queue.fates(ctx, due)
	if err != nil {
		return err
	}
	var lost, away []store.Queued
	for i, t := range due {
		switch overdue := -t.Delay >= w.options.Sweep; {
		case fates[i] == forgotten:
			lost = append(lost, t)
		case fates[i] == shelved, fates[i] == delayed && overdue:
			away = append(away, t)
		default: // it waits, or renewStuck sees to it
		}
	}
	if err := w.queue.Put(ctx, lost); err != nil {
		return err
	}
	done.addAll(store.TaskRequeued, lost)
	w.memory.whole = w.memory.whole || len(lost) > 0 // one is seldom alone
	return w.renew(ctx, away, done)
}

// renewStuck sees to what Redis believes to be in a worker's hands, although
// nobody works on it: a worker died. What is still to be done is queued again,
// under a new generation; what is over is removed. For a moment every task looks
// so, hence the second look.
func (w *Worker) renewStuck(ctx context.Context, done repairs) error {
	handed, err := w.queue.handedOut(ctx)
	if err != nil {
		return err
	}
	standings, err := w.store.Standings(ctx, handed)
	if err != nil {
		return err
	}
	var stuck []store.Queued
	var over []message
	suspects := map[string]time.Time{}
	for i, t := range handed {
		name := taskID(t.TaskRef, t.Generation)
		seen, before := w.memory.suspects[name]
		switch {
		case standings[i] == store.Working:
		case !before:
			suspects[name] = time.Now()
		case time.Since(seen) < w.secondLook():
			suspects[name] = seen
		case standings[i] == store.Waiting:
			stuck = append(stuck, t)
		default:
			over = append(over, message{queue: queueName(t.Action, t.Lane), task: t, stuck: true})
		}
	}
	w.memory.suspects = suspects
	return errors.Join(w.removeAll(ctx, over, done), w.renew(ctx, stuck, done))
}

func (w *Worker) renew(ctx context.Context, tasks []store.Queued, done repairs) error {
	if len(tasks) == 0 {
		return nil
	}
	renewed, err := w.store.Renew(ctx, tasks)
	if err != nil {
		return err
	}
	done.addAll(store.TaskRenewed, renewed)
	return w.queue.Put(ctx, renewed)
}
