//go:build unix

package main

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// sqlCheck is a promise, and the query that lists what breaks it.
type sqlCheck struct{ promise, query string }

// The promises that builds without a protection break.
const (
	claimHolderRecords = "who has the claim, and nobody else, records the outcome"
	claimHolderSends   = "who has the claim, and nobody else, sends"
	jobsNotEnded       = "every job ends"
	writtenDown        = "every call is written down before it is sent"
	newestInForce      = "in force is the newest accepted change of every pair"
)

// sqlChecks hold after every run.
var sqlChecks = []sqlCheck{
	{"what has ended never moves again", `
		SELECT format('task %s-%s from %s to %s by %s', job_id, task_no, was, state, program)
		FROM chaos.moves WHERE was IN ('done', 'split', 'canceled') ORDER BY id`},
	{claimHolderRecords, `
		SELECT format('task %s-%s: claimed at generation %s by %s, ended by %s', m.job_id, m.task_no, c.generation, c.program, m.program)
		FROM chaos.moves m
		JOIN chaos.moves c ON (c.job_id, c.task_no, c.generation) = (m.job_id, m.task_no, m.was_generation) AND c.state = 'running'
		WHERE m.was = 'running' AND m.state IN ('done', 'split') AND m.program <> c.program ORDER BY m.id`},
	{claimHolderSends, `
		SELECT format('call %s of task %s-%s@%s was written down by %s; the claim was that of %s',
			k.id, k.job_id, k.task_no, k.generation, w.program, coalesce(c.program, 'nobody'))
		FROM calls k
		JOIN chaos.writers w ON w.call_id = k.id
		LEFT JOIN chaos.moves c ON (c.job_id, c.task_no, c.generation) = (k.job_id, k.task_no, k.generation) AND c.state = 'running'
		WHERE c.program IS DISTINCT FROM w.program ORDER BY k.id`},
	{"one claim, one worker", `
		SELECT format('task %s-%s@%s: calls of %s', job_id, task_no, generation, string_agg(DISTINCT worker, ', '))
		FROM calls GROUP BY job_id, task_no, generation HAVING count(DISTINCT worker) > 1`},
	{"no call of a claim after one of a later claim", `
		SELECT format('call %s of task %s-%s@%s came after one of generation %s', id, job_id, task_no, generation, newest)
		FROM (SELECT *, max(generation) OVER (PARTITION BY job_id, task_no ORDER BY id) AS newest FROM calls) c
		WHERE generation < newest`},
	{"a failure is backed by an answer", `
		SELECT format('change %s-%s: %s, %s, request %s', e.job_id, e.change_no, e.code, e.api_code, e.request_id)
		FROM exceptions e
		WHERE e.status = 'failed' AND e.task_no IS NOT NULL AND NOT EXISTS (
			SELECT FROM calls c JOIN answers a ON a.call_id = c.id
			WHERE c.job_id = e.job_id AND a.request_id = e.request_id AND (a.api_code = e.api_code OR a.http_status = 200))`},
	{"a job ends exactly once", `
		SELECT format('job %s: %s times', j.id, count(a.id))
		FROM jobs j LEFT JOIN audit a ON a.job_id = j.id AND a.event = 'job.finished'
		WHERE j.finished_at IS NOT NULL GROUP BY j.id HAVING count(a.id) <> 1`},
	{"a job ends with its last task", `
		SELECT format('job %s is %s, its task %s is %s', j.id, j.status, t.no, t.state)
		FROM jobs j JOIN tasks t ON t.job_id = j.id
		WHERE j.finished_at IS NOT NULL AND t.state IN ('ready', 'running')`},
	{"one key, one job", `
		SELECT format('key %s: %s jobs', idempotency_key, count(*)) FROM jobs WHERE parent_id IS NULL
		GROUP BY idempotency_key HAVING count(*) > 1`},
}

// leftBehind holds once every program has ended.
var leftBehind = []sqlCheck{
	{"no connection is left", `
		SELECT format('%s (%s), %s: %s', application_name, pid, state, query) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> 'chaos'`},
	{"no advisory lock is left", `
		SELECT format('lock %s/%s of process %s', classid, objid, pid) FROM pg_locks WHERE locktype = 'advisory'`},
}

// violations lists what breaks a promise.
func (r *rig) violations(ctx context.Context, c sqlCheck) []string {
	rows, err := r.sql.Query(ctx, c.query)
	if err != nil {
		return []string{err.Error()}
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return []string{err.Error()}
	}
	return found
}
