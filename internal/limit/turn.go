package limit

import (
	"context"
	"time"
)

// Turn is a place in the line. One goroutine uses it.
type Turn struct {
	limiter *Limiter
	lane    Lane
	job     int64
	near    chan struct{} // closed when it is worth preparing
	granted chan struct{} // closed when the call must leave

	// Under the limiter's lock.
	state state
	ready bool // Go was called
	slot  slot
}

type state int

const (
	queued state = iota
	nearby
	served
	left
)

// Near waits until it is worth preparing the call, which will be sent soon: in
// less than a second, unless others are throttled meanwhile. It holds nothing.
// It ends with ctx's error.
func (t *Turn) Near(ctx context.Context) error {
	select {
	case <-t.near:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Go waits until the call must leave: the caller sends it at once. After an
// error, which is ctx's, it must not be sent. Near need not have been called.
func (t *Turn) Go(ctx context.Context) error {
	l := t.limiter
	l.mu.Lock()
	t.ready = true
	l.wake()
	l.mu.Unlock()
	select {
	case <-t.granted:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.state == served {
		return nil
	}
	t.ready = false
	return ctx.Err()
}

// Leave gives the place up, and the slot to somebody else if there was none yet.
// After that, and after Go, it does nothing.
func (t *Turn) Leave() {
	l := t.limiter
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.state == served || t.state == left {
		return
	}
	l.line.leave(t)
	t.state = left
	if l.pumping {
		l.wake()
	}
}

// Throttled tells everybody that the call was throttled, and told to wait for
// that long; 0 means that it was not told. Everybody waits, and the rate is cut.
// While Redis is away only this process waits, and no rate is cut. What is told
// twice counts once.
func (t *Turn) Throttled(ctx context.Context, told time.Duration) {
	l := t.limiter
	l.mu.Lock()
	here := told
	if here <= 0 {
		here = untold
	}
	until := time.Now().Add(min(here, mostTold))
	l.freeze(until)
	if t.slot.local && t.slot.redis == 0 { // told apart by when it was used
		t.slot.redis = l.shared.tell(t.slot.guarded)
		t.slot.booked = t.slot.redis
	}
	over, s := l.over, t.slot
	l.mu.Unlock()

	r, err := l.shared.throttled(ctx, s, max(0, told), over)
	if err != nil { // it may have been counted: each slot counts once
		r, err = l.shared.throttled(ctx, s, max(0, told), over)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil { // this process holds back; the others hear when it books
		l.missed = laterOf(l.missed, until)
		return
	}
	l.heard(r)
}

const (
	untold   = 250 * time.Millisecond // how long to wait when a throttle does not say
	mostTold = 2 * time.Minute
)

// freeze lets nothing out before until. The caller holds the lock.
func (l *Limiter) freeze(until time.Time) {
	if !until.After(l.frozen) {
		return
	}
	l.frozen = until
	for len(l.booked) > 0 && l.booked[0].at.Before(until) {
		l.drop()
	}
	if l.pumping {
		l.wake()
	}
}

// drop gives up the first slot. The caller holds the lock.
func (l *Limiter) drop() {
	if !l.booked[0].local {
		l.unused++
	}
	l.booked = l.booked[1:]
}
