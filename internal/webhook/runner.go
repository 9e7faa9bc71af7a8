package webhook

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// Options adjusts a Runner. The zero value works.
type Options struct {
	Sender   SenderOptions
	Interval time.Duration   // between two looks; 0 means 2s
	Lease    time.Duration   // what is not recorded by then is sent again; 0 means a minute
	Pauses   []time.Duration // after each failure but the last, give or take a tenth; nil means 5s to a day, three days in all
	Log      zerolog.Logger
}

const (
	page   = 500 // jobs that are looked at in one transaction
	beside = 16  // messages to one webhook at once
)

// pauses are those after failures: three days from the first to the last.
func pauses() []time.Duration {
	return []time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 16 * time.Hour, 24 * time.Hour,
	}
}

// Runner finds out what webhooks are to be told, and tells them, beside others
// in other processes: one at a time does something.
type Runner struct {
	store   *store.Store
	options Options
	sender  *Sender

	after int64 // the open job up to which was looked

	mu      sync.Mutex
	busy    map[int64]bool // webhooks that somebody sends to
	sending sync.WaitGroup
}

// NewRunner returns a runner that does nothing by itself: see [Runner.Chore].
func NewRunner(st *store.Store, o Options) *Runner {
	if o.Interval <= 0 {
		o.Interval = 2 * time.Second
	}
	if o.Lease <= 0 {
		o.Lease = time.Minute
	}
	if o.Pauses == nil {
		o.Pauses = pauses()
	}
	return &Runner{store: st, options: o, sender: NewSender(o.Sender), busy: map[int64]bool{}}
}

// Chore has one of the workers do rounds for as long as there are webhooks.
func (r *Runner) Chore() tasks.Chore {
	return tasks.Chore{Name: "webhooks", Every: r.options.Interval, Due: r.store.HasWebhookWork, Do: r.Run}
}

// Run does rounds until ctx is done or there are no webhooks any more. What is
// under way then and was not answered is sent again by the next one to run.
func (r *Runner) Run(ctx context.Context) error {
	defer r.sender.Close()
	defer r.sending.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if err := r.store.ForgetDeliveries(ctx); err != nil {
		return err
	}
	look, forget := time.NewTicker(r.options.Interval), time.NewTicker(time.Hour)
	defer look.Stop()
	defer forget.Stop()
	for {
		has, err := r.store.HasWebhookWork(ctx)
		if err != nil || !has {
			return err
		}
		if err := r.round(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-forget.C:
			err = r.store.ForgetDeliveries(ctx)
		case <-look.C:
		}
		if err != nil {
			return err
		}
	}
}

// round looks at all jobs that have ended and at some open ones, and begins to
// send what is due. It waits for no answer.
func (r *Runner) round(ctx context.Context) error {
	for full := true; full; {
		looked, err := r.store.Announce(ctx, r.after, page, body)
		if err != nil {
			return err
		}
		r.after = looked.Next
		full = looked.Ended == page
	}
	due, err := r.store.DueWebhooks(ctx)
	if err != nil {
		return err
	}
	for _, id := range due {
		if r.take(id) {
			r.sending.Go(func() {
				defer r.leave(id)
				r.empty(ctx, id)
			})
		}
	}
	return nil
}

// take reports whether nobody sends to a webhook yet, and has the caller do so.
func (r *Runner) take(id int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy[id] {
		return false
	}
	r.busy[id] = true
	return true
}

func (r *Runner) leave(id int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.busy, id)
}

// empty sends what is due to one webhook until nothing is.
func (r *Runner) empty(ctx context.Context, id int64) {
	for ctx.Err() == nil {
		taken, err := r.store.TakeDeliveries(ctx, store.Take{Webhook: id, Most: beside, Lease: r.options.Lease})
		if err != nil && ctx.Err() == nil {
			r.options.Log.Warn().Err(err).Msg("deliveries could not be taken; it is tried again")
		}
		if err != nil || len(taken) == 0 {
			return
		}
		var all sync.WaitGroup
		for _, d := range taken {
			all.Go(func() { r.deliver(ctx, d) })
		}
		all.Wait()
	}
}

// deliver makes one attempt and records it. One that was cut off by the end of
// ctx is not recorded: nobody knows what became of it.
func (r *Runner) deliver(ctx context.Context, d store.Delivery) {
	status, problem := r.sender.Send(ctx, d.Endpoint, Message{ID: d.MessageID, At: d.At, Body: d.Body})
	if problem != nil && ctx.Err() != nil {
		return
	}
	log := r.options.Log.With().Str("webhook", d.Webhook).Str("event", string(d.Event)).Str("job", d.JobID).Str("message", d.MessageID).Int("attempt", d.Attempt).Logger()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordFor)
	defer cancel()
	var err error
	if problem == nil {
		log.Debug().Int("status", status).Msg("a webhook was told")
		err = r.store.RecordDelivered(ctx, d, status)
	} else {
		u := store.Undelivered{Status: status, Problem: problem.Error(), RetryIn: r.retryIn(d.Attempt), Gone: status == http.StatusGone}
		log.Warn().Str("problem", u.Problem).Dur("retry_in", u.RetryIn).Bool("disabled", u.Gone).Msg("a webhook was not told")
		err = r.store.RecordUndelivered(ctx, d, u)
	}
	if err != nil {
		log.Warn().Err(err).Msg("a delivery could not be recorded; it is sent again")
	}
}

// recordFor bounds how long an answer waits to be recorded when the runner ends.
const recordFor = 5 * time.Second

// retryIn is the wait after a failed attempt, give or take a tenth so that what
// failed together does not come back together; 0 after the last one.
func (r *Runner) retryIn(attempt int) time.Duration {
	if attempt > len(r.options.Pauses) {
		return 0
	}
	d := r.options.Pauses[attempt-1]
	return d + time.Duration((rand.Float64()-0.5)*0.2*float64(d))
}
