package store

import (
	"context"
	"crypto/sha256"
	"hash"
	"math"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// What the audit says of a job's submission, next to the job itself. Rows from
// before a detail was recorded agree with whatever the job says.
const submissions = `
DECLARE submissions NO SCROLL CURSOR FOR
SELECT coalesce(j.id, a.job_id, 0), coalesce(j.ulid, a.job_id::text, ''), a.at, a.detail ->> 'changes_sha256', CASE WHEN a.detail ->> 'rows' ~ '^\d{1,9}$' THEN (a.detail ->> 'rows')::int ELSE coalesce(j.rows, 0) END, j.dropped_at IS NOT NULL, a.id IS NOT NULL AND j.id IS NOT NULL
       AND j.requested_by = a.actor
       AND j.ulid = coalesce(a.detail ->> 'id', j.ulid)
       AND j.source = coalesce(a.detail ->> 'source', j.source)
       AND j.reason = coalesce(a.detail ->> 'reason', j.reason)
       AND j.rows::text = coalesce(a.detail ->> 'rows', j.rows::text)
       AND j.idempotency_key = coalesce(a.detail ->> 'idempotency_key', j.idempotency_key)
       AND j.input_sha256 = coalesce(a.detail ->> 'input_sha256', j.input_sha256)
       AND to_jsonb(j.created_at AT TIME ZONE 'UTC') #>> '{}' = coalesce(a.detail ->> 'accepted_at', to_jsonb(j.created_at AT TIME ZONE 'UTC') #>> '{}')
FROM jobs j
FULL JOIN (SELECT id, at, actor, job_id, detail FROM audit WHERE event = '` + EventSubmitted + `') a ON a.job_id = j.id
ORDER BY 1`

const nextSubmissions = `FETCH 1000 FROM submissions`

// submission is a job as its submission was recorded.
type submission struct {
	job     int64
	id      string
	at      *time.Time // nil: no record of it
	digest  *string    // of its changes; nil: from before there was one
	rows    int64
	dropped bool // retention says that it dropped the job's rows
	agrees  bool // the job is as was recorded

	unanswered int64 // tasks that are done without an answer
}

// checkJobs holds every job and its changes against the record of its
// submission.
func (c *auditCheck) checkJobs(ctx context.Context) error {
	if _, err := c.tx.Exec(ctx, submissions); err != nil {
		return err
	}
	for last := int64(math.MinInt64); ; {
		rows, err := c.tx.Query(ctx, nextSubmissions)
		if err != nil {
			return err
		}
		page, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s submission, err error) {
			err = row.Scan(&s.job, &s.id, &s.at, &s.digest, &s.rows, &s.dropped, &s.agrees)
			return s, err
		})
		if err != nil {
			return err
		}
		upto := int64(math.MaxInt64) // beyond the last job there must be no changes
		if len(page) > 0 {
			upto = page[len(page)-1].job
			if err := c.checkOutcomes(ctx, span{last, upto}, page); err != nil {
				return err
			}
		}
		if err := c.checkChanges(ctx, span{last, upto}, page); err != nil {
			return err
		}
		if len(page) == 0 {
			_, err := c.tx.Exec(ctx, `CLOSE submissions`)
			return err
		}
		last = upto
	}
}

const changesOf = `
SELECT job_id, no, task_no, line, row_id, operation, principal_type, principal, resource_type, resource_id, role,
       to_jsonb(expires_on) #>> '{}', reason, ticket, cells
FROM changes WHERE job_id > $1 AND job_id <= $2 ORDER BY job_id, no`

// checkChanges digests the changes of the jobs in s, which page lists.
func (c *auditCheck) checkChanges(ctx context.Context, s span, page []submission) error {
	rows, err := c.tx.Query(ctx, changesOf, s.after, s.upto)
	if err != nil {
		return err
	}
	defer rows.Close()
	var (
		r    changeRow
		text []byte
		sum  jobSum
	)
	for rows.Next() {
		r.Cells = nil
		err := rows.Scan(&r.Job, &r.No, &r.Task, &r.Line, &r.RowID, &r.Operation, &r.PrincipalType, &r.Principal, &r.ResourceType, &r.ResourceID,
			&r.Role, &r.ExpiresOn, &r.Reason, &r.Ticket, &r.Cells)
		if err != nil {
			return err
		}
		if sum.hash == nil || r.Job != sum.job {
			page = c.conclude(sum, page)
			sum = jobSum{job: r.Job, hash: sha256.New()}
		}
		text = r.appendTo(text[:0])
		_, _ = sum.hash.Write(text) // a hash never fails
		sum.rows++
	}
	page = c.conclude(sum, page)
	c.conclude(jobSum{job: math.MaxInt64}, page)
	return rows.Err()
}

// jobSum is what the changes of one job come to.
type jobSum struct {
	job  int64
	rows int64
	hash hash.Hash // nil: there are none
}

// conclude judges the jobs of page up to the one of sum, and returns the rest.
func (c *auditCheck) conclude(sum jobSum, page []submission) []submission {
	for len(page) > 0 && page[0].job < sum.job {
		c.judge(page[0], jobSum{hash: sha256.New()})
		page = page[1:]
	}
	if sum.hash == nil {
		return page
	}
	if len(page) == 0 || page[0].job > sum.job {
		c.report.add(Finding{Kind: RowsInserted, Table: "changes", JobID: strconv.FormatInt(sum.job, 10), Found: sum.rows})
		return page
	}
	c.judge(page[0], sum)
	return page[1:]
}

// judge holds one job and its changes against the record.
func (c *auditCheck) judge(s submission, sum jobSum) {
	switch {
	case month(s.job>>36) < c.dropped && s.dropped && sum.rows == 0:
		return
	case s.at != nil && (!c.query.From.IsZero() && s.at.Before(c.query.From) || !c.query.To.IsZero() && !s.at.Before(c.query.To)):
		return
	}
	f := Finding{Kind: JobChanged, Table: "jobs", JobID: s.id, From: s.at, To: s.at}
	if !s.agrees {
		c.report.add(f)
	}
	if s.digest == nil {
		c.report.Undigested++
		return
	}
	if s.unanswered > 0 {
		c.report.add(Finding{Kind: Unanswered, Table: "tasks", JobID: s.id, From: s.at, To: s.at, Found: s.unanswered})
	}
	c.report.Jobs++
	c.report.Changes += sum.rows
	f.Table = "changes"
	c.report.compare(f, entry{Rows: s.rows, SHA256: *s.digest}, entry{Rows: sum.rows, SHA256: hexSum(sum.hash)})
}
