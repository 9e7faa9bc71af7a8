package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// AuditReader reads the audit of a range of time as it is at one moment.
type AuditReader struct {
	tx    pgx.Tx
	query AuditQuery
}

// ReadAudit runs f with a reader of what q names; both ends of its range must
// be set. What f reads belongs together: it is one snapshot.
func (s *Store) ReadAudit(ctx context.Context, q AuditQuery, f func(*AuditReader) error) error {
	return s.inSnapshot(ctx, "reading the audit", func(tx pgx.Tx) error { return f(&AuditReader{tx: tx, query: q}) })
}

// Verify does what [Store.VerifyAudit] does.
func (r *AuditReader) Verify(ctx context.Context) (AuditReport, error) {
	return verifyAudit(ctx, r.tx, r.query)
}

// AuditedJob says who asked for a job, and when it was accepted.
type AuditedJob struct {
	ID             string // ULID
	Source         string
	RequestedBy    string
	Reason         string
	IdempotencyKey string
	AcceptedAt     time.Time
}

// auditedJob is a job with its number and how many rows it has.
type auditedJob struct {
	AuditedJob

	no   int64
	rows int
}

// A job has calls from its acceptance to its end; a job is ended as of when
// whoever ends it began to.
const jobsInRange = `
SELECT j.id, j.ulid, j.source, j.requested_by, j.reason, j.idempotency_key, j.created_at, j.rows
FROM jobs j
WHERE j.id > $1 AND j.dropped_at IS NULL AND j.created_at < $3 AND (j.created_at >= $2
   OR (j.finished_at IS NULL OR j.finished_at >= $2::timestamptz - interval '1 hour')
  AND EXISTS (SELECT FROM calls c WHERE c.job_id = j.id AND c.sent_at >= $2 AND c.sent_at < $3))
ORDER BY j.id
LIMIT 1000`

// eachPage calls yield for the jobs that were accepted in the range or have calls in
// it, a page of them at a time.
func (r *AuditReader) eachPage(ctx context.Context, yield func(page []auditedJob) error) error {
	for last := int64(-1); ; {
		rows, err := r.tx.Query(ctx, jobsInRange, last, r.query.From, r.query.To)
		if err != nil {
			return err
		}
		page, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (j auditedJob, err error) {
			err = row.Scan(&j.no, &j.ID, &j.Source, &j.RequestedBy, &j.Reason, &j.IdempotencyKey, &j.AcceptedAt, &j.rows)
			return j, err
		})
		if err != nil || len(page) == 0 {
			return err
		}
		if err := yield(page); err != nil {
			return err
		}
		last = page[len(page)-1].no
	}
}

// groupRows is how many rows of small jobs are read in one go: to ask for those of
// each job by itself takes longer than to read them.
const groupRows = 50_000

// eachGroup calls yield for the same jobs in groups that are to be read in one go: a
// large job by itself, small ones together.
func (r *AuditReader) eachGroup(ctx context.Context, yield func(group jobGroup) error) error {
	return r.eachPage(ctx, func(page []auditedJob) error {
		for len(page) > 0 {
			n, rows := 1, page[0].rows
			for n < len(page) && rows+page[n].rows <= groupRows {
				rows += page[n].rows
				n++
			}
			if err := yield(jobGroup(page[:n])); err != nil {
				return err
			}
			page = page[n:]
		}
		return nil
	})
}

// jobGroup are jobs in the order of their numbers.
type jobGroup []auditedJob

func (g jobGroup) numbers() []int64 {
	numbers := make([]int64, len(g))
	for i, job := range g {
		numbers[i] = job.no
	}
	return numbers
}

// of returns the job with a number, which is one of the group.
func (g jobGroup) of(no int64) AuditedJob {
	i, _ := slices.BinarySearchFunc(g, no, func(j auditedJob, no int64) int { return cmp.Compare(j.no, no) })
	return g[i].AuditedJob
}

// Changes calls yield for each change of the jobs that were accepted in the
// range or have calls in it, with what became of it.
func (r *AuditReader) Changes(ctx context.Context, yield func(AuditedJob, Result) error) error {
	return r.eachGroup(ctx, func(group jobGroup) error {
		if len(group) == 1 {
			of := resultsOf{job: group[0].no, rows: group[0].rows}
			return results(ctx, r.tx, of, func(res Result) error { return yield(group[0].AuditedJob, res) })
		}
		return resultsOfJobs(ctx, r.tx, group.numbers(), func(no int64, res Result) error { return yield(group.of(no), res) })
	})
}

// AuditedCall is a call with its answer. Without one, Class is empty and nobody
// knows what became of it.
type AuditedCall struct {
	ID         int64
	JobID      string // ULID
	Task       int
	Generation int
	Action     string
	Cells      int
	Worker     string
	SentAt     time.Time
	Class      string
	HTTPStatus int
	APICode    string
	Message    string
	RequestID  string
	Took       time.Duration
	AnsweredAt *time.Time
}

// The calls of the jobs that the condition %s is about.
const selectCalls = `
SELECT c.job_id, c.id, c.task_no, c.generation, c.action, c.cells, c.worker, c.sent_at,
       coalesce(a.class, ''), coalesce(a.http_status, 0), coalesce(a.api_code, ''), coalesce(a.message, ''), coalesce(a.request_id, ''),
       coalesce(a.took, '0'), a.answered_at
FROM calls c
LEFT JOIN answers a ON a.job_id %[1]s AND a.job_id = c.job_id AND a.call_id = c.id
WHERE c.job_id %[1]s
ORDER BY c.job_id, c.id`

// Calls calls yield for each call of the same jobs, whenever it was sent.
func (r *AuditReader) Calls(ctx context.Context, yield func(AuditedCall) error) error {
	return r.eachGroup(ctx, func(group jobGroup) error {
		condition, jobs := ofOneJob, any(group[0].no)
		if len(group) > 1 {
			condition, jobs = ofJobs, group.numbers()
		}
		rows, err := r.tx.Query(ctx, fmt.Sprintf(selectCalls, condition), planned, jobs)
		if err != nil {
			return err
		}
		var no int64
		var c AuditedCall
		_, err = pgx.ForEachRow(rows, []any{
			&no, &c.ID, &c.Task, &c.Generation, &c.Action, &c.Cells, &c.Worker, &c.SentAt,
			&c.Class, &c.HTTPStatus, &c.APICode, &c.Message, &c.RequestID, &c.Took, &c.AnsweredAt,
		}, func() error {
			c.JobID = group.of(no).ID
			return yield(c)
		})
		return err
	})
}

// AuditedEvent is a row of the audit.
type AuditedEvent struct {
	ID     int64
	At     time.Time
	Actor  string
	Event  string
	JobID  string // ULID, "" for none
	Task   int    // 0 for none
	Detail string // JSON
}

const eventsInRange = `
SELECT a.id, a.at, a.actor, a.event, coalesce(j.ulid, a.job_id::text, ''), coalesce(a.task_no, 0), a.detail::text
FROM audit a
LEFT JOIN jobs j ON j.id = a.job_id
WHERE a.at >= $1 AND a.at < $2
ORDER BY a.id`

// Events calls yield for each event in the range.
func (r *AuditReader) Events(ctx context.Context, yield func(AuditedEvent) error) error {
	rows, err := r.tx.Query(ctx, eventsInRange, r.query.From, r.query.To)
	if err != nil {
		return err
	}
	var e AuditedEvent
	_, err = pgx.ForEachRow(rows, []any{&e.ID, &e.At, &e.Actor, &e.Event, &e.JobID, &e.Task, &e.Detail}, func() error { return yield(e) })
	return err
}

// The first seal after the range covers the last rows in it.
const sealsInRange = selectSeals + `
WHERE sealed_at >= $1 AND no <= (SELECT coalesce(min(no), 9223372036854775807) FROM audit_seals WHERE sealed_at >= $2)
ORDER BY no`

// Seals calls yield for each seal that was made in the range, and for the next.
func (r *AuditReader) Seals(ctx context.Context, yield func(Seal) error) error {
	rows, err := r.tx.Query(ctx, sealsInRange, r.query.From, r.query.To)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		seal, err := scanSeal(rows)
		if err != nil {
			return err
		}
		if err := yield(seal); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Record writes an event of the audit.
func (s *Store) Record(ctx context.Context, e AuditEvent) error {
	return s.inTx(ctx, "writing the audit", func(tx pgx.Tx) error { return writeAudit(ctx, tx, e) })
}
