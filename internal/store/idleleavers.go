package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/people"
)

const lateLeavers = `
SELECT e.source, e.event_id, (` + newerApplied + `)
FROM person_events e JOIN unnest($1::text[], $2::text[]) AS x (source, event_id) USING (source, event_id)
WHERE EXISTS (` + newerApplied + `)`

// findLate says of leavers that were just accepted which applied event comes after
// them: they will do nothing.
func findLate(ctx context.Context, tx pgx.Tx, accepted []AcceptedEvent) error {
	var sources, ids []string
	for _, e := range accepted {
		if e.Type == people.Leaver && e.Status == EventWaiting {
			sources, ids = append(sources, e.Source), append(ids, e.ID)
		}
	}
	if ids == nil {
		return nil
	}
	rows, err := tx.Query(ctx, lateLeavers, sources, ids)
	if err != nil {
		return fmt.Errorf("looking for later events: %w", err)
	}
	late := map[EventKey]string{}
	var k EventKey
	var by string
	if _, err := pgx.ForEachRow(rows, []any{&k.Source, &k.ID, &by}, func() error {
		late[k] = by
		return nil
	}); err != nil {
		return fmt.Errorf("looking for later events: %w", err)
	}
	for i := range accepted {
		accepted[i].LateFor = late[accepted[i].Key()]
	}
	return nil
}

// Idle reports whether an event is that of a leaver from whom nothing was revoked:
// it was superseded, or there was nothing to revoke.
func (e PersonEvent) Idle() bool {
	return e.Type == people.Leaver && (e.Status == EventSuperseded || e.Status == EventApplied && e.JobID == "" && e.Rounds == 0)
}

const idleLeavers = ` WHERE e.type = 'leaver' AND (
    e.status = 'applied' AND e.job_id IS NULL AND e.rounds = 0 AND NOT e.open AND e.applied_at > now() - interval '7 days'
    OR e.status = 'superseded' AND e.received_at > now() - interval '30 days'
       AND NOT EXISTS (SELECT FROM person_events a WHERE a.principal = e.principal AND a.type = 'leaver' AND a.status = 'applied' AND ` + appliedOrder + ` > ` + eventOrder + `))
ORDER BY e.effective_at, e.source, e.event_id`

// IdleLeavers lists leavers from whom nothing was revoked, the oldest first: of the
// last 7 days those for whom there was nothing to revoke, whose id may be mistyped, and
// of the last 30 days those that were superseded, unless the person has left since.
func (s *Store) IdleLeavers(ctx context.Context) ([]PersonEvent, error) {
	return s.events(ctx, idleLeavers)
}
