package quickbitest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

// sandbox sends a request to /_sandbox/ and returns status and body.
func (b *bench) sandbox(route, body string) (int, string) {
	b.t.Helper()
	method, path, _ := strings.Cut(route, " ")
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.http.URL+"/_sandbox/"+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	resp, err := b.http.Client().Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(out))
}

// read decodes a GET under /_sandbox/.
func read[T any](b *bench, path string) T {
	b.t.Helper()
	status, body := b.sandbox("GET "+path, "")
	var out T
	if err := json.Unmarshal([]byte(body), &out); err != nil || status != http.StatusOK {
		b.t.Fatalf("GET %s = %d %s %v", path, status, body, err)
	}
	return out
}

func (b *bench) change(route, body string) {
	b.t.Helper()
	if status, answer := b.sandbox(route, body); status != http.StatusNoContent {
		b.t.Fatalf("%s = %d %s", route, status, answer)
	}
}

func TestReadingBack(t *testing.T) {
	t.Parallel()

	b := setup(t, organisation())
	for _, path := range []string{"state", "calls", "violations"} {
		if _, body := b.sandbox("GET "+path, ""); body != "[]" {
			t.Errorf("GET %s of a fresh server = %s, want []", path, body)
		}
	}
	granted := b.call(grant("u1,gone", "LlmCubes=r1"))
	refused := b.call(grant("u1", "Nonsense=r1"))

	_, state := b.sandbox("GET state", "")
	wantState := `[{"user":"u1","kind":"qa_resource","resource":"r1","expires_on":"2026-12-31",` +
		`"granted_at":"2026-03-10T10:30:00Z","times":1,"request_id":"` + granted.doc.RequestID + `"}]`
	if state != wantState {
		t.Errorf("state = %s, want %s", state, wantState)
	}
	wantCalls := []quickbitest.Call{
		{
			Number: 1, Time: start, Action: "SmartqAuthorize", RequestID: granted.doc.RequestID, Status: 200,
			Users: 2, Resources: 1, Pairs: 2, Failed: 1, Applied: true,
			Params: map[string]string{"OperationType": "0", "UserIds": "u1,gone", "LlmCubes": "r1", "ExpireDay": "2026-12-31"},
		},
		{
			Number: 2, Time: start, Action: "SmartqAuthorize", RequestID: refused.doc.RequestID, Status: 400,
			Code: "Invalid.Parameter.Error", Violation: quickbitest.RuleParameters,
			Params: map[string]string{"OperationType": "0", "UserIds": "u1", "Nonsense": "r1", "ExpireDay": "2026-12-31"},
		},
	}
	if diff := cmp.Diff(wantCalls, read[[]quickbitest.Call](b, "calls")); diff != "" {
		t.Errorf("calls over HTTP (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(wantCalls, b.Calls()); diff != "" {
		t.Errorf("calls in Go (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(wantCalls[1:], read[[]quickbitest.Call](b, "violations")); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
	}
	if status, body := b.sandbox("GET health", ""); status != http.StatusOK || body != `{"status":"ok"}` {
		t.Errorf("health = %d %s", status, body)
	}
}

func TestSteering(t *testing.T) {
	t.Parallel()

	b := setup(t, withFaults(quickbitest.Fault{Kind: quickbitest.Refuse, Code: "first", Match: quickbitest.Match{Users: []string{"u3"}}}))
	b.change("POST users", `{"add":["n1"],"remove":["u2"]}`)
	b.change("POST resources", `{"add":{"qa_resources":["n2"],"qa_themes":["n3"],"datasets":{"n4":"n5"}},"remove":["r1"]}`)
	r := b.call(grant("n1,u2", "LlmCubes=n2,r1&LlmCubeThemes=n3&CubeIds=n4"))
	r.want(t, "")
	if got := len(r.doc.Result); got != 5 { // all four of u2, and r1 of n1
		t.Errorf("%d rows: %+v", got, r.doc.Result)
	}
	b.wantGrants("n1 qa_resource:n2 2026-12-31 x1", "n1 qa_resource:n5 2026-12-31 x1", "n1 qa_theme:n3 2026-12-31 x1")

	b.change("POST faults", `[{"kind":"throttle","retry_after":"250ms","hint":"rate_limit","times":1},{"kind":"delay","delay":"1ms"}]`)
	throttled := b.call(grant("n1", "LlmCubes=n2"))
	throttled.want(t, "Throttling.User")
	if got := throttled.header.Get("X-Ratelimit-User-Api"); !strings.Contains(got, "TimeLeft:250,") {
		t.Errorf("hint = %q", got)
	}
	b.change("DELETE faults", "")
	b.call(grant("u3", "LlmCubes=r2")).want(t, "")

	b.change("POST reset", "")
	b.wantGrants()
	if len(b.Calls()) != 0 {
		t.Errorf("calls after reset = %+v", b.Calls())
	}
	b.call(grant("u3", "LlmCubes=r1")).want(t, "first") // what New made is back
	again := b.call(grant("u2,n1", "LlmCubes=r1"))
	again.want(t, "")
	if diff := cmp.Diff([]failedPair{{"n1", "r1", "", again.doc.Result[0].DetailMessage}}, again.doc.Result); diff != "" {
		t.Errorf("rows after reset (-want +got):\n%s", diff)
	}
	if again.doc.RequestID == r.doc.RequestID {
		t.Error("a request id was used again after reset")
	}
}

func TestSteeringRefusesMistakes(t *testing.T) {
	t.Parallel()

	tests := []struct {
		route, body string
		status      int
	}{
		{"POST users", `{"added":["u1"]}`, 400},
		{"POST users", `{"add":["a,b"]}`, 400},
		{"POST users", `{"add":["x"]} {"add":["y"]}`, 400},
		{"POST users", ``, 400},
		{"POST resources", `{"add":{"themes":["t"]}}`, 400},
		{"POST resources", `{"add":{"datasets":{"d":""}}}`, 400},
		{"POST faults", `{"kind":"drop"}`, 400},
		{"POST faults", `[{"kind":"drop","time":1}]`, 400},
		{"POST faults", `[{"kind":"delay","delay":5}]`, 400},
		{"POST faults", `[{"kind":"refuse"},{"kind":"explode"}]`, 400},
		{"GET users", ``, 405},
		{"POST state", ``, 405},
		{"GET nothing", ``, 404},
	}
	for _, tt := range tests {
		t.Run(tt.route+" "+tt.body, func(t *testing.T) {
			t.Parallel()

			b := setup(t, organisation())
			status, body := b.sandbox(tt.route, tt.body)
			if status != tt.status || (status == http.StatusBadRequest && !strings.HasPrefix(body, `{"error":{"code":"invalid_request","message":"`)) {
				t.Errorf("answer = %d %s, want %d", status, body, tt.status)
			}
			b.call(grant("u1,x", "LlmCubes=r1")).want(t, "")
			if got := len(b.Grants()); got != 1 {
				t.Errorf("%d grants, want 1: a mistake changed the organisation", got)
			}
		})
	}
}

func TestLogSeesFinishedCalls(t *testing.T) {
	t.Parallel()

	logged := make(chan quickbitest.Call, 1)
	o := organisation()
	o.Log = func(c quickbitest.Call) { logged <- c }
	b := setup(t, o)
	b.call(grant("u1", "LlmCubes=r1")).want(t, "")
	if diff := cmp.Diff(b.Calls()[0], <-logged); diff != "" {
		t.Errorf("logged (-log +got):\n%s", diff)
	}
}

// TestCallUnderWay: a call is in the log before it is answered.
func TestCallUnderWay(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		o := withFaults(quickbitest.Fault{Kind: quickbitest.Delay, Delay: quickbitest.Duration(time.Hour)})
		s := quickbitest.New(&o)
		go serve(t.Context(), s)
		synctest.Wait()
		if calls := s.Calls(); len(calls) != 1 || calls[0].Status != 0 || calls[0].Applied || calls[0].Pairs != 1 || calls[0].Fault != quickbitest.Delay {
			t.Errorf("calls under way = %+v", calls)
		}
		time.Sleep(2 * time.Hour)
		if c := s.Calls()[0]; c.Status != http.StatusOK || !c.Applied {
			t.Errorf("call in the end = %+v", c)
		}
	})
}
