package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Result is what became of one row.
type Result struct {
	Row

	Status     Status
	Code       string // ours, "" for a plain success
	Message    string
	Retryable  bool
	Attempts   int
	APICode    string
	RequestID  string
	FinishedAt *time.Time
}

const selectResults = `
WITH judged AS (
    SELECT c.line, c.row_id, c.operation, c.principal_type, c.principal, c.resource_type, c.resource_id, c.role, c.expires_on,
           c.reason, c.ticket, c.cells,
           CASE WHEN e.status IS NOT NULL THEN e.status
                WHEN coalesce(leaf.state, root.state) = 'done' THEN 'succeeded'
                WHEN coalesce(leaf.state, root.state) = 'canceled' THEN 'canceled'
                ELSE 'pending' END AS status,
           coalesce(e.code, '') AS code, coalesce(e.message, '') AS message, coalesce(e.retryable, false) AS retryable,
           coalesce(leaf.attempts, root.attempts, 0) AS attempts, coalesce(e.api_code, '') AS api_code,
           coalesce(nullif(e.request_id, ''), nullif(leaf.request_id, ''), root.request_id, '') AS request_id,
           coalesce(leaf.finished_at, root.finished_at, j.created_at) AS ended_at
    FROM jobs j
    JOIN changes c ON c.job_id = j.id
    LEFT JOIN tasks root ON root.job_id = c.job_id AND root.no = c.task_no
    LEFT JOIN LATERAL (
        SELECT t.state, t.attempts, t.request_id, t.finished_at FROM tasks t
        WHERE root.state = 'split' AND t.job_id = c.job_id AND t.root_no = root.no AND t.no <> t.root_no AND t.state <> 'split'
          AND c.principal = ANY (t.principals) AND c.resource_type || ':' || c.resource_id = ANY (t.resources)
    ) leaf ON true
    LEFT JOIN outcomes e ON e.job_id = c.job_id AND e.change_no = c.no
    WHERE j.ulid = $1
)
SELECT line, row_id, operation, principal_type, principal, resource_type, resource_id, role, expires_on, reason, ticket, cells,
       status, code, message, retryable, attempts, api_code, request_id, CASE WHEN status <> 'pending' THEN ended_at END
FROM judged
WHERE cardinality($2::text[]) = 0 OR status = ANY ($2)
ORDER BY line`

// Results calls yield for each row of a job in the order of the input, without
// holding them all; for rows of the given statuses only, if there are any. It
// stops at the first error of yield and returns it.
func (s *Store) Results(ctx context.Context, id string, statuses []Status, yield func(Result) error) error {
	filter := make([]string, len(statuses))
	for i, st := range statuses {
		filter[i] = string(st)
	}
	rows, err := s.pool.Query(ctx, selectResults, id, filter)
	if err != nil {
		return outward("reading results", err)
	}
	return eachResult(rows, yield)
}

func eachResult(rows pgx.Rows, yield func(Result) error) error {
	defer rows.Close()
	for rows.Next() {
		var r Result
		var expires *time.Time
		err := rows.Scan(&r.Line, &r.RowID, &r.Change.Operation, &r.Change.Principal.Type, &r.Change.Principal.ID,
			&r.Change.Resource.Type, &r.Change.Resource.ID, &r.Change.Terms.Role, &expires, &r.Reason, &r.Ticket, &r.Cells,
			&r.Status, &r.Code, &r.Message, &r.Retryable, &r.Attempts, &r.APICode, &r.RequestID, &r.FinishedAt)
		if err != nil {
			return outward("reading results", err)
		}
		r.Change.Terms.ExpiresOn = undate(expires)
		if err := yield(r); err != nil {
			return err
		}
	}
	return outward("reading results", rows.Err())
}

// Header returns the columns of a job's input, as written, or [ErrNotFound], or
// a [DroppedError].
func (s *Store) Header(ctx context.Context, id string) ([]string, error) {
	var header []string
	var dropped *time.Time
	err := s.pool.QueryRow(ctx, `SELECT header, dropped_at FROM jobs WHERE ulid = $1`, id).Scan(&header, &dropped)
	if err == nil && dropped != nil {
		return nil, &DroppedError{JobID: id, At: *dropped}
	}
	return header, outward("reading the columns of job "+id, err)
}

// FailureGroup is the failures of a job that have one cause. Its JSON is API.
type FailureGroup struct {
	Code        string `json:"code"`
	APICode     string `json:"api_code"`
	Message     string `json:"message"` // of one of them
	Count       int    `json:"count"`
	SampleLines []int  `json:"sample_lines"`
	Retryable   bool   `json:"retryable"`
	RequestID   string `json:"request_id"` // of one of them
}

const selectFailureGroups = `
SELECT e.code, e.api_code, min(e.message), count(*), (array_agg(c.line ORDER BY c.line))[1:5], e.retryable, min(e.request_id)
FROM outcomes e
JOIN jobs j ON j.id = e.job_id
JOIN changes c ON c.job_id = e.job_id AND c.no = e.change_no
WHERE j.ulid = $1 AND e.status IN ('failed', 'unknown')
GROUP BY e.code, e.api_code, e.retryable
ORDER BY count(*) DESC, e.code, e.api_code`

// FailureGroups groups the failed and unknown rows of a job by cause, the
// largest group first. A job that is not there returns [ErrNotFound].
func (s *Store) FailureGroups(ctx context.Context, id string) ([]FailureGroup, error) {
	if _, err := s.Header(ctx, id); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, selectFailureGroups, id)
	if err != nil {
		return nil, outward("grouping failures", err)
	}
	groups, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (g FailureGroup, err error) {
		err = row.Scan(&g.Code, &g.APICode, &g.Message, &g.Count, &g.SampleLines, &g.Retryable, &g.RequestID)
		return g, err
	})
	return groups, outward("grouping failures", err)
}

// RetryFilter says which failures of a job to send again. Rows that were
// invalid at submission are never among them: nothing of them can be sent.
type RetryFilter struct {
	Code string // only failures of this code of ours; "" for any
	All  bool   // also those of which retrying is not known to help
}

const selectRetryRows = `
SELECT c.line, c.row_id, c.operation, c.principal_type, c.principal, c.resource_type, c.resource_id, c.role,
       c.expires_on, c.reason, c.ticket, c.cells, e.status = 'unknown'
FROM outcomes e
JOIN jobs j ON j.id = e.job_id
JOIN changes c ON c.job_id = e.job_id AND c.no = e.change_no
WHERE j.ulid = $1 AND e.status IN ('failed', 'unknown') AND c.task_no IS NOT NULL
  AND ($2 OR e.retryable) AND ($3 = '' OR e.code = $3)
ORDER BY c.line`

// RetryRow is a row that can be sent again.
type RetryRow struct {
	Row

	Unknown bool // nobody knows what became of it
}

// RetryRows returns the rows of a job that f selects, in the order of the input.
func (s *Store) RetryRows(ctx context.Context, id string, f RetryFilter) ([]RetryRow, error) {
	rows, err := s.pool.Query(ctx, selectRetryRows, id, f.All, f.Code)
	if err != nil {
		return nil, outward("reading failed rows", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (RetryRow, error) {
		var r RetryRow
		var expires *time.Time
		err := row.Scan(&r.Line, &r.RowID, &r.Change.Operation, &r.Change.Principal.Type, &r.Change.Principal.ID,
			&r.Change.Resource.Type, &r.Change.Resource.ID, &r.Change.Terms.Role, &expires, &r.Reason, &r.Ticket, &r.Cells, &r.Unknown)
		r.Change.Terms.ExpiresOn = undate(expires)
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("job %s: %w", id, outward("reading failed rows", err))
	}
	return found, nil
}
