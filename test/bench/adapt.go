//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/usher-bi/usher/internal/store"
)

// A quota that is lowered to a third and raised again, and what is wanted then.
const (
	highRate = 50
	lowRate  = 17

	mostThrottled = 0.05             // in the time after lowering
	lowFound      = 10 * time.Second // 90 % of the lower quota is used
	highFound     = 20 * time.Second // and of the higher one

	foundShare = 0.9
	foundSpan  = 2 * time.Second
)

// adapt measures how fast a changed quota is found, which no setting tells.
func adapt(ctx context.Context, b *bench) error {
	for _, n := range b.processes.or(short(b.options, []int{1, 2, 4}, []int{2})...) {
		if err := b.adaptOf(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) adaptOf(ctx context.Context, workers int) (err error) {
	before := short(b.options, 8*time.Second, 5*time.Second)
	low := short(b.options, 60*time.Second, 20*time.Second)
	pairs := apart("", 5000)
	s, err := b.newSandbox(ctx, world(highRate, pairs))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if err := s.submit(ctx, "adapt", store.Normal, pairs); err != nil {
		return err
	}
	if err := s.man(ctx, workers, rateOf(highRate)); err != nil {
		return err
	}
	pause(ctx, before)
	lowered, err := s.setRate(lowRate)
	if err != nil {
		return err
	}
	pause(ctx, low)
	raised, err := s.setRate(highRate)
	if err != nil {
		return err
	}
	found := func() bool { return s.record.arrivals().found(raised, highRate) >= 0 }
	if err := s.await(ctx, 2*highFound, found); err != nil && !errors.Is(err, errPatience) {
		return err
	}
	calls, end := s.record.arrivals(), time.Now()
	b.addFound(calls.between(lowered, raised), change{from: highRate, to: lowRate, at: lowered, workers: workers, within: lowFound, refused: mostThrottled})
	b.addFound(calls.between(raised, end), change{from: lowRate, to: highRate, at: raised, workers: workers, within: highFound, refused: 1})
	return nil
}

// found returns how long after a change 90 % of the quota was used, over two
// seconds; negative if it never was.
func (a arrivals) found(changed time.Time, rate int) time.Duration {
	return a.usedAfter(changed, foundSpan, int(math.Ceil(foundShare*foundSpan.Seconds()*float64(rate))))
}

// change is a change of the quota, and what is wanted after it.
type change struct {
	from, to, workers int
	at                time.Time
	within            time.Duration
	refused           float64 // the most; 1 where nothing is said of it
}

// addFound takes down how a change was found. calls are those after it.
func (b *bench) addFound(calls arrivals, c change) {
	refused, after := calls.throttledShare(), calls.found(c.at, c.to)
	used := "90 % never used"
	if after >= 0 {
		used = fmt.Sprintf("90 %% used after %.1f s", after.Seconds())
	}
	wanted := fmt.Sprintf("≤ %.0f s", c.within.Seconds())
	if c.refused < 1 {
		wanted = fmt.Sprintf("≤ %.0f %%, %s", c.refused*100, wanted)
	}
	b.add(row{
		Case:     fmt.Sprintf("%d → %d/s, %s", c.from, c.to, processes(c.workers)),
		Measured: fmt.Sprintf("%.1f %% throttled, %s", refused*100, used),
		Wanted:   wanted,
		OK:       new(refused <= c.refused && after >= 0 && after <= c.within),
		Figures: map[string]float64{
			"from": float64(c.from), "to": float64(c.to), "processes": float64(c.workers), "throttled": refused, "found_after_seconds": after.Seconds(),
			"calls": float64(len(calls)), "admitted": float64(len(calls.admitted())),
		},
	})
}
