package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/people"
)

// Watched is what somebody who keeps the system alive watches, beside the calls.
type Watched struct {
	Schedules []WatchedSchedule
	Held      map[string]int // jobs that a guard holds, by guard; all guards are in it
	Open      map[people.Type]WatchedEvents
}

// WatchedSchedule says how a schedule goes.
type WatchedSchedule struct {
	Name        string
	Paused      bool
	LastSlot    *time.Time       // newest slot that was decided on, or that somebody asked for; nil: none
	LastSuccess *time.Time       // end of the newest run of which every row succeeded; nil: none
	Runs        map[RunState]int // of the slots of the last 24 hours; all states are in it
	Missed      int              // slots of the last 24 hours that nobody was there for
	Held        int              // jobs of it that a guard holds
}

// WatchedEvents counts the events of which a revoke is not known to be done, as
// [Store.OpenEvents] lists them.
type WatchedEvents struct {
	Events int
	Oldest time.Duration // since it was effective; 0: none
}

// RunStates lists the states of runs.
func RunStates() []RunState {
	return []RunState{RunDue, RunRunning, RunOpen, RunDone, RunNothing, RunRejected, RunMissing, RunMissed, RunSkipped}
}

// GuardNames lists the guards.
func GuardNames() []string {
	return []string{GuardRevokes, GuardRevokeShare, GuardRevokesPerDay, GuardShrink, GuardStale}
}

const (
	watchedSchedules = `
SELECT s.name, s.paused_at IS NOT NULL, (SELECT max(r.slot) FROM schedule_runs r WHERE r.schedule_id = s.id),
       (SELECT r.ended_at FROM schedule_runs r WHERE r.schedule_id = s.id AND r.succeeded ORDER BY r.slot DESC LIMIT 1),
       coalesce(d.runs, '{}'), coalesce(d.missed, 0),
       (SELECT count(*) FROM schedule_runs r
        JOIN schedule_inputs i USING (schedule_id, slot)
        JOIN pauses p ON p.scope = 'job' AND p.name = i.job AND p.guard <> ''
        WHERE r.schedule_id = s.id AND r.state = 'open')
FROM schedules s
LEFT JOIN LATERAL (
    SELECT jsonb_object_agg(x.state, x.runs) AS runs, sum(x.passed + CASE x.state WHEN 'missed' THEN x.runs ELSE 0 END)::bigint AS missed
    FROM (
        SELECT r.state, count(*) AS runs, sum(r.missed) AS passed FROM schedule_runs r
        WHERE r.schedule_id = s.id AND r.slot > now() - interval '1 day' GROUP BY r.state
    ) x
) d ON true
WHERE s.removed_at IS NULL
ORDER BY s.name`

	heldJobs = `SELECT guard, count(*) FROM pauses WHERE guard <> '' GROUP BY guard`

	// Each side of the OR has an index of its own.
	watchedEvents = `
SELECT e.type, count(*), extract(epoch FROM now() - min(e.effective_at))::float8
FROM person_events e
WHERE ` + eventOpen + `
GROUP BY e.type`
)

// Watch reads what is to be watched. It costs a look into indexes, whatever has
// happened before the last day.
func (s *Store) Watch(ctx context.Context) (Watched, error) {
	out := Watched{Held: map[string]int{}, Open: map[people.Type]WatchedEvents{people.Joiner: {}, people.Mover: {}, people.Leaver: {}}}
	for _, guard := range GuardNames() {
		out.Held[guard] = 0
	}
	var batch pgx.Batch
	batch.Queue(watchedSchedules).Query(func(rows pgx.Rows) (err error) {
		out.Schedules, err = pgx.CollectRows(rows, scanWatchedSchedule)
		return err
	})
	batch.Queue(heldJobs).Query(func(rows pgx.Rows) error {
		var guard string
		var jobs int
		_, err := pgx.ForEachRow(rows, []any{&guard, &jobs}, func() error {
			out.Held[guard] = jobs
			return nil
		})
		return err
	})
	batch.Queue(watchedEvents).Query(func(rows pgx.Rows) error {
		var of people.Type
		var open WatchedEvents
		var seconds float64
		_, err := pgx.ForEachRow(rows, []any{&of, &open.Events, &seconds}, func() error {
			open.Oldest = time.Duration(max(0, seconds) * float64(time.Second))
			out.Open[of] = open
			return nil
		})
		return err
	})
	err := s.pool.SendBatch(ctx, &batch).Close()
	return out, outward("reading what is watched", err)
}

func scanWatchedSchedule(row pgx.CollectableRow) (s WatchedSchedule, err error) {
	found := map[RunState]int{}
	err = row.Scan(&s.Name, &s.Paused, &s.LastSlot, &s.LastSuccess, &found, &s.Missed, &s.Held)
	s.Runs = map[RunState]int{}
	for _, state := range RunStates() {
		s.Runs[state] = found[state]
	}
	return s, err
}
