package webhook

import (
	"testing"
	"time"
)

func TestPausesGrowAndEnd(t *testing.T) {
	t.Parallel()
	r := NewRunner(nil, Options{})
	var all time.Duration
	for attempt, want := range []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute} {
		if got := r.retryIn(attempt + 1); got < want*9/10 || got > want*11/10 {
			t.Errorf("after attempt %d it waits %v, want about %v", attempt+1, got, want)
		}
	}
	for attempt := 1; attempt <= 9; attempt++ {
		all += r.retryIn(attempt)
	}
	if all < 60*time.Hour || all > 84*time.Hour || r.retryIn(10) != 0 {
		t.Errorf("it tries for %v, and then waits %v; want three days, and no more", all, r.retryIn(10))
	}
}
