package webhook_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/testenv"
	"github.com/usher-bi/usher/internal/webhook"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// world is a deployment without Quick BI: tests end jobs themselves.
type world struct {
	*store.Store

	sql *pgx.Conn
}

func setup(t *testing.T) world {
	t.Helper()
	url := testenv.Postgres(t)
	s, err := store.Open(t.Context(), url, 8)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(s.Close)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return world{Store: s, sql: conn}
}

func (w world) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := w.sql.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func (w world) text(t *testing.T, sql string) (out string) {
	t.Helper()
	if err := w.sql.QueryRow(t.Context(), sql).Scan(&out); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

// submit writes a job of one row.
func (w world) submit(t *testing.T, source, key string) store.Created {
	t.Helper()
	user, theme := access.Principal{Type: access.User, ID: "u-" + key}, access.Resource{Type: access.QAResource, ID: "r"}
	terms := access.Terms{ExpiresOn: access.Date{Year: 2099, Month: time.December, Day: 31}}
	created, err := w.CreateJob(t.Context(), store.NewJob{
		Source: source, RequestedBy: "tester", Lane: store.Normal, IdempotencyKey: key, Fingerprint: key,
		Header: []string{"action", "principal"}, Input: store.Input{Rows: 1},
		Tasks: store.SequenceOf(store.NewTask{Rectangle: access.Rectangle{
			Action: access.SmartqAuthorize, Operation: access.Grant, Principals: []access.Principal{user}, Resources: []access.Resource{theme}, Terms: terms,
		}}),
		Changes: store.SequenceOf(store.NewChange{Row: store.Row{
			Line: 2, RowID: "line-2", Change: access.Change{Operation: access.Grant, Principal: user, Resource: theme, Terms: terms},
		}}),
	})
	if err != nil {
		t.Fatalf("CreateJob: %v", err)
	}
	return created
}

// fail has the only row of a job fail.
func (w world) fail(t *testing.T, job store.Created) {
	t.Helper()
	w.exec(t, `INSERT INTO exceptions (job_id, change_no, task_no, status, code, message, retryable) VALUES ($1, 1, 1, 'failed', 'c', 'm', true)`, job.Number)
}

// end ends a job.
func (w world) end(t *testing.T, job store.Created) {
	t.Helper()
	w.exec(t, `DELETE FROM backlog WHERE job_id = $1`, job.Number)
	w.exec(t, `UPDATE tasks SET state = 'done', finished_at = now() WHERE job_id = $1`, job.Number)
	w.exec(t, `UPDATE jobs SET status = 'completed', started_at = now(), finished_at = now() WHERE id = $1`, job.Number)
}

// run has a runner run until stop, which waits for it.
func (w world) run(t *testing.T, pauses ...time.Duration) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := webhook.NewRunner(w.Store, webhook.Options{Interval: 10 * time.Millisecond, Pauses: pauses, Log: testenv.Logger(t)})
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.Run(ctx); err != nil && ctx.Err() == nil {
			t.Errorf("Run: %v", err)
		}
	})
	stop = func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(stop)
	return stop
}

// message is what an endpoint was sent.
type message struct{ id, body string }

// endpoint is a program that is told. Its signatures are judged by the library
// that the specification comes with.
type endpoint struct {
	mu  sync.Mutex
	got []message
}

// hook adds a webhook and the program that it tells, which answers the nth
// message, from 1; with 204 if answer is nil.
func (w world) hook(t *testing.T, h store.Webhook, answer func(int, http.ResponseWriter, *http.Request)) *endpoint {
	t.Helper()
	secret, key := webhook.NewSecret()
	judge, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatalf("the secret: %v", err)
	}
	e := &endpoint{}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading a message: %v", err)
		}
		if err := judge.Verify(body, r.Header); err != nil {
			t.Errorf("the signature: %v", err)
		}
		if n := e.take(message{id: r.Header.Get("Webhook-Id"), body: string(body)}); answer != nil {
			answer(n, rw, r)
			return
		}
		rw.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(server.Close)
	h.URL = server.URL + "/in?token=t0ken"
	if h.Events == nil {
		h.Events = store.WebhookEvents()
	}
	if err := w.AddWebhook(t.Context(), h, key, store.Order{Actor: "ops", Reason: "HR"}); err != nil {
		t.Fatalf("AddWebhook: %v", err)
	}
	return e
}

func (e *endpoint) take(m message) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.got = append(e.got, m)
	return len(e.got)
}

func (e *endpoint) messages() []message {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]message{}, e.got...)
}

// want waits until the endpoint was sent n messages.
func (e *endpoint) want(t *testing.T, n int) []message {
	t.Helper()
	testenv.Eventually(t, fmt.Sprintf("%d messages", n), func() bool { return len(e.messages()) >= n })
	got := e.messages()
	if len(got) != n {
		t.Fatalf("%d messages, want %d: %v", len(got), n, got)
	}
	return got
}

// becomes waits until a condition on some delivery holds.
func (w world) becomes(t *testing.T, condition string) {
	t.Helper()
	testenv.Eventually(t, condition, func() bool {
		return w.text(t, `SELECT EXISTS (SELECT FROM webhook_deliveries WHERE `+condition+`)::text`) == "true"
	})
}

// soon makes everything due that waits.
func (w world) soon(t *testing.T) {
	t.Helper()
	w.exec(t, `UPDATE webhook_deliveries SET due_at = now()`)
}
