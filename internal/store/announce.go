package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Happening is what webhooks are to be told of a job.
type Happening struct {
	Job   Job
	Event WebhookEvent
	Cause string // of [WebhookAttention]: held_by_guard, action_stopped or job_failed; "" otherwise
	Why   string // in words, with Cause
	At    time.Time
}

const webhookWork = `
SELECT EXISTS (SELECT FROM webhooks w WHERE ` + webhookActive + `)
    OR EXISTS (SELECT FROM jobs WHERE watched AND finished_at IS NOT NULL)`

// HasWebhookWork reports whether there is somebody to tell, or somebody was while
// jobs were accepted.
func (s *Store) HasWebhookWork(ctx context.Context) (has bool, err error) {
	err = s.pool.QueryRow(ctx, webhookWork).Scan(&has)
	return has, outward("looking for webhooks", err)
}

const watchedJobs = `
(SELECT id, true FROM jobs WHERE watched AND finished_at IS NOT NULL ORDER BY id LIMIT $2)
UNION ALL
(SELECT id, false FROM jobs WHERE watched AND finished_at IS NULL AND id > $1 ORDER BY id LIMIT $2)`

// What happened to the jobs $1, of which rows failed of the jobs $2, and who was
// not told of it.
const happenings = `
WITH looked AS (
    SELECT j.id, j.ulid, j.source, j.status, j.created_at, j.finished_at, j.next_task FROM jobs j WHERE j.id = ANY ($1)
), happened AS (
    SELECT j.id, 'job.completed' AS event, '' AS cause, '' AS why, j.finished_at AS at FROM looked j WHERE j.finished_at IS NOT NULL
    UNION ALL
    SELECT j.id, 'job.failing', '', '', now() FROM looked j WHERE j.id = ANY ($2)
    UNION ALL
    SELECT j.id, 'job.attention', 'job_failed', 'it could not be finished', j.finished_at FROM looked j WHERE j.status = 'failed'
    UNION ALL
    SELECT j.id, 'job.attention', 'held_by_guard', p.guard || ': ' || p.reason, p.at
    FROM looked j JOIN pauses p ON p.scope = 'job' AND p.name = j.ulid AND p.guard <> ''
    WHERE j.finished_at IS NULL
    UNION ALL
    SELECT j.id, 'job.attention', 'action_stopped', s.action || ': ' || s.code, s.stopped_at
    FROM looked j
    CROSS JOIN LATERAL (
        SELECT s.action, s.code, s.stopped_at FROM action_stops s
        WHERE EXISTS (SELECT FROM backlog b WHERE b.job_id = j.id AND b.action = s.action) OR EXISTS (
            SELECT FROM ` + handedOutFrom + `1` + toTheEnd + `
            CROSS JOIN LATERAL (
                SELECT t.action FROM tasks t WHERE t.job_id = ANY ($1) AND ` + inRange + ` AND t.state IN ('ready', 'running') OFFSET 0
            ) t
            WHERE t.action = s.action)
        ORDER BY s.stopped_at, s.action LIMIT 1
    ) s
    WHERE j.finished_at IS NULL
)
SELECT w.id, h.id, h.event, h.cause, h.why, h.at
FROM happened h
JOIN looked j ON j.id = h.id
JOIN webhooks w ON w.source IN ('', j.source) AND h.event = ANY (w.events) AND w.created_at <= j.created_at AND ` + webhookActive + `
WHERE NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.webhook = w.id AND d.job = h.id AND d.event = h.event AND d.cause = h.cause)
ORDER BY h.at, h.id`

const (
	insertDelivery = `
INSERT INTO webhook_deliveries (webhook, job, event, cause, body) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (webhook, job, event, cause) DO NOTHING`

	watchNoLonger = `UPDATE jobs SET watched = false WHERE id = ANY ($1)`
)

// announcement is a happening for one webhook.
type announcement struct {
	Happening

	webhook, job int64
}

// Announced says how far [Store.Announce] came.
type Announced struct {
	Ended int   // jobs that had ended; no further look at them is needed
	Next  int64 // where to look on among the open ones; 0: from the start
}

// Announce looks at jobs that have ended and at open ones behind the number
// after, up to most of each, and writes down what webhooks are to be sent: body
// says it. What was written down before is not written again, and nothing is
// forgotten, whoever dies when.
func (s *Store) Announce(ctx context.Context, after int64, most int, body func(Happening) ([]byte, error)) (out Announced, err error) {
	err = again(func() error {
		return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
			ended, open, err := watched(ctx, tx, after, most)
			if err != nil || len(ended)+len(open) == 0 {
				return err
			}
			out = Announced{Ended: len(ended)}
			if len(open) == most {
				out.Next = open[most-1]
			}
			if err := announce(ctx, tx, append(open, ended...), body); err != nil {
				return err
			}
			_, err = tx.Exec(ctx, watchNoLonger, ended)
			return err
		})
	})
	return out, outward("looking for what webhooks are told", err)
}

func watched(ctx context.Context, tx pgx.Tx, after int64, most int) (ended, open []int64, err error) {
	rows, err := tx.Query(ctx, watchedJobs, after, most)
	if err != nil {
		return nil, nil, err
	}
	var id int64
	var isOver bool
	_, err = pgx.ForEachRow(rows, []any{&id, &isOver}, func() error {
		if isOver {
			ended = append(ended, id)
		} else {
			open = append(open, id)
		}
		return nil
	})
	return ended, open, err
}

// announce writes down what of jobs nobody wrote down yet.
func announce(ctx context.Context, tx pgx.Tx, jobs []int64, body func(Happening) ([]byte, error)) error {
	news, err := newsOf(ctx, tx, jobs)
	if err != nil || len(news) == 0 {
		return err
	}
	shown, err := shownJobs(ctx, tx, news)
	if err != nil {
		return err
	}
	var batch pgx.Batch
	for _, n := range news {
		n.Job = shown[n.job]
		text, err := body(n.Happening)
		if err != nil {
			return err
		}
		batch.Queue(insertDelivery, n.webhook, n.job, n.Event, n.Cause, text)
	}
	return tx.SendBatch(ctx, &batch).Close()
}

// newsOf lists what webhooks were not told of jobs.
func newsOf(ctx context.Context, tx pgx.Tx, jobs []int64) ([]announcement, error) {
	counts, err := countsOf(ctx, tx, jobs)
	if err != nil {
		return nil, err
	}
	failing := []int64{}
	for id, of := range counts {
		if of["failed"]+of["unknown"] > 0 {
			failing = append(failing, id)
		}
	}
	rows, err := tx.Query(ctx, happenings, planned, jobs, failing)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (a announcement, err error) {
		err = row.Scan(&a.webhook, &a.job, &a.Event, &a.Cause, &a.Why, &a.At)
		return a, err
	})
}

// shownJobs reads the jobs that there is news of, by number.
func shownJobs(ctx context.Context, tx pgx.Tx, news []announcement) (map[int64]Job, error) {
	numbers := make([]int64, len(news))
	for i, n := range news {
		numbers[i] = n.job
	}
	rows, err := tx.Query(ctx, selectJobs+`j.id = ANY ($1)`, planned, numbers)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, scanJob)
	if err != nil {
		return nil, err
	}
	jobs, err := reckon(ctx, tx, found)
	out := make(map[int64]Job, len(jobs))
	for i, j := range jobs {
		out[found[i].number] = j
	}
	return out, err
}
