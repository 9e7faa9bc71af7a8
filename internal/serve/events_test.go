package serve_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/people"
	"github.com/usher-bi/usher/internal/serve"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/view"
)

const eventProfiles = `
version: "1"
expires_in: 90d
profiles:
  analyst:
    resources:
      - {type: qa_resource, id: both}
`

func (w *world) loadProfiles() {
	w.t.Helper()
	p, err := people.ParseProfiles([]byte(eventProfiles))
	if err != nil {
		w.t.Fatal(err)
	}
	if _, _, err := w.store.LoadProfiles(w.t.Context(), store.NewProfiles{Profiles: p, Content: []byte(eventProfiles)}, store.Order{Actor: "ops"}); err != nil {
		w.t.Fatal(err)
	}
}

// tell sends events.
func (w *world) tell(kind, body string) answered {
	w.t.Helper()
	return w.do(asked{method: "POST", path: "/v1/events", body: body, header: map[string]string{"Content-Type": kind}})
}

const (
	inNDJSON = "application/x-ndjson"
	inJSON   = "application/json"

	joins      = `{"event_id":"hr-1","type":"joiner","principal":"user-1","profile":"analyst","effective_at":"2026-12-01T00:00:00+08:00"}`
	leaves     = `{"event_id":"hr-2","type":"leaver","principal":"user-2","effective_at":"2026-12-01T00:00:00+08:00"}`
	joinsLater = `{"event_id":"hr-1","type":"joiner","principal":"user-1","profile":"analyst","effective_at":"2027-12-01T00:00:00+08:00"}`
)

func TestEventsAreAcceptedOnce(t *testing.T) {
	t.Parallel()

	w := setup(t)
	w.loadProfiles()
	d := decode[view.AcceptedEvents](t, w.tell(inNDJSON, joins+"\n"+leaves+"\n").want(t, http.StatusAccepted))
	if d.Accepted != 2 || d.Replayed != 0 || d.Source != "hr" || len(d.Events) != 2 ||
		d.Events[1].Line != 2 || d.Events[1].Principal != "user-2" || d.Events[1].Status != store.EventWaiting || d.Events[1].RequestedBy != "token:feed" {
		t.Errorf("accepted %+v", d)
	}

	again := w.tell(inJSON, strings.ReplaceAll(joins, ",", ",\n  ")).want(t, http.StatusOK) // as people write it
	if d := decode[view.AcceptedEvents](t, again); d.Replayed != 1 || d.Accepted != 0 || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("again: %v, %+v", again.Header, d)
	}

	withdrawal := `{"event_id":"hr-3","type":"withdraw","withdraws":"hr-2"}`
	mixed := w.do(asked{
		method: "POST", path: "/v1/events?requested_by=Ann", body: joins + "\n" + withdrawal, header: map[string]string{"Content-Type": inNDJSON},
	}).want(t, http.StatusAccepted)
	d = decode[view.AcceptedEvents](t, mixed)
	if d.Replayed != 1 || d.Accepted != 1 || d.Events[1].Withdrawn != string(store.EventWithdrawn) || d.Events[1].RequestedBy != "Ann" ||
		mixed.Header.Get("Idempotent-Replayed") != "" {
		t.Errorf("one known and one new: %+v", d)
	}

	other := w.newToken(store.Token{Name: "other", Source: "other", LaneMost: store.Bulk})
	theirs := w.do(asked{
		method: "POST", path: "/v1/events", body: joinsLater, header: map[string]string{"Content-Type": inJSON, "Authorization": "Bearer " + other},
	}).want(t, http.StatusAccepted)
	if d := decode[view.AcceptedEvents](t, theirs); d.Source != "other" {
		t.Errorf("the source is %q, want the token's", d.Source)
	}
}

func TestEventsAtFaultChangeNothing(t *testing.T) {
	t.Parallel()

	w := setup(t)
	w.loadProfiles()
	w.tell(inJSON, joins).want(t, http.StatusAccepted)

	p := w.tell(inNDJSON, leaves+"\n"+joinsLater).problem(t, http.StatusUnprocessableEntity, "event_id_reused")
	if len(p.Errors) != 1 || p.Errors[0].Line != 2 || p.Errors[0].Column != "event_id" {
		t.Errorf("another event with the id: %+v", p.Errors)
	}
	unknown := strings.ReplaceAll(strings.ReplaceAll(joins, "hr-1", "hr-9"), "analyst", "nobody")
	if p := w.tell(inJSON, unknown).problem(t, http.StatusUnprocessableEntity, "input_rejected"); len(p.Errors) != 1 || p.Errors[0].Code != people.CodeUnknownProfile {
		t.Errorf("an unknown profile: %+v", p.Errors)
	}
	p = w.tell(inNDJSON, leaves+"\n{\"event_id\":\"x\",\"type\":\"quits\"}\nnothing\n").problem(t, http.StatusUnprocessableEntity, "input_rejected")
	if len(p.Errors) != 2 || p.Errors[0].Line != 2 || p.Errors[1].Line != 3 || p.Rows != 3 {
		t.Errorf("malformed events: %+v", p)
	}
	if d := decode[view.AcceptedEvents](t, w.tell(inJSON, leaves).want(t, http.StatusAccepted)); d.Accepted != 1 {
		t.Errorf("an event that stood beside refused ones is known: %+v", d)
	}

	raw := func(a asked) answered {
		a.method, a.raw = "POST", true
		return w.do(a)
	}
	raw(asked{path: "/v1/events", body: `{"event_id":`, header: map[string]string{"Content-Type": inJSON}}).problem(t, http.StatusBadRequest, "invalid_json")
	raw(asked{path: "/v1/events", body: joins, header: map[string]string{"Content-Type": "text/csv"}}).problem(t, http.StatusUnsupportedMediaType, "content_type")
	raw(asked{path: "/v1/events?lane=bulk", body: joins, header: map[string]string{"Content-Type": inJSON}}).problem(t, http.StatusBadRequest, "invalid_parameter")
	raw(asked{path: "/v1/events", body: joins, header: map[string]string{"Content-Type": inJSON, "Authorization": ""}}).problem(t, http.StatusUnauthorized, "token_missing")
	raw(asked{path: "/v1/events", body: `"` + strings.Repeat("x", 70_000) + `"`, header: map[string]string{"Content-Type": inJSON}}).
		problem(t, http.StatusRequestEntityTooLarge, "body_too_large")

	half := w.newToken(store.Token{Name: "half", Source: "hr", LaneMost: store.Urgent, Operations: []access.Operation{access.Grant}})
	w.do(asked{method: "POST", path: "/v1/events", body: joins, header: map[string]string{"Content-Type": inJSON, "Authorization": "Bearer " + half}}).
		problem(t, http.StatusForbidden, "action_not_allowed")
}

func TestGuardsHoldWhatComesOverHTTP(t *testing.T) {
	t.Parallel()

	w := setup(t, func(o *serve.Options) { o.Guards = store.Guards{MaxRevokes: 1} })
	const revokes = "action,principal,resource_type,resource_id\nrevoke,user-1,qa_theme,t-1\nrevoke,user-2,qa_theme,t-1\n"
	ndjson := `{"action":"revoke","principal":"user-3","resource_type":"qa_theme","resource_id":"t-1"}` + "\n" +
		`{"action":"revoke","principal":"user-4","resource_type":"qa_theme","resource_id":"t-1"}` + "\n"
	for key, sent := range map[string]answered{
		"csv":    w.post("csv", revokes, nil),
		"ndjson": w.post("ndjson", ndjson, map[string]string{"Content-Type": inNDJSON}),
	} {
		held := decode[struct {
			ID     string
			Status store.JobStatus
			Paused []store.Pause
		}](t, sent.want(t, http.StatusAccepted))
		if len(held.Paused) != 1 || held.Paused[0].Guard != store.GuardRevokes || held.Paused[0].Reason == "" || held.Status != store.JobPaused {
			t.Errorf("%s: %+v", key, held)
		}
		w.do(asked{method: "POST", path: "/v1/jobs/" + held.ID + ":resume"}).problem(t, http.StatusConflict, "held_by_guard")
	}
	if fine := decode[store.Job](t, w.post("fine", threeRows, nil).want(t, http.StatusAccepted)); fine.Status == store.JobPaused {
		t.Error("a job within the guards is held")
	}
}
