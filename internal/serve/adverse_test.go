package serve_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/usher-bi/usher/internal/serve"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/testenv"
)

func TestBodiesThatAreTooLarge(t *testing.T) {
	t.Parallel()

	w := setup(t, func(o *serve.Options) { o.MaxBytes, o.MaxRows = 4096, 10 })
	spaces := threeRows + strings.Repeat("\n", 5000)
	gzip := map[string]string{"Content-Encoding": "gzip"}
	for name, a := range map[string]answered{
		"plain":      w.post("k", spaces, nil),
		"a zip bomb": w.post("k", zipped(t, threeRows+strings.Repeat("\n", 10<<20)), gzip),
	} {
		if p := a.problem(t, http.StatusRequestEntityTooLarge, "body_too_large"); p.Limit != 4096 {
			t.Errorf("%s: the limit is %d", name, p.Limit)
		}
	}
	p := w.post("k", "action,principal,resource_type,resource_id\n"+strings.Repeat("revoke,u,dataset,d\n", 11), nil).
		problem(t, http.StatusRequestEntityTooLarge, "too_many_rows")
	if p.Limit != 10 {
		t.Errorf("the limit is %d", p.Limit)
	}
	w.post("k", zipped(t, threeRows)[:40], gzip).problem(t, http.StatusBadRequest, "body_incomplete")
	w.post("k", threeRows, gzip).problem(t, http.StatusBadRequest, "invalid_gzip")
	for _, more := range []string{"\n", "trailing", zipped(t, "")[2:]} {
		if p := w.post("k", zipped(t, threeRows)+more, gzip).problem(t, http.StatusBadRequest, "invalid_gzip"); !strings.Contains(p.Detail, "follows") {
			t.Errorf("with %q after the gzip it says %q", more, p.Detail)
		}
	}
	broken := []byte(zipped(t, threeRows))
	broken[len(broken)-6] ^= 0xff
	w.post("k", string(broken), gzip).problem(t, http.StatusBadRequest, "invalid_gzip")
	half := len(threeRows) / 2
	w.post("k", zipped(t, threeRows[:half])+zipped(t, threeRows[half:]), gzip).want(t, http.StatusAccepted) // the key is as good as before
}

func TestRequestsThatAreNotUnderstood(t *testing.T) {
	t.Parallel()

	w := setup(t)
	w.do(asked{method: "POST", path: "/v1/jobs", body: "x", header: map[string]string{"Content-Type": "image/png", "Idempotency-Key": "k"}, raw: true}).
		problem(t, http.StatusUnsupportedMediaType, "content_type")
	w.do(asked{method: "POST", path: "/v1/jobs", body: "x", header: map[string]string{"Content-Type": "text/csv", "Content-Encoding": "br", "Idempotency-Key": "k"}, raw: true}).
		problem(t, http.StatusUnsupportedMediaType, "content_encoding")
	for _, query := range []string{
		"lane=fast", "lanes=bulk", "reason=a%00b", "reason=%ff", "skip_invalid=1", "default_expiry=90", "default_expiry=0d", "lane=bulk&lane=bulk", "requested_by=", "requested_by=token:other", "requested_by=%20Token:other",
	} {
		w.do(asked{method: "POST", path: "/v1/jobs?" + query, body: threeRows, header: map[string]string{"Content-Type": "text/csv", "Idempotency-Key": "k"}, raw: true}).
			problem(t, http.StatusBadRequest, "invalid_parameter")
	}
	for _, beside := range []string{`"lane":"fast"`, `"lane":7`, `"skip_invalid":"true"`, `"lanes":"bulk"`, `"source":"crm"`, `"reason":null`, `"requested_by":"token:other"`} {
		w.do(asked{
			method: "POST", path: "/v1/jobs", body: `{"rows":[{}],` + beside + `}`, raw: true,
			header: map[string]string{"Content-Type": "application/json", "Idempotency-Key": "k"},
		}).problem(t, http.StatusBadRequest, "invalid_parameter")
	}
	for _, key := range []string{"event:hr-5", "event-again:1:hr-5", `"schedule:nightly:2026-11-23T02:00:00Z"`} {
		w.post(key, threeRows, nil).problem(t, http.StatusBadRequest, "invalid_idempotency_key")
	}
	w.do(asked{method: "GET", path: "/v1/nothing", raw: true}).problem(t, http.StatusNotFound, "not_found")
	a := w.do(asked{method: "DELETE", path: "/v1/jobs", raw: true})
	a.problem(t, http.StatusMethodNotAllowed, "method_not_allowed")
	if allow := a.Header.Get("Allow"); !strings.Contains(allow, "GET") || !strings.Contains(allow, "POST") {
		t.Errorf("Allow is %q", allow)
	}
	if jobs, err := w.store.Jobs(t.Context(), store.JobFilter{}); err != nil || len(jobs) != 0 {
		t.Errorf("%d jobs were accepted, %v", len(jobs), err)
	}
}

func TestRequestsHaveNames(t *testing.T) {
	t.Parallel()

	w := setup(t)
	for given, kept := range map[string]bool{"feed-42": true, "": false, "a b": false, strings.Repeat("x", 200): false, "<script>": false} {
		a := w.do(asked{method: "GET", path: "/v1/limits", header: map[string]string{"X-Request-ID": given}, raw: true}).want(t, http.StatusOK)
		if got := a.Header.Get("X-Request-ID"); got == "" || (got == given) != kept {
			t.Errorf("%q comes back as %q", given, got)
		}
	}
}

func TestATokenThatIsUsedTooOften(t *testing.T) {
	t.Parallel()

	w := setup(t, func(o *serve.Options) { o.Rate = 1.0 / 3600 })
	w.do(asked{method: "GET", path: "/v1/limits"}).want(t, http.StatusOK)
	a := w.do(asked{method: "GET", path: "/v1/limits"})
	a.problem(t, http.StatusTooManyRequests, "too_many_requests")
	if a.Header.Get("Retry-After") == "" {
		t.Error("it is not said when to come back")
	}
	other := w.newToken(store.Token{Name: "other", Source: "hr", LaneMost: store.Normal})
	w.do(asked{method: "GET", path: "/v1/limits", header: map[string]string{"Authorization": "Bearer " + other}}).want(t, http.StatusOK)
}

func TestAFullQueueTakesUrgentJobsOnly(t *testing.T) {
	t.Parallel()

	w := setup(t, func(o *serve.Options) { o.MaxBacklog = 1 })
	if _, err := w.store.Pause(t.Context(), store.Target{Scope: store.ScopeAll}, store.Order{Actor: "ops"}); err != nil {
		t.Fatal(err) // so that everything stays in the backlog
	}
	urgent := asked{
		method: "POST", path: "/v1/jobs?lane=urgent", body: threeRows, header: map[string]string{"Content-Type": "text/csv", "Idempotency-Key": "urgent"},
	}
	w.do(urgent).want(t, http.StatusAccepted)
	a := w.post("k", threeRows, nil)
	a.problem(t, http.StatusServiceUnavailable, "queue_full")
	if a.Header.Get("Retry-After") != "60" {
		t.Errorf("Retry-After is %q", a.Header.Get("Retry-After"))
	}
	if a := w.post("urgent", threeRows, nil).want(t, http.StatusOK); a.Header.Get("Idempotent-Replayed") != "true" {
		t.Error("what was accepted before is not told")
	}
	urgent.header["Idempotency-Key"] = "urgent-2"
	w.do(urgent).want(t, http.StatusAccepted)
}

// What was retried before is told, while nothing new is accepted.
func TestAFullQueueTellsOfRetries(t *testing.T) {
	t.Parallel()

	var later atomic.Int64
	w := setup(t, func(o *serve.Options) {
		o.MaxBacklog, o.Now = 1, func() time.Time { return now.Add(time.Duration(later.Load())) }
	})
	retry := asked{method: "POST", path: "/v1/jobs/" + w.job("k") + ":retry", body: `{"reason":"again"}`, header: map[string]string{"Content-Type": "application/json"}}
	w.work("user-1")
	first := decode[submitted](t, w.do(retry).want(t, http.StatusAccepted))
	if _, err := w.store.Pause(t.Context(), store.Target{Scope: store.ScopeAll}, store.Order{Actor: "ops"}); err != nil {
		t.Fatal(err) // so that everything stays in the backlog
	}
	later.Store(int64(time.Minute))
	w.do(asked{
		method: "POST", path: "/v1/jobs?lane=urgent", body: threeRows, header: map[string]string{"Content-Type": "text/csv", "Idempotency-Key": "urgent"},
	}).want(t, http.StatusAccepted)
	w.post("k2", threeRows, nil).problem(t, http.StatusServiceUnavailable, "queue_full")
	if again := decode[submitted](t, w.do(retry).want(t, http.StatusOK)); again.ID != first.ID || !again.Replayed {
		t.Errorf("asked again it is %+v", again)
	}
	later.Store(int64(100 * 24 * time.Hour)) // its expiry has passed
	if again := decode[submitted](t, w.do(retry).want(t, http.StatusOK)); again.ID != first.ID || !again.Replayed {
		t.Errorf("asked again later it is %+v", again)
	}
}

// conversation is a submission that is sent piece by piece.
type conversation struct {
	t    *testing.T
	conn net.Conn
}

func (w *world) dial() net.Conn {
	w.t.Helper()
	conn, err := (&net.Dialer{}).DialContext(w.t.Context(), "tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		w.t.Fatal(err)
	}
	return conn
}

// begin sends the head of a submission in chunks.
func (w *world) begin(key string) conversation {
	w.t.Helper()
	conn := w.dial()
	fmt.Fprintf(conn, "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nIdempotency-Key: %s\r\n"+
		"Content-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n", w.token, key)
	return conversation{t: w.t, conn: conn}
}

// say sends a piece; an empty one ends the body.
func (c conversation) say(piece string) error {
	_, err := fmt.Fprintf(c.conn, "%x\r\n%s\r\n", len(piece), piece)
	return err
}

// hear waits for the answer.
func (c conversation) hear() answered {
	c.t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c.conn), &http.Request{Method: http.MethodPost, URL: &url.URL{Path: "/v1/jobs"}})
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answered{Response: resp, body: string(body)}
}

// finish ends the body and waits for the answer.
func (c conversation) finish() answered {
	c.t.Helper()
	if err := c.say(""); err != nil {
		c.t.Fatal(err)
	}
	return c.hear()
}

func TestClientsThatAreTooSlow(t *testing.T) {
	t.Parallel()

	w := setup(t, func(o *serve.Options) { o.Stall = 200 * time.Millisecond })
	silent := w.begin("slow")
	_ = silent.say(threeRows)
	silent.hear().problem(t, http.StatusRequestTimeout, "too_slow")
	trickle := w.begin("slow")
	go func() { // always something, and never enough
		for trickle.say("\n") == nil {
			select {
			case <-t.Context().Done():
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	trickle.hear().problem(t, http.StatusRequestTimeout, "too_slow")
	w.post("slow", threeRows, nil).want(t, http.StatusAccepted) // the key is free
}

// submissions counts those that were answered and all requests under way.
func (w *world) submissions() (n int) {
	w.t.Helper()
	for line := range strings.Lines(w.do(asked{method: "GET", path: "/metrics"}).body) {
		open := strings.HasPrefix(line, "usher_http_requests_open ")
		if !open && !strings.HasPrefix(line, `usher_http_requests_total{route="POST /v1/jobs",`) {
			continue
		}
		fields := strings.Fields(line)
		count, err := strconv.Atoi(fields[len(fields)-1])
		if err != nil {
			w.t.Fatal(err)
		}
		if n += count; open {
			n-- // itself
		}
	}
	return n
}

// However many bodies a token sends, and however slowly, others are served.
func TestTokensLeaveEachOtherRoom(t *testing.T) {
	t.Parallel()

	w := setup(t)
	other := map[string]string{"Authorization": "Bearer " + w.newToken(store.Token{Name: "other", Source: "crm", LaneMost: store.Normal})}
	seen := func(n int) {
		t.Helper()
		testenv.Eventually(t, fmt.Sprintf("%d submissions have come", n), func() bool { return w.submissions() >= n })
	}
	large := strings.Replace(threeRows, "=7", strings.Repeat("x", 12<<20), 1) // more than fits into the sockets, so what was said was read
	if err := w.begin("large-1").say(large); err != nil {
		t.Fatal(err)
	}
	second := w.begin("large-2")
	go func() { _ = second.say(large) }()
	seen(2)
	w.post("large", large, other).want(t, http.StatusAccepted)
	for i := range 62 {
		_ = w.begin(fmt.Sprint("small-", i)).say(threeRows)
	}
	seen(65)
	w.post("small", threeRows, other).want(t, http.StatusAccepted)
}

// Whoever does not take what was asked for keeps a few others from results, and
// nobody from anything else.
func TestDownloadsLeaveRoom(t *testing.T) {
	t.Parallel()

	w := setup(t, func(o *serve.Options) { o.Exports = 1 })
	rows := strings.Replace(threeRows, "=7", strings.Repeat("x", 14<<20), 1) // more than fits into the sockets
	id := decode[submitted](t, w.post("k", rows, nil).want(t, http.StatusAccepted)).ID
	path := "/v1/jobs/" + id + "/results"
	slow := w.dial()
	fmt.Fprintf(slow, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", path, w.token)
	if _, err := bufio.NewReader(slow).ReadString('\n'); err != nil {
		t.Fatalf("no answer: %v", err)
	}
	a := w.do(asked{method: "GET", path: path})
	a.problem(t, http.StatusServiceUnavailable, "busy")
	if a.Header.Get("Retry-After") == "" {
		t.Error("it is not said when to come back")
	}
	w.do(asked{method: "GET", path: "/v1/jobs/" + id}).want(t, http.StatusOK)
	_ = slow.Close()
	testenv.Eventually(t, "its place is free", func() bool {
		return w.do(asked{method: "GET", path: path + "?status=failed"}).StatusCode == http.StatusOK
	})
}

func TestAKeyInFlight(t *testing.T) {
	t.Parallel()

	w := setup(t)
	c := w.begin("k")
	_ = c.say(threeRows)
	testenv.Eventually(t, "the key is in flight", func() bool { return w.post("k", "", nil).StatusCode == http.StatusConflict })
	w.post("k", threeRows, nil).problem(t, http.StatusConflict, "idempotency_key_in_flight")
	first := decode[submitted](t, c.finish().want(t, http.StatusAccepted))
	if again := decode[submitted](t, w.post("k", threeRows, nil).want(t, http.StatusOK)); again.ID != first.ID {
		t.Errorf("afterwards it is job %s, want %s", again.ID, first.ID)
	}
}

// What is under way when the server is told to stop is answered.
func TestStoppingLetsRequestsFinish(t *testing.T) {
	t.Parallel()

	w := setup(t)
	c := w.begin("k")
	_ = c.say(threeRows)
	testenv.Eventually(t, "the request is under way", func() bool { return w.post("k", "", nil).StatusCode == http.StatusConflict })
	stopped := make(chan struct{})
	go func() {
		w.stop()
		close(stopped)
	}()
	testenv.Eventually(t, "nobody is let in any more", func() bool {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(w.url, "http://"))
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	c.finish().want(t, http.StatusAccepted)
	<-stopped
}

func TestPostgresAway(t *testing.T) {
	t.Parallel()

	w := setup(t)
	id := w.job("before")
	at, err := url.Parse(w.database)
	if err != nil {
		t.Fatal(err)
	}
	query := at.Query()
	query.Set("host", "127.0.0.1")
	query.Set("port", "1")
	at.RawQuery = query.Encode()
	away := &world{database: at.String(), redis: w.redis, token: w.token}
	setupOn(t, away)
	for _, path := range []string{"/v1/jobs", "/v1/jobs/" + id, "/v1/limits"} {
		a := away.do(asked{method: "GET", path: path})
		a.problem(t, http.StatusServiceUnavailable, "postgres_unavailable")
		if a.Header.Get("Retry-After") != "5" || strings.Contains(a.body, "127.0.0.1") {
			t.Errorf("%s: Retry-After %q, %s", path, a.Header.Get("Retry-After"), a.body)
		}
	}
	away.post("k", threeRows, nil).problem(t, http.StatusServiceUnavailable, "postgres_unavailable")
	away.do(asked{method: "GET", path: "/healthz"}).want(t, http.StatusOK)
	if a := away.do(asked{method: "GET", path: "/readyz"}).want(t, http.StatusServiceUnavailable); !strings.Contains(a.body, "Postgres: ") || strings.Contains(a.body, "Redis: ") {
		t.Errorf("it is not ready because %s", a.body)
	}
	w.post("k", threeRows, nil).want(t, http.StatusAccepted) // nothing of it was kept
}

func TestRedisAway(t *testing.T) {
	t.Parallel()

	w := setupOn(t, &world{database: testenv.Postgres(t), redis: "redis://127.0.0.1:1/0"})
	w.post("k", threeRows, nil).problem(t, http.StatusServiceUnavailable, "redis_unavailable")
	w.do(asked{method: "GET", path: "/v1/jobs"}).want(t, http.StatusOK)
	w.do(asked{method: "GET", path: "/v1/limits"}).want(t, http.StatusOK)
	if a := w.do(asked{method: "GET", path: "/readyz"}).want(t, http.StatusServiceUnavailable); !strings.Contains(a.body, "Redis: ") {
		t.Errorf("it is not ready because %s", a.body)
	}
	if jobs, err := w.store.Jobs(t.Context(), store.JobFilter{}); err != nil || len(jobs) != 0 {
		t.Errorf("%d jobs were accepted, %v", len(jobs), err)
	}
}

func TestProbes(t *testing.T) {
	t.Parallel()

	w := setup(t)
	w.job("k")
	for _, path := range []string{"/healthz", "/readyz", "/openapi.json", "/metrics"} {
		a := w.do(asked{method: "GET", path: path, header: map[string]string{"Authorization": ""}}).want(t, http.StatusOK)
		if path == "/metrics" {
			for _, want := range []string{`usher_http_requests_total{route="POST /v1/jobs",status="202"} 1`, "usher_http_rows_accepted_total 3"} {
				if !strings.Contains(a.body, want) {
					t.Errorf("the metrics lack %s", want)
				}
			}
			if strings.Contains(a.body, "feed") || strings.Contains(a.body, "user-1") {
				t.Error("the metrics name a token or a user")
			}
		}
	}
}

// An endpoint of another package has the same token, problems and limits.
func TestEndpointsAreMounted(t *testing.T) {
	t.Parallel()

	w := setup(t)
	w.server.Mount("POST /v1/echo", func(rw http.ResponseWriter, _ *http.Request, by store.Token) error {
		if by.Source != "hr" {
			return store.ErrUnavailable
		}
		_, err := fmt.Fprint(rw, by.Name)
		return err
	})
	if a := w.do(asked{method: "POST", path: "/v1/echo", raw: true}).want(t, http.StatusOK); a.body != "feed" {
		t.Errorf("it answers %q", a.body)
	}
	other := w.newToken(store.Token{Name: "crm", Source: "crm", LaneMost: store.Normal})
	w.do(asked{method: "POST", path: "/v1/echo", header: map[string]string{"Authorization": "Bearer " + other}, raw: true}).
		problem(t, http.StatusServiceUnavailable, "postgres_unavailable")
	w.do(asked{method: "POST", path: "/v1/echo", header: map[string]string{"Authorization": ""}, raw: true}).problem(t, http.StatusUnauthorized, "token_missing")
}
