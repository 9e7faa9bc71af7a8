package quickbi_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi"
)

func TestSmartqAuthorizeParameters(t *testing.T) {
	t.Parallel()

	tests := []struct {
		name    string
		request quickbi.SmartqAuthorizeRequest
		want    map[string]string
	}{
		{
			"grant of resources and themes",
			quickbi.SmartqAuthorizeRequest{
				UserIDs: []string{"u1", "u2"}, LlmCubes: []string{"c1"}, LlmCubeThemes: []string{"t1", "t2"}, ExpireDay: "2026-12-31",
			},
			map[string]string{"OperationType": "0", "UserIds": "u1,u2", "LlmCubes": "c1", "LlmCubeThemes": "t1,t2", "ExpireDay": "2026-12-31"},
		},
		{
			"revoke of a dataset",
			quickbi.SmartqAuthorizeRequest{Operation: quickbi.SmartqRevoke, UserIDs: []string{"u1"}, CubeIDs: []string{"d1"}},
			map[string]string{"OperationType": "1", "UserIds": "u1", "CubeIds": "d1"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			var got map[string]string
			b := setup(t, bundleOptions{handler: func(w http.ResponseWriter, r *http.Request) {
				got = queryOf(t, r.URL.RawQuery)
				answers(200, `{"Success":true}`)(w, r)
			}})
			if _, err := b.client.SmartqAuthorize(t.Context(), tt.request); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("parameters (-want +got)\n%s", diff)
			}
		})
	}
}

func TestSmartqAuthorizeAnswers(t *testing.T) {
	t.Parallel()

	one := []quickbi.SmartqFailure{{UserID: "u1", LlmCube: "c1", DetailMessage: "no such thing"}}
	const row = `{"UserId":"u1","LlmCube":"c1","LlmCubeTheme":null,"DetailMessage":"no such\nthing"}`
	tests := []struct {
		name string
		body string
		want []quickbi.SmartqFailure
	}{
		{"no result", `{"RequestId":"R-1","Success":true}`, nil},
		{"null", `{"RequestId":"R-1","Success":true,"Result":null}`, nil},
		{"empty list", `{"RequestId":"R-1","Success":true,"Result":[]}`, nil},
		{"empty text", `{"RequestId":"R-1","Success":true,"Result":""}`, nil},
		{"empty list in a text", `{"RequestId":"R-1","Success":true,"Result":"[]"}`, nil},
		{"yes as a text", `{"RequestId":"R-1","Success":"True","Result":[]}`, nil},
		{"yes as a number", `{"RequestId":"R-1","Success":1}`, nil},
		{"other case, byte order mark", "\ufeff" + `{"requestId":"R-1","success":true,"result":[]}`, nil},
		{"one failure", `{"RequestId":"R-1","Success":true,"Result":[` + row + `]}`, one},
		{"one failure in a text", `{"RequestId":"R-1","Success":"true","Result":"[{\"userId\":\"u1\",\"llmCube\":\"c1\",\"detailMessage\":\"no such thing\"}]"}`, one},
		{"ids as numbers", `{"RequestId":"R-1","Success":true,"Result":[{"UserId":1234567890123456,"LlmCubeTheme":7}]}`, []quickbi.SmartqFailure{{UserID: "1234567890123456", LlmCubeTheme: "7"}}},
		{"no user", `{"RequestId":"R-1","Success":true,"Result":[{"LlmCube":"c1"}]}`, []quickbi.SmartqFailure{{LlmCube: "c1"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			b := setup(t, bundleOptions{handler: answers(200, tt.body)})
			got, err := b.client.SmartqAuthorize(t.Context(), onePair())
			if err != nil {
				t.Fatal(err)
			}
			want := quickbi.SmartqAuthorizeResponse{RequestID: "R-1", HTTPStatus: 200, Failures: tt.want}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("response (-want +got)\n%s", diff)
			}
		})
	}
}

// A yes whose failures cannot be read must not pass for "all succeeded".
func TestSmartqAuthorizeUnreadableResult(t *testing.T) {
	t.Parallel()

	for _, result := range []string{`true`, `{}`, `{"UserId":"u1"}`, `"sorry"`, `["u1"]`, `[null]`, `[{}]`, `[{"DetailMessage":"x"}]`, `"[{"`} {
		b := setup(t, bundleOptions{handler: answers(200, `{"RequestId":"R-1","Success":true,"Result":`+result+`}`)})
		_, err := b.client.SmartqAuthorize(t.Context(), onePair())
		e, ok := errors.AsType[*quickbi.AnswerError](err)
		if !ok || e.Kind != quickbi.AnswerResult || e.RequestID != "R-1" || quickbi.Classify(err) != quickbi.ClassUnknownOutcome {
			t.Errorf("Result %s: error = %v, want an unreadable result", result, err)
		}
	}
}

func TestSmartqAuthorizeRefusesLocally(t *testing.T) {
	t.Parallel()

	ids := func(n int) []string { return strings.Split(strings.Repeat("user-1 ", n-1)+"user-1", " ") }
	tests := []struct {
		name  string
		field string
		alter func(*quickbi.SmartqAuthorizeRequest)
	}{
		{"no user", "UserIDs", func(r *quickbi.SmartqAuthorizeRequest) { r.UserIDs = nil }},
		{"no resource", "LlmCubes, LlmCubeThemes and CubeIDs", func(r *quickbi.SmartqAuthorizeRequest) { r.LlmCubes = nil }},
		{"empty id", "UserIDs", func(r *quickbi.SmartqAuthorizeRequest) { r.UserIDs = []string{"user-1", ""} }},
		{"comma in a user", "UserIDs", func(r *quickbi.SmartqAuthorizeRequest) { r.UserIDs = []string{"user-1,user-2"} }},
		{"comma in a theme", "LlmCubeThemes", func(r *quickbi.SmartqAuthorizeRequest) { r.LlmCubeThemes = []string{"a,b"} }},
		{"comma in a dataset", "CubeIDs", func(r *quickbi.SmartqAuthorizeRequest) { r.LlmCubes, r.CubeIDs = nil, []string{"a,b"} }},
		{"dataset and resource", "CubeIDs", func(r *quickbi.SmartqAuthorizeRequest) { r.CubeIDs = []string{"d1"} }},
		{"101 users", "UserIDs", func(r *quickbi.SmartqAuthorizeRequest) { r.UserIDs = ids(101) }},
		{"34 × 3", "UserIDs", func(r *quickbi.SmartqAuthorizeRequest) { r.UserIDs, r.LlmCubeThemes = ids(34), []string{"t1", "t2"} }},
		{"operation", "Operation", func(r *quickbi.SmartqAuthorizeRequest) { r.Operation = 2 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			b := setup(t, bundleOptions{})
			request := onePair()
			tt.alter(&request)
			_, err := b.client.SmartqAuthorize(t.Context(), request)
			e, ok := errors.AsType[*quickbi.RequestError](err)
			if !ok || e.Field != tt.field || quickbi.Classify(err) != quickbi.ClassRequest {
				t.Errorf("error = %v, want a RequestError about %s", err, tt.field)
			}
			if got := b.hits.Load(); got != 0 {
				t.Errorf("%d requests arrived, want none", got)
			}
		})
	}
}

func TestSmartqAuthorizeAcceptsHundredCells(t *testing.T) {
	t.Parallel()

	b := setup(t, bundleOptions{})
	request := onePair()
	request.UserIDs = strings.Fields(strings.Repeat("u ", 50))
	request.LlmCubeThemes = []string{"t1"}
	if _, err := b.client.SmartqAuthorize(t.Context(), request); err != nil {
		t.Error(err)
	}
}
