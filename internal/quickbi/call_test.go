package quickbi_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi"
)

func TestUnusableAnswers(t *testing.T) {
	t.Parallel()

	cut := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		answers(http.StatusOK, `{"Success":true,`)(w, r)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    quickbi.AnswerError
		class   quickbi.Class
	}{
		{"html 503", answers(503, "\n<html>user-1</html>"), quickbi.AnswerError{Kind: quickbi.AnswerHTML, HTTPStatus: 503}, quickbi.ClassTransient},
		{"html 200", answers(200, "<!DOCTYPE html>"), quickbi.AnswerError{Kind: quickbi.AnswerHTML, HTTPStatus: 200}, quickbi.ClassUnknownOutcome},
		{"html 404", answers(404, "<p>no</p>"), quickbi.AnswerError{Kind: quickbi.AnswerHTML, HTTPStatus: 404}, quickbi.ClassAccount},
		{"html 414", answers(414, "<p>no</p>"), quickbi.AnswerError{Kind: quickbi.AnswerHTML, HTTPStatus: 414}, quickbi.ClassRequest},
		{"html 429", answers(429, "<p>no</p>", "X-Acs-Retry-After", "700"), quickbi.AnswerError{Kind: quickbi.AnswerHTML, HTTPStatus: 429, RetryAfter: 700 * time.Millisecond}, quickbi.ClassThrottled},
		{"html 418", answers(418, "<p>no</p>"), quickbi.AnswerError{Kind: quickbi.AnswerHTML, HTTPStatus: 418}, quickbi.ClassUnrecognised},
		{"empty 200", answers(200, " \n"), quickbi.AnswerError{Kind: quickbi.AnswerEmpty, HTTPStatus: 200}, quickbi.ClassUnknownOutcome},
		{"empty 502", answers(502, ""), quickbi.AnswerError{Kind: quickbi.AnswerEmpty, HTTPStatus: 502}, quickbi.ClassTransient},
		{"text", answers(200, "user-1 is fine"), quickbi.AnswerError{Kind: quickbi.AnswerNotJSON, HTTPStatus: 200}, quickbi.ClassUnknownOutcome},
		{"list", answers(200, `[true]`), quickbi.AnswerError{Kind: quickbi.AnswerUnclear, HTTPStatus: 200}, quickbi.ClassUnknownOutcome},
		{"two documents", answers(200, `{"Success":true}{"Success":false}`), quickbi.AnswerError{Kind: quickbi.AnswerNotJSON, HTTPStatus: 200}, quickbi.ClassUnknownOutcome},
		{"no verdict", answers(200, `{"Result":[]}`), quickbi.AnswerError{Kind: quickbi.AnswerUnclear, HTTPStatus: 200}, quickbi.ClassUnknownOutcome},
		{"verdict of no kind", answers(200, `{"Success":"perhaps"}`), quickbi.AnswerError{Kind: quickbi.AnswerUnclear, HTTPStatus: 200}, quickbi.ClassUnknownOutcome},
		{"yes with 500", answers(500, `{"Success":true}`), quickbi.AnswerError{Kind: quickbi.AnswerUnclear, HTTPStatus: 500}, quickbi.ClassTransient},
		{"foreign error", answers(404, `{"error":"no such route"}`), quickbi.AnswerError{Kind: quickbi.AnswerUnclear, HTTPStatus: 404}, quickbi.ClassAccount},
		{"half of a document", answers(200, `{"Success":true,"Result":[`), quickbi.AnswerError{Kind: quickbi.AnswerCutOff, HTTPStatus: 200}, quickbi.ClassUnknownOutcome},
		{"half of a refusal", answers(400, `{"Code":"Throttl`), quickbi.AnswerError{Kind: quickbi.AnswerCutOff, HTTPStatus: 400}, quickbi.ClassTransient},
		{"connection cut", cut, quickbi.AnswerError{Kind: quickbi.AnswerCutOff, HTTPStatus: 200}, quickbi.ClassUnknownOutcome},
		{"2 MiB", answers(200, `{"Success":true,"Message":"`+strings.Repeat("x", 2<<20)+`"}`), quickbi.AnswerError{Kind: quickbi.AnswerOversized, HTTPStatus: 200}, quickbi.ClassUnknownOutcome},
		{"result is a number", answers(200, `{"Success":true,"Result":3}`), quickbi.AnswerError{Kind: quickbi.AnswerResult, HTTPStatus: 200}, quickbi.ClassUnknownOutcome},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			b := setup(t, bundleOptions{handler: tt.handler})
			_, err := b.client.SmartqAuthorize(t.Context(), onePair())
			got, ok := errors.AsType[*quickbi.AnswerError](err)
			if !ok {
				t.Fatalf("error = %v, want an AnswerError", err)
			}
			flat := *got
			flat.Err = nil
			tt.want.Action, tt.want.RequestID = "SmartqAuthorize", "R-header"
			if diff := cmp.Diff(tt.want, flat); diff != "" {
				t.Errorf("answer error (-want +got)\n%s", diff)
			}
			if got := quickbi.Classify(err); got != tt.class {
				t.Errorf("class = %s, want %s", got, tt.class)
			}
			b.wantQuiet(t, err)
		})
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()

	elsewhere := setup(t, bundleOptions{})
	for _, status := range []int{301, 302, 303, 307, 308} {
		b := setup(t, bundleOptions{handler: answers(status, `{"Success":true}`, "Location", elsewhere.server.URL+"/?user-1")})
		_, err := b.client.SmartqAuthorize(t.Context(), onePair())
		if e, ok := errors.AsType[*quickbi.AnswerError](err); !ok || e.Kind != quickbi.AnswerRedirect || e.HTTPStatus != status {
			t.Errorf("%d: error = %v, want a redirect", status, err)
		}
		if got := quickbi.Classify(err); got != quickbi.ClassAccount {
			t.Errorf("%d: class = %s, want account", status, got)
		}
		b.wantQuiet(t, err)
	}
	if got := elsewhere.hits.Load(); got != 0 {
		t.Errorf("%d requests followed the redirect", got)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()

	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    quickbi.Error
		class   quickbi.Class
	}{
		{
			"documented shape",
			answers(400, `{"RequestId":"R-1","HostId":"h","Code":"User.Not.In.Organization","Message":"The user user-1\nis not.\u0000","Recommend":"https://x"}`),
			quickbi.Error{Code: "User.Not.In.Organization", Message: "The user user-1 is not.", Recommend: "https://x", HTTPStatus: 400, RequestID: "R-1"},
			quickbi.ClassUserGone,
		},
		{
			"business code with 500",
			answers(500, `{"RequestId":"R-1","Code":"Instance.Expired","Message":"m"}`),
			quickbi.Error{Code: "Instance.Expired", Message: "m", HTTPStatus: 500, RequestID: "R-1"},
			quickbi.ClassAccount,
		},
		{
			"lower-case keys, no request id in the body",
			answers(403, `{"code":"Forbidden.RAM","message":"m"}`),
			quickbi.Error{Code: "Forbidden.RAM", Message: "m", HTTPStatus: 403, RequestID: "R-header"},
			quickbi.ClassAccount,
		},
		{
			"no with 200",
			answers(200, `{"requestId":"R-1","Success":"false","Code":"Internal.System.Error"}`),
			quickbi.Error{Code: "Internal.System.Error", HTTPStatus: 200, RequestID: "R-1"},
			quickbi.ClassTransient,
		},
		{
			"no with 200, without a code",
			answers(200, `{"RequestId":7,"Success":false,"Message":{"a":1}}`),
			quickbi.Error{HTTPStatus: 200, RequestID: "7"},
			quickbi.ClassUnrecognised,
		},
		{
			"code with 200, without a verdict",
			answers(200, `{"Code":"Throttling"}`),
			quickbi.Error{Code: "Throttling", HTTPStatus: 200, RequestID: "R-header"},
			quickbi.ClassThrottled,
		},
		{
			"no with 500, without a code",
			answers(500, `{"Success":false}`),
			quickbi.Error{HTTPStatus: 500, RequestID: "R-header"},
			quickbi.ClassTransient,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			b := setup(t, bundleOptions{handler: tt.handler})
			_, err := b.client.SmartqAuthorize(t.Context(), onePair())
			got, ok := errors.AsType[*quickbi.Error](err)
			if !ok {
				t.Fatalf("error = %v, want an Error", err)
			}
			tt.want.Action = "SmartqAuthorize"
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Errorf("refusal (-want +got)\n%s", diff)
			}
			if got := quickbi.Classify(err); got != tt.class {
				t.Errorf("class = %s, want %s", got, tt.class)
			}
			b.wantQuiet(t, errors.New(err.Error()))
		})
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()

	tests := []struct {
		name    string
		headers []string
		want    time.Duration
	}{
		{"none", nil, 0},
		{"current", []string{"x-acs-retry-after", "1500"}, 1500 * time.Millisecond},
		{"current wins", []string{"x-acs-retry-after", "10", "x-ratelimit-user", "TimeLeft:9000"}, 10 * time.Millisecond},
		{"older, by API", []string{"x-ratelimit-user-api", "Limit:1,Remain:0,TimeLeft:2000,Reset:1234"}, 2 * time.Second},
		{"older, by user", []string{"x-ratelimit-user", "Limit:1,Remain:0, TimeLeft: 3000"}, 3 * time.Second},
		{"older, the larger", []string{"x-ratelimit-user-api", "TimeLeft:2000", "x-ratelimit-user", "TimeLeft:3000"}, 3 * time.Second},
		{"absurd", []string{"x-acs-retry-after", "9223372036854775807"}, 2 * time.Minute},
		{"negative", []string{"x-acs-retry-after", "-1"}, 0},
		{"no number", []string{"x-acs-retry-after", "soon", "x-ratelimit-user", "TimeLeft:x"}, 0},
		{"no number, older helps", []string{"x-acs-retry-after", "soon", "x-ratelimit-user", "TimeLeft:5"}, 5 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			b := setup(t, bundleOptions{handler: answers(400, `{"Code":"Throttling.User"}`, tt.headers...)})
			_, err := b.client.SmartqAuthorize(t.Context(), onePair())
			e, ok := errors.AsType[*quickbi.Error](err)
			if !ok || e.RetryAfter != tt.want || quickbi.Classify(err) != quickbi.ClassThrottled {
				t.Errorf("error = %#v, want throttled for %s", err, tt.want)
			}
		})
	}
}
