package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
	"github.com/usher-bi/usher/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// buffer is a stream that a running program writes and a test reads.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func execute(ctx context.Context, vars map[string]string, args ...string) (code int, stdout, stderr string) {
	var out, errOut buffer
	var environ []string
	for name, value := range vars {
		environ = append(environ, name+"="+value)
	}
	code = run(ctx, environment{args: args, getenv: func(k string) string { return vars[k] }, environ: environ, stdout: &out, stderr: &errOut})
	return code, out.String(), errOut.String()
}

// deployment is everything that a worker needs, and nobody listening at Quick
// BI: these tests send no call.
func deployment(tb testing.TB) map[string]string {
	tb.Helper()
	return map[string]string{
		"DATABASE_URL": testenv.Postgres(tb), "REDIS_URL": testenv.Redis(tb), "QUICKBI_ENDPOINT": "http://127.0.0.1:9",
		"ALIBABA_CLOUD_ACCESS_KEY_ID": quickbitest.DefaultAccessKeyID, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": quickbitest.DefaultAccessKeySecret,
		"WORKER_LISTEN": "127.0.0.1:0", "LOG_FORMAT": "json",
	}
}

func TestHelpAndMistakes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string // in stdout if all is well, else in stderr
	}{
		{"no command", nil, exitOK, "worker migrate"},
		{"help", []string{"run", "--help"}, exitOK, "worker run"},
		{"version", []string{"--version"}, exitOK, "worker version"},
		{"unknown command", []string{"walk"}, exitUsage, "walk"},
		{"unknown flag", []string{"run", "--fast"}, exitUsage, "--fast"},
		{"an argument too many", []string{"migrate", "now"}, exitUsage, "now"},
		{"no settings", []string{"run"}, exitUsage, "DATABASE_URL: not set"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := execute(t.Context(), nil, tt.args...)
			said := stderr
			if tt.code == exitOK {
				said = stdout
			}
			if code != tt.code || !strings.Contains(said, tt.want) {
				t.Errorf("exit %d, want %d; said:\n%s\nwant %q in it", code, tt.code, said, tt.want)
			}
		})
	}
}

func TestWhoIsAwayIsNamed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, variable, value string
		args                  []string
		code                  int
		want                  string
	}{
		{"Postgres", "DATABASE_URL", "postgres://u:secret@127.0.0.1:1/db", []string{"migrate"}, exitUnreachable, "Postgres cannot be reached"},
		{"plain http to the outside", "QUICKBI_ENDPOINT", "http://example.com", []string{"run"}, exitUsage, "QUICKBI_ENDPOINT"},
		{"the port is taken", "WORKER_LISTEN", "256.0.0.1:1", []string{"run"}, exitUsage, "WORKER_LISTEN"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			vars := deployment(t)
			vars[tt.variable] = tt.value
			code, _, stderr := execute(t.Context(), vars, tt.args...)
			if code != tt.code || !strings.Contains(stderr, tt.want) || strings.Contains(stderr, "secret@") {
				t.Errorf("exit %d, want %d and %q:\n%s", code, tt.code, tt.want, stderr)
			}
		})
	}
}

func TestDatabaseMustBeMigrated(t *testing.T) {
	t.Parallel()
	vars := deployment(t)
	vars["DATABASE_URL"] = testenv.EmptyPostgres(t)
	if code, _, stderr := execute(t.Context(), vars, "run"); code != exitUnreachable || !strings.Contains(stderr, "worker migrate") {
		t.Errorf("exit %d, want %d and what to run:\n%s", code, exitUnreachable, stderr)
	}
	for range 2 { // the second finds nothing to do
		if code, _, stderr := execute(t.Context(), vars, "migrate"); code != exitOK {
			t.Fatalf("migrate: exit %d:\n%s", code, stderr)
		}
	}
}

func TestWorkerAnswersForItselfUntilItIsStopped(t *testing.T) {
	t.Parallel()
	vars := deployment(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var errOut buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, environment{
			args: []string{"run"}, getenv: func(k string) string { return vars[k] }, stdout: io.Discard, stderr: &errOut,
		})
	}()
	address := listening(t, &errOut)
	for path, want := range map[string]string{
		"/healthz": "ok", "/readyz": `"ready":true`, "/metrics": "usher_action_stopped",
	} {
		testenv.Eventually(t, path+" answers "+want, func() bool {
			status, body := get(t, "http://"+address+path)
			return status == http.StatusOK && strings.Contains(body, want)
		})
	}
	stop()
	if code := <-ended; code != exitOK {
		t.Errorf("exit %d after the signal, want %d:\n%s", code, exitOK, errOut.String())
	}
	if strings.Contains(errOut.String(), vars["ALIBABA_CLOUD_ACCESS_KEY_SECRET"]) {
		t.Error("the log holds the secret")
	}
}

// listening waits until the worker that logs to errOut listens, and returns
// where.
func listening(t *testing.T, errOut *buffer) string {
	t.Helper()
	address := ""
	testenv.Eventually(t, "the worker listens", func() bool {
		for line := range strings.Lines(errOut.String()) {
			var entry struct {
				Listen string `json:"listen"`
			}
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Listen != "" {
				address = entry.Listen
			}
		}
		return address != ""
	})
	return address
}

// get returns what url answers, and 0 if nobody does.
func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, ""
	}
	return resp.StatusCode, string(text)
}
