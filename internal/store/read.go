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

// The view outcomes, of the jobs that the condition %[1]s is about: of the view no
// more than exceptions can be told which.
const outcomesOf = `
SELECT e.job_id, e.change_no, coalesce(s.status, e.status) AS status, coalesce(s.code, e.code) AS code,
       coalesce(s.message, e.message) AS message, coalesce(s.retryable, e.retryable) AS retryable, e.api_code, e.request_id
FROM exceptions e
LEFT JOIN settlements s ON s.job_id %[1]s AND s.job_id = e.job_id AND s.change_no = e.change_no
WHERE e.job_id %[1]s AND s.status IS DISTINCT FROM 'succeeded'`

// What became of the rows of the jobs that the condition %[1]s is about, which each
// table is given: so only their months are read, and the tables are joined in one go
// and not row by row. Tasks are joined by expressions, of which nothing is known: that
// most jobs of a month have one task says nothing of a large one, whose changes would
// be what is hashed and not its tasks. A change of a task that was not cut has a key
// of its own, which no part has: many of one key would have to be in memory at once.
const selectResults = `
WITH judged AS (
    SELECT c.job_id, c.line, c.row_id, c.operation, c.principal_type, c.principal, c.resource_type, c.resource_id, c.role, c.expires_on,
           c.reason, c.ticket, c.cells,
           CASE WHEN e.status IS NOT NULL THEN e.status
                WHEN coalesce(leaf.state, root.state) = 'done' THEN 'succeeded'
                WHEN coalesce(leaf.state, root.state) = 'canceled' THEN 'canceled'
                ELSE 'pending' END AS status,
           coalesce(e.code, '') AS code, coalesce(e.message, '') AS message, coalesce(e.retryable, false) AS retryable,
           coalesce(leaf.attempts, root.attempts, 0) AS attempts, coalesce(e.api_code, '') AS api_code,
           coalesce(nullif(e.request_id, ''), nullif(leaf.request_id, ''), root.request_id, '') AS request_id,
           coalesce(leaf.finished_at, root.finished_at, (SELECT created_at FROM jobs WHERE id = c.job_id)) AS ended_at
    FROM changes c
    %[2]s JOIN (` + outcomesOf + `) e ON e.job_id = c.job_id AND e.change_no = c.no
    LEFT JOIN tasks root ON root.job_id %[1]s AND root.job_id = c.job_id AND root.no + 0 = c.task_no + 0
    LEFT JOIN LATERAL (
        SELECT t.state, t.attempts, t.request_id, t.finished_at FROM tasks t
        WHERE t.job_id %[1]s AND t.job_id = c.job_id AND t.root_no + 0 = CASE root.state WHEN 'split' THEN root.no ELSE -c.no END
          AND t.no <> t.root_no AND t.state <> 'split'
          AND c.principal = ANY (t.principals) AND c.resource_type || ':' || c.resource_id = ANY (t.resources)
    ) leaf ON true
    WHERE c.job_id %[1]s
)
SELECT job_id, line, row_id, operation, principal_type, principal, resource_type, resource_id, role, expires_on, reason, ticket, cells,
       status, code, message, retryable, attempts, api_code, request_id, CASE WHEN status <> 'pending' THEN ended_at END
FROM judged
WHERE cardinality($2::text[]) = 0 OR status = ANY ($2)
ORDER BY job_id, line`

// The conditions on the jobs of [selectResults], and their argument.
const (
	ofOneJob = `= $1`
	ofJobs   = `= ANY ($1::bigint[])`
)

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
	rows, err := tx.Query(ctx, fmt.Sprintf(selectResults, ofOneJob, join), mode, of.job, filter)
	if err != nil {
		return err
	}
	return eachResult(rows, func(_ int64, r Result) error { return yield(r) })
}

// resultsOfJobs reads the rows of several jobs in one go, in the order of their
// numbers. There should be many rows.
func resultsOfJobs(ctx context.Context, tx pgx.Tx, jobs []int64, yield func(job int64, r Result) error) error {
	if _, err := tx.Exec(ctx, forResults); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, fmt.Sprintf(selectResults, ofJobs, "LEFT"), planned, jobs, []string{})
	if err != nil {
		return err
	}
	return eachResult(rows, yield)
}

func eachResult(rows pgx.Rows, yield func(job int64, r Result) error) error {
	defer rows.Close()
	for rows.Next() {
		var r Result
		var job int64
		var expires *time.Time
		err := rows.Scan(&job, &r.Line, &r.RowID, &r.Change.Operation, &r.Change.Principal.Type, &r.Change.Principal.ID,
			&r.Change.Resource.Type, &r.Change.Resource.ID, &r.Change.Terms.Role, &expires, &r.Reason, &r.Ticket, &r.Cells,
			&r.Status, &r.Code, &r.Message, &r.Retryable, &r.Attempts, &r.APICode, &r.RequestID, &r.FinishedAt)
		if err != nil {
			return err
		}
		r.Change.Terms.ExpiresOn = undate(expires)
		if err := yield(job, r); err != nil {
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

// What of job $1 can be sent again. What was settled at submission names no task.
const retryable = `e.job_id = $1 AND e.status IN ('failed', 'unknown') AND e.task_no IS NOT NULL
  AND ($2 OR e.retryable) AND ($3 = '' OR e.code = $3)`

const (
	countRetryRows  = `SELECT count(*) FROM outcomes e WHERE ` + retryable
	selectRetryRows = `
SELECT c.line, c.row_id, c.operation, c.principal_type, c.principal, c.resource_type, c.resource_id, c.role,
       c.expires_on, c.reason, c.ticket, c.cells, e.status = 'unknown'
FROM outcomes e
JOIN changes c ON c.job_id = $1 AND c.no = e.change_no
WHERE ` + retryable + `
ORDER BY c.line`
)

// RetryRow is a row that can be sent again.
type RetryRow struct {
	Row

	Unknown bool // nobody knows what became of it
}

// CountRetryRows returns how many rows [Store.RetryRows] would tell.
func (s *Store) CountRetryRows(ctx context.Context, id string, f RetryFilter) (int, error) {
	var n int
	err := s.retryRows(ctx, id, func(tx pgx.Tx, job int64) error {
		return tx.QueryRow(ctx, countRetryRows, planned, job, f.All, f.Code).Scan(&n)
	})
	return n, err
}

// RetryRows calls yield for each row of a job that f selects, in the order of the
// input, without holding them all: for none, if there is no such job. It stops at
// the first error of yield and returns it.
func (s *Store) RetryRows(ctx context.Context, id string, f RetryFilter, yield func(RetryRow) error) error {
	var refused error // by yield
	err := s.retryRows(ctx, id, func(tx pgx.Tx, job int64) error {
		rows, err := tx.Query(ctx, selectRetryRows, planned, job, f.All, f.Code)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() && refused == nil {
			r, err := scanRetryRow(rows)
			if err != nil {
				return err
			}
			refused = yield(r)
		}
		if refused != nil {
			return refused
		}
		return rows.Err()
	})
	if refused != nil {
		return refused
	}
	return err
}

// retryRows runs f with the number of a job, where a large one is read in one go.
func (s *Store) retryRows(ctx context.Context, id string, f func(tx pgx.Tx, job int64) error) error {
	err := s.inSnapshot(ctx, "reading failed rows", func(tx pgx.Tx) error {
		var job int64
		var rows int
		if err := tx.QueryRow(ctx, `SELECT id, rows FROM jobs WHERE ulid = $1`, id).Scan(&job, &rows); err != nil {
			return err
		}
		if rows >= largeJob {
			if _, err := tx.Exec(ctx, forResults); err != nil {
				return err
			}
		}
		return f(tx, job)
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func scanRetryRow(rows pgx.Rows) (r RetryRow, err error) {
	var expires *time.Time
	err = rows.Scan(&r.Line, &r.RowID, &r.Change.Operation, &r.Change.Principal.Type, &r.Change.Principal.ID,
		&r.Change.Resource.Type, &r.Change.Resource.ID, &r.Change.Terms.Role, &expires, &r.Reason, &r.Ticket, &r.Cells, &r.Unknown)
	r.Change.Terms.ExpiresOn = undate(expires)
	return r, err
}
