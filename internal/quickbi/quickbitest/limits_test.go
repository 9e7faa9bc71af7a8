package quickbitest_test

import (
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

// TestLimitsChange: from the next call on, with the calls of the last second
// counted, and whoever is told to wait is told how long it really takes.
func TestLimitsChange(t *testing.T) {
	t.Parallel()

	o := organisation()
	o.Rate = 4
	b := setup(t, o)
	type call struct {
		At   time.Duration
		Wait string // empty: let through
	}
	at := func(ms int) call {
		moment := time.Duration(ms) * time.Millisecond
		b.turnTo(moment)
		return call{moment, b.call(grant("u1", "LlmCubes=r1")).header.Get("X-Acs-Retry-After")}
	}
	got := []call{at(0), at(100), at(200), at(300)}
	b.change("POST limits", `{"rate":2}`)
	got = append(got, at(400), at(1199), at(1200), at(1201))
	b.change("POST limits", `{"rate":9,"rates":{"SmartqAuthorize":3}}`)
	got = append(got, at(1202), at(1203), at(1300))
	b.change("POST limits", `{}`)
	got = append(got, at(1301))
	b.change("POST limits", `{"rate":1}`) // what was let through without a limit counts too
	got = append(got, at(1302))
	b.change("POST reset", "") // and nothing has been let through
	got = append(got, at(1303))

	want := []call{
		{0, ""},
		{100 * time.Millisecond, ""},
		{200 * time.Millisecond, ""},
		{300 * time.Millisecond, ""},
		{400 * time.Millisecond, "800"}, // the calls of 0, 0.1 and 0.2 s must be over
		{1199 * time.Millisecond, "1"},
		{1200 * time.Millisecond, ""},
		{1201 * time.Millisecond, "99"},
		{1202 * time.Millisecond, ""},
		{1203 * time.Millisecond, "97"},
		{1300 * time.Millisecond, ""},
		{1301 * time.Millisecond, ""},
		{1302 * time.Millisecond, "999"},
		{1303 * time.Millisecond, ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestMistakenLimitsChangeNothing(t *testing.T) {
	t.Parallel()

	for _, body := range []string{`{"rate":-1}`, `{"rates":{"AddUser":1}}`, `{"rates":{"SmartqAuthorize":-1}}`, `{"rte":1}`, `[]`} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()

			o := organisation()
			o.Rate = 1
			b := setup(t, o)
			if status, answer := b.sandbox("POST limits", body); status != 400 {
				t.Errorf("answer = %d %s, want 400", status, answer)
			}
			b.call(grant("u1", "LlmCubes=r1")).want(t, "")
			b.call(grant("u1", "LlmCubes=r1")).want(t, "Throttling.User")
		})
	}
}

// TestLimitsAreKept: what the caller does with its map later is its own affair.
func TestLimitsAreKept(t *testing.T) {
	t.Parallel()

	b := setup(t, organisation())
	l := quickbitest.Limits{Rates: map[string]int{"SmartqAuthorize": 1}}
	if err := b.SetLimits(l); err != nil {
		t.Fatal(err)
	}
	l.Rates["SmartqAuthorize"] = 100
	b.call(grant("u1", "LlmCubes=r1")).want(t, "")
	b.call(grant("u1", "LlmCubes=r1")).want(t, "Throttling.User")
}

// TestLatencyIsSpread runs on fake time: nothing in it waits.
func TestLatencyIsSpread(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		const least, most, calls = 20 * time.Millisecond, 400 * time.Millisecond, 60
		o := organisation()
		o.Latency, o.LatencyMax = quickbitest.Duration(least), quickbitest.Duration(most)
		s := quickbitest.New(&o)
		var (
			mu      sync.Mutex
			took    = map[time.Duration]bool{}
			quarter = map[time.Duration]int{}
			wg      sync.WaitGroup
		)
		began := time.Now()
		for i := range calls {
			wg.Go(func() {
				serveNonce(t.Context(), s, strconv.Itoa(i))
				d := time.Since(began)
				if d < least || d > most {
					t.Errorf("a call took %s, want %s to %s", d, least, most)
				}
				mu.Lock()
				defer mu.Unlock()
				took[d] = true
				quarter[(d-least)*4/(most-least+1)]++
			})
		}
		wg.Wait()
		if len(quarter) != 4 || len(took) < calls*9/10 {
			t.Errorf("%d calls took %d different times, by quarters of the spread: %v", calls, len(took), quarter)
		}
	})
}
