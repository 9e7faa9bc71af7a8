package limit_test

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/usher-bi/usher/internal/limit"
	"github.com/usher-bi/usher/internal/testenv"
)

// perTenth is how many slots a tenth of a second may hold at a limit of 100: the
// tests look at spans shorter than a second, and slots need not be aligned.
const perTenth = 10 + 1

// spell lets a fleet call for a while.
func (f *fleet) spell(t *testing.T, a *api, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	f.run(ctx, a, load{callers: 12})()
}

// wantNoBurst looks at slots, which a busy machine does not delay.
func wantNoBurst(t *testing.T, slots []time.Time) {
	t.Helper()
	if len(slots) < 20 {
		t.Fatalf("only %d slots were given out", len(slots))
	}
	slices.SortFunc(slots, time.Time.Compare)
	if most := densest(slots, 100*time.Millisecond); most > perTenth {
		t.Errorf("a tenth of a second holds %d slots of 100 a second", most)
	}
}

// slots are those that were given out since Redis was emptied.
func (f *fleet) slots(t *testing.T) []time.Time {
	t.Helper()
	return times(t, f.client.LRange(t.Context(), "usher:limit:"+action+":slots", 0, -1))
}

// empty empties Redis and returns the slots that were given out before.
func (f *fleet) empty(t *testing.T) []time.Time {
	t.Helper()
	tx := f.client.TxPipeline()
	slots := tx.LRange(t.Context(), "usher:limit:"+action+":slots", 0, -1)
	tx.FlushDB(t.Context())
	if _, err := tx.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	return times(t, slots)
}

func times(t *testing.T, list *redis.StringSliceCmd) (out []time.Time) {
	t.Helper()
	for _, v := range list.Val() {
		at, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, time.UnixMicro(at))
	}
	return out
}

func TestNeverABurst(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		between func(t *testing.T, f *fleet)
	}{
		{"after idle time", func(t *testing.T, _ *fleet) {
			t.Helper()
			idle := time.NewTimer(300 * time.Millisecond)
			<-idle.C
		}},
		{"when Redis was emptied", func(t *testing.T, f *fleet) {
			t.Helper()
			if err := f.client.FlushDB(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		}},
		{"after a new limit that is the same", func(t *testing.T, f *fleet) {
			t.Helper()
			f.publish(t, 100, 1)
		}},
		{"after a freeze", func(t *testing.T, f *fleet) {
			t.Helper()
			turn := f.limiters[0].Join(limit.Urgent, 1)
			if err := turn.Go(t.Context()); err != nil {
				t.Fatal(err)
			}
			turn.Throttled(t.Context(), 200*time.Millisecond)
		}},
		{"after a clock that ran ahead", func(t *testing.T, f *fleet) {
			t.Helper()
			ahead := time.Now().Add(time.Hour).UnixMicro()
			if err := f.client.HSet(t.Context(), "usher:limit:"+action, "tat", ahead).Err(); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, a := setup(t, 3, 100), &api{}
			f.spell(t, a, 600*time.Millisecond)
			slots := f.slots(t)
			tt.between(t, f)
			before := len(a.calls())
			f.spell(t, a, 900*time.Millisecond)
			slots = append(slots, f.slots(t)...)
			slices.SortFunc(slots, time.Time.Compare)
			wantNoBurst(t, slices.Compact(slots))
			if after := len(a.calls()) - before; after < 20 {
				t.Errorf("%d calls went out afterwards", after)
			}
		})
	}
}

func (f *fleet) publish(t *testing.T, perSecond float64, version int64) {
	t.Helper()
	if err := limit.Publish(t.Context(), f.client, action, perSecond, version); err != nil {
		t.Fatalf("Publish: %v", err)
	}
}

func TestFlushInTheMiddleMakesNoBurst(t *testing.T) {
	t.Parallel()
	f, a := setup(t, 3, 100), &api{}
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	wait := f.run(ctx, a, load{callers: 8})
	testenv.Eventually(t, "calls go out", func() bool { return len(a.calls()) > 30 })
	slots := f.empty(t)
	wait()
	wantNoBurst(t, append(slots, f.slots(t)...))
}

// TestLateCallPushesBackWhatComesAfter has a slot used 60 ms after it came.
func TestLateCallPushesBackWhatComesAfter(t *testing.T) {
	t.Parallel()
	f := setup(t, 2, 5)
	testenv.Eventually(t, "a late call pushes back", func() bool {
		before := len(f.slots(t))
		turn := f.limiters[0].Join(limit.Normal, 1)
		defer turn.Leave()
		ctx, giveUp := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() { gone <- turn.Go(ctx) }()
		testenv.Eventually(t, "a slot is booked", func() bool { return len(f.slots(t)) > before })
		giveUp()
		if err := <-gone; err == nil {
			return false // the machine was too slow to be late on purpose
		}
		slot := f.slots(t)[0]
		<-time.After(time.Until(slot.Add(60 * time.Millisecond)))
		if err := turn.Go(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.turns(t, 7) // more than a second
		slots := f.slots(t)
		for i := range len(slots) - 1 {
			if gap := slots[i].Sub(slots[i+1]); slots[i+1].After(slot) && gap > 240*time.Millisecond {
				return true
			}
		}
		return false
	})
}

func TestOneRedisCommandACall(t *testing.T) {
	t.Parallel()
	f, a := setup(t, 2, 200), &api{}
	f.spell(t, a, time.Second)
	calls, commands := len(a.calls()), f.commands.n.Load()
	// The first commands load the script.
	if most := int64(float64(calls)*1.1) + 30; calls < 30 || commands > most || commands < int64(calls) {
		t.Errorf("%d commands for %d calls; want at most %d", commands, calls, most)
	}
}

func TestNewLimitHoldsForEveryoneAtOnce(t *testing.T) {
	t.Parallel()
	f, a := setup(t, 3, 100), &api{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	wait := f.run(ctx, a, load{callers: 8})
	testenv.Eventually(t, "calls go out", func() bool { return len(a.calls()) > 80 })
	f.publish(t, 20, 1)
	published := time.Now()
	testenv.Eventually(t, "a second and a half passes", func() bool { return time.Since(published) > 1500*time.Millisecond })
	cancel()
	wait()
	// Each process may have had a slot already. After that a second holds 20.
	settled := published.Add(80 * time.Millisecond)
	calls, _ := a.between(settled, settled.Add(1300*time.Millisecond))
	if calls > 20 || calls < 4 {
		t.Errorf("%d calls went out in 1.3 s after a limit of 20 was published", calls)
	}
	before, _ := a.between(settled.Add(-100*time.Millisecond), settled.Add(900*time.Millisecond))
	if before > 20+4 {
		t.Errorf("a second that spans the change holds %d calls of 20", before)
	}
}

func TestTheNewestLimitCounts(t *testing.T) {
	t.Parallel()
	f := setup(t, 2, 1000)
	read := func() limit.State {
		turn := f.limiters[1].Join(limit.Normal, 1)
		defer turn.Leave()
		if err := turn.Go(t.Context()); err != nil {
			t.Fatal(err)
		}
		s, err := limit.Read(t.Context(), f.client, action)
		if err != nil {
			t.Fatalf("Read: %v", err)
		}
		return s
	}
	want := func(what string, perSecond float64, version int64) {
		t.Helper()
		if s := read(); s.Limit != perSecond || s.Version != version || s.Rate != perSecond {
			t.Errorf("%s: %+v; want %v calls a second at version %d", what, s, perSecond, version)
		}
	}
	want("as configured", 1000, 0)
	f.publish(t, 400, 2)
	want("set by an operator", 400, 2)
	f.publish(t, 300, 1)
	want("an older one changes nothing", 400, 2)
	f.limiters[1].SetLimit(500, 3)
	want("told to a process", 500, 3)
	f.limiters[0].SetLimit(200, 2)
	want("told to another one, older", 500, 3)
	if err := f.client.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	want("Redis learns it again", 500, 3)
	f.publish(t, 0, 4)
	want("ended", 1000, 4)
}

func TestFreezeHoldsForEveryProcess(t *testing.T) {
	t.Parallel()
	f, a := setup(t, 3, 100), &api{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	wait := f.run(ctx, a, load{callers: 6, lane: limit.Normal})
	testenv.Eventually(t, "calls go out", func() bool { return len(a.calls()) > 20 })
	turn := f.limiters[0].Join(limit.Urgent, 1)
	if err := turn.Go(t.Context()); err != nil {
		t.Fatal(err)
	}
	turn.Throttled(t.Context(), time.Second)
	frozen := time.Now()
	s, err := limit.Read(t.Context(), f.client, action)
	if err != nil || s.FrozenFor < 800*time.Millisecond || s.Throttled != 1 {
		t.Errorf("state = %+v, %v; want frozen for a second", s, err)
	}
	n := len(a.calls())
	testenv.Eventually(t, "the freeze ends", func() bool { return time.Since(frozen) > 950*time.Millisecond })
	// Each of the two others may have had slots already.
	if leaked, _ := a.between(frozen, frozen.Add(950*time.Millisecond)); leaked > 8 {
		t.Errorf("%d calls went out in the freeze", leaked)
	}
	if late, _ := a.between(frozen.Add(100*time.Millisecond), frozen.Add(950*time.Millisecond)); late > 0 {
		t.Errorf("%d calls went out in the middle of the freeze", late)
	}
	testenv.Eventually(t, "calls go on", func() bool { return len(a.calls()) > n+20 })
	cancel()
	wait()
}

func TestStateTellsWhatHappens(t *testing.T) {
	t.Parallel()
	f, a := setup(t, 2, 50), &api{}
	if s, err := limit.Read(t.Context(), f.client, action); err != nil || s != (limit.State{}) {
		t.Errorf("state of an action that nobody called = %+v, %v", s, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	wait := f.run(ctx, a, load{callers: 10, lane: limit.Bulk})
	testenv.Eventually(t, "calls go out", func() bool { return len(a.calls()) > 90 })
	s, err := limit.Read(t.Context(), f.client, action)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	wait()
	if s.Limit != 50 || s.Rate != 50 || s.Overridden || s.Sent < 60 || s.Sent > 120 || s.Throttled != 0 {
		t.Errorf("state = %+v", s)
	}
	if s.Waiting[limit.Bulk] < 10 || s.Waiting[limit.Bulk] > 20 || s.Waiting[limit.Urgent] != 0 {
		t.Errorf("%v wait; want almost 20 in the lane bulk", s.Waiting)
	}
	if s.Saturated < 0.2 || s.UsedShare < 0.2 || s.UsedShare > 1 || s.MeasuredRate() < 40 || s.MeasuredRate() > 51 {
		t.Errorf("state = %+v, measured rate %v", s, s.MeasuredRate())
	}
}
