package serve_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/usher-bi/usher/internal/serve"
)

// Nobody waits for a body that is not wanted, or does not come.
func TestWhoeverSendsNoBodyIsAnswered(t *testing.T) {
	t.Parallel()

	w := setup(t, func(o *serve.Options) { o.Stall = 200 * time.Millisecond })
	bearer := "Authorization: Bearer " + w.token + "\r\n"
	key := "Idempotency-Key: unread\r\n"
	const promised, chunked = "Content-Length: 1000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"
	job := "/v1/jobs/" + w.job("k")
	for name, c := range map[string]struct {
		head, body string
		status     int
	}{
		"no token":                {"POST /v1/jobs", promised, http.StatusUnauthorized},
		"no token, in chunks":     {"POST /v1/jobs", chunked, http.StatusUnauthorized},
		"no token, a part of it":  {"POST /v1/events", promised + "half of", http.StatusUnauthorized},
		"no token, all at once":   {"POST /v1/jobs", "Content-Length: 200000\r\n\r\n" + strings.Repeat("x", 200_000), http.StatusUnauthorized},
		"no key":                  {"POST /v1/jobs", bearer + promised, http.StatusBadRequest},
		"a type that is not read": {"POST /v1/jobs", bearer + key + "Content-Type: image/png\r\n" + promised, http.StatusUnsupportedMediaType},
		"rows that do not come":   {"POST /v1/jobs", bearer + key + "Content-Type: text/csv\r\n" + promised, http.StatusRequestTimeout},
		"a reason that does not":  {"POST " + job + ":cancel", bearer + promised, http.StatusRequestTimeout},
		"no such job":             {"POST /v1/jobs/x:cancel", bearer + promised, http.StatusNotFound},
		"nothing there":           {"POST /v1/nothing", promised, http.StatusNotFound},
		"another method":          {"DELETE /v1/jobs", promised, http.StatusMethodNotAllowed},
		"a question with a body":  {"GET " + job, bearer + promised, http.StatusOK},
	} {
		conn := w.dial()
		fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: x\r\n%s", c.head, c.body)
		in := bufio.NewReader(conn)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Errorf("%s: no answer: %v", name, err)
			continue
		}
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != c.status || !resp.Close {
			t.Errorf("%s: answered %d, connection closed: %v, %v: %s", name, resp.StatusCode, resp.Close, err, text)
		}
		_ = resp.Body.Close()
		if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
			t.Errorf("%s: afterwards comes %q, %v, and no end", name, rest, err)
		}
	}
}

// Whoever sends all of a body keeps the connection.
func TestAConnectionIsKeptWhoseBodiesAreRead(t *testing.T) {
	t.Parallel()

	w := setup(t)
	conn := w.dial()
	in := bufio.NewReader(conn)
	for i, status := range []int{http.StatusAccepted, http.StatusOK, http.StatusUnprocessableEntity, http.StatusOK} {
		rows := threeRows
		if status == http.StatusUnprocessableEntity {
			rows += "what\n"
		}
		fmt.Fprintf(conn, "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nIdempotency-Key: k\r\nContent-Type: text/csv\r\nContent-Length: %d\r\n\r\n%s",
			w.token, len(rows), rows)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("no answer to request %d: %v", i+1, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != status || resp.Close {
			t.Errorf("request %d is answered %d, closed: %v", i+1, resp.StatusCode, resp.Close)
		}
	}
}
