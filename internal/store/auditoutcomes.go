package store

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
)

// What succeeded is told by the tasks, which no seal covers. A task that is done
// has the request id of the answer that ended it, and either is
//   - a task whose own call was carried out: by that answer, or by an earlier one
//     if what ended it is a look, or a refusal to do the same again,
//   - a part that was over when its whole, which was carried out, was cut, or
//   - one without a cell that succeeded: each has its exception.
//
// The changes of a task are at most a hundred and numbered without a gap. Every table
// is told of which jobs it is, so that no other month is planned for.
const unanswered = `
SELECT t.job_id, count(*)
FROM tasks t
WHERE t.job_id > $1 AND t.job_id <= $2 AND t.state = 'done'
  AND NOT EXISTS (
    SELECT FROM calls c
    JOIN answers a ON a.job_id = c.job_id AND a.call_id = c.id
    WHERE c.job_id > $1 AND c.job_id <= $2 AND a.job_id > $1 AND a.job_id <= $2
      AND c.job_id = t.job_id AND c.task_no = t.no AND c.cells = t.cells AND a.request_id = t.request_id
      AND (a.class IN ('ok', 'partial') OR EXISTS (
        SELECT FROM calls ec
        JOIN answers ea ON ea.job_id = ec.job_id AND ea.call_id = ec.id
        WHERE ec.job_id > $1 AND ec.job_id <= $2 AND ea.job_id > $1 AND ea.job_id <= $2
          AND ec.job_id = c.job_id AND ec.task_no = c.task_no AND ea.class IN ('ok', 'partial'))))
  AND CASE WHEN t.no = t.root_no THEN true ELSE NOT EXISTS (
    SELECT FROM tasks whole
    JOIN calls c ON c.job_id = whole.job_id AND c.task_no = whole.no
    JOIN answers a ON a.job_id = c.job_id AND a.call_id = c.id
    WHERE whole.job_id > $1 AND whole.job_id <= $2 AND c.job_id > $1 AND c.job_id <= $2 AND a.job_id > $1 AND a.job_id <= $2
      AND whole.job_id = t.job_id AND (whole.no = t.root_no OR whole.root_no = t.root_no AND whole.no <> whole.root_no)
      AND whole.state = 'split' AND c.cells > t.cells AND a.request_id = t.request_id AND a.class IN ('ok', 'partial')) END
  AND (
    SELECT count(*) FROM changes c
    JOIN exceptions e ON e.job_id = c.job_id AND e.change_no = c.no
    WHERE c.job_id > $1 AND c.job_id <= $2 AND e.job_id > $1 AND e.job_id <= $2
      AND c.job_id = t.job_id AND c.no BETWEEN t.first_change AND t.last_change AND c.task_no = t.root_no
      AND c.principal = ANY (t.principals) AND c.resource_type || ':' || c.resource_id = ANY (t.resources)) < t.cells
GROUP BY t.job_id
ORDER BY t.job_id`

// checkOutcomes notes in page, which lists the jobs in s, how many tasks of each
// are done although nothing says so.
func (c *auditCheck) checkOutcomes(ctx context.Context, s span, page []submission) error {
	rows, err := c.tx.Query(ctx, unanswered, s.after, s.upto)
	if err != nil {
		return err
	}
	var job, tasks int64
	_, err = pgx.ForEachRow(rows, []any{&job, &tasks}, func() error {
		if i := slices.IndexFunc(page, func(s submission) bool { return s.job == job }); i >= 0 {
			page[i].unanswered = tasks
		}
		return nil
	})
	return err
}
