package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNoWebhook is the [ErrNotFound] of a webhook.
var ErrNoWebhook = fmt.Errorf("there is no such webhook: %w", ErrNotFound)

// ErrWebhookExists means that a webhook of that name is there already.
var ErrWebhookExists = errors.New("a webhook of that name exists")

// WebhookEvent is what a webhook can tell of a job. Its values are API.
type WebhookEvent string

// The events.
const (
	WebhookCompleted WebhookEvent = "job.completed" // it has ended, however
	WebhookFailing   WebhookEvent = "job.failing"   // its first row failed, or nobody knows what became of it
	WebhookAttention WebhookEvent = "job.attention" // it does not go on by itself
)

// WebhookEvents lists the events.
func WebhookEvents() []WebhookEvent {
	return []WebhookEvent{WebhookCompleted, WebhookFailing, WebhookAttention}
}

// WebhookKey signs what is sent to a webhook. No log, error or JSON document
// ever shows it.
type WebhookKey []byte

// Format answers every verb alike.
func (WebhookKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[redacted]") }

// MarshalText hides the key.
func (WebhookKey) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// Webhook says whom to tell what of which jobs, and how that went. Its JSON is
// API.
type Webhook struct {
	Name           string         `json:"name"`
	URL            string         `json:"url"`
	Source         string         `json:"source"` // of the jobs; "" for all
	Events         []WebhookEvent `json:"events"`
	CreatedAt      time.Time      `json:"created_at"`
	CreatedBy      string         `json:"created_by"`
	DisabledAt     *time.Time     `json:"disabled_at"` // nil: it is in use
	DisabledReason string         `json:"disabled_reason"`

	Waiting         int        `json:"waiting"`           // not delivered yet, some perhaps tried
	Delivered       int        `json:"delivered"`         // of the last 30 days
	GivenUp         int        `json:"given_up"`          // likewise
	LastDeliveredAt *time.Time `json:"last_delivered_at"` // nil: never, or long ago
	LastFailedAt    *time.Time `json:"last_failed_at"`    // of what was not delivered since
	LastStatus      int        `json:"last_status"`       // of that failure; 0: no answer came
	LastError       string     `json:"last_error"`        // of that failure
}

// webhookActive is true of a webhook w that is told of jobs.
const webhookActive = `w.removed_at IS NULL AND w.disabled_at IS NULL`

const insertWebhook = `
INSERT INTO webhooks (name, url, source, events, secret, created_by) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (name) WHERE removed_at IS NULL DO NOTHING`

// AddWebhook has a webhook be told of the jobs that are accepted from now on.
// Name, URL, Source and Events of w count. A name that is taken returns
// [ErrWebhookExists].
func (s *Store) AddWebhook(ctx context.Context, w Webhook, key WebhookKey, by Order) error {
	return s.inTx(ctx, "adding the webhook "+w.Name, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, insertWebhook, w.Name, w.URL, w.Source, w.Events, []byte(key), by.Actor)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return ErrWebhookExists
		}
		return writeAudit(ctx, tx, AuditEvent{Actor: by.Actor, Event: eventWebhookAdded, Detail: map[string]any{
			"webhook": w.Name, "url": w.URL, "source": w.Source, "events": w.Events, "reason": by.Reason,
		}})
	})
}

const (
	removeWebhook = `UPDATE webhooks SET removed_at = now(), secret = '' WHERE name = $1 AND removed_at IS NULL RETURNING id`

	//nolint:gosec // it holds no credential
	giveUpWebhook = `UPDATE webhook_deliveries SET given_up_at = now() WHERE webhook = $1 AND delivered_at IS NULL AND given_up_at IS NULL`
)

// RemoveWebhook ends a webhook, with its key and with what it was not told yet.
// A name that is not there returns [ErrNoWebhook].
func (s *Store) RemoveWebhook(ctx context.Context, name string, by Order) error {
	return s.inTx(ctx, "removing the webhook "+name, func(tx pgx.Tx) error {
		var id int64
		err := tx.QueryRow(ctx, removeWebhook, name).Scan(&id)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNoWebhook
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, giveUpWebhook, id); err != nil {
			return err
		}
		return writeAudit(ctx, tx, AuditEvent{Actor: by.Actor, Event: eventWebhookRemoved, Detail: map[string]any{"webhook": name, "reason": by.Reason}})
	})
}

const selectWebhooks = `
SELECT w.name, w.url, w.source, w.events, w.created_at, w.created_by, w.disabled_at, w.disabled_reason,
       d.waiting, d.delivered, d.given_up, d.last_delivered_at, f.last_at, coalesce(f.last_status, 0), coalesce(f.last_error, '')
FROM webhooks w
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE delivered_at IS NULL AND given_up_at IS NULL)::int AS waiting, count(delivered_at)::int AS delivered,
           count(given_up_at)::int AS given_up, max(delivered_at) AS last_delivered_at
    FROM webhook_deliveries WHERE webhook = w.id
) d
LEFT JOIN LATERAL (
    SELECT last_at, last_status, last_error FROM webhook_deliveries
    WHERE webhook = w.id AND delivered_at IS NULL AND last_at IS NOT NULL
    ORDER BY last_at DESC LIMIT 1
) f ON true
WHERE w.removed_at IS NULL
ORDER BY w.name`

// Webhooks lists the webhooks that were not removed, by name.
func (s *Store) Webhooks(ctx context.Context) ([]Webhook, error) {
	rows, err := s.pool.Query(ctx, selectWebhooks)
	if err != nil {
		return nil, outward("listing webhooks", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Webhook])
	return list, outward("listing webhooks", err)
}

// Endpoint is where a webhook is, and what signs what is sent to it.
type Endpoint struct {
	URL string
	Key WebhookKey
}

// EndpointOf returns where the webhook of that name is, or [ErrNoWebhook].
func (s *Store) EndpointOf(ctx context.Context, name string) (e Endpoint, err error) {
	err = s.pool.QueryRow(ctx, `SELECT url, secret FROM webhooks WHERE name = $1 AND removed_at IS NULL`, name).Scan(&e.URL, (*[]byte)(&e.Key))
	if errors.Is(err, pgx.ErrNoRows) {
		return Endpoint{}, fmt.Errorf("webhook %s: %w", name, ErrNoWebhook)
	}
	return e, outward("reading the webhook "+name, err)
}
