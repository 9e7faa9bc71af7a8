package limit_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/usher-bi/usher/internal/limit"
	"github.com/usher-bi/usher/internal/testenv"
)

// throttle has the calls of turns throttled that got their slots already.
func throttle(t *testing.T, told time.Duration, turns ...*limit.Turn) {
	t.Helper()
	for _, turn := range turns {
		turn.Throttled(t.Context(), told)
	}
}

// turns returns turns that have got their slots.
func (f *fleet) turns(t *testing.T, n int) []*limit.Turn {
	t.Helper()
	out := make([]*limit.Turn, n)
	var group sync.WaitGroup
	for i := range out {
		out[i] = f.limiters[i%len(f.limiters)].Join(limit.Normal, 1)
		group.Go(func() {
			if err := out[i].Go(t.Context()); err != nil {
				t.Errorf("Go: %v", err)
			}
		})
	}
	group.Wait()
	return out
}

func (f *fleet) state(t *testing.T) limit.State {
	t.Helper()
	s, err := limit.Read(t.Context(), f.client, action)
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return s
}

func TestOneCutACongestion(t *testing.T) {
	t.Parallel()
	f := setup(t, 2, 100)
	sent := f.turns(t, 140)[130:] // more than a second of them, whoever of the two is ahead
	throttle(t, time.Millisecond, sent[0])
	if s := f.state(t); s.Rate < 95 || s.Rate > 99 {
		t.Errorf("one throttled call of a busy second cut the rate to %v of 100", s.Rate)
	}
	throttle(t, time.Millisecond, sent[1:8]...)
	s := f.state(t)
	if s.Rate < 75 || s.Rate > 90 || s.Throttled != 8 {
		t.Errorf("eight calls of one congestion cut the rate to %v of 100", s.Rate)
	}
	throttle(t, time.Millisecond, f.turns(t, 1)...) // sent after the cut
	if after := f.state(t); after.Rate >= s.Rate {
		t.Errorf("another congestion cut the rate from %v to %v", s.Rate, after.Rate)
	}
}

func TestFreezeGrowsWhileNothingTellsHowLong(t *testing.T) {
	t.Parallel()
	f := setup(t, 1, 1000)
	var last time.Duration
	for i := range 3 {
		throttle(t, 0, f.turns(t, 1)...)
		s := f.state(t)
		if i > 0 && s.FrozenFor < last*3/2 {
			t.Errorf("congestion %d in a row froze for %s, the one before for %s", i+1, s.FrozenFor, last)
		}
		last = s.FrozenFor
	}
}

func TestFreezeThatRedisMissedHolds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		failures  int64
		throttled int // that are counted
	}{
		{"told once more", 1, 1},
		{"told by the next booking", 2, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, 2, 100)
			sent := f.turns(t, 2)
			until := time.Now().Add(time.Second)
			f.commands.fail.Store(tt.failures)
			throttle(t, time.Second, sent[0])
			f.turns(t, 1)
			if early := time.Until(until); early > 0 {
				t.Errorf("a call left %s before the end of the freeze", early)
			}
			f.turns(t, 2)
			if s := f.state(t); s.Throttled != tt.throttled {
				t.Errorf("%d throttled calls were counted, want %d", s.Throttled, tt.throttled)
			}
		})
	}
}

func TestToldIsBounded(t *testing.T) {
	t.Parallel()
	f := setup(t, 1, 1000)
	throttle(t, 24*time.Hour, f.turns(t, 1)...)
	if s := f.state(t); s.FrozenFor > 2*time.Minute || s.FrozenFor < time.Minute {
		t.Errorf("told to wait for a day, everybody waits for %s; want two minutes", s.FrozenFor)
	}
}

func TestRateComesBackWhileCallsStandInLine(t *testing.T) {
	t.Parallel()
	f, a := setup(t, 2, 200), &api{}
	f.turns(t, 210)
	throttle(t, time.Millisecond, f.turns(t, 12)...)
	cut := f.state(t).Rate
	if cut > 170 {
		t.Fatalf("the rate was cut to %v of 200", cut)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	wait := f.run(ctx, a, load{callers: 20})
	testenv.Eventually(t, "the rate comes back", func() bool { return f.state(t).Rate == 200 })
	cancel()
	wait()
}

func TestQuotaThatWasLoweredIsFound(t *testing.T) {
	t.Parallel()
	f, a := setup(t, 2, 100), &api{quota: 30, hint: true}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	wait := f.run(ctx, a, load{callers: 20})
	var s limit.State
	testenv.Eventually(t, "the rate is near the quota", func() bool {
		s = f.state(t)
		return s.Known && s.Rate < 36
	})
	if s.Rate < 20 || s.Limit != 100 {
		t.Errorf("state = %+v; want a rate of about 30", s)
	}
	cancel()
	wait()
}

func TestThrottledWithoutRedisCountsEach(t *testing.T) {
	t.Parallel()
	f := setup(t, 1, 100)
	f.turns(t, 1)
	away := f.goAway()
	sent := f.turns(t, 3)
	away.Store(false)
	throttle(t, time.Millisecond, sent...)
	throttle(t, time.Millisecond, sent[0]) // once more
	if s := f.state(t); s.Throttled != 3 {
		t.Errorf("%d throttled calls were counted, want 3", s.Throttled)
	}
}

func TestNewLimitHoldsWithoutRedis(t *testing.T) {
	t.Parallel()
	f, a := setup(t, 2, 100), &api{}
	f.turns(t, 2)
	f.goAway()
	f.spell(t, a, 400*time.Millisecond)
	b := &api{}
	for _, l := range f.limiters {
		l.SetLimit(10, 1)
	}
	f.spell(t, b, time.Second)
	if before, calls := len(a.calls()), len(b.calls()); before < 15 || calls < 2 || calls > 10+4 {
		t.Errorf("%d calls went out in 0.4 s at 100 a second and %d in a second at 10", before, calls)
	}
}

func TestWithoutRedisEachKeepsToItsShare(t *testing.T) {
	t.Parallel()
	f, a := setup(t, 4, 200), &api{}
	f.spell(t, a, 300*time.Millisecond) // learn the rate
	away := f.goAway()
	b := &api{}
	f.spell(t, b, time.Second)
	calls := b.calls()
	if len(calls) < 60 || densest(calls, 500*time.Millisecond) > 100+12 {
		t.Errorf("%d calls went out in a second without Redis, %d of them in half a second; want at most 200 a second",
			len(calls), densest(calls, 500*time.Millisecond))
	}
	away.Store(false)
	sent := f.state(t).Sent
	c := &api{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	wait := f.run(ctx, c, load{callers: 10})
	testenv.Eventually(t, "Redis is used again", func() bool { return f.state(t).Sent > sent+50 })
	cancel()
	wait()
	if most := densest(c.calls(), 500*time.Millisecond); most > 100+12 {
		t.Errorf("%d calls went out in half a second when Redis was back", most)
	}
}
