package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// unlessBack is true of a leaver's event e after which nothing was applied, or is
// being applied, for the person.
const unlessBack = `NOT EXISTS (SELECT FROM person_events a
    WHERE a.principal = e.principal AND a.status IN ('applied', 'applying') AND (a.effective_at, a.source, a.event_id) > ` + eventOrder + `)`

// anyLeavers keeps the rest from being asked where nobody ever left.
const anyLeavers = `EXISTS (SELECT FROM person_events WHERE type = 'leaver' AND status = 'applied')`

const selectLeavers = `
SELECT e.source, e.event_id
FROM (
    SELECT DISTINCT p.id FROM tasks t CROSS JOIN unnest(t.principals) AS p (id)
    WHERE t.job_id = $1 AND t.operation = 'grant' AND t.principal_type = 'user' AND ` + anyLeavers + `
) given
JOIN person_events e ON e.principal = given.id
WHERE e.type = 'leaver' AND e.status = 'applied' AND ` + unlessBack

// leaversAmong lists the events of leavers whom a job that is being written grants
// something. It is the last to read much in the transaction.
func leaversAmong(ctx context.Context, tx pgx.Tx, job int64) (left []EventKey, err error) {
	var batch pgx.Batch
	batch.Queue(byIndex)
	batch.Queue(selectLeavers, job).Query(func(rows pgx.Rows) (err error) {
		left, err = pgx.CollectRows(rows, pgx.RowToStructByPos[EventKey])
		return err
	})
	return left, tx.SendBatch(ctx, &batch).Close()
}

// accepting is a job that is about to be accepted.
type accepting struct {
	job   int64
	actor string
	left  []EventKey // of leavers whom it grants something
}

// A leaver's event that was closed already is opened again, and one that is open is
// looked at once more: whoever closes it has not seen the job.
const (
	reopenThose = `
WITH gone AS (
    SELECT e.source, e.event_id, e.closed_at FROM person_events e
    WHERE e.type = 'leaver' AND e.status = 'applied' AND `

	reopenAudited = `
    FOR UPDATE
), opened AS (
    UPDATE person_events e SET open = true, closed_at = NULL, look_at = clock_timestamp()
    FROM gone WHERE e.source = gone.source AND e.event_id = gone.event_id
)
INSERT INTO audit (actor, event, job_id, detail)
SELECT $2, '` + eventPersonReopened + `', $1::bigint, jsonb_build_object('source', source, 'event_id', event_id) FROM gone WHERE closed_at IS NOT NULL`
)

// Those that were applied while the job was being written cannot be among those
// found before. A minute more than that makes up for the time that it takes to
// commit them.
const reopenMeanwhile = reopenThose + `e.applied_at >= now() - interval '1 minute' AND ` + unlessBack + `
      AND EXISTS (
          SELECT FROM changes c
          WHERE c.job_id = $1 AND access_key(c.principal_type, c.principal, c.resource_type || ':' || c.resource_id)
                BETWEEN principal_key('user', e.principal) AND principal_key('user', e.principal) + 4294967295
            AND c.task_no IS NOT NULL AND c.operation <> 'read' AND c.operation = 'grant' AND c.principal_type = 'user' AND c.principal = e.principal)` + reopenAudited

const reopenBefore = reopenThose + `(e.source, e.event_id) IN (SELECT * FROM unnest($3::text[], $4::text[]))` + reopenAudited

// reopen has the leavers looked after whom the job grants something. It must come
// after the gate was closed, see [queueAlone].
func (a accepting) reopen(batch *pgx.Batch) {
	batch.Queue(reopenMeanwhile, a.job, a.actor)
	if len(a.left) == 0 {
		return
	}
	sources, ids := make([]string, len(a.left)), make([]string, len(a.left))
	for i, k := range a.left {
		sources[i], ids[i] = k.Source, k.ID
	}
	batch.Queue(reopenBefore, a.job, a.actor, sources, ids)
}
