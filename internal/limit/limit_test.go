package limit_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-bi/usher/internal/limit"
)

func TestNoSlidingSecondHoldsMoreThanTheRate(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		const perSecond, waiters = 20, 100
		l := limit.New(perSecond)
		time.Sleep(time.Minute) // idle time must not save up a burst; fake seconds
		var (
			mu    sync.Mutex
			sent  []time.Time
			group sync.WaitGroup
		)
		for range waiters {
			group.Go(func() {
				if err := l.Wait(t.Context()); err != nil {
					t.Errorf("Wait: %v", err)
				}
				mu.Lock()
				defer mu.Unlock()
				sent = append(sent, time.Now())
			})
		}
		group.Wait()
		for i := perSecond; i < len(sent); i++ {
			if gap := sent[i].Sub(sent[i-perSecond]); gap < time.Second {
				t.Fatalf("calls %d to %d went out within %s", i-perSecond, i, gap)
			}
		}
		if took, most := sent[waiters-1].Sub(sent[0]), 5100*time.Millisecond; took > most {
			t.Errorf("%d calls took %s; at almost the whole rate it is at most %s", waiters, took, most)
		}
	})
}

func TestFreezeHoldsEveryoneBack(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		l := limit.New(1000)
		start := time.Now()
		l.Freeze(5 * time.Second)
		l.Freeze(time.Second) // the longer one stays
		if err := l.Wait(t.Context()); err != nil {
			t.Fatalf("Wait: %v", err)
		}
		if waited := time.Since(start); waited < 5*time.Second {
			t.Errorf("a call went out after %s of a 5s freeze", waited)
		}
	})
}

func TestFreezeCatchesThoseWhoWaitAlready(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		l := limit.New(1)
		if err := l.Wait(t.Context()); err != nil {
			t.Fatalf("Wait: %v", err)
		}
		start := time.Now()
		released := make(chan time.Duration, 1)
		go func() {
			_ = l.Wait(t.Context())
			released <- time.Since(start)
		}()
		synctest.Wait() // it sleeps for its slot, due in a second
		l.Freeze(10 * time.Second)
		if waited := <-released; waited < 10*time.Second {
			t.Errorf("a waiter left after %s, in the middle of the freeze", waited)
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		l := limit.New(1000)
		l.Freeze(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait() = %v, want the deadline", err)
		}
	})
}
