package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/people"
	"github.com/usher-bi/usher/internal/store"
)

func TestWatched(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := t.Context()
	for _, name := range []string{"access", "gone", "new"} {
		err := w.AddSchedule(ctx, store.Schedule{
			Name: name, Kind: store.FileSchedule, Path: "x.csv", CompleteBy: store.CompleteByDone, Cron: "0 2 * * *", Timezone: "UTC",
			CatchUp: store.CatchUpOnce, Overlap: store.OverlapSkip, Lane: store.Bulk, Source: name, RequestedBy: "ann",
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	by := store.Order{Actor: "ann"}
	if _, err := w.RemoveSchedule(ctx, "gone", by); err != nil {
		t.Fatal(err)
	}
	if _, err := w.PauseSchedule(ctx, "new", by); err != nil {
		t.Fatal(err)
	}
	held := grid([]string{"u1"}, []string{"r"})
	held.Guards.Objections = []store.Objection{{Guard: store.GuardShrink, Message: "it is cut"}}
	job := w.accept(t, held)
	w.exec(t, `
INSERT INTO schedule_runs (schedule_id, slot, missed, state, succeeded, started_at, ended_at)
SELECT s.id, date_trunc('minute', now()) - x.ago, x.missed, x.state, x.good, now(), CASE WHEN x.state <> 'open' THEN date_trunc('minute', now()) - x.ago + interval '1 minute' END
FROM schedules s, (VALUES
    (interval '30 days', 9, 'missed', false), ('2 days', 4, 'done', true),
    ('5 hours', 1, 'done', false), ('4 hours', 2, 'missed', false), ('3 hours', 0, 'rejected', false), ('2 hours', 0, 'open', false), ('1 hour', 0, 'missing', false)
) AS x (ago, missed, state, good)
WHERE s.name = 'access'`)
	w.exec(t, `INSERT INTO schedule_inputs (schedule_id, slot, no, state, job) SELECT schedule_id, slot, 1, 'submitted', $1 FROM schedule_runs WHERE state = 'open'`, job.ID)
	w.exec(t, `
INSERT INTO person_events (source, event_id, type, principal, profile, effective_at, withdraws, fingerprint, requested_by, status, open, applied_at)
SELECT 'hr', x.id, x.type, x.id, '', now() + x.at, '', '', 'ann', x.status, x.open, CASE x.status WHEN 'applied' THEN now() END
FROM (VALUES
    ('a', 'leaver', interval '-3 hours', 'applied', true), ('b', 'leaver', '-5 hours', 'waiting', false), ('c', 'leaver', '1 hour', 'waiting', false),
    ('d', 'leaver', '-9 hours', 'applied', false), ('e', 'mover', '-2 hours', 'applied', true), ('f', 'mover', '-7 hours', 'waiting', false)
) AS x (id, type, at, status, open)`)

	got, err := w.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	now, err := w.Now(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Schedules) != 2 || got.Schedules[0].LastSlot == nil || got.Schedules[0].LastSuccess == nil {
		t.Fatalf("the schedules are %+v", got.Schedules)
	}
	for what, ago := range map[*time.Time]time.Duration{got.Schedules[0].LastSlot: time.Hour, got.Schedules[0].LastSuccess: 48*time.Hour - time.Minute} {
		if d := now.Sub(*what) - ago; d < 0 || d > 10*time.Minute {
			t.Errorf("%v is not %v ago", *what, ago)
		}
	}
	got.Schedules[0].LastSlot, got.Schedules[0].LastSuccess = nil, nil
	none := map[store.RunState]int{}
	for _, state := range store.RunStates() {
		none[state] = 0
	}
	some := map[store.RunState]int{
		store.RunDone: 1, store.RunMissed: 1, store.RunRejected: 1, store.RunOpen: 1, store.RunMissing: 1, store.RunDue: 0, store.RunRunning: 0, store.RunNothing: 0, store.RunSkipped: 0,
	}
	if diff := cmp.Diff([]store.WatchedSchedule{{Name: "access", Runs: some, Missed: 4, Held: 1}, {Name: "new", Paused: true, Runs: none}}, got.Schedules); diff != "" {
		t.Errorf("the schedules (-want +got):\n%s", diff)
	}
	wantHeld := map[string]int{
		store.GuardShrink: 1, store.GuardStale: 0, store.GuardRevokes: 0, store.GuardRevokeShare: 0, store.GuardRevokesPerDay: 0,
	}
	if diff := cmp.Diff(wantHeld, got.Held); diff != "" {
		t.Errorf("held (-want +got):\n%s", diff)
	}
	for of, want := range map[people.Type]store.WatchedEvents{
		people.Leaver: {Events: 2, Oldest: 5 * time.Hour}, people.Mover: {Events: 1, Oldest: 2 * time.Hour}, people.Joiner: {},
	} {
		if open := got.Open[of]; open.Events != want.Events || open.Oldest < want.Oldest || open.Oldest > want.Oldest+10*time.Minute {
			t.Errorf("of %ss %+v are open, want %+v", of, open, want)
		}
	}
}
