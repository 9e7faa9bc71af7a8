package store

import (
	"context"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"
)

// What is counted of a job is counted once: with each seal, of the rows that it
// covers. Those never change and no other will come among them, so their sums
// hold for good; what is newer than the last seal is counted when it is asked
// for. One view says what counts, for both.
const sealCounts = `
INSERT INTO sealed_counts AS s (job_id, what, n)
SELECT job_id, what, sum(n) FROM counted WHERE no > $1 AND no <= $2 GROUP BY job_id, what ORDER BY job_id, what
ON CONFLICT (job_id, what) DO UPDATE SET n = s.n + excluded.n`

// countSealed adds up what a seal covers. It must be called with every seal, in
// its transaction.
func countSealed(ctx context.Context, tx pgx.Tx, s span) error {
	if s.after == 0 {
		s.after = math.MinInt64 // as the rows are sealed
	}
	if _, err := tx.Exec(ctx, sealCounts, planned, s.after, s.upto); err != nil {
		return fmt.Errorf("counting what is sealed: %w", err)
	}
	return nil
}

const lastSealed = `SELECT upto_no FROM audit_seals ORDER BY no DESC LIMIT 1`

const countJobs = `
SELECT job_id, what, sum(n)::bigint
FROM (
    SELECT job_id, what, n FROM sealed_counts WHERE job_id = ANY ($1)
    UNION ALL
    SELECT job_id, what, n FROM counted WHERE job_id = ANY ($1) AND no > $2
) x
GROUP BY job_id, what`

// countsOf counts calls and exceptions by job.
func countsOf(ctx context.Context, tx pgx.Tx, jobs []int64) (map[int64]map[string]int, error) {
	out := map[int64]map[string]int{}
	if len(jobs) == 0 {
		return out, nil
	}
	sealed := int64(math.MinInt64)
	rows, err := tx.Query(ctx, lastSealed)
	if err != nil {
		return nil, err
	}
	if _, err := pgx.ForEachRow(rows, []any{&sealed}, func() error { return nil }); err != nil {
		return nil, err
	}
	if rows, err = tx.Query(ctx, countJobs, planned, jobs, sealed); err != nil {
		return nil, err
	}
	var job int64
	var what string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&job, &what, &n}, func() error {
		if out[job] == nil {
			out[job] = map[string]int{}
		}
		out[job][what] = n
		return nil
	})
	return out, err
}

// What was never handed out waits, and its changes have one number after the
// other. What was claimed before the backlog had passed it may have ended.
const countOpen = `
SELECT j.id, coalesce(b.tasks, 0) - coalesce(e.tasks, 0) + o.tasks, coalesce(b.rows, 0) - coalesce(e.rows, 0) + o.rows
FROM jobs j
CROSS JOIN LATERAL (
    SELECT sum(b.last_no - b.next_no + 1)::int AS tasks, sum(l.last_change - f.first_change + 1)::int AS rows
    FROM backlog b
    JOIN tasks f ON f.job_id = b.job_id AND f.job_id = ANY ($1) AND f.no = b.next_no
    JOIN tasks l ON l.job_id = b.job_id AND l.job_id = ANY ($1) AND l.no = b.last_no
    WHERE b.job_id = j.id
) b
CROSS JOIN LATERAL (
    SELECT count(*)::int AS tasks, sum(t.cells)::int AS rows
    FROM backlog b
    JOIN tasks t ON t.job_id = b.job_id AND t.job_id = ANY ($1) AND t.no BETWEEN b.next_no AND b.last_no
    WHERE b.job_id = j.id AND t.early AND t.finished_at IS NOT NULL
) e
CROSS JOIN LATERAL (
    SELECT count(*)::int AS tasks, coalesce(sum(t.cells), 0)::int AS rows
    FROM ` + handedOutFrom + `1` + toTheEnd + `
    CROSS JOIN LATERAL (
        SELECT t.cells FROM tasks t WHERE t.job_id = ANY ($1) AND ` + inRange + ` AND t.state IN ('ready', 'running') OFFSET 0
    ) t
) o
WHERE j.id = ANY ($1)`

// openOf counts by job what has not ended.
func openOf(ctx context.Context, tx pgx.Tx, jobs []int64) (map[int64]openTasks, error) {
	out := map[int64]openTasks{}
	if len(jobs) == 0 {
		return out, nil
	}
	rows, err := tx.Query(ctx, countOpen, planned, jobs)
	if err != nil {
		return nil, err
	}
	var job int64
	var open openTasks
	_, err = pgx.ForEachRow(rows, []any{&job, &open.tasks, &open.rows}, func() error {
		out[job] = open
		return nil
	})
	return out, err
}
