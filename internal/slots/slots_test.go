package slots_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/slots"
)

func parse(t *testing.T, expression, zone string) slots.Calendar {
	t.Helper()
	c, err := slots.Parse(expression, zone)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return c
}

func moment(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestNext(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, cron, zone, from, want string }{
		{"every night", "0 2 * * *", "Asia/Shanghai", "2026-11-22T12:00:00Z", "11-22T18:00 11-23T18:00"},
		{"not the slot itself", "0 2 * * *", "UTC", "2026-11-22T02:00:00Z", "11-23T02:00"},
		{"but right before it", "0 2 * * *", "UTC", "2026-11-22T01:59:59Z", "11-22T02:00"},
		{"either day", "0 0 13 * 5", "UTC", "2026-11-10T00:00:00Z", "11-13T00:00 11-20T00:00"},
		{"on Sunday", "0 0 * * 7", "UTC", "2026-11-21T00:00:00Z", "11-22T00:00 11-29T00:00"},
		{"on Saturday and Sunday", "0 0 * * 6-7", "UTC", "2026-11-20T00:00:00Z", "11-21T00:00 11-22T00:00 11-28T00:00"},
		{"every other day up to Sunday", "0 0 * * 5-7/2,2", "UTC", "2026-11-20T00:00:00Z", "11-22T00:00 11-24T00:00 11-27T00:00"},
		{"skipped", "30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", "03-28T01:30 03-29T01:00 03-30T00:30"},
		{"several skipped at once", "*/20 2 * * *", "Europe/Berlin", "2026-03-28T01:30:00Z", "03-28T01:40 03-29T01:00 03-30T00:00"},
		{"skipped at midnight", "0 0 * * *", "America/Sao_Paulo", "2018-11-03T00:00:00Z", "11-03T03:00 11-04T03:00 11-05T02:00"},
		{"skipped for half an hour", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", "10-03T15:30 10-04T15:15"},
		{"a skipped day", "0 12 * * *", "Pacific/Apia", "2011-12-29T23:00:00Z", "12-30T10:00 12-30T22:00"},
		{"shown twice", "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "10-25T00:30 10-26T01:30"},
		{"between the two", "30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", "10-26T01:30"},
		{"several shown twice", "*/20 2 * * *", "Europe/Berlin", "2026-10-25T00:10:00Z", "10-25T00:20 10-25T00:40 10-26T01:00"},
		{"after both", "0 3 * * *", "Europe/Berlin", "2026-10-25T00:10:00Z", "10-25T02:00"},
		{"every hour, skipped", "30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", "03-29T00:30 03-29T01:30 03-29T02:30"},
		{"every hour, shown twice", "30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", "10-25T00:30 10-25T01:30 10-25T02:30"},
		{"every hour, at the very moment", "0 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", "10-25T01:00 10-25T02:00"},
		{"every other hour, shown twice", "0 */2 * * *", "Europe/Berlin", "2026-10-24T22:00:00Z", "10-25T00:00 10-25T03:00"},
		{"every other hour, skipped", "0 */2 * * *", "Europe/Berlin", "2026-03-28T23:00:00Z", "03-29T01:00 03-29T02:00"},
	} {
		calendar, at := parse(t, tt.cron, tt.zone), moment(t, tt.from)
		var got []string
		for range strings.FieldsSeq(tt.want) {
			at = calendar.Next(at)
			got = append(got, at.Format("01-02T15:04"))
		}
		if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// In whatever zone, slots come one after the other, each follows from whatever
// moment lies before it, and none of a day is left out.
func TestSlotsFollowEachOther(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Africa/Casablanca", "America/St_Johns", "Asia/Shanghai"} {
		for _, expression := range []string{"30 2 * * *", "*/7 * * * *", "0 0 * * *", "15 1-3 * * *"} {
			calendar := parse(t, expression, zone)
			at, end := moment(t, "2018-01-01T00:00:00Z"), moment(t, "2019-01-01T00:00:00Z")
			days := map[string]bool{}
			for at.Before(end) {
				next := calendar.Next(at)
				if !next.After(at) || next.Sub(at) > 26*time.Hour {
					t.Fatalf("%s in %s: %v follows %v", expression, zone, next, at)
				}
				if got := calendar.Next(next.Add(-time.Nanosecond)); !got.Equal(next) {
					t.Fatalf("%s in %s: right before %v comes %v", expression, zone, next, got)
				}
				days[next.Format(time.DateOnly)] = true
				at = next
			}
			if len(days) < 364 {
				t.Errorf("%s in %s: slots on %d days", expression, zone, len(days))
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range [][2]string{
		{"", "UTC"},
		{"0 2 * *", "UTC"},
		{"0 0 2 * * *", "UTC"},
		{"@every 5s", "UTC"},
		{"@daily", "UTC"},
		{"60 2 * * *", "UTC"},
		{"TZ=UTC 0 2 * *", "UTC"},
		{"CRON_TZ=UTC 0 2 * * *", "UTC"},
		{"0 0 30 2 *", "UTC"},
		{"0 2 * * 8", "UTC"},
		{"0 2 * * 7-1", "UTC"},
		{"0 2 * * 1-7/0", "UTC"},
		{"0 2 * * *", ""},
		{"0 2 * * *", "Mars/Olympus"},
		{"0 2 * * *", "Local"},
	} {
		if _, err := slots.Parse(tt[0], tt[1]); err == nil {
			t.Errorf("Parse(%q, %q) is accepted", tt[0], tt[1])
		}
	}
}
