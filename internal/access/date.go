package access

import (
	"fmt"
	"time"
)

// Date is a day of the calendar, without a time or a zone. The zero Date means
// "none". Dates are comparable with ==.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// ParseDate reads the one date format of the product, YYYY-MM-DD. A day that
// the calendar does not have (2026-02-30) is an error.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 1 { // Postgres counts no year 0
		return Date{}, fmt.Errorf("%q is not a date of the form YYYY-MM-DD", s)
	}
	return DateOf(t), nil
}

// DateOf returns the day of t in t's own zone.
func DateOf(t time.Time) Date {
	y, m, d := t.Date()
	return Date{Year: y, Month: m, Day: d}
}

// String returns YYYY-MM-DD, or "" for the zero Date.
func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	return d.Time().Format(time.DateOnly)
}

// Time returns midnight UTC at the start of d.
func (d Date) Time() time.Time { return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC) }

// IsZero reports whether d is "none".
func (d Date) IsZero() bool { return d == Date{} }

// Before reports whether d is an earlier day than other.
func (d Date) Before(other Date) bool { return d.Time().Before(other.Time()) }

// AddDays returns the day n days after d.
func (d Date) AddDays(n int) Date { return DateOf(d.Time().AddDate(0, 0, n)) }
