package webhook_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/store"
)

// told is a message as a program reads it.
type told struct {
	Type string `json:"type"`
	Data struct {
		ID        string `json:"id"`
		Status    string `json:"status"`
		Outcome   string `json:"outcome"`
		Attention *struct {
			Code string `json:"code"`
		} `json:"attention"`
	} `json:"data"`
}

func read(t *testing.T, m message) (out told) {
	t.Helper()
	if err := json.Unmarshal([]byte(m.body), &out); err != nil {
		t.Fatalf("%q: %v", m.body, err)
	}
	return out
}

// short is what messages say, sorted: type, status, outcome and cause.
func short(t *testing.T, got []message) []string {
	t.Helper()
	out := []string{}
	for _, m := range got {
		d := read(t, m)
		line := []string{d.Type, d.Data.Status, d.Data.Outcome}
		if d.Data.Attention != nil {
			line = append(line, d.Data.Attention.Code)
		}
		out = append(out, strings.Join(line, " "))
	}
	slices.Sort(out)
	return out
}

func TestEachIsToldWhatItAskedFor(t *testing.T) {
	t.Parallel()
	w := setup(t)
	early := w.submit(t, "hr", "early") // before there is a webhook
	all := w.hook(t, store.Webhook{Name: "all"}, nil)
	hr := w.hook(t, store.Webhook{Name: "hr", Source: "hr", Events: []store.WebhookEvent{store.WebhookCompleted}}, nil)
	pager := w.hook(t, store.Webhook{Name: "pager", Source: "nightly", Events: []store.WebhookEvent{store.WebhookFailing, store.WebhookAttention}}, nil)
	good, bad, stuck := w.submit(t, "hr", "good"), w.submit(t, "nightly", "bad"), w.submit(t, "nightly", "stuck")
	w.end(t, early)
	w.end(t, good) // before anybody looks
	w.run(t)
	hr.want(t, 1)
	w.fail(t, bad)
	pager.want(t, 1)
	w.exec(t, `INSERT INTO pauses (scope, name, actor, reason, guard) VALUES ('job', $1, 'usher', 'too many', 'max_revokes')`, stuck.ID)
	pager.want(t, 2)
	w.exec(t, `INSERT INTO action_stops (action, code, api_code, message, request_id, next_probe_at)
		VALUES ('SmartqAuthorize', 'account_refused', 'x', 'm', 'r', now())`)
	pager.want(t, 4)
	w.end(t, bad)
	w.end(t, stuck)
	got := short(t, all.want(t, 7))
	want := []string{
		"job.attention paused none action_stopped", "job.attention paused none held_by_guard", "job.attention queued none action_stopped",
		"job.completed completed failed", "job.completed completed succeeded", "job.completed completed succeeded", "job.failing queued none",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("all was told (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"job.completed completed succeeded"}, short(t, hr.want(t, 1))); diff != "" {
		t.Errorf("hr was told (-want +got):\n%s", diff)
	}
	if id := read(t, hr.messages()[0]).Data.ID; id != good.ID {
		t.Errorf("hr was told of %s, want %s", id, good.ID)
	}
	pager.want(t, 4)
	if left := w.text(t, `SELECT count(*)::text FROM jobs WHERE watched`); left != "0" {
		t.Errorf("%s jobs are watched after their end", left)
	}
	listed, err := w.Webhooks(t.Context())
	if err != nil || len(listed) != 3 || listed[2].Name != "pager" || listed[2].LastStatus != 0 || listed[2].GivenUp != 0 {
		t.Errorf("%v, listed %+v", err, listed)
	}
}

func TestFailuresAreRepeatedUntilDelivered(t *testing.T) {
	t.Parallel()
	w := setup(t)
	h := w.hook(t, store.Webhook{Name: "h"}, func(n int, rw http.ResponseWriter, _ *http.Request) {
		if n < 3 {
			rw.WriteHeader(http.StatusInternalServerError)
		}
	})
	w.end(t, w.submit(t, "hr", "k"))
	w.run(t, time.Millisecond, time.Millisecond)
	got := h.want(t, 3)
	w.becomes(t, `delivered_at IS NOT NULL AND last_status = 200 AND attempts = 3`)
	if got[0].id == "" || got[1] != got[0] || got[2] != got[0] {
		t.Errorf("the attempts differ: %v", got)
	}
}

// A worker that dies after a message has arrived, and before that is written
// down, has it sent once more.
func TestDeathBetweenSendingAndRecording(t *testing.T) {
	t.Parallel()
	w := setup(t)
	arrived := make(chan struct{})
	h := w.hook(t, store.Webhook{Name: "h"}, func(n int, _ http.ResponseWriter, r *http.Request) {
		if n == 1 {
			close(arrived)
			<-r.Context().Done()
		}
	})
	w.end(t, w.submit(t, "hr", "k"))
	stop := w.run(t)
	<-arrived
	stop()
	w.becomes(t, `attempts = 1 AND last_at IS NULL AND due_at > now() + interval '30 s'`)
	w.run(t)
	h.want(t, 1) // while somebody may still be at it, nobody else is
	w.soon(t)
	got := h.want(t, 2)
	w.becomes(t, `delivered_at IS NOT NULL`)
	if got[1] != got[0] {
		t.Errorf("sent anew as something else: %v", got)
	}
}

func TestGoneDisables(t *testing.T) {
	t.Parallel()
	w := setup(t)
	h := w.hook(t, store.Webhook{Name: "h"}, func(_ int, rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusGone) })
	other := w.hook(t, store.Webhook{Name: "other"}, nil)
	w.end(t, w.submit(t, "hr", "k"))
	w.run(t)
	h.want(t, 1)
	w.becomes(t, `given_up_at IS NOT NULL AND last_status = 410`)
	w.end(t, w.submit(t, "hr", "k2"))
	other.want(t, 2)
	h.want(t, 1)
	list, err := w.Webhooks(t.Context())
	if err != nil || list[0].DisabledAt == nil || list[0].DisabledReason != "answered 410" || list[0].GivenUp != 1 || list[1].DisabledAt != nil {
		t.Errorf("%v, listed %+v", err, list)
	}
	if n := w.text(t, `SELECT count(*)::text FROM audit WHERE event = 'webhook.disabled' AND detail ->> 'webhook' = 'h'`); n != "1" {
		t.Errorf("%s audit rows", n)
	}
}

func TestGivenUpAfterTheLastAttempt(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.hook(t, store.Webhook{Name: "h"}, func(_ int, rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) })
	w.end(t, w.submit(t, "hr", "k"))
	w.run(t)
	w.becomes(t, `last_status = 502 AND given_up_at IS NULL`)
	w.exec(t, `UPDATE webhook_deliveries SET attempts = 9, due_at = now()`)
	w.becomes(t, `attempts = 10 AND given_up_at IS NOT NULL`)
}

func TestOneThatIsSlowHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	w := setup(t)
	arrived := make(chan struct{})
	w.hook(t, store.Webhook{Name: "a"}, func(n int, _ http.ResponseWriter, r *http.Request) {
		if n == 1 {
			close(arrived)
		}
		<-r.Context().Done()
	})
	quick := w.hook(t, store.Webhook{Name: "b"}, nil)
	w.end(t, w.submit(t, "hr", "k1"))
	stop := w.run(t)
	<-arrived
	w.end(t, w.submit(t, "hr", "k2"))
	quick.want(t, 2)
	stop()
}

func TestRemovedIsToldNoMore(t *testing.T) {
	t.Parallel()
	w := setup(t)
	h := w.hook(t, store.Webhook{Name: "h"}, func(_ int, rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusInternalServerError) })
	last := w.hook(t, store.Webhook{Name: "last"}, nil)
	w.end(t, w.submit(t, "hr", "k"))
	w.run(t)
	w.becomes(t, `last_status = 500`)
	if err := w.RemoveWebhook(t.Context(), "h", store.Order{Actor: "ops"}); err != nil {
		t.Fatal(err)
	}
	w.soon(t)
	w.end(t, w.submit(t, "hr", "k2"))
	last.want(t, 2)
	h.want(t, 1)
	if kept := w.text(t, `SELECT (secret = '')::text FROM webhooks WHERE name = 'h'`); kept != "true" {
		t.Error("the secret was kept")
	}
}
