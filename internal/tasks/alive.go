package tasks

import (
	"context"
	"errors"
	"time"

	"github.com/usher-bi/usher/internal/store"
)

// beatsPerLife is how often a worker says that it lives before it is believed
// to be silent.
const beatsPerLife = 3

// beat says that this worker lives. If another one is silent, and this one may
// say so, it has the next round of repair begin at once.
func (w *Worker) beat(ctx context.Context) error {
	census, err := w.store.Beat(ctx, store.Heartbeat{Worker: w.options.Name, For: w.options.Alive})
	if err != nil {
		return err
	}
	w.alive.Store(int64(census.Alive))
	w.metrics.alive.Set(float64(census.Alive))
	if census.Silent {
		select {
		case w.hurry <- struct{}{}:
		default: // it has been told
		}
	}
	return nil
}

// keepBeating goes on until ctx is done. While Postgres is away the gate does:
// its question is a beat, so that whoever it lets through lives.
func (w *Worker) keepBeating(ctx context.Context) {
	ticker := time.NewTicker(w.options.Alive / beatsPerLife) // however long a beat takes
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := w.gate.outage.ask(ctx); !w.gate.excuses(ctx, err) {
			w.log.Error().Err(err).Msg("saying that this worker lives")
		}
	}
}

// askPostgres is the question of the gate. If there is no answer that may be
// the connection's fault, so it asks once more by a new one.
func (w *Worker) askPostgres(ctx context.Context) error {
	err := w.beat(ctx)
	if errors.Is(err, store.ErrUnavailable) {
		w.store.Reset()
		err = w.beat(ctx)
	}
	if err != nil {
		w.metrics.postgres.Set(0)
	}
	return err
}

// nextRound waits until it is time for a round of repair, after at most that
// long, and reports whether ctx lasted until then.
func (w *Worker) nextRound(ctx context.Context, most time.Duration) bool {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-w.hurry:
		return true
	case <-ctx.Done():
		return false
	}
}

// reclaim queues again, at once, what was lost with silent workers.
func (w *Worker) reclaim(ctx context.Context) error {
	lost, err := w.store.Reclaim(ctx, store.ReclaimRequest{
		Worker: w.options.Name, Alive: w.options.Alive, Flight: w.options.CallTimeout + flightMargin, LateFor: w.options.LateFor,
	})
	if err != nil || len(lost) == 0 {
		return err
	}
	w.metrics.repairs.WithLabelValues("claim_released").Add(float64(len(lost)))
	w.log.Warn().Int("tasks", len(lost)).Msg("claims of silent workers released")
	return w.queue.Put(ctx, lost)
}

// flightMargin is how long a call that was written down may take to be sent.
const flightMargin = time.Second

// leave says that this worker is no more, so that nobody waits for it. If
// Postgres is away, that is found out in time.
func (w *Worker) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askFor)
	defer cancel()
	if err := w.store.Leave(ctx, w.options.Name); err != nil && !errors.Is(err, store.ErrUnavailable) {
		w.log.Warn().Err(err).Msg("striking this worker off the list")
	}
}
