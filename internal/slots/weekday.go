package slots

import (
	"strconv"
	"strings"
)

// withSevens is a field of weekdays in which Sunday may be 7, as elsewhere, for a
// parser that knows it as 0 only. What it cannot make out stays as it is, for the
// parser to refuse.
func withSevens(field string) string {
	parts := strings.Split(field, ",")
	for i, part := range parts {
		days, step, _ := strings.Cut(part, "/")
		from, to, isRange := strings.Cut(days, "-")
		switch {
		case part == "7":
			parts[i] = "0"
		case isRange && to == "7":
			parts[i] = toSunday(from, step, part)
		}
	}
	return strings.Join(parts, ",")
}

// toSunday lists the days of a range that ends with 7.
func toSunday(from, step, part string) string {
	first, err := strconv.Atoi(from)
	if err != nil || first < 0 || first > 7 {
		return part
	}
	by := 1
	if strings.Contains(part, "/") {
		if by, err = strconv.Atoi(step); err != nil || by < 1 {
			return part
		}
	}
	var days []string
	for day := first; day <= 7; day += by {
		days = append(days, strconv.Itoa(day%7))
	}
	return strings.Join(days, ",")
}
