package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/access"
)

// Stop says why no call of an action is sent at present, by any worker.
type Stop struct {
	Action    access.Action `json:"action"`
	Since     time.Time     `json:"since"`
	Code      string        `json:"code"` // ours
	APICode   string        `json:"api_code"`
	Message   string        `json:"message"`
	RequestID string        `json:"request_id"`
	Probes    int           `json:"probes"` // calls sent so far to find out whether it is over
	NextProbe time.Time     `json:"next_probe"`
}

const stopAction = `
WITH stopped AS (
    INSERT INTO action_stops (action, code, api_code, message, request_id, next_probe_at)
    VALUES ($1, $2, $3, $4, $5, now() + $6::interval)
    ON CONFLICT (action) DO NOTHING
    RETURNING action, code, api_code, message, request_id
)
INSERT INTO audit (actor, event, detail) SELECT 'usher', '` + EventStopped + `', to_jsonb(stopped) FROM stopped`

// StopAction stops an action for every worker and schedules its first probe.
// It reports whether it was running until now.
func (s *Store) StopAction(ctx context.Context, stop Stop, probeIn time.Duration) (first bool, err error) {
	tag, err := s.pool.Exec(ctx, stopAction, stop.Action, stop.Code, stop.APICode, stop.Message, stop.RequestID, probeIn)
	return tag.RowsAffected() == 1, outward("stopping an action", err)
}

const listStops = `
SELECT action, stopped_at, code, api_code, message, request_id, probes, next_probe_at FROM action_stops ORDER BY action`

// Stops lists the actions that are stopped.
func (s *Store) Stops(ctx context.Context) ([]Stop, error) {
	rows, err := s.pool.Query(ctx, listStops)
	if err != nil {
		return nil, outward("listing stopped actions", err)
	}
	stops, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (st Stop, err error) {
		err = row.Scan(&st.Action, &st.Since, &st.Code, &st.APICode, &st.Message, &st.RequestID, &st.Probes, &st.NextProbe)
		return st, err
	})
	return stops, outward("listing stopped actions", err)
}

const takeProbe = `
UPDATE action_stops SET probes = probes + 1, next_probe_at = now() + least($2::interval * 2 ^ probes, $3::interval)
WHERE action = $1 AND next_probe_at <= now()`

// TakeProbe takes the turn to find out whether a stop is over; one worker gets
// it at a time. The next turn comes after first, then after twice as long each
// time, up to most.
func (s *Store) TakeProbe(ctx context.Context, action access.Action, first, most time.Duration) (bool, error) {
	tag, err := s.pool.Exec(ctx, takeProbe, action, first, most)
	return tag.RowsAffected() == 1, outward("taking a probe", err)
}

const resumeAction = `
WITH gone AS (DELETE FROM action_stops WHERE action = $1 RETURNING action, stopped_at, probes)
INSERT INTO audit (actor, event, detail) SELECT $2, '` + EventResumed + `', to_jsonb(gone) FROM gone`

// ResumeAction lets an action's calls be sent again, and reports whether it
// was stopped.
func (s *Store) ResumeAction(ctx context.Context, action access.Action, actor string) (bool, error) {
	tag, err := s.pool.Exec(ctx, resumeAction, action, actor)
	return tag.RowsAffected() == 1, outward("resuming an action", err)
}

const probeNow = `
WITH asked AS (UPDATE action_stops SET next_probe_at = now() WHERE action = $1 RETURNING action, stopped_at, probes)
INSERT INTO audit (actor, event, detail) SELECT $2, '` + EventProbeAsked + `', to_jsonb(asked) FROM asked`

// ProbeNow has the next probe of a stopped action sent at once, and reports
// whether it was stopped.
func (s *Store) ProbeNow(ctx context.Context, action access.Action, actor string) (bool, error) {
	tag, err := s.pool.Exec(ctx, probeNow, action, actor)
	return tag.RowsAffected() == 1, outward("asking for a probe", err)
}
