package limit_test

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// BenchmarkShared holds the calls of several processes against a quota over
// every sliding second. Run it with -benchtime=1x on a quiet machine.
func BenchmarkShared(b *testing.B) {
	for _, processes := range []int{1, 2, 4} {
		for _, quota := range []int{10, 50, 200} {
			b.Run(fmt.Sprintf("processes=%d/quota=%d", processes, quota), func(b *testing.B) {
				for b.Loop() {
					shared(b, processes, quota)
				}
			})
		}
	}
}

const measured = 15 * time.Second

func shared(b *testing.B, processes, quota int) {
	b.Helper()
	f, a := setup(b, processes, float64(quota)), &api{quota: quota, hint: true}
	ctx, cancel := context.WithCancel(b.Context())
	wait := f.run(ctx, a, load{callers: 16 + quota/2, latency: realLatency})
	time.Sleep(2 * time.Second)
	start, asked := time.Now(), f.commands.n.Load()
	time.Sleep(measured)
	end := time.Now()
	commands := f.commands.n.Load() - asked
	cancel()
	wait()
	calls, throttled := a.between(start, end)
	b.ReportMetric(100*float64(calls-throttled)/(float64(quota)*end.Sub(start).Seconds()), "%used")
	b.ReportMetric(float64(densest(a.calls(), time.Second))/float64(quota), "densest")
	b.ReportMetric(100*float64(throttled)/float64(calls), "%throttled")
	b.ReportMetric(float64(commands)/float64(calls), "redis/call")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkAdapts cuts the quota to a third, and raises it again a minute later.
func BenchmarkAdapts(b *testing.B) {
	for _, processes := range []int{1, 2, 4} {
		b.Run(fmt.Sprintf("processes=%d", processes), func(b *testing.B) {
			for b.Loop() {
				adapts(b, processes)
			}
		})
	}
}

func adapts(b *testing.B, processes int) {
	b.Helper()
	const quota, cut = 50, 17
	f, a := setup(b, processes, quota), &api{quota: quota, hint: true}
	ctx, cancel := context.WithCancel(b.Context())
	wait := f.run(ctx, a, load{callers: 40, latency: realLatency})
	time.Sleep(7 * time.Second)
	a.setQuota(cut)
	lowered := time.Now()
	time.Sleep(time.Minute)
	a.setQuota(quota)
	raised := time.Now()
	time.Sleep(40 * time.Second)
	cancel()
	wait()
	calls, throttled := a.between(lowered, raised)
	b.ReportMetric(100*float64(throttled)/float64(calls), "%throttled")
	b.ReportMetric(found(a, lowered, cut).Seconds(), "s-to-90%-lowered")
	b.ReportMetric(found(a, raised, quota).Seconds(), "s-to-90%-raised")
	good, bad := a.between(lowered.Add(10*time.Second), raised)
	b.ReportMetric(100*float64(good-bad)/(cut*50), "%used-after-10s")
	b.ReportMetric(0, "ns/op")
}

// found is how long after a change of the quota a span of five seconds began in
// which 90 % of it was used.
func found(a *api, changed time.Time, quota int) time.Duration {
	const span = 5 * time.Second
	for after := time.Duration(0); after < time.Minute; after += 100 * time.Millisecond {
		calls, throttled := a.between(changed.Add(after), changed.Add(after+span))
		if float64(calls-throttled) >= 0.9*float64(quota)*span.Seconds() {
			return after
		}
	}
	return time.Minute
}
