package tasks

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	sayItAgain    = time.Minute // between two lines about an absence that lasts
	leastPatience = 100 * time.Millisecond
	mostPatience  = 5 * time.Second // how late an absence's end may be noticed
)

// absence keeps watch over a server that the whole process needs: since when it
// is away, how long to wait before asking it again, and what to say about it. It
// is safe for concurrent use.
type absence struct {
	server string // as people call it
	log    zerolog.Logger
	grace  time.Duration // shorter absences are nobody's business

	mu    sync.Mutex
	since time.Time     // of the first failure; zero while the server answers
	said  time.Time     // of the last line about it; zero if there was none
	back  chan struct{} // closed when the server answers again; nil while it does
}

// failed notes that the server did not do what it was asked. It says so when
// that has been going on for a while, and then once a minute.
func (o *absence) failed(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if o.since.IsZero() {
		o.since, o.back = now, make(chan struct{})
	}
	if now.Sub(o.since) < o.grace || now.Sub(o.said) < sayItAgain {
		return
	}
	o.said = now
	o.log.Warn().Err(err).Dur("for", now.Sub(o.since)).Msg(o.server + " is away; waiting for it")
}

// answered notes that the server did what it was asked, and wakes who waits.
func (o *absence) answered() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() {
		return
	}
	if !o.said.IsZero() {
		o.log.Info().Dur("after", time.Since(o.since)).Msg(o.server + " is back")
	}
	close(o.back)
	o.since, o.said, o.back = time.Time{}, time.Time{}, nil
}

// away reports whether the server failed when it was last asked.
func (o *absence) away() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.since.IsZero()
}

// wait returns at once while the server answers. While it is away, it waits for
// half as long again as that has lasted, more or less, within bounds, or until
// somebody gets an answer. It reports whether ctx lasted that long.
func (o *absence) wait(ctx context.Context) bool {
	o.mu.Lock()
	since, back := o.since, o.back
	o.mu.Unlock()
	if since.IsZero() {
		return ctx.Err() == nil
	}
	patience := min(max(time.Since(since)/2, leastPatience), mostPatience)
	timer := time.NewTimer(patience/2 + rand.N(patience/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-back:
		return true
	case <-ctx.Done():
		return false
	}
}
