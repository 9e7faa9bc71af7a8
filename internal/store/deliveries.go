package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Delivery is one message to a webhook, and the attempt at hand.
type Delivery struct {
	Endpoint

	ID        int64
	Webhook   string // its name
	JobID     string // ULID
	Event     WebhookEvent
	MessageID string // the same for every attempt
	Body      []byte
	Attempt   int       // from 1
	At        time.Time // when the attempt began, by Postgres's clock
}

const dueWebhooks = `
SELECT w.id FROM webhooks w
WHERE ` + webhookActive + ` AND EXISTS (
    SELECT FROM webhook_deliveries d
    WHERE d.webhook = w.id AND d.due_at <= now() AND d.delivered_at IS NULL AND d.given_up_at IS NULL)
ORDER BY w.id`

// DueWebhooks lists the webhooks, by number, to which something is to be sent now.
func (s *Store) DueWebhooks(ctx context.Context) ([]int64, error) {
	rows, err := s.pool.Query(ctx, dueWebhooks)
	if err != nil {
		return nil, outward("looking for due deliveries", err)
	}
	due, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	return due, outward("looking for due deliveries", err)
}

const takeDeliveries = `
WITH taken AS (
    UPDATE webhook_deliveries d SET attempts = d.attempts + 1, due_at = now() + $3::interval
    WHERE d.id IN (
        SELECT x.id FROM webhook_deliveries x
        WHERE x.webhook = $1 AND x.due_at <= now() AND x.delivered_at IS NULL AND x.given_up_at IS NULL
        ORDER BY x.due_at LIMIT $2 FOR UPDATE SKIP LOCKED)
    RETURNING d.*
)
SELECT w.url, w.secret, d.id, w.name, coalesce(j.ulid, ''), d.event, d.message_id, d.body, d.attempts, now()
FROM taken d
JOIN webhooks w ON w.id = d.webhook AND ` + webhookActive + `
LEFT JOIN jobs j ON j.id = d.job
ORDER BY d.id`

// Take says which deliveries to take.
type Take struct {
	Webhook int64         // its number
	Most    int           // deliveries
	Lease   time.Duration // what is not recorded by then is due again
}

// TakeDeliveries takes deliveries that are due, and counts an attempt at each.
func (s *Store) TakeDeliveries(ctx context.Context, t Take) ([]Delivery, error) {
	rows, err := s.pool.Query(ctx, takeDeliveries, t.Webhook, t.Most, t.Lease)
	if err != nil {
		return nil, outward("taking deliveries", err)
	}
	taken, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d Delivery, err error) {
		err = row.Scan(&d.URL, (*[]byte)(&d.Key), &d.ID, &d.Webhook, &d.JobID, &d.Event, &d.MessageID, &d.Body, &d.Attempt, &d.At)
		return d, err
	})
	return taken, outward("taking deliveries", err)
}

const recordDelivered = `
UPDATE webhook_deliveries SET delivered_at = now(), given_up_at = NULL, last_at = now(), last_status = $2, last_error = ''
WHERE id = $1 AND delivered_at IS NULL`

// RecordDelivered ends a delivery that was answered with status. It may be said
// late, and twice.
func (s *Store) RecordDelivered(ctx context.Context, d Delivery, status int) error {
	_, err := s.pool.Exec(ctx, recordDelivered, d.ID, status)
	return outward("recording a delivery", err)
}

// Undelivered says why a delivery failed, and what to do about it.
type Undelivered struct {
	Status  int // of the answer; 0: none came
	Problem string
	RetryIn time.Duration // 0: give it up
	Gone    bool          // nobody listens any more: the webhook is disabled
}

const (
	recordUndelivered = `
UPDATE webhook_deliveries SET last_at = now(), last_status = $3, last_error = $4, due_at = now() + $5::interval,
    given_up_at = CASE WHEN $5::interval <= interval '0' THEN now() END
WHERE id = $1 AND attempts = $2 AND delivered_at IS NULL AND given_up_at IS NULL`

	disableWebhook = `
UPDATE webhooks w SET disabled_at = now(), disabled_reason = $2
FROM webhook_deliveries d
WHERE d.id = $1 AND w.id = d.webhook AND ` + webhookActive + `
RETURNING w.id`
)

// RecordUndelivered writes down that an attempt failed. After a newer attempt it
// does nothing but disable a webhook.
func (s *Store) RecordUndelivered(ctx context.Context, d Delivery, u Undelivered) error {
	return s.inTx(ctx, "recording a delivery", func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, recordUndelivered, d.ID, d.Attempt, u.Status, u.Problem, u.RetryIn); err != nil || !u.Gone {
			return err
		}
		rows, err := tx.Query(ctx, disableWebhook, d.ID, u.Problem)
		if err != nil {
			return err
		}
		disabled, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil || len(disabled) == 0 {
			return err
		}
		if _, err := tx.Exec(ctx, giveUpWebhook, disabled[0]); err != nil {
			return err
		}
		return writeAudit(ctx, tx, AuditEvent{Actor: "usher", Event: eventWebhookDisabled, Detail: map[string]any{"webhook": d.Webhook, "reason": u.Problem}})
	})
}

const forgetDeliveries = `
DELETE FROM webhook_deliveries d
WHERE (d.delivered_at IS NOT NULL OR d.given_up_at IS NOT NULL) AND coalesce(d.delivered_at, d.given_up_at) < now() - interval '30 days'
  AND NOT EXISTS (SELECT FROM jobs j WHERE j.id = d.job AND j.watched)`

// ForgetDeliveries drops what ended 30 days ago, but for what must not be said
// twice.
func (s *Store) ForgetDeliveries(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, forgetDeliveries)
	return outward("dropping old deliveries", err)
}
