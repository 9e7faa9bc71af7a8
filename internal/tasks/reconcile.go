package tasks

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/usher-bi/usher/internal/broken"
	"github.com/usher-bi/usher/internal/store"
)

// memory is what the reconciler remembers from one round to the next. Other
// workers lead other rounds, and remember what they saw.
type memory struct {
	witness  witness
	whole    bool                 // a walk through all due tasks is owed
	place    store.TaskRef        // where a walk in steps goes on
	cursor   uint64               // likewise, through Redis
	suspects map[string]time.Time // tasks that look stuck, and since when
	named    bool                 // Redis was told the names of the queues
}

// newMemory owes a whole walk: who starts knows nothing of what was before.
func newMemory() memory {
	return memory{witness: witness{name: rand.Text()}, whole: true, suspects: map[string]time.Time{}}
}

// reconcile repairs, until ctx is done, what crashes and a forgetful Redis have
// left behind. One worker at a time does it.
func (w *Worker) reconcile(ctx context.Context) {
	defer w.logCheckpoint()
	if broken.Reconciler {
		return
	}
	for {
		_, err := w.store.AsLeader(ctx, w.lead)
		if err != nil { // what looked stuck before an outage may not be
			clear(w.memory.suspects)
		}
		if !w.gate.excuses(ctx, err) {
			w.complain(err)
		}
		next := w.options.Sweep
		if len(w.memory.suspects) > 0 {
			next = w.secondLook()
		}
		if !w.nextRound(ctx, next) {
			return
		}
	}
}

// complain says that a round failed, unless that goes without saying.
func (w *Worker) complain(err error) {
	level := zerolog.WarnLevel
	if errors.Is(err, ErrRedisUnavailable) && w.absence.away() {
		level = zerolog.DebugLevel
	}
	w.log.WithLevel(level).Err(err).Msg("repair round failed; the next one tries again")
}

// secondLook is how long a task must look stuck to be taken for it.
func (w *Worker) secondLook() time.Duration { return w.options.Sweep / 3 }

// lead is one round of the leader. The audit is sealed also while Redis is away.
func (w *Worker) lead(ctx context.Context) error {
	return errors.Join(w.sweep(ctx), w.keepAudit(ctx))
}

// sweep is one round of repair. Everything in it is compare and set, so a round
// that runs beside another, or beside the workers, does no harm.
func (w *Worker) sweep(ctx context.Context) error {
	err := w.reclaim(ctx)
	if err != nil && !errors.Is(err, ErrRedisUnavailable) {
		return err
	}
	done := repairs{}
	err = errors.Join(err, w.mendQueue(ctx, done))
	ended, endErr := w.store.FinalizeForsaken(ctx)
	for _, job := range ended {
		done.add(store.JobEnded, job, 1)
	}
	return errors.Join(err, endErr, w.note(ctx, done))
}

// mendQueue brings Redis into line with Postgres. It stops at the first error,
// for the next round.
func (w *Worker) mendQueue(ctx context.Context, done repairs) error {
	lost, err := w.memory.witness.look(ctx, w.redis)
	if err != nil {
		return err
	}
	if lost {
		w.memory.whole, w.memory.place, w.memory.cursor = true, store.TaskRef{}, 0
		level := zerolog.InfoLevel // a Redis that was never used is no accident
		if w.memory.named {
			level = zerolog.WarnLevel
		}
		w.log.WithLevel(level).Msg("Redis is new or has lost what was in it: its queues are filled from Postgres")
	}
	for _, step := range []func(context.Context, repairs) error{w.nameQueues, w.clearGhosts, w.renewStuck, w.requeue(lost), w.removeEnded} {
		if err := step(ctx, done); err != nil {
			return err
		}
	}
	return nil
}

// nameQueues counts as a repair only what Redis has known before.
func (w *Worker) nameQueues(ctx context.Context, done repairs) error {
	added, err := w.queue.nameQueues(ctx)
	if err == nil && w.memory.named {
		done.add(store.QueueNamed, 0, int(added))
	}
	w.memory.named = w.memory.named || err == nil
	return err
}

func (w *Worker) clearGhosts(ctx context.Context, done repairs) error {
	refs, err := w.queue.clearGhosts(ctx)
	for _, ref := range refs {
		done.add(store.GhostCleared, ref.Job, 1)
	}
	return err
}

const (
	// page is how many tasks are looked up at once.
	page = 1000

	// stepPages is how many of them a round looks at while all is well, of those
	// in Postgres and of those in Redis each.
	stepPages = 5
)

// removeEnded takes a few steps through the tasks in Redis and removes those
// that Postgres knows as ended, or as queued anew.
func (w *Worker) removeEnded(ctx context.Context, done repairs) error {
	for range stepPages {
		found, next, err := w.queue.scan(ctx, w.memory.cursor)
		if err != nil {
			return err
		}
		if err := w.removeAmong(ctx, found, done); err != nil {
			return err
		}
		if w.memory.cursor = next; next == 0 {
			break
		}
	}
	return nil
}

func (w *Worker) removeAmong(ctx context.Context, found []message, done repairs) error {
	queued := make([]store.Queued, len(found))
	for i, m := range found {
		queued[i] = m.task
	}
	standings, err := w.store.Standings(ctx, queued)
	if err != nil {
		return err
	}
	var over []message
	for i, m := range found {
		if standings[i] == store.Over {
			over = append(over, m)
		}
	}
	return w.removeAll(ctx, over, done)
}

func (w *Worker) removeAll(ctx context.Context, over []message, done repairs) error {
	for _, m := range over {
		switch dropped, err := w.queue.drop(ctx, m); {
		case err != nil:
			return err
		case dropped:
			done.add(store.TaskRemoved, m.task.Job, 1)
		}
	}
	return nil
}
