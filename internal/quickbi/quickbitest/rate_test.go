package quickbitest_test

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

func TestRateIsASlidingSecond(t *testing.T) {
	t.Parallel()

	o := organisation()
	o.Rate = 3
	b := setup(t, o)
	type call struct {
		At   time.Duration
		Wait string // empty: let through
	}
	want := []call{
		{0, ""},
		{400 * time.Millisecond, ""},
		{900 * time.Millisecond, ""},
		{950 * time.Millisecond, "50"},
		{999*time.Millisecond + 999*time.Microsecond, "1"},
		{time.Second, ""},
		{1100 * time.Millisecond, "300"},
		{1400 * time.Millisecond, ""},
		{1899 * time.Millisecond, "1"},
		{1900 * time.Millisecond, ""},
	}
	var got []call
	for _, c := range want {
		b.turnTo(c.At)
		r := b.call(grant("u1", "LlmCubes=r1"))
		got = append(got, call{c.At, r.header.Get("X-Acs-Retry-After")})
		if c.Wait == "" {
			r.want(t, "")
			continue
		}
		r.want(t, "Throttling.User")
		if r.status != http.StatusBadRequest {
			t.Errorf("status = %d, want 400", r.status)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if got := len(b.Violations()); got != 4 {
		t.Errorf("%d violations, want the 4 throttled calls", got)
	}
}

// TestRateLaw: whatever the arrivals, no second holds more calls than the rate,
// and who waits as told is let through.
func TestRateLaw(t *testing.T) {
	t.Parallel()

	const rate, calls = 4, 60
	for seed := range uint64(5) {
		o := organisation()
		o.Rate = rate
		b := setup(t, o)
		random := rand.New(rand.NewPCG(seed, 0))
		through := make([]time.Time, 0, calls)
		for range calls {
			b.turn(time.Duration(random.IntN(300)) * time.Millisecond)
			r := b.call(grant("u1", "LlmCubes=r1"))
			if hint := r.header.Get("X-Acs-Retry-After"); hint != "" {
				ms, err := strconv.Atoi(hint)
				if err != nil {
					t.Fatal(err)
				}
				b.turn(time.Duration(ms) * time.Millisecond)
				r = b.call(grant("u1", "LlmCubes=r1"))
			}
			r.want(t, "")
			through = append(through, b.now())
			if n := len(through); n > rate && through[n-1].Sub(through[n-1-rate]) < time.Second {
				t.Fatalf("seed %d: %d calls within %s", seed, rate+1, through[n-1].Sub(through[n-1-rate]))
			}
		}
	}
}

func TestRateOfOneAction(t *testing.T) {
	t.Parallel()

	tests := []struct {
		name  string
		rates map[string]int
		want  string
	}{
		{"overridden", map[string]int{"SmartqAuthorize": 1}, "Throttling.User"},
		{"unlimited", map[string]int{"SmartqAuthorize": 0}, ""},
		{"of others", map[string]int{"AddUser": 1}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			o := organisation()
			o.Rate, o.Rates = 2, tt.rates
			b := setup(t, o)
			b.call(grant("u1", "LlmCubes=r1")).want(t, "")
			b.call(grant("u1", "LlmCubes=r1")).want(t, tt.want)
		})
	}
}

func TestThrottleHints(t *testing.T) {
	t.Parallel()

	tests := []struct {
		style quickbitest.Hint
		want  map[string]string
	}{
		{quickbitest.HintRetryAfter, map[string]string{"X-Acs-Retry-After": "1000"}},
		{quickbitest.HintRateLimit, map[string]string{
			"X-Ratelimit-User-Api": "Limit:1,Remain:0,TimeLeft:1000,Reset:1000",
			"X-Ratelimit-User":     "Limit:100,Remain:99,TimeLeft:0,Reset:0",
		}},
		{quickbitest.HintNone, map[string]string{}},
	}
	for _, tt := range tests {
		t.Run(string(tt.style), func(t *testing.T) {
			t.Parallel()

			o := organisation()
			o.Rate, o.ThrottleHint = 1, tt.style
			b := setup(t, o)
			b.call(grant("u1", "LlmCubes=r1")).want(t, "")
			r := b.call(grant("u1", "LlmCubes=r1"))
			r.want(t, "Throttling.User")
			got := map[string]string{}
			for _, name := range []string{"X-Acs-Retry-After", "X-Ratelimit-User-Api", "X-Ratelimit-User", "Retry-After"} {
				if v := r.header.Get(name); v != "" {
					got[name] = v
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("hints (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMalformedCallsCount(t *testing.T) {
	t.Parallel()

	o := organisation()
	o.Rate = 2
	b := setup(t, o)
	b.call("OperationType=0").want(t, "MissingUserIds")
	b.call("UserIds=u1&UserIds=u2").want(t, "Invalid.Parameter.Error")
	throttled := b.call("OperationType=0")
	throttled.want(t, "Throttling.User")
	if got := b.Violations()[2].Violation; got != quickbitest.RuleRate {
		t.Errorf("violation = %q, want %q", got, quickbitest.RuleRate)
	}
}
