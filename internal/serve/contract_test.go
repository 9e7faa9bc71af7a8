package serve_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// contract is the published description, more strictly taken: an answer may have
// no member that is not described, though a later version may add some.
type contract struct {
	doc    *openapi3.T
	router routers.Router
}

func newContract(t *testing.T) *contract {
	t.Helper()
	text, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatalf("the description is not sound: %v", err)
	}
	for _, schema := range doc.Components.Schemas {
		closeSchema(schema)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return &contract{doc: doc, router: router}
}

// closeSchema forbids what is not described.
func closeSchema(ref *openapi3.SchemaRef) {
	if ref == nil || ref.Value == nil {
		return
	}
	s := ref.Value
	if len(s.Properties) > 0 && s.AdditionalProperties.Has == nil && s.AdditionalProperties.Schema == nil {
		s.AdditionalProperties.Has = new(false)
	}
	if ref.Ref != "" { // it is closed by itself
		return
	}
	for _, p := range s.Properties {
		closeSchema(p)
	}
	closeSchema(s.Items)
}

// exchange is a request and its answer, both with bodies to read.
type exchange struct {
	request  *http.Request
	response *http.Response
	lax      bool // the request is meant to break the contract
}

// check holds an exchange against the contract.
func (c *contract) check(t *testing.T, e exchange) {
	t.Helper()
	name := e.request.Method + " " + e.request.URL.Path
	e.request.URL.Host, e.request.URL.Scheme, e.request.Host = "", "", ""
	route, params, err := c.router.FindRoute(e.request)
	if err != nil {
		if !e.lax {
			t.Errorf("%s is not described: %v", name, err)
		}
		return
	}
	in := &openapi3filter.RequestValidationInput{
		Request: e.request, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true, SkipSettingDefaults: true},
	}
	kind, _, _ := strings.Cut(e.request.Header.Get("Content-Type"), ";")
	in.Options.ExcludeRequestBody = kind != "application/json" || e.request.Header.Get("Content-Encoding") != "" // what is text is no JSON to judge
	if !e.lax {
		if err := openapi3filter.ValidateRequest(t.Context(), in); err != nil {
			t.Errorf("the request %s is not as described: %v", name, err)
		}
	}
	kind, _, _ = strings.Cut(e.response.Header.Get("Content-Type"), ";")
	body, _ := io.ReadAll(e.response.Body) // from memory
	e.response.Body = io.NopCloser(bytes.NewReader(body))
	in.Options.ExcludeResponseBody = !strings.HasSuffix(kind, "json") || strings.HasSuffix(kind, "ndjson")
	described := route.Operation.Responses.Status(e.response.StatusCode)
	if described != nil && in.Options.ExcludeResponseBody && len(body) > 0 && described.Value.Content.Get(kind) == nil {
		t.Errorf("%s answers with %s, which is not described", name, kind)
	}
	err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: e.response.StatusCode, Header: e.response.Header,
		Body: io.NopCloser(bytes.NewReader(body)), Options: in.Options,
	})
	if err != nil {
		t.Errorf("the answer %d to %s is not as described: %v\n%s", e.response.StatusCode, name, err, body)
	}
}

// What can befall every request of its kind is described for each of them.
func TestEveryRefusalIsDescribed(t *testing.T) {
	t.Parallel()

	c := newContract(t)
	for path, item := range c.doc.Paths.Map() {
		if !strings.HasPrefix(path, "/v1/") {
			continue
		}
		for method, operation := range item.Operations() {
			want := []int{http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable}
			if operation.RequestBody != nil {
				want = append(want, http.StatusBadRequest, http.StatusForbidden, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
			}
			if strings.Contains(path, "{id}") {
				want = append(want, http.StatusNotFound)
			}
			if strings.Contains(path, "{id}:") {
				want = append(want, http.StatusConflict)
			}
			for _, status := range want {
				if operation.Responses.Status(status) == nil {
					t.Errorf("%s %s can be answered %d, which is not described", method, path, status)
				}
			}
		}
	}
	w := setup(t)
	for _, verb := range []string{"cancel", "pause", "resume", "retry"} {
		w.do(asked{
			method: "POST", path: "/v1/jobs/" + w.job(verb) + ":" + verb, body: `{"reason":"` + strings.Repeat("x", 70_000) + `"}`,
			header: map[string]string{"Content-Type": "application/json"}, raw: true,
		}).problem(t, http.StatusRequestEntityTooLarge, "body_too_large")
	}
}
