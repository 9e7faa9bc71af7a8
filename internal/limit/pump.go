package limit

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

const (
	// lateMost is how late a slot may be used at no cost. A call that is later
	// leaves in the second of others: so either it pushes back what comes after by
	// the rest, or its slot is given up, whichever loses less. Without others the
	// guard alone keeps calls apart, and lateAlone holds.
	lateMost  = 14 * time.Millisecond
	lateAlone = 250 * time.Millisecond

	// ahead is how far slots are booked ahead, so that a slow answer of Redis
	// does not cost one; urgentAhead so that urgent calls stand behind few of other
	// processes, and urgentMost how many at once.
	ahead       = 50 * time.Millisecond
	urgentAhead = 250 * time.Millisecond
	urgentMost  = 8

	// nearFor is how soon there must be a slot for calls to be prepared, and
	// prepareFor how long that may take.
	nearFor    = 500 * time.Millisecond
	prepareFor = 200 * time.Millisecond

	// askAgain is how long to go without Redis before asking again.
	askAgain = time.Second

	idle = time.Hour // until somebody kicks
)

// pump hands out slots for as long as somebody waits.
func (l *Limiter) pump() {
	timer := time.NewTimer(idle)
	defer timer.Stop()
	for {
		l.mu.Lock()
		wait := l.round(time.Now())
		if l.line.empty() {
			l.pumping = false
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-l.kick:
		}
	}
}

// round does what is due and returns how long nothing else will be. The caller
// holds the lock.
func (l *Limiter) round(now time.Time) time.Duration {
	l.missRedis(now)
	wait := l.serve(now)
	soon := l.next(now).Add(-nearFor)
	switch {
	case soon.After(now):
		wait = min(wait, soon.Sub(now))
	case !l.slow():
		l.line.approach(l.own() * prepareFor.Seconds())
	case l.away || len(l.booked) > 0:
		l.line.approachAlone()
	}
	if l.slow() && !l.away {
		l.bookFirst(now, soon)
	} else {
		l.book(now)
	}
	if l.booking && !l.away {
		wait = min(wait, l.asked.Add(askFor).Sub(now))
	}
	if l.away && !l.booking && l.again.After(now) {
		wait = min(wait, l.again.Sub(now))
	}
	return wait
}

// next is before when there is no slot, as far as is known here.
func (l *Limiter) next(now time.Time) time.Time {
	switch {
	case len(l.booked) > 0:
		return l.booked[0].at
	case !l.away:
		return laterOf(l.frozen, l.far)
	case l.slow():
		missing := max(0, 1-l.guard.TokensAt(now)) / max(l.own(), 1e-3)
		return laterOf(l.frozen, now.Add(time.Duration(missing*float64(time.Second))))
	default:
		return l.frozen
	}
}

// slow reports whether this process has less than a slot a second when all others
// want theirs. What is prepared must not wait for long, so no more calls come near
// than there are slots near.
func (l *Limiter) slow() bool { return l.own() < 1 }

// bookFirst books a slot for whoever will come near, when slow. When the next one
// comes, only Redis knows: others may have booked many.
func (l *Limiter) bookFirst(now, soon time.Time) {
	if !l.booking && len(l.booked) == 0 && !soon.After(now) && !l.line.empty() {
		l.ask(now, 1)
	}
}

// serve gives slots that have come to who is ready, and returns when there is
// more to do about them.
func (l *Limiter) serve(now time.Time) time.Duration {
	late := l.latest()
	for len(l.booked) > 0 {
		s := l.booked[0]
		if s.at.After(now) {
			return s.at.Sub(now)
		}
		if !s.local && now.Sub(s.at) > late {
			l.drop()
			continue
		}
		t := l.line.next()
		if t == nil && s.local { // there will be another
			l.drop()
			continue
		}
		if t == nil {
			return late - now.Sub(s.at) + time.Millisecond // somebody may get ready
		}
		if s.guarded.IsZero() { // kept, so that a late look at the clock delays only this call
			s.guarded = now.Add(l.guard.ReserveN(now, 1).DelayFrom(now))
			l.booked[0] = s
		}
		if s.guarded.After(now) {
			return s.guarded.Sub(now)
		}
		l.booked = l.booked[1:]
		if by := now.Sub(s.at) - lateMost; !s.local && !l.alone() && by > l.late.by {
			l.late = lateness{by: by, slot: s.redis}
		}
		l.line.serve(t, s)
	}
	return idle
}

func (l *Limiter) alone() bool { return l.options.Processes() <= 1 }

// latest is how late a slot may be used at all. Others who hold only one slot or
// none cannot be pushed back in time when slots are rare.
func (l *Limiter) latest() time.Duration {
	switch {
	case l.alone():
		return lateAlone
	case l.own() < 2:
		return lateMost
	default:
		return lateMost + time.Duration(float64(time.Second)/l.rate)
	}
}

// book sees to it that whoever is ready has a slot, if it is time for that.
func (l *Limiter) book(now time.Time) {
	ready, urgent := l.line.ready()
	if l.away {
		if ready > 0 && len(l.booked) == 0 {
			l.booked = []slot{{at: laterOf(now, l.frozen), local: true}}
			l.wake()
		}
		if !l.booking && !l.again.After(now) && ready > 0 {
			l.ask(now, 1)
		}
		return
	}
	if l.booking {
		return
	}
	have := len(l.booked)
	until := time.Time{} // the last slot
	if have > 0 {
		until = l.booked[have-1].at
	}
	switch {
	case urgent > have && have < urgentMost && until.Before(now.Add(urgentAhead)):
		l.ask(now, min(urgent, urgentMost)-have)
	case ready > have && until.Before(now.Add(ahead)):
		missing := now.Add(ahead).Sub(laterOf(now, until)).Seconds() * l.own()
		l.ask(now, min(ready-have, max(1, int(missing))))
	}
}

// ask asks Redis for slots, beside the pump and on nobody's behalf.
//
//nolint:contextcheck,nolintlint // hence a context of its own; it is the callers that would be blamed
func (l *Limiter) ask(now time.Time, slots int) {
	l.booking, l.asked = true, now
	r := request{slots: slots, over: l.over, unused: l.unused, waiting: l.line.waiting(len(l.booked) + slots), last: l.last, late: l.late}
	if l.missed.After(now) { // what Redis told comes back a little later each time, and is not told to it again
		r.frozen = l.missed
	}
	if l.slow() {
		r.lead = prepareFor
	}
	if l.away {
		r.sharers = max(1, l.options.Processes())
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*askFor)
		defer cancel()
		got, err := l.shared.reserve(ctx, r)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.booking = false
		if err != nil {
			l.lose(time.Now())
		} else {
			l.unused -= r.unused
			if l.late == r.late {
				l.late = lateness{}
			}
			if !l.missed.After(r.frozen) {
				l.missed = time.Time{}
			}
			l.back()
			l.take(got)
		}
		if l.pumping {
			l.wake()
		}
	}()
}

// blur is by how much an instant that Redis told twice may differ here.
const blur = 20 * time.Millisecond

// take adds slots that Redis gave.
func (l *Limiter) take(r reply) {
	l.heard(r)
	for _, s := range r.slots {
		if s.at.Before(l.frozen.Add(-blur)) { // Redis did not know
			l.unused++
			continue
		}
		l.booked = append(l.booked, s)
	}
	if n := len(r.slots); n > 0 {
		l.last = r.slots[n-1].redis
		l.far = r.slots[n-1].at.Add(time.Duration(float64(time.Second) / max(l.rate, 1e-3)))
	}
}

// heard notes what Redis told of the action.
func (l *Limiter) heard(r reply) {
	l.rate, l.limit = r.rate, r.limit
	l.pace(time.Now())
	l.freeze(r.frozen)
}

// missRedis finds out that Redis does not answer.
func (l *Limiter) missRedis(now time.Time) {
	if l.booking && !l.away && now.Sub(l.asked) >= askFor {
		l.lose(now)
	}
}

// lose goes on with the share of this process alone.
func (l *Limiter) lose(now time.Time) {
	l.away, l.again = true, now.Add(askAgain)
	l.pace(now)
}

// pace sets how close calls of this process may follow each other.
func (l *Limiter) pace(now time.Time) {
	to := guarded(l.limit)
	if l.away {
		to = rate.Limit(l.own())
	}
	if l.guard.Limit() != to {
		l.guard.SetLimitAt(now, to)
	}
}

// own is the share of this process of the rate.
func (l *Limiter) own() float64 { return l.rate / float64(max(1, l.options.Processes())) }

// back ends that.
func (l *Limiter) back() {
	if !l.away {
		return
	}
	l.away = false
	l.booked = nil // they are local
	l.pace(time.Now())
}

// guarded is how close calls of one process may follow each other. Those that
// were late catch up with it.
func guarded(limit float64) rate.Limit { return rate.Limit(limit * (1 + 3*headroom) / 4) }

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
