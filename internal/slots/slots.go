// Package slots says when a schedule is due. It is pure: no clock, no context.
//
// The calendar is that of a cron expression, judged on the wall clock of a time
// zone. What the clock does there when it is moved is decided here, because cron
// libraries skip or repeat slots then.
package slots

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // the zone must be known on machines without a zone database

	"github.com/robfig/cron/v3"
)

// Calendar is when a schedule is due. [Parse] makes one.
//
// Where the hour is *, slots go by elapsed time, whatever the wall clock does.
// Any other slot stands for one moment of a day: if the wall clock skips it, it
// is due at the moment at which the clock was moved, and if the wall clock shows
// it twice, the first time.
type Calendar struct {
	wall    cron.Schedule // on a wall clock that is never moved, taken for UTC
	zone    *time.Location
	elapsed bool
}

var parser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// Parse reads a cron expression of five fields (minute, hour, day, month and
// weekday) and the name of a time zone. Where day and weekday are both
// restricted, either does, as ever in cron. Sunday is 0 or 7.
func Parse(expression, zone string) (Calendar, error) {
	fields := strings.Fields(expression)
	if len(fields) != 5 || strings.Contains(expression, "=") {
		return Calendar{}, fmt.Errorf("%q is no cron expression of five fields; write e.g. \"0 2 * * *\" for every night at two", expression)
	}
	fields[4] = withSevens(fields[4])
	wall, err := parser.Parse(strings.Join(fields, " "))
	if err != nil {
		return Calendar{}, fmt.Errorf("%q is no cron expression: %w", expression, err)
	}
	loc, err := time.LoadLocation(zone)
	if err != nil || zone == "" || zone == "Local" {
		return Calendar{}, fmt.Errorf("%q is not a time zone; write e.g. Asia/Shanghai", zone)
	}
	c := Calendar{wall: wall, zone: loc, elapsed: fields[1] == "*"}
	if c.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Calendar{}, fmt.Errorf("%q: %w", expression, errNever)
	}
	return c, nil
}

var errNever = errors.New("no day fits it")

// Next returns the first slot after t, in UTC; the zero time where none follows
// within five years.
func (c Calendar) Next(t time.Time) time.Time {
	if c.elapsed {
		return c.nextElapsed(t)
	}
	for wall := wallOf(t.In(c.zone)); ; {
		if wall = c.wall.Next(wall); wall.IsZero() {
			return time.Time{}
		}
		if slot := c.momentOf(wall); slot.After(t) {
			return slot
		}
	}
}

// nextElapsed looks through the stretches of time in which the clock is not
// moved, one after the other.
func (c Calendar) nextElapsed(t time.Time) time.Time {
	at := t.In(c.zone)
	for wall := wallOf(at); ; {
		_, offset := at.Zone()
		_, end := at.ZoneBounds()
		next := c.wall.Next(wall)
		if next.IsZero() {
			return time.Time{}
		}
		if slot := next.Add(-time.Duration(offset) * time.Second); end.IsZero() || slot.Before(end) {
			return slot
		}
		at = end.In(c.zone)
		wall = wallOf(at).Add(-time.Second) // what is due at the end itself comes next
	}
}

// wallOf is what the clock on the wall shows, as if it were in UTC.
func wallOf(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// momentOf is the moment at which the clock on the wall first shows wall, or is
// moved past it.
func (c Calendar) momentOf(wall time.Time) time.Time {
	t := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), 0, 0, c.zone)
	start, end := t.ZoneBounds()
	switch shown := wallOf(t); {
	case shown.After(wall): // skipped, and t is behind the gap
		return start.UTC()
	case shown.Before(wall): // skipped, and t is before it
		return end.UTC()
	}
	if start.IsZero() {
		return t.UTC()
	}
	_, before := start.Add(-1).Zone()
	if earlier := wall.Add(-time.Duration(before) * time.Second); earlier.Before(start) {
		return earlier
	}
	return t.UTC()
}
