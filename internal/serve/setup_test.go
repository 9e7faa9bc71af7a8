package serve_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/serve"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
	"github.com/usher-bi/usher/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// world is an intake of its own, with Postgres and Redis.
type world struct {
	t        *testing.T
	store    *store.Store
	database string
	redis    string
	url      string
	token    string // of source hr, for everything
	contract *contract
	http     *http.Client
	server   *serve.Server
	stop     func()
}

// now is what the intake takes for the time: rows name days after it.
var now = time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)

func setup(t *testing.T, adjust ...func(*serve.Options)) *world {
	t.Helper()
	return setupOn(t, &world{}, adjust...)
}

// setupOn serves on the servers that w names, or on some of its own.
func setupOn(t *testing.T, w *world, adjust ...func(*serve.Options)) *world {
	t.Helper()
	w.t, w.contract = t, newContract(t)
	w.open(t, adjust...)
	w.listen(t)
	if w.token == "" {
		w.token = w.newToken(store.Token{Name: "feed", Source: "hr", LaneMost: store.Urgent})
	}
	return w
}

// open makes the server.
func (w *world) open(tb testing.TB, adjust ...func(*serve.Options)) {
	tb.Helper()
	if w.database == "" {
		w.database = testenv.Postgres(tb)
	}
	if w.redis == "" {
		w.redis = testenv.Redis(tb)
	}
	st, err := store.New(tb.Context(), w.database, store.Options{MaxConns: 8})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(st.Close)
	client, err := tasks.NewRedis(w.redis)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = client.Close() })
	o := serve.Options{
		Store: st, Submitter: tasks.NewSubmitter(st, tasks.NewQueue(client)),
		Lookout: tasks.Lookout{Store: st, Redis: client, Rate: func(access.Action) float64 { return 50 }},
		Log:     testenv.Logger(tb), Now: func() time.Time { return now }, Rate: 10_000,
	}
	for _, a := range adjust {
		a(&o)
	}
	w.store, w.server = st, serve.New(o)
}

// listen serves on a port of its own until the end of the test.
func (w *world) listen(t *testing.T) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- w.server.Serve(ctx, l, serve.Listening{Drain: 10 * time.Second}) }()
	transport := &http.Transport{}
	w.http, w.url = &http.Client{Transport: transport}, "http://"+l.Addr().String()
	w.stop = func() {
		transport.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serving: %v", err)
		}
		w.stop = func() {}
	}
	t.Cleanup(func() { w.stop() })
}

// newToken makes a token; without operations it may all.
func (w *world) newToken(token store.Token) (text string) {
	w.t.Helper()
	return addToken(w.t, w.store, token)
}

func addToken(tb testing.TB, st *store.Store, token store.Token) (text string) {
	tb.Helper()
	if token.Operations == nil {
		token.Operations = []access.Operation{access.Grant, access.Revoke}
	}
	text, hash := serve.NewToken()
	if err := st.AddToken(tb.Context(), token, hash, store.Order{Actor: "ops"}); err != nil {
		tb.Fatal(err)
	}
	return text
}

// asked is a request, by the header that matters.
type asked struct {
	method, path, body string
	header             map[string]string // over those of w; "" leaves one out
	raw                bool              // breaks the contract, so it is not held against it
}

// answered is what came back.
type answered struct {
	*http.Response

	body string
}

// do sends a request and holds it and its answer against the contract.
func (w *world) do(a asked) answered {
	w.t.Helper()
	r := w.request(a)
	sent := r.Clone(r.Context())
	sent.Body = io.NopCloser(strings.NewReader(a.body))
	resp, err := w.http.Do(r)
	if err != nil {
		w.t.Fatalf("%s %s: %v", a.method, a.path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatalf("%s %s: %v", a.method, a.path, err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	w.contract.check(w.t, exchange{request: sent, response: resp, lax: a.raw})
	return answered{Response: resp, body: string(body)}
}

func (w *world) request(a asked) *http.Request {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), a.method, w.url+a.path, strings.NewReader(a.body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.token)
	for name, value := range a.header {
		if r.Header.Set(name, value); value == "" {
			r.Header.Del(name)
		}
	}
	return r
}

// post submits CSV under a key.
func (w *world) post(key, body string, header map[string]string) answered {
	w.t.Helper()
	all := map[string]string{"Content-Type": "text/csv", "Idempotency-Key": key}
	maps.Copy(all, header)
	return w.do(asked{method: "POST", path: "/v1/jobs", body: body, header: all})
}

// want fails the test unless the answer has that status.
func (a answered) want(t *testing.T, status int) answered {
	t.Helper()
	if a.StatusCode != status {
		t.Fatalf("%s %s answers %d, want %d:\n%s", a.Request.Method, a.Request.URL.Path, a.StatusCode, status, a.body)
	}
	return a
}

// problem fails the test unless the answer is that problem.
func (a answered) problem(t *testing.T, status int, code string) serve.Problem {
	t.Helper()
	a.want(t, status)
	p := decode[serve.Problem](t, a)
	if p.Code != code || p.Status != status || p.Detail == "" || p.RequestID != a.Header.Get("X-Request-ID") ||
		a.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s %s is refused with %+v, want %s", a.Request.Method, a.Request.URL.Path, p, code)
	}
	return p
}

func decode[T any](t *testing.T, a answered) T {
	t.Helper()
	var document T
	if err := json.Unmarshal([]byte(a.body), &document); err != nil {
		t.Fatalf("%s %s: %v\n%s", a.Request.Method, a.Request.URL.Path, err, a.body)
	}
	return document
}

const threeRows = `row_id,action,principal,resource_type,resource_id,expires_on,desk
a,grant,user-1,qa_resource,res-1,2026-12-31,=7
b,grant,user-2,qa_resource,res-1,2026-12-31,8
c,revoke,user-3,qa_theme,theme-1,,
`

// job submits rows and returns the id of the job.
func (w *world) job(key string) string {
	w.t.Helper()
	return decode[store.Job](w.t, w.post(key, threeRows, nil).want(w.t, http.StatusAccepted)).ID
}

// work does what a worker does with every task that is due: the cells of the
// users in refused fail, in a way that can be retried, and all others succeed.
func (w *world) work(refused ...string) {
	w.t.Helper()
	ctx := w.t.Context()
	if _, err := w.store.Beat(ctx, store.Heartbeat{Worker: "w", For: time.Hour}); err != nil {
		w.t.Fatal(err)
	}
	due, err := w.store.DueTasks(ctx, -time.Second, store.TaskRef{}, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, q := range due {
		task, err := w.store.Claim(ctx, store.ClaimRequest{TaskRef: q.TaskRef, Generation: q.Generation, Worker: "w", Lease: time.Minute})
		if err != nil {
			w.t.Fatal(err)
		}
		begun, err := w.store.BeginCall(ctx, store.NewCall{Claim: task.Claim, Action: task.Action})
		if err != nil {
			w.t.Fatal(err)
		}
		var end store.Ending
		for _, p := range task.Principals {
			for _, r := range task.Resources {
				for _, user := range refused {
					if p.ID == user {
						end.Exceptions = append(end.Exceptions, store.CellException{Principal: p.ID, Resource: r, Exception: store.Exception{
							Status: store.Failed, Code: "server_error", APICode: "Internal.System.Error", Message: "again", Retryable: true, RequestID: "req-1",
						}})
					}
				}
			}
		}
		answer := store.Answer{Call: begun.Call, Class: "ok", HTTPStatus: 200, RequestID: "req-ok", Took: time.Millisecond}
		if err := w.store.Finish(ctx, task.Claim, answer, end); err != nil {
			w.t.Fatal(err)
		}
		if err := w.store.Finalize(ctx, q.Job); err != nil {
			w.t.Fatal(err)
		}
	}
}
