package tasks

import "github.com/prometheus/client_golang/prometheus"

// metrics counts what the worker does. No label ever holds an id of a person,
// a job or a resource.
type metrics struct {
	calls      *prometheus.CounterVec   // by action and class of answer
	took       *prometheus.HistogramVec // by action
	cells      *prometheus.CounterVec   // by action
	claimed    *prometheus.CounterVec   // by action
	released   *prometheus.CounterVec   // by action
	superseded *prometheus.CounterVec   // by action
	repairs    *prometheus.CounterVec   // by kind
	waited     prometheus.Histogram
	stopped    *prometheus.GaugeVec // by action
	paused     *prometheus.GaugeVec // by action
	postgres   prometheus.Gauge
	alive      prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		calls:      counter("usher_calls_total", "Calls sent to Quick BI, by class of answer.", "action", "class"),
		cells:      counter("usher_changes_sent_total", "Changes carried by those calls.", "action"),
		claimed:    counter("usher_tasks_claimed_total", "Tasks claimed.", "action"),
		released:   counter("usher_tasks_released_total", "Claimed tasks that ended or were given back.", "action"),
		superseded: counter("usher_changes_superseded_total", "Changes dropped because a newer one of the same access was accepted.", "action"),
		repairs:    counter("usher_repairs_total", "What the reconciler put right, by kind.", "kind"),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "usher_call_seconds", Help: "Duration of calls to Quick BI.", Buckets: prometheus.ExponentialBuckets(0.01, 2, 12),
		}, []string{"action"}),
		waited: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "usher_rate_wait_seconds", Help: "Time a claimed task waited for its turn.", Buckets: prometheus.ExponentialBuckets(0.01, 3, 9),
		}),
		stopped: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "usher_action_stopped", Help: "1 while Quick BI refuses the account for an action.",
		}, []string{"action"}),
		paused: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "usher_action_paused", Help: "1 while an operator has paused an action, or everything.",
		}, []string{"action"}),
		postgres: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "usher_postgres_up", Help: "0 while this worker waits for Postgres.",
		}),
		alive: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "usher_workers_alive", Help: "Workers that were heard of lately, this one among them.",
		}),
	}
	m.postgres.Set(1)
	reg.MustRegister(m.calls, m.cells, m.claimed, m.released, m.superseded, m.repairs, m.took, m.waited, m.stopped, m.paused, m.postgres, m.alive)
	return m
}
