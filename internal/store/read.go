package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// What became of the rows of job $1. The job is a constant to each table, so that
// only its month is read, and the tables are joined in one go and not row by row.
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
           coalesce(leaf.finished_at, root.finished_at, (SELECT created_at FROM jobs WHERE id = $1)) AS ended_at
    FROM changes c
    %s JOIN (
        SELECT change_no, status, code, message, retryable, api_code, request_id FROM outcomes WHERE job_id = $1
    ) e ON e.change_no = c.no
    LEFT JOIN tasks root ON root.job_id = $1 AND root.no = c.task_no
    LEFT JOIN LATERAL (
        SELECT t.state, t.attempts, t.request_id, t.finished_at FROM tasks t
        WHERE t.job_id = $1 AND t.root_no = CASE root.state WHEN 'split' THEN root.no END AND t.no <> t.root_no AND t.state <> 'split'
          AND c.principal = ANY (t.principals) AND c.resource_type || ':' || c.resource_id = ANY (t.resources)
    ) leaf ON true
    WHERE c.job_id = $1
)
SELECT line, row_id, operation, principal_type, principal, resource_type, resource_id, role, expires_on, reason, ticket, cells,
       status, code, message, retryable, attempts, api_code, request_id, CASE WHEN status <> 'pending' THEN ended_at END
FROM judged
WHERE cardinality($2::text[]) = 0 OR status = ANY ($2)
ORDER BY line`

// forResults has Postgres hash what it joins, and read no more of a month than the
// job. What it knows of a job that is new is not enough to choose so by itself.
const forResults = `
SELECT set_config('work_mem', '32MB', true), set_config('enable_nestloop', 'off', true),
       set_config('enable_mergejoin', 'off', true), set_config('enable_seqscan', 'off', true)`

// largeJob is how many rows make it worth while.
const largeJob = 1000

// Results calls yield for each row of a job in the order of the input, without
// holding them all; for rows of the given statuses only, if there are any. It
// stops at the first error of yield and returns it.
func (s *Store) Results(ctx context.Context, id string, statuses []Status, yield func(Result) error) error {
	var refused error // by yield
	err := s.inSnapshot(ctx, "reading results", func(tx pgx.Tx) error {
		of := resultsOf{statuses: statuses}
		err := tx.QueryRow(ctx, `SELECT id, rows FROM jobs WHERE ulid = $1`, id).Scan(&of.job, &of.rows)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		return results(ctx, tx, of, func(r Result) error {
			refused = yield(r)
			return refused
		})
	})
	if refused != nil {
		return refused
	}
	return err
}

// resultsOf names rows of a job.
type resultsOf struct {
	job      int64
	rows     int      // of the job
	statuses []Status // none: all
}

// exceptional are the statuses of rows that have an exception.
var exceptional = []Status{Failed, Unknown, NoChange, Superseded}

// results reads in a transaction.
func results(ctx context.Context, tx pgx.Tx, of resultsOf, yield func(Result) error) error {
	join, filter := "INNER", make([]string, len(of.statuses))
	for i, st := range of.statuses {
		filter[i] = string(st)
		if !slices.Contains(exceptional, st) {
			join = "LEFT"
		}
	}
	if len(filter) == 0 {
		join = "LEFT"
	}
	mode := pgx.QueryExecModeCacheStatement // planning would take longer than reading
	if of.rows >= largeJob {
		mode = planned
		if _, err := tx.Exec(ctx, forResults); err != nil {
			return err
		}
	}
	rows, err := tx.Query(ctx, fmt.Sprintf(selectResults, join), mode, of.job, filter)
	if err != nil {
		return err
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
			return err
		}
		r.Change.Terms.ExpiresOn = undate(expires)
		if err := yield(r); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Header returns the columns of a job's input, as written, or [ErrNotFound], or
// a [DroppedError].
func (s *Store) Header(ctx context.Context, id string) ([]string, error) {
	header, _, err := s.headed(ctx, id)
	return header, err
}

// number is what tables know a job by. It returns what [Store.Header] does on an
// error.
func (s *Store) number(ctx context.Context, id string) (int64, error) {
	_, number, err := s.headed(ctx, id)
	return number, err
}

func (s *Store) headed(ctx context.Context, id string) (header []string, number int64, err error) {
	var dropped *time.Time
	err = s.pool.QueryRow(ctx, `SELECT header, id, dropped_at FROM jobs WHERE ulid = $1`, id).Scan(&header, &number, &dropped)
	if err == nil && dropped != nil {
		return nil, 0, &DroppedError{JobID: id, At: *dropped}
	}
	return header, number, outward("reading the columns of job "+id, err)
}

// FailureGroup is the failures of a job that have one cause. Its JSON is API.
type FailureGroup struct {
	Code        string `json:"code"`
	APICode     string `json:"api_code"`
	Message     string `json:"message"` // of one of them
	Count       int    `json:"count"`
	SampleLines []int  `json:"sample_lines"` // of five of them at most
	Retryable   bool   `json:"retryable"`
	RequestID   string `json:"request_id"` // of one of them
}

// The rows to show are looked up last, so that it is not done for each failure.
const selectFailureGroups = `
SELECT g.code, g.api_code, g.message, g.count,
       ARRAY(SELECT c.line FROM changes c WHERE c.job_id = $1 AND c.no = ANY (g.first) ORDER BY c.line), g.retryable, g.request_id
FROM (
    SELECT code, api_code, retryable, min(message) AS message, count(*) AS count, min(request_id) AS request_id,
           (array_agg(change_no ORDER BY change_no))[1:5] AS first
    FROM outcomes
    WHERE job_id = $1 AND status IN ('failed', 'unknown') AND change_no <= coalesce((
        SELECT change_no FROM exceptions WHERE job_id = $1 AND status IN ('failed', 'unknown') AND $2::int > 0
        ORDER BY change_no OFFSET greatest($2::int - 1, 0) LIMIT 1), 2147483647)
    GROUP BY code, api_code, retryable
) g
ORDER BY g.count DESC, g.code, g.api_code`

// FailureGroups groups the failed and unknown rows of a job by cause, the
// largest group first: the first most of them, in the order in which they were
// to be sent, or all if most is 0. A job that is not there returns [ErrNotFound].
func (s *Store) FailureGroups(ctx context.Context, id string, most int) ([]FailureGroup, error) {
	number, err := s.number(ctx, id)
	if err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, selectFailureGroups, planned, number, most)
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
JOIN changes c ON c.job_id = $1 AND c.no = e.change_no
WHERE e.job_id = $1 AND e.status IN ('failed', 'unknown') AND c.task_no IS NOT NULL
  AND ($2 OR e.retryable) AND ($3 = '' OR e.code = $3)
ORDER BY c.line`

// RetryRow is a row that can be sent again.
type RetryRow struct {
	Row

	Unknown bool // nobody knows what became of it
}

// RetryRows returns the rows of a job that f selects, in the order of the input.
func (s *Store) RetryRows(ctx context.Context, id string, f RetryFilter) ([]RetryRow, error) {
	var number int64 // of a job that is not there: of none
	err := s.pool.QueryRow(ctx, `SELECT coalesce((SELECT id FROM jobs WHERE ulid = $1), 0)`, id).Scan(&number)
	if err != nil {
		return nil, outward("reading failed rows", err)
	}
	rows, err := s.pool.Query(ctx, selectRetryRows, planned, number, f.All, f.Code)
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
