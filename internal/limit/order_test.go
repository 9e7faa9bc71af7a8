package limit_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/limit"
	"github.com/usher-bi/usher/internal/testenv"
)

// crowd is callers who wait for their turns, in a known order.
type crowd struct {
	t     *testing.T
	l     *limit.Limiter
	group sync.WaitGroup
	mu    sync.Mutex
	sent  []string
}

func (c *crowd) join(lane limit.Lane, job int64, name string) {
	turn := c.l.Join(lane, job)
	c.group.Go(func() {
		defer turn.Leave()
		if turn.Near(c.t.Context()) != nil || turn.Go(c.t.Context()) != nil {
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.sent = append(c.sent, name)
	})
}

func (c *crowd) so() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.sent)
}

func (c *crowd) wait() []string {
	c.group.Wait()
	return c.so()
}

// frozenCrowd is of a limiter that lets nothing out for a moment, so that the
// order in which turns come is not that in which they arrive.
func frozenCrowd(t *testing.T, perSecond float64) *crowd {
	t.Helper()
	f := setup(t, 1, perSecond)
	turn := f.limiters[0].Join(limit.Urgent, 0)
	if err := turn.Go(t.Context()); err != nil {
		t.Fatal(err)
	}
	turn.Throttled(t.Context(), 800*time.Millisecond)
	return &crowd{t: t, l: f.limiters[0]}
}

func TestUrgentPassesAllThatIsWaiting(t *testing.T) {
	t.Parallel()
	c := frozenCrowd(t, 50)
	for range 30 {
		c.join(limit.Bulk, 1, "bulk")
	}
	for range 10 {
		c.join(limit.Normal, 2, "normal")
	}
	testenv.Eventually(t, "the first bulk calls are sent", func() bool { return slices.Contains(c.so(), "bulk") || len(c.so()) >= 3 })
	for range 5 {
		c.join(limit.Urgent, 3, "urgent")
	}
	sent := c.wait()
	last := len(sent) - 1 - slices.Index(reversed(sent), "urgent")
	first := slices.Index(sent, "urgent")
	if passed := last - first + 1; passed > 6 || first > 8 {
		t.Errorf("the urgent calls were %d to %d of %v", first, last, sent)
	}
}

func reversed(s []string) []string {
	s = slices.Clone(s)
	slices.Reverse(s)
	return s
}

func TestBulkKeepsItsShare(t *testing.T) {
	t.Parallel()
	c := frozenCrowd(t, 400)
	for range 10 {
		c.join(limit.Bulk, 1, "bulk")
	}
	for range 100 {
		c.join(limit.Urgent, 2, "urgent")
	}
	sent := c.wait()
	early := 0
	for _, name := range sent[:100] {
		if name == "bulk" {
			early++
		}
	}
	if early < 3 || early > 6 {
		t.Errorf("%d of the first 100 calls were bulk, want about 5: %v", early, sent)
	}
}

func TestJobsTakeTurns(t *testing.T) {
	t.Parallel()
	c := frozenCrowd(t, 100)
	for range 60 {
		c.join(limit.Normal, 1, "long")
	}
	for range 5 {
		c.join(limit.Normal, 2, "short")
	}
	sent := c.wait()
	// Those that were near when the short job came go first.
	if last := len(sent) - 1 - slices.Index(reversed(sent), "short"); last > 22+2*5 {
		t.Errorf("the last call of the short job was %d of %d: %v", last, len(sent), sent)
	}
}

func TestOneJobGoesInOrderOfArrival(t *testing.T) {
	t.Parallel()
	c := frozenCrowd(t, 200)
	var want []string
	for i := range 20 {
		name := string(rune('a' + i))
		want = append(want, name)
		c.join(limit.Normal, 1, name)
	}
	sent := c.wait()
	// Two that get their slots right after each other may report in either order.
	for i, name := range sent {
		if at := slices.Index(want, name); at-i > 2 || i-at > 2 {
			t.Fatalf("order of calls (-want +got):\n%s", cmp.Diff(want, sent))
		}
	}
}

func TestNobodyIsNearForLongAtALowRate(t *testing.T) {
	t.Parallel()
	f := setup(t, 3, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
	defer cancel()
	var group sync.WaitGroup
	var sent atomic.Int64
	for i := range 12 {
		group.Go(func() {
			turn := f.limiters[i%3].Join(limit.Lane(i/3%3), int64(i))
			defer turn.Leave()
			if turn.Near(ctx) != nil {
				return
			}
			near := time.Now()
			if turn.Go(ctx) == nil {
				sent.Add(1)
			}
			if took := time.Since(near); took > 3*time.Second {
				t.Errorf("a call that was near had to wait for %s", took)
			}
		})
	}
	group.Wait()
	if n := sent.Load(); n < 4 || n > 8 {
		t.Errorf("%d calls went out in 7 s at 1 a second", n)
	}
}

func TestWhoLeavesLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	f := setup(t, 1, 2)
	l := f.limiters[0]
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			turn := l.Join(limit.Lane(i%3), int64(i))
			defer turn.Leave()
			defer turn.Leave() // twice
			if turn.Near(ctx) == nil && turn.Go(ctx) == nil {
				cancel() // one was served
			}
		})
	}
	group.Wait()
	// Nobody stands before one who comes now; TestMain looks for goroutines.
	turn := l.Join(limit.Bulk, 1)
	defer turn.Leave()
	ctx, cancel = context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := turn.Go(ctx); err != nil {
		t.Errorf("Go: %v", err)
	}
}
