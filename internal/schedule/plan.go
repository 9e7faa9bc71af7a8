package schedule

import (
	"time"

	"github.com/usher-bi/usher/internal/slots"
	"github.com/usher-bi/usher/internal/store"
)

// onTime is how late the newest slot may be noticed without having been missed:
// long enough for another worker to take over.
const onTime = 5 * time.Minute

// decide says what becomes of the slots of a schedule up to now; ok is false
// where there is nothing to say. Of several slots that came since it was last
// asked only the newest is run: the others are passed over.
func decide(s store.Schedule, calendar slots.Calendar, now time.Time) (d store.Decision, ok bool) {
	d = store.Decision{Schedule: s.ID, From: s.PlannedUntil, At: now}
	if s.PausedAt != nil {
		return d, false
	}
	if now.Before(s.PlannedUntil) { // the clock was set back: slots come again, and those that were run are known
		d.Until = now
		return d, true
	}
	n := 0
	for next := calendar.Next(s.PlannedUntil); !next.IsZero() && !next.After(now); next = calendar.Next(next) {
		d.Until, n = next, n+1
	}
	if n == 0 {
		return d, false
	}
	d.State, d.Missed = store.RunDue, n-1
	if s.CatchUp == store.CatchUpNone && now.Sub(d.Until) > onTime {
		d.State = store.RunMissed
	}
	return d, true
}
