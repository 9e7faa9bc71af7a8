//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
	"github.com/usher-bi/usher/internal/store"
)

// What is wanted of a steady state.
const (
	wantedUse   = 0.97
	mostRefused = 0.001

	warmUp = 3 * time.Second // until the state is steady
)

// quota measures how much of a quota is used in the steady state, and whether
// it is kept: at several rates, with several worker processes.
func quota(ctx context.Context, b *bench) error {
	for _, rate := range b.rates.or(short(b.options, []int{10, 50, 200}, []int{50, 200})...) {
		for _, n := range b.processes.or(short(b.options, []int{1, 2, 4}, []int{2})...) {
			if err := b.quotaOf(ctx, rate, n); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) quotaOf(ctx context.Context, rate, workers int) (err error) {
	window := short(b.options, 20*time.Second, 8*time.Second)
	if rate < 20 {
		window = window * 3 / 2
	}
	const margin = 10 // seconds, in which slow workers may start and end
	pairs := apart("", rate*(int((warmUp+window).Seconds())+margin))
	s, err := b.newSandbox(ctx, world(rate, pairs))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if err := s.submit(ctx, "quota", store.Normal, pairs); err != nil {
		return err
	}
	if err := s.man(ctx, workers, rateOf(rate)); err != nil {
		return err
	}
	if !pause(ctx, warmUp) {
		return ctx.Err()
	}
	from := time.Now()
	if !pause(ctx, window+slowest+time.Second) { // a call is on record once it is answered
		return ctx.Err()
	}
	calls := s.record.arrivals()
	steady := calls.between(from, from.Add(window))
	used := float64(len(steady.admitted())) / (float64(rate) * window.Seconds())
	refused, most := steady.throttledShare(), calls.most(time.Second)
	b.add(row{
		Case:     fmt.Sprintf("%d/s, %s", rate, processes(workers)),
		Measured: fmt.Sprintf("%.1f %% used, %.2f %% throttled, at most %d in a second", used*100, refused*100, most),
		Wanted:   fmt.Sprintf("≥ %.0f %%, ≤ %.1f %%", wantedUse*100, mostRefused*100),
		OK:       new(used >= wantedUse && refused <= mostRefused),
		Figures: map[string]float64{
			"rate": float64(rate), "processes": float64(workers), "used": used, "throttled": refused, "most_in_a_second": float64(most),
			"throttled_since_start": calls.throttledShare(), "seconds": window.Seconds(),
		},
	})
	return nil
}

// rateOf is the setting of a quota, the same for every process.
func rateOf(rate int) string { return fmt.Sprintf("QUICKBI_RATE=%d/s", rate) }

func processes(n int) string {
	if n == 1 {
		return "1 process"
	}
	return fmt.Sprintf("%d processes", n)
}

// setRate changes the quota at the sandbox and says when.
func (s *site) setRate(rate int) (time.Time, error) {
	err := s.sandbox.SetLimits(quickbitest.Limits{Rate: rate})
	return time.Now(), err
}
