package intake_test

import (
	"strings"
	"testing"
)

func TestReadCSVSuggestsADateOnlyWhereThereIsOneReading(t *testing.T) {
	t.Parallel()
	for cell, want := range map[string]string{
		"2026/12/31":                 "2026-12-31",
		"2026/1/5":                   "2026-01-05",
		"2027-1-5":                   "2027-01-05",
		" 2026-12-31":                "2026-12-31",
		"2026.12.31":                 "2026-12-31",
		"20261231":                   "2026-12-31",
		"2026\u5e7412\u670831\u65e5": "2026-12-31",
		"2026-12-31 00:00:00":        "2026-12-31",
		"2026-12-31T00:00:00Z":       "2026-12-31",
		"31.12.2026":                 "2026-12-31",
		"5.6.2027":                   "2027-06-05",
		"31/12/2026":                 "2026-12-31",
		"12/31/2026":                 "2026-12-31",
		"12-31-2026":                 "2026-12-31",
		"06/06/2027":                 "2027-06-06",
		"46387":                      "2026-12-31",
		"31-Dec-2026":                "2026-12-31",
		"05/06/2027":                 "",
		"5-6-2027":                   "",
		"31.12.26":                   "",
		"2026-02-30":                 "",
		"46387.5":                    "",
		"7":                          "",
		"never":                      "",
	} {
		b := read(t, minimal, "grant,u,qa_resource,r,"+cell)
		equal(t, cell, []string{"2 expires_on invalid_expiry"}, found(b))
		if len(b.Errors) != 1 {
			continue
		}
		_, got, suggested := strings.Cut(b.Errors[0].Message, "if it means that day, write ")
		if suggested != (want != "") || got != want {
			t.Errorf("%q: %s; want %q suggested", cell, b.Errors[0].Message, want)
		}
	}
}
