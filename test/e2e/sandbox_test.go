package e2e_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
	"github.com/usher-bi/usher/internal/testenv"
)

// sandbox is a running stand-in for Quick BI.
type sandbox struct {
	*process

	announced struct {
		Endpoint        string `json:"endpoint"`
		AccessKeyID     string `json:"access_key_id"`
		AccessKeySecret string `json:"access_key_secret"`
	}
}

func startSandbox(t *testing.T, world quickbitest.Options) *sandbox {
	t.Helper()
	text, err := json.Marshal(world)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "world.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s := &sandbox{process: launch(t, invocation{program: "sandbox", args: []string{"--world", file, "--json"}, env: []string{"GORACE=atexit_sleep_ms=0"}})}
	testenv.Eventually(t, "the sandbox serves", func() bool {
		return strings.HasSuffix(s.stdout.String(), "\n") || s.gone()
	})
	if err := json.Unmarshal([]byte(s.stdout.String()), &s.announced); err != nil {
		t.Fatalf("the sandbox did not start: %v\n%s", err, s.stderr.tail())
	}
	t.Cleanup(s.stop)
	return s
}

// env is what a worker needs to know.
func (s *sandbox) env() []string {
	return []string{
		"QUICKBI_ENDPOINT=" + s.announced.Endpoint,
		"ALIBABA_CLOUD_ACCESS_KEY_ID=" + s.announced.AccessKeyID,
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET=" + s.announced.AccessKeySecret,
	}
}

// grants is the access in force.
func (s *sandbox) grants() []quickbitest.Grant {
	s.t.Helper()
	var out []quickbitest.Grant
	s.read("state", &out)
	return out
}

// calls is every call that was received.
func (s *sandbox) calls() []quickbitest.Call {
	s.t.Helper()
	var out []quickbitest.Call
	s.read("calls", &out)
	return out
}

func (s *sandbox) read(what string, into any) {
	s.t.Helper()
	status, body := request(s.t, http.MethodGet, s.announced.Endpoint+"/_sandbox/"+what, nil)
	if err := json.Unmarshal(body, into); status != http.StatusOK || err != nil {
		s.t.Fatalf("sandbox %s: %d, %v", what, status, err)
	}
}

// addUsers lets people join the organisation.
func (s *sandbox) addUsers(ids ...string) {
	s.t.Helper()
	s.steer(http.MethodPost, "users", map[string][]string{"add": ids})
}

// addFaults lets calls go wrong from now on.
func (s *sandbox) addFaults(faults ...quickbitest.Fault) {
	s.t.Helper()
	s.steer(http.MethodPost, "faults", faults)
}

// clearFaults ends what was scripted.
func (s *sandbox) clearFaults() {
	s.t.Helper()
	s.steer(http.MethodDelete, "faults", nil)
}

func (s *sandbox) steer(method, what string, value any) {
	s.t.Helper()
	if status, body := request(s.t, method, s.announced.Endpoint+"/_sandbox/"+what, value); status != http.StatusNoContent {
		s.t.Fatalf("sandbox %s %s: %d %s", method, what, status, body)
	}
}

// request sends one HTTP request with a JSON body, on a connection of its own.
func request(t *testing.T, method, url string, value any) (status int, body []byte) {
	t.Helper()
	var sent bytes.Buffer
	if value != nil {
		if err := json.NewEncoder(&sent).Encode(value); err != nil {
			t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, &sent)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}
