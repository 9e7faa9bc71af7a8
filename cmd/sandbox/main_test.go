package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lines collects what is written, for readers of another goroutine.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// running is a sandbox that serves.
type running struct {
	t      *testing.T
	out    *bufio.Reader
	err    *lines
	cancel context.CancelFunc
	done   chan error
}

func start(t *testing.T, stdin string, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	r := &running{t: t, out: bufio.NewReader(reader), err: &lines{}, cancel: cancel, done: make(chan error, 1)}
	go func() {
		r.done <- run(ctx, args, streams{in: strings.NewReader(stdin), out: writer, err: r.err})
		_ = writer.Close()
	}()
	t.Cleanup(cancel)
	return r
}

// line returns the next line of stdout.
func (r *running) line() string {
	r.t.Helper()
	line, err := r.out.ReadString('\n')
	if err != nil {
		r.t.Fatalf("reading stdout: %v; stderr: %s", err, r.err)
	}
	return strings.TrimSpace(line)
}

// stop ends the sandbox as a signal would, and returns what else it printed.
func (r *running) stop() string {
	r.t.Helper()
	r.cancel()
	rest, err := io.ReadAll(r.out)
	if err := errors.Join(err, <-r.done); err != nil {
		r.t.Errorf("run() = %v, want a clean end", err)
	}
	return string(rest)
}

func do(t *testing.T, method, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(body))
}

func TestExportLines(t *testing.T) {
	t.Parallel()

	r := start(t, `{"access_key_secret":"it's","users":["u1"],"works":[{"id":"w1","type":"cube"}]}`, "--world", "-", "--verbose")
	endpoint, ok := strings.CutPrefix(r.line(), "export QUICKBI_ENDPOINT=")
	if !ok || !regexp.MustCompile(`^http://127\.0\.0\.1:[0-9]+$`).MatchString(endpoint) {
		t.Fatalf("endpoint = %q", endpoint)
	}
	for _, want := range []string{
		"export QUICKBI_CREDENTIALS=env",
		"export ALIBABA_CLOUD_ACCESS_KEY_ID=sandbox-access-key-id",
		`export ALIBABA_CLOUD_ACCESS_KEY_SECRET='it'\''s'`,
		"export ALIBABA_CLOUD_SECURITY_TOKEN=''",
	} {
		if got := r.line(); got != want {
			t.Errorf("line = %s, want %s", got, want)
		}
	}
	if status, body := do(t, http.MethodGet, endpoint+"/_sandbox/health"); status != http.StatusOK || body != `{"status":"ok"}` {
		t.Errorf("health = %d %s", status, body)
	}
	if status, body := do(t, http.MethodPost, endpoint+"/"); status != http.StatusBadRequest || !strings.Contains(body, `"Code":"InvalidFormat"`) {
		t.Errorf("API = %d %s", status, body)
	}
	if rest := r.stop(); rest != "" {
		t.Errorf("stdout goes on: %q", rest)
	}
	for _, want := range []string{"serving 1 users", "1 works, 0 workspaces", "curl " + endpoint + "/_sandbox/state", "code=InvalidFormat"} {
		if !strings.Contains(r.err.String(), want) {
			t.Errorf("stderr %q does not say %q", r.err, want)
		}
	}
	if strings.Contains(r.err.String(), "it's") {
		t.Error("the secret is in the log")
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()

	file := filepath.Join(t.TempDir(), "world.json")
	if err := os.WriteFile(file, []byte(`{"access_key_id":"k","access_key_secret":"s","security_token":"t"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, "", "--json", "--world", file, "--rate", "50/s", "--latency", "20ms", "--listen", "localhost:0")
	var got map[string]string
	if err := json.Unmarshal([]byte(r.line()), &got); err != nil {
		t.Fatal(err)
	}
	if got["access_key_id"] != "k" || got["access_key_secret"] != "s" || got["security_token"] != "t" {
		t.Errorf("announcement = %v", got)
	}
	if status, body := do(t, http.MethodGet, got["state"]); status != http.StatusOK || body != "[]" {
		t.Errorf("state = %d %s", status, body)
	}
	if rest := r.stop(); rest != "" {
		t.Errorf("stdout goes on: %q", rest)
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()

	tests := []struct {
		name, stdin string
		args        []string
		code        int
		want        string
	}{
		{"open to others", "", []string{"--listen", "0.0.0.0:0"}, 2, "loopback only"},
		{"every interface", "", []string{"--listen", ":0"}, 2, "loopback only"},
		{"a name", "", []string{"--listen", "example.com:80"}, 2, "loopback only"},
		{"no port", "", []string{"--listen", "127.0.0.1"}, 2, "missing port"},
		{"address not ours", "", []string{"--listen", "127.0.0.1:99999"}, 1, "invalid port"},
		{"rate", "", []string{"--rate", "50"}, 2, "like 50/s"},
		{"negative rate", "", []string{"--rate", "-1/s"}, 2, "like 50/s"},
		{"latency", "", []string{"--latency", "-1s"}, 2, "latency"},
		{"unknown flag", "", []string{"--wrold", "x"}, 2, "--wrold"},
		{"argument", "", []string{"world.json"}, 2, "world.json"},
		{"no such world", "", []string{"--world", "testdata/none.json"}, 2, "none.json"},
		{"misspelt world", `{"user":["u1"]}`, []string{"--world", "-"}, 2, `"user"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			var out, log bytes.Buffer
			err := run(t.Context(), tt.args, streams{in: strings.NewReader(tt.stdin), out: &out, err: &log})
			if err == nil || !strings.Contains(err.Error(), tt.want) || exitCode(err) != tt.code {
				t.Errorf("run() = %v, exit code %d, want %q and %d", err, exitCode(err), tt.want, tt.code)
			}
			if out.Len() > 0 {
				t.Errorf("stdout = %s", &out)
			}

			err = run(t.Context(), append(tt.args, "--json"), streams{in: strings.NewReader(tt.stdin), out: &out, err: &log})
			var doc struct {
				Error struct {
					Code    string `json:"code"`
					Message string `json:"message"`
				} `json:"error"`
			}
			if jsonErr := json.Unmarshal(out.Bytes(), &doc); jsonErr != nil || doc.Error.Message != err.Error() {
				t.Errorf("stdout = %s, %v, want one document with %q", &out, jsonErr, err)
			}
			if want := map[int]string{1: "error", 2: "usage"}[tt.code]; doc.Error.Code != want {
				t.Errorf("code = %q, want %q", doc.Error.Code, want)
			}
		})
	}
}

func TestFlagsOverruleTheWorld(t *testing.T) {
	t.Parallel()

	const world = `{"rate":5,"rates":{"SmartqAuthorize":1},"latency":"1h","latency_max":"2h"}`
	a := app{std: streams{in: strings.NewReader(world)}}
	cmd := a.command(t.Context())
	if err := cmd.ParseFlags([]string{"--world", "-", "--rate", "0/s", "--latency", "0s"}); err != nil {
		t.Fatal(err)
	}
	o, err := a.options(cmd)
	if err != nil || o.Rate != 0 || len(o.Rates) > 0 || o.Latency != 0 || o.LatencyMax != 0 {
		t.Errorf("options = %+v, %v", o, err)
	}
}

func TestHelpBeginsWithAnExample(t *testing.T) {
	t.Parallel()

	var out bytes.Buffer
	if err := run(t.Context(), []string{"--help"}, streams{out: &out, err: io.Discard}); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "  sandbox ") || !strings.Contains(out.String(), "--world file") {
		t.Errorf("help = %s", &out)
	}
}

// TestHelpNamesEveryField: who writes a world finds all of it in the help.
func TestHelpNamesEveryField(t *testing.T) {
	t.Parallel()

	for field := range reflect.TypeFor[quickbitest.Options]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name != "-" && !regexp.MustCompile(`\b`+name+`\b`).MatchString(long) {
			t.Errorf("the help does not say %s", name)
		}
	}
}

func TestExitCodeOfSuccess(t *testing.T) {
	t.Parallel()

	if got := exitCode(nil); got != 0 {
		t.Errorf("exitCode(nil) = %d", got)
	}
}
