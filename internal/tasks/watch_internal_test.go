package tasks

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/usher-bi/usher/internal/people"
	"github.com/usher-bi/usher/internal/store"
)

// watchedStore says how things stand, or why that is not known.
type watchedStore struct {
	now store.Watched
	err error
}

func (w watchedStore) Watch(context.Context) (store.Watched, error) { return w.now, w.err }

// scrape is what Prometheus is told, without words.
func scrape(t *testing.T, of watcher) []string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newWatch(of))
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if answer.Code != http.StatusOK {
		t.Fatalf("%d %s", answer.Code, answer.Body)
	}
	var lines []string
	for line := range strings.Lines(answer.Body.String()) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func TestWhatIsWatchedIsToldToPrometheus(t *testing.T) {
	t.Parallel()
	slot := time.Date(2026, 11, 22, 2, 0, 0, 500_000_000, time.UTC)
	got := scrape(t, watchedStore{now: store.Watched{
		Schedules: []store.WatchedSchedule{
			{Name: "access", LastSlot: &slot, LastSuccess: &slot, Runs: map[store.RunState]int{store.RunDone: 3}, Missed: 2, Held: 1},
			{Name: "new", Paused: true},
		},
		Held: map[string]int{store.GuardShrink: 1},
		Open: map[people.Type]store.WatchedEvents{people.Leaver: {Events: 4, Oldest: 90 * time.Minute}},
	}})
	want := []string{
		`usher_held_jobs{guard="shrunken_input"} 1`,
		`usher_open_events{type="leaver"} 4`,
		`usher_open_events_oldest_seconds{type="leaver"} 5400`,
		`usher_schedule_held_jobs{schedule="access"} 1`,
		`usher_schedule_held_jobs{schedule="new"} 0`,
		`usher_schedule_last_slot_timestamp_seconds{schedule="access"} 1.7953128005e+09`,
		`usher_schedule_last_success_timestamp_seconds{schedule="access"} 1.7953128005e+09`,
		`usher_schedule_missed_slots{schedule="access"} 2`,
		`usher_schedule_missed_slots{schedule="new"} 0`,
		`usher_schedule_paused{schedule="access"} 0`,
		`usher_schedule_paused{schedule="new"} 1`,
		`usher_schedule_runs{schedule="access",state="done"} 3`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if got := scrape(t, watchedStore{err: store.ErrUnavailable}); got != nil {
		t.Errorf("while Postgres is away it tells %q", got)
	}
}
