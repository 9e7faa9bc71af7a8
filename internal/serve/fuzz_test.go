package serve_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/usher-bi/usher/internal/serve"
	"github.com/usher-bi/usher/internal/store"
)

// Whatever is asked, the answer is no failure of the server, and what is refused
// is refused with a problem.
func FuzzRequests(f *testing.F) {
	for _, seed := range [][4]string{
		{"POST", "/v1/jobs?lane=bulk", "text/csv", threeRows},
		{"POST", "/v1/jobs", "application/x-ndjson", `{"action":"revoke","principal":"u","resource_type":"dataset","resource_id":"d"}`},
		{"POST", "/v1/jobs", "application/json", `{"rows":[{"action":"revoke"}],"reason":"x"}`},
		{"GET", "/v1/jobs?cursor=MTAx&limit=2", "", ""},
		{"GET", "/v1/jobs/01JD3Z5S2M8H0T6W9K4Q7XBRNE/results?status=failed", "", ""},
		{"POST", "/v1/jobs/01JD3Z5S2M8H0T6W9K4Q7XBRNE:cancel", "application/json", `{"reason":"x"}`},
		{"POST", "/v1/jobs/%2e%2e:retry", "application/json", "{"},
		{"PUT", "//v1//jobs", "text/csv;;", "\x00"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	w := setupFuzz(f)
	f.Fuzz(func(t *testing.T, method, target, kind, body string) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://x/", strings.NewReader(body))
		if err != nil || len(target) == 0 || target[0] != '/' {
			return
		}
		if r.URL, err = r.URL.Parse(target); err != nil {
			return
		}
		r.Header.Set("Authorization", "Bearer "+w.token)
		r.Header.Set("Idempotency-Key", "k")
		r.Header.Set("Content-Type", kind)
		answer := httptest.NewRecorder()
		w.server.ServeHTTP(answer, r)
		if answer.Code >= 500 {
			t.Fatalf("%s %q with %q is answered %d: %s", method, target, body, answer.Code, answer.Body)
		}
		if answer.Code < 400 || method == http.MethodHead {
			return
		}
		var p serve.Problem
		if err := json.Unmarshal(answer.Body.Bytes(), &p); err != nil || p.Code == "" || p.Status != answer.Code {
			t.Fatalf("%s %q is refused with %q", method, target, answer.Body)
		}
	})
}

// setupFuzz is setup without a listener.
func setupFuzz(f *testing.F) *world {
	f.Helper()
	w := &world{}
	w.open(f, func(o *serve.Options) { o.Log = zerolog.Nop() }) // the log of f is not for what its inputs do
	w.token = addToken(f, w.store, store.Token{Name: "feed", Source: "hr", LaneMost: store.Urgent})
	return w
}
