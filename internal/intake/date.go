package intake

import (
	"strconv"
	"strings"
	"time"

	"github.com/usher-bi/usher/internal/access"
)

// clearLayouts are the ways to write a date that have one reading.
var clearLayouts = []string{
	"2006/1/2", "2006-1-2", "2006.1.2", "20060102",
	"2006年1月2日",
	"2006-1-2 15:04", "2006-1-2 15:04:05", "2006/1/2 15:04", "2006/1/2 15:04:05", time.RFC3339,
	"2.1.2006", "2 Jan 2006", "2-Jan-2006", "Jan 2, 2006",
}

// suggestDate returns the day that a cell in another format than the product's
// can only mean. It is for messages: nothing is ever read that way.
func suggestDate(cell string) (access.Date, bool) {
	cell = strings.TrimSpace(cell)
	for _, layout := range clearLayouts {
		if t, err := time.Parse(layout, cell); err == nil {
			return access.DateOf(t), true
		}
	}
	// 31/12/2026 has one reading, 05/06/2026 has two.
	cell = strings.ReplaceAll(cell, "-", "/")
	byDay, dayErr := time.Parse("2/1/2006", cell)
	byMonth, monthErr := time.Parse("1/2/2006", cell)
	switch {
	case dayErr == nil && (monthErr != nil || byDay.Equal(byMonth)):
		return access.DateOf(byDay), true
	case monthErr == nil && dayErr != nil:
		return access.DateOf(byMonth), true
	}
	return daySerial(cell)
}

// daySerial reads the number by which spreadsheets store a day, from 1954 to
// 2119.
func daySerial(cell string) (access.Date, bool) {
	n, err := strconv.Atoi(cell)
	if err != nil || n < 20_000 || n > 80_000 {
		return access.Date{}, false
	}
	epoch := access.Date{Year: 1899, Month: time.December, Day: 30}
	return epoch.AddDays(n), true
}

// expiryProblem explains an expiry that is not of the form YYYY-MM-DD.
func expiryProblem(operation access.Operation, cell string) access.Problem {
	if operation == access.Revoke {
		return problem(colExpiresOn.String(), access.CodeExpiryNotAllowed,
			"a revoke takes effect at once and has no expiry; leave the column empty (found %q)", cell)
	}
	if day, ok := suggestDate(cell); ok {
		return problem(colExpiresOn.String(), CodeInvalidExpiry, "%q is not of the form YYYY-MM-DD; if it means that day, write %s", cell, day)
	}
	return problem(colExpiresOn.String(), CodeInvalidExpiry,
		"%q is not a day of the form YYYY-MM-DD; write for example 2026-12-31 (in a spreadsheet, format the column as text first)", cell)
}
