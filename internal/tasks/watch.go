package tasks

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/usher-bi/usher/internal/store"
)

// watcher is who knows how schedules and leavers stand.
type watcher interface {
	Watch(ctx context.Context) (store.Watched, error)
}

// watch tells Prometheus, when it asks, what Postgres knows of schedules, of jobs
// that are held and of who leaves. Every worker tells the same.
type watch struct {
	store watcher

	lastSlot, lastSuccess, runs, missed, scheduleHeld, schedulePaused *prometheus.Desc
	held, open, oldest                                                *prometheus.Desc
}

func newWatch(s watcher) *watch {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &watch{
		store:          s,
		lastSlot:       desc("usher_schedule_last_slot_timestamp_seconds", "Newest slot that was decided on, or that somebody asked for.", "schedule"),
		lastSuccess:    desc("usher_schedule_last_success_timestamp_seconds", "End of the newest run of which every row succeeded or was so already.", "schedule"),
		runs:           desc("usher_schedule_runs", "Slots of the last 24 hours, by the state of their run.", "schedule", "state"),
		missed:         desc("usher_schedule_missed_slots", "Slots of the last 24 hours that nobody was there for.", "schedule"),
		scheduleHeld:   desc("usher_schedule_held_jobs", "Jobs of the schedule that a guard holds.", "schedule"),
		schedulePaused: desc("usher_schedule_paused", "1 while an operator has paused the schedule.", "schedule"),
		held:           desc("usher_held_jobs", "Jobs that a guard holds, wherever they come from.", "guard"),
		open:           desc("usher_open_events", "Events of people of which a revoke is not known to be done.", "type"),
		oldest:         desc("usher_open_events_oldest_seconds", "For how long the oldest of them has been effective.", "type"),
	}
}

// Describe lists what Collect tells.
func (s *watch) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		s.lastSlot, s.lastSuccess, s.runs, s.missed, s.scheduleHeld, s.schedulePaused, s.held, s.open, s.oldest,
	} {
		ch <- d
	}
}

// Collect tells nothing while Postgres is away, which others tell.
func (s *watch) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeWithin)
	defer cancel()
	now, err := s.store.Watch(ctx)
	if err != nil {
		return
	}
	gauge := func(desc *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, labels...)
	}
	moment := func(desc *prometheus.Desc, t *time.Time, labels ...string) {
		if t != nil {
			gauge(desc, float64(t.UnixMilli())/1000, labels...)
		}
	}
	for _, of := range now.Schedules {
		moment(s.lastSlot, of.LastSlot, of.Name)
		moment(s.lastSuccess, of.LastSuccess, of.Name)
		for state, n := range of.Runs {
			gauge(s.runs, float64(n), of.Name, string(state))
		}
		gauge(s.missed, float64(of.Missed), of.Name)
		gauge(s.scheduleHeld, float64(of.Held), of.Name)
		paused := 0.0
		if of.Paused {
			paused = 1
		}
		gauge(s.schedulePaused, paused, of.Name)
	}
	for guard, n := range now.Held {
		gauge(s.held, float64(n), guard)
	}
	for of, n := range now.Open {
		gauge(s.open, float64(n.Events), string(of))
		gauge(s.oldest, n.Oldest.Seconds(), string(of))
	}
}
