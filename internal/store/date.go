package store

import (
	"time"

	"github.com/usher-bi/usher/internal/access"
)

// date is how an access.Date is written: null for none.
func date(d access.Date) *time.Time {
	if d.IsZero() {
		return nil
	}
	t := d.Time()
	return &t
}

// undate is how it is read back.
func undate(t *time.Time) access.Date {
	if t == nil {
		return access.Date{}
	}
	return access.DateOf(*t)
}
