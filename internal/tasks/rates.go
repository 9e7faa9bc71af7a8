package tasks

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/limit"
	"github.com/usher-bi/usher/internal/store"
)

// newLimiters returns one for each operation that is called.
func (w *Worker) newLimiters() map[access.Action]*limit.Limiter {
	out := map[access.Action]*limit.Limiter{}
	for _, action := range paced() {
		out[action] = limit.New(limit.Options{
			Redis: w.redis, Action: string(action), Process: w.options.Name, PerSecond: w.options.Rate(action),
			MinShare: w.options.MinShare, Processes: func() int { return int(w.alive.Load()) },
		})
	}
	return out
}

// rates tells Prometheus what all workers know of the rates, when it asks.
type rates struct {
	redis redis.UniversalClient

	limit, allowed, waiting, frozen, used, throttled *prometheus.Desc
}

// scrapeWithin is how long Redis may take to tell. Without an answer the rates
// are left out.
const scrapeWithin = 500 * time.Millisecond

func newRates(client redis.UniversalClient) *rates {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"action"}, labels...), nil)
	}
	return &rates{
		redis:     client,
		limit:     desc("usher_rate_limit", "Calls a second that all workers together never pass."),
		allowed:   desc("usher_rate_allowed", "Calls a second that are let through now: less than the limit after Quick BI has throttled."),
		waiting:   desc("usher_rate_waiting", "Calls that wait for their turn, in all workers.", "lane"),
		frozen:    desc("usher_rate_frozen_seconds", "For how long no call is let through, because Quick BI has throttled."),
		used:      desc("usher_rate_used_share", "Calls of the last minute, as a share of what the limit allows."),
		throttled: desc("usher_throttled_share", "Share of the calls of the last minute that Quick BI throttled."),
	}
}

// Describe lists what Collect tells.
func (r *rates) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(r, ch) }

// Collect tells of every operation that was called lately.
func (r *rates) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeWithin)
	defer cancel()
	for _, action := range paced() {
		s, err := limit.Read(ctx, r.redis, string(action))
		if err != nil {
			return // it is away, which others tell
		}
		if s.Known {
			r.tell(ch, string(action), s)
		}
	}
}

func (r *rates) tell(ch chan<- prometheus.Metric, action string, s limit.State) {
	gauge := func(desc *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, append([]string{action}, labels...)...)
	}
	gauge(r.limit, s.Limit)
	gauge(r.allowed, s.Rate)
	gauge(r.frozen, s.FrozenFor.Seconds())
	gauge(r.used, s.UsedShare)
	gauge(r.throttled, min(1, float64(s.Throttled)/float64(max(1, s.Sent))))
	for _, lane := range []store.Lane{store.Urgent, store.Normal, store.Bulk} {
		gauge(r.waiting, float64(s.Waiting[laneNamed(lane)]), string(lane))
	}
}
