package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/usher-bi/usher/internal/testenv"
)

// lockedBuffer can be written and read at once.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// A job goes in with a token of the command line, is shown as the command line
// shows it, and the token is in no log.
func TestServe(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.vars["ENQUEUE_LISTEN"] = "127.0.0.1:0"
	token := strings.TrimSpace(b.run("token", "add", "feed", "--source", "hr", "--reason", "HR").want(t, exitOK).
		says(t, "It is not shown again.", "Next: enqueue serve").out)
	var environ []string
	for name, value := range b.vars {
		environ = append(environ, name+"="+value)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out, log lockedBuffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, env{Args: []string{"serve", "--json"}, Stdout: &out, Stderr: &log, Environ: environ, User: "tess@desk", Now: func() time.Time { return b.now }})
	}()
	listening := regexp.MustCompile(`"listen":"([^"]+)"`)
	testenv.Eventually(t, "it listens", func() bool { return listening.MatchString(log.String()) })
	url := "http://" + listening.FindStringSubmatch(log.String())[1]

	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	ask := func(method, path, body string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "text/csv")
		r.Header.Set("Idempotency-Key", "k")
		resp, err := (&http.Client{Transport: transport}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	status, body := ask(http.MethodPost, "/v1/jobs?reason=joiners", threeRows)
	if status != http.StatusAccepted {
		t.Fatalf("submitting answers %d: %s", status, body)
	}
	id := decode[jobDocument](t, outcome{out: body}).ID
	b.work(allGood)
	if _, body := ask(http.MethodGet, "/v1/jobs/"+id, ""); body != b.run("status", id, "--json").want(t, exitOK).out {
		t.Errorf("the intake says\n%s\nand the command line\n%s", body, b.run("status", id, "--json").out)
	}
	events := b.run("token", "list").want(t, exitOK)
	if !strings.Contains(events.out, "feed") || strings.Contains(events.out, token) {
		t.Errorf("the list is\n%s", events.out)
	}
	b.run("token", "revoke", "feed").want(t, exitOK).says(t, "Next: enqueue token list")
	if status, body := ask(http.MethodGet, "/v1/jobs", ""); status != http.StatusUnauthorized {
		t.Errorf("a token that was revoked is answered %d: %s", status, body)
	}
	stop()
	if code := <-ended; code != exitOK || out.String() != "{\"stopped\":true}\n" {
		t.Errorf("exit %d, and stdout is %q", code, out.String())
	}
	for _, secret := range []string{token, "user-1", "joiners"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	if !strings.Contains(log.String(), `"token":"feed","job":"`+id) {
		t.Errorf("the log is\n%s", log.String())
	}
}

func TestServeSettings(t *testing.T) {
	t.Parallel()

	b := offline(t)
	b.vars["ENQUEUE_LISTEN"], b.vars["ENQUEUE_TLS_CERT"], b.vars["ENQUEUE_MAX_BODY"] = "nowhere", "x.pem", "lots"
	b.run("serve").want(t, exitUsage).says(t, "DATABASE_URL: ", "REDIS_URL: ", "ENQUEUE_LISTEN: ", "ENQUEUE_TLS_CERT: ", "ENQUEUE_MAX_BODY: ")
	b.vars["DATABASE_URL"], b.vars["REDIS_URL"] = "postgres://u:s3cret@127.0.0.1:1/x", "redis://127.0.0.1:1/0"
	b.vars["ENQUEUE_LISTEN"], b.vars["ENQUEUE_MAX_BODY"] = "256.0.0.1:1", "1MiB"
	b.vars["ENQUEUE_TLS_KEY"] = "y.pem"
	b.run("serve").want(t, exitUsage).says(t, "ENQUEUE_TLS_CERT: ")
	b.vars["ENQUEUE_TLS_CERT"], b.vars["ENQUEUE_TLS_KEY"] = "", ""
	b.run("serve").want(t, exitUsage).says(t, "ENQUEUE_LISTEN: ")
}
