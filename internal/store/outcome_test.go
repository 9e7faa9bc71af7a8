package store_test

import (
	"testing"

	"github.com/usher-bi/usher/internal/store"
)

func TestOutcome(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		counts  store.Counts
		repeats int
		want    store.Outcome
	}{
		"nothing ended":                {store.Counts{Total: 2, Pending: 2}, 0, store.OutcomeNone},
		"one failed, one may not":      {store.Counts{Total: 2, Failed: 1, Pending: 1}, 0, store.OutcomeNone},
		"one unknown, one pending":     {store.Counts{Total: 2, Unknown: 1, Pending: 1}, 0, store.OutcomeNone},
		"one succeeded, one may not":   {store.Counts{Total: 2, Succeeded: 1, Pending: 1}, 0, store.OutcomeNone},
		"one of each, one pending":     {store.Counts{Total: 3, Succeeded: 1, Failed: 1, Pending: 1}, 0, store.OutcomePartial},
		"one superseded, one pending":  {store.Counts{Total: 3, NoChange: 1, Superseded: 1, Pending: 1}, 0, store.OutcomePartial},
		"all succeeded":                {store.Counts{Total: 2, Succeeded: 1, NoChange: 1}, 0, store.OutcomeSucceeded},
		"some canceled":                {store.Counts{Total: 2, Succeeded: 1, Canceled: 1}, 0, store.OutcomePartial},
		"all failed":                   {store.Counts{Total: 2, Failed: 1, Unknown: 1}, 0, store.OutcomeFailed},
		"one failed, the rest dropped": {store.Counts{Total: 3, Failed: 1, Superseded: 1, Canceled: 1}, 0, store.OutcomeFailed},
		"all canceled":                 {store.Counts{Total: 2, Canceled: 2}, 0, store.OutcomeNone},
		"a repeat of what failed":      {store.Counts{Total: 2, Failed: 1, NoChange: 1}, 1, store.OutcomeFailed},
		"a repeat of what is pending":  {store.Counts{Total: 2, Pending: 1, NoChange: 1}, 1, store.OutcomeNone},
	} {
		if got := c.counts.Outcome(c.repeats); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
