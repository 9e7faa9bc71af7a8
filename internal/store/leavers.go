package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// unlessBack is true of a leaver's event e after which nothing was applied, or is
// being applied, for the person.
const unlessBack = `NOT EXISTS (` + newerApplied + `)
  AND NOT EXISTS (SELECT FROM person_events o WHERE o.principal = e.principal AND o.status = 'applying')`

// anyLeavers keeps the rest from being asked where nobody ever left.
const anyLeavers = `EXISTS (SELECT FROM person_events WHERE type = 'leaver' AND status = 'applied')`

const selectLeavers = `
SELECT given.job_id, e.source, e.event_id
FROM (
    SELECT DISTINCT t.job_id, p.id FROM tasks t CROSS JOIN unnest(t.principals) AS p (id)
    WHERE t.job_id = ANY ($1) AND t.operation = 'grant' AND t.principal_type = 'user' AND ` + anyLeavers + `
) given
JOIN person_events e ON e.principal = given.id
WHERE e.type = 'leaver' AND e.status = 'applied' AND ` + unlessBack

// leaverOf is the event of a leaver whom a job grants something.
type leaverOf struct {
	Job        int64
	Source, ID string // of the event
}

// leaversAmong lists the events of leavers whom jobs that are being written grant
// something. It is the last to read much in the transaction.
func leaversAmong(ctx context.Context, tx pgx.Tx, jobs []*pending) (left []leaverOf, err error) {
	numbers, _ := submitters(jobs)
	var batch pgx.Batch
	batch.Queue(byIndex)
	batch.Queue(selectLeavers, numbers).Query(func(rows pgx.Rows) (err error) {
		left, err = pgx.CollectRows(rows, pgx.RowToStructByPos[leaverOf])
		return err
	})
	return left, tx.SendBatch(ctx, &batch).Close()
}

// accepting are jobs that are about to be accepted.
type accepting struct {
	jobs []*pending
	left []leaverOf // whom they grant something
}

// submitters are the numbers of jobs, and who asked for each.
func submitters(jobs []*pending) (numbers []int64, actors []string) {
	for _, j := range jobs {
		numbers, actors = append(numbers, j.number), append(actors, j.RequestedBy)
	}
	return numbers, actors
}

// A leaver's event that was closed already is opened again, and one that is open is
// looked at once more: whoever closes it has not seen the job.
const (
	reopenThose = `
WITH gone AS (
    SELECT e.source, e.event_id, e.closed_at, j.id, j.actor
    FROM person_events e
    CROSS JOIN unnest($1::bigint[], $2::text[]) AS j (id, actor)
    WHERE e.type = 'leaver' AND e.status = 'applied' AND `

	reopenAudited = `
    FOR UPDATE OF e
), opened AS (
    UPDATE person_events e SET open = true, closed_at = NULL, look_at = clock_timestamp()
    FROM gone WHERE e.source = gone.source AND e.event_id = gone.event_id
)
INSERT INTO audit (actor, event, job_id, detail)
SELECT actor, '` + eventPersonReopened + `', id, jsonb_build_object('source', source, 'event_id', event_id) FROM gone WHERE closed_at IS NOT NULL`
)

// Those that were applied while the job was being written cannot be among those
// found before. A minute more than that makes up for the time that it takes to
// commit them.
const reopenMeanwhile = reopenThose + `e.applied_at >= now() - interval '1 minute' AND ` + unlessBack + `
      AND EXISTS (
          SELECT FROM changes c
          WHERE c.job_id = j.id AND access_key(c.principal_type, c.principal, c.resource_type || ':' || c.resource_id)
                BETWEEN principal_key('user', e.principal) AND principal_key('user', e.principal) + 4294967295
            AND c.task_no IS NOT NULL AND c.operation <> 'read' AND c.operation = 'grant' AND c.principal_type = 'user' AND c.principal = e.principal)` + reopenAudited

const reopenBefore = reopenThose + `(j.id, e.source, e.event_id) IN (
    SELECT x.job, x.source, x.id FROM unnest($3::bigint[], $4::text[], $5::text[]) AS x (job, source, id))` + reopenAudited

// reopen has the leavers looked after whom the jobs grant something. It must come
// after the gate was closed, see [queueAlone].
func (a accepting) reopen(batch *pgx.Batch) {
	numbers, actors := submitters(a.jobs)
	batch.Queue(reopenMeanwhile, numbers, actors)
	if len(a.left) == 0 {
		return
	}
	jobs, sources, ids := make([]int64, len(a.left)), make([]string, len(a.left)), make([]string, len(a.left))
	for i, l := range a.left {
		jobs[i], sources[i], ids[i] = l.Job, l.Source, l.ID
	}
	batch.Queue(reopenBefore, numbers, actors, jobs, sources, ids)
}
