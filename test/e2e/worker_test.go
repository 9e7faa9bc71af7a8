package e2e_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// readiness is what /readyz answers.
type readiness struct {
	status   int
	Ready    bool     `json:"ready"`
	Problems []string `json:"problems"`
	Stopped  []struct {
		Action string `json:"action"`
		Code   string `json:"code"`
	} `json:"stopped_actions"`
	Paused []paused `json:"paused"`
}

// get asks the status server of a worker.
func (w *worker) get(path string) (status int, body string) {
	w.t.Helper()
	status, text := request(w.t, http.MethodGet, "http://"+w.addr+path, nil)
	return status, string(text)
}

func (w *worker) ready() readiness {
	w.t.Helper()
	status, body := w.get("/readyz")
	r := readiness{status: status}
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		w.t.Fatalf("/readyz: %d %s: %v", status, body, err)
	}
	return r
}

func TestStatusServer(t *testing.T) {
	t.Parallel()

	rows := grants(ids("person-", 5), ids("r", 2))
	d := setup(t, worldOf(rows))
	w := d.work()
	d.enqueue("csv", d.file("rows.csv", rows), "--wait").want(0)
	if status, body := w.get("/healthz"); status != http.StatusOK || body != "ok\n" {
		t.Errorf("/healthz = %d %q", status, body)
	}
	if r := w.ready(); r.status != http.StatusOK || !r.Ready || r.Problems == nil || r.Stopped == nil || r.Paused == nil {
		t.Errorf("/readyz = %+v, want ready and empty lists", r)
	}
	status, metrics := w.get("/metrics")
	for _, want := range []string{
		`usher_calls_total{action="SmartqAuthorize",class="ok"} 1`,
		`usher_changes_sent_total{action="SmartqAuthorize"} 10`,
		`usher_action_stopped{action="SmartqAuthorize"} 0`,
		"go_goroutines", "process_open_fds",
	} {
		if status != http.StatusOK || !strings.Contains(metrics, want) {
			t.Errorf("/metrics = %d, want it to hold %s\n%s", status, want, metrics)
		}
	}
	for _, hidden := range []string{"person-", d.sandbox.announced.AccessKeySecret} {
		if strings.Contains(w.stderr.String()+metrics, hidden) {
			t.Errorf("log or metrics of the worker show %q", hidden)
		}
	}
}
