//go:build unix

package main

import (
	"testing"
	"time"
)

var zero = time.Date(2026, 3, 10, 10, 30, 0, 0, time.UTC)

func at(ms int) time.Time { return zero.Add(time.Duration(ms) * time.Millisecond) }

// came lists calls that came at these milliseconds; negative ones were
// throttled.
func came(ms ...int) arrivals {
	var out arrivals
	for _, m := range ms {
		out = append(out, arrival{at: at(max(m, -m)), throttled: m < 0})
	}
	return out
}

func TestMostInAnySpan(t *testing.T) {
	t.Parallel()

	tests := []struct {
		name  string
		calls arrivals
		want  int
	}{
		{"none", came(), 0},
		{"a second apart", came(0, 1000, 2000), 1},
		{"a little less", came(0, 999, 1998), 2},
		{"across two seconds of the clock", came(100, 900, 950, 1050, 1099, 1950), 5},
		{"throttled ones count", came(0, -10, -20, 2000), 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			if got := tt.calls.most(time.Second); got != tt.want {
				t.Errorf("most = %d, want %d", got, tt.want)
			}
		})
	}
}

func TestUsedAfter(t *testing.T) {
	t.Parallel()

	const span, n = 2 * time.Second, 3
	tests := []struct {
		name  string
		calls arrivals
		from  int
		want  time.Duration
	}{
		{"never", came(0, 1000, 2000, 3000), 0, -1},
		{"at once is after one span", came(0, 10, 20), 0, span},
		{"calls before do not count", came(0, 500, 1000, 2900), 600, -1},
		{"throttled ones do not count", came(0, -500, 1000, 2000, 2500), 0, 2500 * time.Millisecond},
		{"the first such span", came(0, 3000, 4000, 4999, 5100, 5200), 1000, 3999 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			if got := tt.calls.usedAfter(at(tt.from), span, n); got != tt.want {
				t.Errorf("usedAfter = %s, want %s", got, tt.want)
			}
		})
	}
}

func TestShareOfAWindow(t *testing.T) {
	t.Parallel()

	window := came(0, 500, -500, 999, 1000, 1500).between(at(500), at(1000))
	if got := len(window); got != 3 {
		t.Errorf("%d calls in the window, want 3", got)
	}
	if got, want := window.throttledShare(), 1.0/3; got < want-1e-9 || got > want+1e-9 {
		t.Errorf("throttled share = %v, want %v", got, want)
	}
	if got := came().throttledShare(); got != 0 {
		t.Errorf("throttled share of nothing = %v", got)
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()

	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(100-i))
	}
	for q, want := range map[float64]time.Duration{0.5: 50, 0.99: 99, 1: 100} {
		if got := quantile(hundred, q); got != want {
			t.Errorf("quantile %v = %d, want %d", q, got, want)
		}
	}
	if got := quantile([]time.Duration{7}, 0.5); got != 7 {
		t.Errorf("quantile of one = %d", got)
	}
}

// TestWorkIsAllThere: every pair once, and whoever has left evenly spread.
func TestWorkIsAllThere(t *testing.T) {
	t.Parallel()

	w := newWork()
	left, seen := map[pair]bool{}, map[pair]bool{}
	for _, p := range w.left {
		left[p] = true
	}
	for i, p := range w.pairs() {
		if seen[p] {
			t.Fatalf("%v is there twice", p)
		}
		seen[p] = true
		if want := i%rivalLeft == rivalLeft/2; left[p] != want {
			t.Fatalf("pair %d is of somebody who has left: %t, want %t", i, left[p], want)
		}
	}
	if want := rivalUsers * rivalResources; len(seen) != want {
		t.Errorf("%d pairs, want %d", len(seen), want)
	}
}
