package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/store"
)

func TestWebhooks(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx, ops := t.Context(), store.Order{Actor: "ops", Reason: "HR"}
	hook := store.Webhook{Name: "h", URL: "https://example.com/in", Events: []store.WebhookEvent{store.WebhookFailing}}
	key := store.WebhookKey("k3y of the webhook")
	if err := w.AddWebhook(ctx, hook, key, ops); err != nil {
		t.Fatal(err)
	}
	if err := w.AddWebhook(ctx, hook, key, ops); !errors.Is(err, store.ErrWebhookExists) {
		t.Errorf("adding it twice: %v", err)
	}
	at, err := w.EndpointOf(ctx, "h")
	if err != nil || at.URL != hook.URL || string(at.Key) != string(key) {
		t.Errorf("it is at %s, %v", at.URL, err)
	}
	if shown := fmt.Sprintf("%v %+v %#v %s %q", at, at, at, at.Key, at.Key); strings.Contains(shown, "k3y") {
		t.Errorf("the key was printed: %s", shown)
	}
	conn := w.limited(t)
	if _, err := conn.Exec(ctx, `UPDATE webhooks SET disabled_reason = ''; DELETE FROM webhook_deliveries`); err != nil {
		t.Errorf("as the role of the programs: %v", err)
	}
	if _, err := conn.Exec(ctx, `DELETE FROM webhooks`); !lacksRight(err) {
		t.Errorf("deleting as the role of the programs: %v", err)
	}
	if err := w.RemoveWebhook(ctx, "h", ops); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{w.RemoveWebhook(ctx, "h", ops), func() error { _, err := w.EndpointOf(ctx, "h"); return err }()} {
		if !errors.Is(err, store.ErrNoWebhook) {
			t.Errorf("after it was removed: %v", err)
		}
	}
	if list, err := w.Webhooks(ctx); len(list) != 0 || err != nil {
		t.Errorf("listed %+v, %v", list, err)
	}
	rows, err := w.sql.Query(ctx, `SELECT event || ' ' || actor || ' ' || (detail ->> 'webhook') || ' ' || (detail ->> 'reason') FROM audit ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	events, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if diff := cmp.Diff([]string{"webhook.added ops h HR", "webhook.removed ops h HR"}, events); err != nil || diff != "" {
		t.Errorf("%v, the audit (-want +got):\n%s", err, diff)
	}
}
