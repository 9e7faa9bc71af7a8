package intake

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/width"

	"github.com/usher-bi/usher/internal/access"
)

// clearLayouts are the ways to write a date that have one reading, but for those
// in three numbers.
var clearLayouts = []string{
	"20060102", "2006年1月2日",
	"2006-1-2 15:04", "2006-1-2 15:04:05", "2006/1/2 15:04", "2006/1/2 15:04:05", time.RFC3339,
	"2 Jan 2006", "2-Jan-2006", "2-Jan-06", "Jan 2, 2006", "January 2, 2006", "2 January 2006",
}

// readings returns the days that a cell in another format than the product's can
// mean, each once. It is for messages: nothing is ever read that way.
func readings(cell string) []access.Date {
	cell = strings.TrimSpace(width.Fold.String(cell))
	for _, layout := range clearLayouts {
		if t, err := time.Parse(layout, cell); err == nil {
			return []access.Date{access.DateOf(t)}
		}
	}
	if parts := threeNumbers.FindStringSubmatch(cell); parts != nil && parts[2] == parts[4] {
		return threeNumberDays(parts[2], [3]string{parts[1], parts[3], parts[5]})
	}
	if day, ok := daySerial(cell); ok {
		return []access.Date{day}
	}
	return nil
}

var threeNumbers = regexp.MustCompile(`^([0-9]{1,4})([-/.])([0-9]{1,2})([-/.])([0-9]{1,4})$`)

// threeNumberDays returns what three numbers mean in the orders that are in use
// somewhere: year first, day first and, but for dots, month first. A year of two
// digits is of this century.
func threeNumberDays(separator string, n [3]string) []access.Date {
	orders := []string{"yMd", "dMy"}
	if separator != "." {
		orders = append(orders, "Mdy")
	}
	var days []access.Date
	for _, order := range orders {
		year, month, day := n[strings.Index(order, "y")], n[strings.Index(order, "M")], n[strings.Index(order, "d")]
		if len(month) > 2 || len(day) > 2 {
			continue
		}
		switch len(year) {
		case 2:
			year = "20" + year
		case 4:
		default:
			continue
		}
		t, err := time.Parse("2006-1-2", year+"-"+month+"-"+day)
		if err == nil && !slices.Contains(days, access.DateOf(t)) {
			days = append(days, access.DateOf(t))
		}
	}
	return days
}

// daySerial reads the number by which spreadsheets store a day, from 1954 to
// 2119.
func daySerial(cell string) (access.Date, bool) {
	n, err := strconv.Atoi(cell)
	if err != nil || n < 20_000 || n > 80_000 {
		return access.Date{}, false
	}
	return serialDay(n), true
}

// serialDay returns the day that spreadsheets store as n. It holds from 61,
// 1900-03-01, on: they count a 29 February 1900.
func serialDay(n int) access.Date {
	epoch := access.Date{Year: 1899, Month: time.December, Day: 30}
	return epoch.AddDays(n)
}

// expiryProblem explains an expiry that is not of the form YYYY-MM-DD.
func expiryProblem(operation access.Operation, cell string) access.Problem {
	if operation == access.Revoke {
		return problem(colExpiresOn.String(), access.CodeExpiryNotAllowed,
			"a revoke takes effect at once and has no expiry; leave the column empty (found %q)", cell)
	}
	switch days := readings(cell); len(days) {
	case 0:
		return problem(colExpiresOn.String(), CodeInvalidExpiry,
			"%q is not a day of the form YYYY-MM-DD; write for example 2026-12-31 (in a spreadsheet, format the column as text first)", cell)
	case 1:
		return problem(colExpiresOn.String(), CodeInvalidExpiry, "%q is not of the form YYYY-MM-DD; if it means that day, write %s", cell, days[0])
	default:
		words := make([]string, len(days))
		for i, day := range days {
			words[i] = fmt.Sprint(day)
		}
		return problem(colExpiresOn.String(), CodeInvalidExpiry,
			"%q is ambiguous: it can be read as %s; write the day that is meant as YYYY-MM-DD", cell, strings.Join(words, " or as "))
	}
}
