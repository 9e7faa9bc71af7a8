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
	raw(asked{path: "/v1/events?requested_by=token:other", body: joins, header: map[string]string{"Content-Type": inJSON}}).problem(t, http.StatusBadRequest, "invalid_parameter")
	raw(asked{path: "/v1/events?lane=bulk", body: joins, header: map[string]string{"Content-Type": inJSON}}).problem(t, http.StatusBadRequest, "invalid_parameter")
	raw(asked{path: "/v1/events", body: joins, header: map[string]string{"Content-Type": inJSON, "Authorization": ""}}).problem(t, http.StatusUnauthorized, "token_missing")
	raw(asked{path: "/v1/events", body: `"` + strings.Repeat("x", 70_000) + `"`, header: map[string]string{"Content-Type": inJSON}}).
		problem(t, http.StatusRequestEntityTooLarge, "body_too_large")

	half := w.newToken(store.Token{Name: "half", Source: "hr", LaneMost: store.Urgent, Operations: []access.Operation{access.Grant}})
	w.do(asked{method: "POST", path: "/v1/events", body: joins, header: map[string]string{"Content-Type": inJSON, "Authorization": "Bearer " + half}}).
		problem(t, http.StatusForbidden, "action_not_allowed")
}

// However well events are packed, they are no longer than a body may be.
func TestPackedEventsAreBounded(t *testing.T) {
	t.Parallel()

	w := setup(t, func(o *serve.Options) { o.MaxBytes = 100_000 })
	w.loadProfiles()
	tell := func(body string) answered {
		return w.do(asked{method: "POST", path: "/v1/events", body: zipped(t, body), header: map[string]string{"Content-Type": inNDJSON, "Content-Encoding": "gzip"}})
	}
	long := `{"event_id":"` + strings.Repeat("x", 60_000) + `","type":"leaver"}` + "\n"
	if p := tell(strings.Repeat(long, 100)).problem(t, http.StatusRequestEntityTooLarge, "body_too_large"); p.Limit != 100_000 {
		t.Errorf("the limit is %d", p.Limit)
	}
	p := tell(long).problem(t, http.StatusUnprocessableEntity, "input_rejected")
	if p.Detail != "3 problems in 1 event; nothing was accepted" || len(p.Errors) != 3 {
		t.Errorf("an id that is too long: %+v", p)
	}
	tell(joins).want(t, http.StatusAccepted)
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

// A feed sees what became of its own events, and of a leaver what was found.
func TestEventsAreListed(t *testing.T) {
	t.Parallel()

	w := setup(t)
	w.loadProfiles()
	ctx := w.t.Context()
	left := strings.Replace(leaves, "2026-12", "2026-01", 1)
	w.tell(inNDJSON, joins+"\n"+left+"\n").want(t, http.StatusAccepted)
	due, err := w.store.DueEvents(ctx, 10)
	if err != nil || len(due) != 1 {
		t.Fatalf("due are %+v, %v", due, err)
	}
	if _, err := w.store.BeginEvent(ctx, due[0].Key(), 0); err != nil {
		t.Fatal(err)
	}
	if err := w.store.EventApplied(ctx, store.AppliedEvent{EventKey: due[0].Key(), Open: true, Actor: "w"}); err != nil {
		t.Fatal(err)
	}
	found := store.Remains{Found: []store.Remnant{{ResourceType: access.Dashboard, ResourceID: "d", Finding: store.FoundGone}, {ResourceID: "x", Finding: store.FoundForeign, Detail: "PAGE"}}}
	if err := w.store.RemainsFound(ctx, due[0], &found, "w"); err != nil {
		t.Fatal(err)
	}
	type document struct {
		Events []view.Event `json:"events"`
		More   bool         `json:"more"`
	}
	get := func(query string, header map[string]string) answered {
		t.Helper()
		return w.do(asked{method: "GET", path: "/v1/events?" + query, header: header})
	}
	if d := decode[document](t, get("open=true", nil).want(t, http.StatusOK)); d.More || len(d.Events) != 1 || !d.Events[0].Open ||
		len(d.Events[0].ReadBack.Found) != 2 || d.Events[0].ReadBack.Found[1].Finding != store.FoundForeign {
		t.Errorf("open are %+v", d)
	}
	if d := decode[document](t, get("principal=user-1", nil).want(t, http.StatusOK)); len(d.Events) != 1 || d.Events[0].ID != "hr-1" {
		t.Errorf("events of a person are %+v", d)
	}
	other := w.newToken(store.Token{Name: "other", Source: "other", LaneMost: store.Bulk})
	for _, query := range []string{"open=true", "principal=user-2"} {
		if d := decode[document](t, get(query, map[string]string{"Authorization": "Bearer " + other}).want(t, http.StatusOK)); len(d.Events) != 0 {
			t.Errorf("%s tells another source %+v", query, d)
		}
	}
	for _, query := range []string{"", "open=false", "principal=", "principal=u&open=true", "lane=bulk"} {
		w.do(asked{method: "GET", path: "/v1/events?" + query, raw: true}).problem(t, http.StatusBadRequest, "invalid_parameter")
	}
}
