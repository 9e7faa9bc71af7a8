//go:build unix

package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// filling is a job to be written by SQL, as one that was carried out would have
// left it. Every fiftieth of the changes that were sent was refused.
type filling struct {
	no      int // of the job among those of a site
	rows    int
	perTask int // changes of a task
	ended   int // tasks that have ended; all: the job has
}

func (f filling) tasks() int { return f.rows / f.perTask }

// id is the ULID of the job.
func (f filling) id() string { return fmt.Sprintf("01%024d", f.no) }

// The statements that fill a job, in their order. $1 is its number, $2 how many
// changes a task has, $3 how many tasks there are, $4 how many have ended.
var fillJob = []string{
	`INSERT INTO changes (job_id, no, task_no, line, row_id, operation, principal_type, principal, resource_type, resource_id, role, expires_on, reason, ticket)
	SELECT $1::bigint, n, (n - 1) / $2::int + 1, n + 1, 'line-' || n + 1, 'grant', 'user', ` + filledUser + `, 'qa_resource', 'q' || $1 || '-' || (n - 1) / $2::int, '', date '2099-12-31', '', ''
	FROM generate_series(1, $2::int * $3::int) n WHERE $4::int >= 0`,

	`INSERT INTO tasks (job_id, no, root_no, first_change, last_change, action, operation, principal_type, principals, resources, role, expires_on)
	SELECT $1::bigint, t AS no, t AS root_no, (t - 1) * $2::int + 1, t * $2::int, 'SmartqAuthorize', 'grant', 'user',
	       (SELECT array_agg(` + filledUser + `) FROM generate_series((t - 1) * $2::int + 1, t * $2::int) n), ARRAY['qa_resource:q' || $1 || '-' || t - 1], '', date '2099-12-31'
	FROM generate_series(1, $3::int) t WHERE $4::int >= 0`,

	`UPDATE tasks SET state = 'done', generation = 1, attempts = 1, claim_token = no, finished_at = now(), request_id = ` + filledRequest + `
	WHERE job_id = $1 AND no <= $4::int AND $2::int + $3::int > 0`,

	`INSERT INTO calls (job_id, task_no, generation, action, cells, worker)
	SELECT $1::bigint, t, 1, 'SmartqAuthorize', $2::int, 'worker-host-0123456789abcdef' FROM generate_series(1, least($3::int, $4::int)) t`,

	`INSERT INTO answers (job_id, call_id, class, http_status, request_id, took)
	SELECT job_id, id, CASE WHEN $2::int >= 50 OR no % 50 = 0 THEN 'partial' ELSE 'ok' END, 200, ` + filledRequest + `, interval '0.2 s'
	FROM (SELECT job_id, id, task_no AS no FROM calls) c WHERE job_id = $1 AND $3::int + $4::int >= 0`,

	`INSERT INTO exceptions (job_id, change_no, task_no, status, code, message, retryable, api_code, request_id)
	SELECT $1::bigint, n, (n - 1) / $2::int + 1, 'failed', 'user_not_in_organization', 'The user is not in the organization.', false,
	       'User.Not.In.Organization', gen_random_uuid()
	FROM generate_series(50, $2::int * least($3::int, $4::int), 50) n`,
}

const (
	filledUser    = `substr(md5($1::bigint || '-' || n), 1, 16)`
	filledRequest = `md5(job_id || '-' || no)::uuid` // of the task, and of the answer that ended it
)

const fillJobRow = `
INSERT INTO jobs (ulid, source, requested_by, lane, idempotency_key, fingerprint, rows, header, next_task, status, started_at, finished_at)
VALUES ($1, 'bench', 'bench', 'normal', $1, 'bench', $2, '{action,principal,resource_type,resource_id,expires_on}', $3::int + 1,
        CASE WHEN $4 THEN 'completed' ELSE 'running' END, now(), CASE WHEN $4 THEN now() END)
RETURNING id`

const fillBacklog = `
INSERT INTO backlog (job_id, action, lane, next_no, last_no, turn)
SELECT $1::bigint, 'SmartqAuthorize', 'normal', $2::int, $3::int, 0 WHERE $2 <= $3`

// handedOut is how many tasks of a job that runs are in Redis.
const handedOut = 50

// fill writes a job, in one transaction.
func (b *bench) fill(ctx context.Context, conn *pgx.Conn, f filling) error {
	b.sayf("filling a job of %d changes in %d tasks", f.rows, f.tasks())
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		var job int64
		if err := tx.QueryRow(ctx, fillJobRow, f.id(), f.rows, f.tasks(), f.ended >= f.tasks()).Scan(&job); err != nil {
			return err
		}
		for _, statement := range fillJob {
			if _, err := tx.Exec(ctx, statement, job, f.perTask, f.tasks(), f.ended); err != nil {
				return fmt.Errorf("filling a job: %w", err)
			}
		}
		_, err := tx.Exec(ctx, fillBacklog, job, f.ended+handedOut+1, f.tasks())
		return err
	})
}

// fillSmall writes n jobs of one change that have ended, of two sources.
func fillSmall(ctx context.Context, conn *pgx.Conn, n int) error {
	_, err := conn.Exec(ctx, `
		WITH job AS (
			INSERT INTO jobs (ulid, source, requested_by, lane, idempotency_key, fingerprint, rows, header, next_task, status, finished_at)
			SELECT '02' || lpad(n::text, 24, '0'), 'feed-' || n % 2, 'bench', 'normal', n::text, 'bench', 1, '{action}', 2, 'completed', now()
			FROM generate_series(1, $1::int) n
			RETURNING id
		), change AS (
			INSERT INTO changes (job_id, no, task_no, line, row_id, operation, principal_type, principal, resource_type, resource_id, role, reason, ticket)
			SELECT id, 1, 1, 2, 'line-2', 'revoke', 'user', 'u' || id, 'qa_resource', 'q', '', '', '' FROM job
		), call AS (
			INSERT INTO calls (job_id, task_no, generation, action, cells, worker) SELECT id, 1, 1, 'SmartqAuthorize', 1, 'worker' FROM job
			RETURNING job_id, id
		), answer AS (
			INSERT INTO answers (job_id, call_id, class, http_status, request_id, took) SELECT job_id, id, 'ok', 200, 'request', '0.2 s' FROM call
		)
		INSERT INTO tasks (job_id, no, root_no, first_change, last_change, action, operation, principal_type, principals, resources, role, state, finished_at, request_id)
		SELECT id, 1, 1, 1, 1, 'SmartqAuthorize', 'revoke', 'user', ARRAY['u' || id], '{qa_resource:q}', '', 'done', now(), 'request' FROM job`, n)
	return err
}

// seal counts what was filled in, as the leader does with its rounds.
func seal(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `
		WITH upto AS (SELECT last_value AS no FROM audit_no), sealed AS (
			INSERT INTO audit_seals (no, sealed_at, after_no, upto_no, entries, prev, hash) SELECT 1, now(), 0, no, '[]', '', '' FROM upto
		)
		INSERT INTO sealed_counts (job_id, what, n) SELECT job_id, what, sum(n) FROM counted WHERE no <= (SELECT no FROM upto) GROUP BY job_id, what`)
	return err
}
