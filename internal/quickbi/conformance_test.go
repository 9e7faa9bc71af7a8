package quickbi_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi"
	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

// counterpart is an end of the API that knows nothing of the client, and what
// may be granted and revoked there.
type counterpart struct {
	endpoint       string
	credentials    quickbi.Credentials
	user, resource string
}

// client returns a client of c with its own credentials, unless o names others.
func (c counterpart) client(t *testing.T, o bundleOptions) *quickbi.Client {
	t.Helper()
	if o.source == nil {
		o.source = quickbi.StaticCredentials(c.credentials)
	}
	return newClient(t, c.endpoint, o)
}

// request is about the user and resource of c.
func (c counterpart) request(op quickbi.SmartqOperation) quickbi.SmartqAuthorizeRequest {
	r := quickbi.SmartqAuthorizeRequest{Operation: op, UserIDs: []string{c.user}, LlmCubes: []string{c.resource}}
	if op == quickbi.SmartqGrant {
		r.ExpireDay = time.Now().AddDate(0, 0, 2).Format(time.DateOnly)
	}
	return r
}

// conformance is what holds against every counterpart. The checks run one after
// the other, since they share a user.
var conformance = []struct {
	name  string
	check func(*testing.T, counterpart)
}{
	{"parameters in the query", func(t *testing.T, c counterpart) { t.Helper(); grantsAndRevokes(t, c, false) }},
	{"parameters in the body", func(t *testing.T, c counterpart) { t.Helper(); grantsAndRevokes(t, c, true) }},
	{"unknown user", blamesTheUnknownUser},
	{"clock", refusesWrongClocks},
	{"nonce", refusesUsedNonce},
	{"keys", refusesWrongKeys},
}

func TestConformance(t *testing.T) {
	t.Parallel()

	for _, against := range []struct {
		name string
		open func(*testing.T) counterpart
	}{
		{"stand-in", func(t *testing.T) counterpart { t.Helper(); return standIn(t, "") }},
		{"stand-in with temporary credentials", func(t *testing.T) counterpart { t.Helper(); return standIn(t, "token/+=") }},
		{"live", live},
	} {
		t.Run(against.name, func(t *testing.T) {
			t.Parallel()

			c := against.open(t)
			for _, tt := range conformance {
				t.Run(tt.name, func(t *testing.T) { tt.check(t, c) })
			}
		})
	}
}

// standIn is the stand-in, with temporary credentials unless token is empty.
func standIn(t *testing.T, token string) counterpart {
	t.Helper()
	server := httptest.NewServer(quickbitest.New(&quickbitest.Options{
		SecurityToken: token, Users: []string{"u1"}, QAResources: []string{"r1"},
	}))
	t.Cleanup(server.Close)
	return counterpart{
		endpoint: server.URL, user: "u1", resource: "r1",
		credentials: quickbi.Credentials{
			AccessKeyID: quickbitest.DefaultAccessKeyID, AccessKeySecret: quickbitest.DefaultAccessKeySecret, SecurityToken: token,
		},
	}
}

// live is the endpoint that the environment names.
func live(t *testing.T) counterpart {
	t.Helper()
	const prefix = "QUICKBI_LIVE_"
	c := counterpart{endpoint: os.Getenv(prefix + "ENDPOINT"), user: os.Getenv(prefix + "USER"), resource: os.Getenv(prefix + "RESOURCE")}
	c.credentials = quickbi.Credentials{
		AccessKeyID: os.Getenv(prefix + "ACCESS_KEY_ID"), AccessKeySecret: os.Getenv(prefix + "ACCESS_KEY_SECRET"),
		SecurityToken: os.Getenv(prefix + "SECURITY_TOKEN"),
	}
	if slices.Contains([]string{c.endpoint, c.user, c.resource, c.credentials.AccessKeyID, c.credentials.AccessKeySecret}, "") {
		t.Skip("to check the client against a real Quick BI set QUICKBI_LIVE_ENDPOINT, QUICKBI_LIVE_ACCESS_KEY_ID, " +
			"QUICKBI_LIVE_ACCESS_KEY_SECRET, for STS also QUICKBI_LIVE_SECURITY_TOKEN, and QUICKBI_LIVE_USER and QUICKBI_LIVE_RESOURCE: " +
			"a user id and a Q&A resource id whose access nobody misses, because it is granted and then revoked")
	}
	return c
}

func grantsAndRevokes(t *testing.T, c counterpart, inBody bool) {
	t.Helper()
	client := c.client(t, bundleOptions{options: quickbi.Options{ParamsInBody: inBody}})
	ids := map[string]bool{}
	for _, op := range []quickbi.SmartqOperation{
		quickbi.SmartqGrant, quickbi.SmartqGrant, quickbi.SmartqRevoke, quickbi.SmartqRevoke, // both may be repeated
	} {
		got, err := client.SmartqAuthorize(t.Context(), c.request(op))
		if err != nil || got.HTTPStatus != 200 || len(got.Failures) > 0 {
			t.Fatalf("operation %d: %+v, %v", op, got, err)
		}
		ids[got.RequestID] = true
	}
	if len(ids) != 4 || ids[""] {
		t.Errorf("request ids = %v, want one a call", ids)
	}
}

// blamesTheUnknownUser bears both ways of the API: a row, or a refusal.
func blamesTheUnknownUser(t *testing.T, c counterpart) {
	t.Helper()
	const nobody = "usher-conformance-nobody"
	r := c.request(quickbi.SmartqGrant)
	r.UserIDs = []string{nobody}
	got, err := c.client(t, bundleOptions{}).SmartqAuthorize(t.Context(), r)
	if err != nil {
		if class := quickbi.Classify(err); class != quickbi.ClassUserGone && class != quickbi.ClassUser {
			t.Errorf("%v is of class %s, want one that blames the user", err, class)
		}
		return
	}
	if len(got.Failures) != 1 || got.Failures[0].UserID != nobody || got.Failures[0].LlmCube != c.resource || got.Failures[0].DetailMessage == "" {
		t.Errorf("failures = %+v, want the one pair and why", got.Failures)
	}
}

func refusesWrongClocks(t *testing.T, c counterpart) {
	t.Helper()
	for _, off := range []time.Duration{-16 * time.Minute, 16 * time.Minute} {
		client := c.client(t, bundleOptions{options: quickbi.Options{Now: func() time.Time { return time.Now().Add(off) }}})
		_, err := client.SmartqAuthorize(t.Context(), c.request(quickbi.SmartqRevoke))
		wantMeaning(t, err, "clock_skew")
	}
}

func refusesUsedNonce(t *testing.T, c counterpart) {
	t.Helper()
	nonce := fmt.Sprintf("conformance-%d", time.Now().UnixNano())
	client := c.client(t, bundleOptions{options: quickbi.Options{Nonce: func() string { return nonce }}})
	if _, err := client.SmartqAuthorize(t.Context(), c.request(quickbi.SmartqRevoke)); err != nil {
		t.Fatal(err)
	}
	_, err := client.SmartqAuthorize(t.Context(), c.request(quickbi.SmartqRevoke))
	wantMeaning(t, err, "nonce_reused")
}

func refusesWrongKeys(t *testing.T, c counterpart) {
	t.Helper()
	for code, alter := range map[string]func(*quickbi.Credentials){
		"signature_rejected":   func(k *quickbi.Credentials) { k.AccessKeySecret += "x" },
		"credentials_rejected": func(k *quickbi.Credentials) { k.AccessKeyID = "usher-no-such-key" },
	} {
		keys := c.credentials
		alter(&keys)
		client := c.client(t, bundleOptions{source: quickbi.StaticCredentials(keys)})
		_, err := client.SmartqAuthorize(t.Context(), c.request(quickbi.SmartqRevoke))
		wantMeaning(t, err, code)
		if err != nil && strings.Contains(fmt.Sprintf("%+v", err), keys.AccessKeySecret) {
			t.Error("the error shows the secret")
		}
	}
}

// wantMeaning fails t unless err is a refusal that means code and can be looked
// up by its request id.
func wantMeaning(t *testing.T, err error, code string) {
	t.Helper()
	e, refused := errors.AsType[*quickbi.Error](err)
	if !refused || e.RequestID == "" || quickbi.Explain(err).Code != code {
		t.Errorf("error = %v (%s), want a refusal with a request id that means %s", err, quickbi.Explain(err).Code, code)
	}
}

// bench is the stand-in with its memory at hand, and a client of it.
func bench(t *testing.T, o quickbitest.Options) (*quickbitest.Server, *quickbi.Client) {
	t.Helper()
	o.Users, o.QAResources, o.QAThemes = []string{"u1", "u2"}, []string{"r1", "r2"}, []string{"t1"}
	o.Datasets = map[string]string{"d1": "r9"}
	memory := quickbitest.New(&o)
	server := httptest.NewServer(memory)
	t.Cleanup(server.Close)
	return memory, newClient(t, server.URL, bundleOptions{source: quickbi.StaticCredentials(quickbi.Credentials{
		AccessKeyID: quickbitest.DefaultAccessKeyID, AccessKeySecret: quickbitest.DefaultAccessKeySecret,
	})})
}

// What the client asks for is what the stand-in remembers, kind by kind, and
// what it refuses is what the client hears.
func TestConformanceOfState(t *testing.T) {
	t.Parallel()

	memory, client := bench(t, quickbitest.Options{})
	ask := func(r quickbi.SmartqAuthorizeRequest, want ...quickbi.SmartqFailure) {
		t.Helper()
		got, err := client.SmartqAuthorize(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got.Failures {
			got.Failures[i].DetailMessage = quickbi.MeaningOfDetail(got.Failures[i].DetailMessage).Code
		}
		if diff := cmp.Diff(want, got.Failures); diff != "" {
			t.Errorf("failures (-want +got):\n%s", diff)
		}
	}
	const day = "2099-12-31"
	ask(quickbi.SmartqAuthorizeRequest{UserIDs: []string{"u1", "u2"}, LlmCubes: []string{"r1", "r2"}, LlmCubeThemes: []string{"t1"}, ExpireDay: day})
	ask(quickbi.SmartqAuthorizeRequest{Operation: quickbi.SmartqRevoke, UserIDs: []string{"u2"}, LlmCubes: []string{"r1"}, LlmCubeThemes: []string{"t1"}})
	ask(quickbi.SmartqAuthorizeRequest{UserIDs: []string{"gone", "u1"}, CubeIDs: []string{"d1"}, LlmCubeThemes: []string{"t9"}, ExpireDay: day},
		quickbi.SmartqFailure{UserID: "gone", LlmCube: "r9", DetailMessage: "user_not_in_organization"},
		quickbi.SmartqFailure{UserID: "gone", LlmCubeTheme: "t9", DetailMessage: "user_not_in_organization"},
		quickbi.SmartqFailure{UserID: "u1", LlmCubeTheme: "t9", DetailMessage: "resource_not_exist"})

	var got []string
	for _, g := range memory.Grants() {
		got = append(got, fmt.Sprintf("%s %s %s %s", g.User, g.Kind, g.Resource, g.ExpiresOn))
	}
	want := []string{
		"u1 qa_resource r1 " + day, "u1 qa_resource r2 " + day, "u1 qa_resource r9 " + day, "u1 qa_theme t1 " + day,
		"u2 qa_resource r2 " + day,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("access (-want +got):\n%s", diff)
	}
	if v := memory.Violations(); len(v) > 0 {
		t.Errorf("the client broke rules: %+v", v)
	}
}

// Whatever the stand-in does to a call, the client draws the right conclusion
// and keeps the request id under which the stand-in logged it.
func TestConformanceOfFaults(t *testing.T) {
	t.Parallel()

	throttle := func(hint quickbitest.Hint) quickbitest.Fault {
		return quickbitest.Fault{Kind: quickbitest.Throttle, RetryAfter: quickbitest.Duration(1500 * time.Millisecond), Hint: hint}
	}
	for _, tt := range []struct {
		name  string
		fault quickbitest.Fault
		code  string        // ours
		says  string        // part of the API's message
		after time.Duration // the wait that is asked for
		mute  bool          // no request id comes back
	}{
		{name: "refusal without a name", fault: quickbitest.Poison("u1"), code: "user_not_in_organization"},
		{name: "refusal with a name", fault: quickbitest.PoisonNaming("u1"), code: "user_lacks_permission", says: "u1"},
		{name: "refused account", fault: quickbitest.Fault{Kind: quickbitest.Refuse, Code: "Instance.Expired"}, code: "instance_expired"},
		{name: "throttle", fault: throttle(quickbitest.HintRetryAfter), code: "throttled", after: 1500 * time.Millisecond},
		{name: "throttle, older hint", fault: throttle(quickbitest.HintRateLimit), code: "throttled", after: 1500 * time.Millisecond},
		{name: "throttle without a hint", fault: throttle(quickbitest.HintNone), code: "throttled"},
		{name: "server error", fault: quickbitest.Fault{Kind: quickbitest.Refuse, Status: 500}, code: "server_error"},
		{name: "page of a proxy", fault: quickbitest.Fault{Kind: quickbitest.HTML}, code: "server_error", mute: true},
		{name: "success false", fault: quickbitest.Fault{Kind: quickbitest.SuccessFalse}, code: "unrecognised_refusal"},
		{name: "no body", fault: quickbitest.Fault{Kind: quickbitest.Empty}, code: "outcome_unknown"},
		{name: "endless body", fault: quickbitest.Fault{Kind: quickbitest.Oversized}, code: "outcome_unknown"},
		{name: "cut answer", fault: quickbitest.Fault{Kind: quickbitest.CutAnswer}, code: "outcome_unknown"},
		{name: "lost answer", fault: quickbitest.Fault{Kind: quickbitest.LoseAnswer}, code: "outcome_unknown", mute: true},
		{name: "cut connection", fault: quickbitest.Fault{Kind: quickbitest.Drop}, code: "outcome_unknown", mute: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			memory, client := bench(t, quickbitest.Options{Faults: []quickbitest.Fault{tt.fault}})
			_, err := client.SmartqAuthorize(t.Context(), quickbi.SmartqAuthorizeRequest{
				UserIDs: []string{"u1", "u2"}, LlmCubes: []string{"r1"}, ExpireDay: "2099-12-31",
			})
			got := heard{Code: quickbi.Explain(err).Code}
			if e, ok := errors.AsType[*quickbi.Error](err); ok {
				got.RequestID, got.After, got.Says = e.RequestID, e.RetryAfter, strings.Contains(e.Message, tt.says)
			} else if e, ok := errors.AsType[*quickbi.AnswerError](err); ok {
				got.RequestID, got.Says = e.RequestID, tt.says == ""
			} else {
				got.Says = tt.says == ""
			}
			want := heard{Code: tt.code, After: tt.after, Says: true}
			if !tt.mute {
				want.RequestID = memory.Calls()[0].RequestID
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// heard is what a client knows of a call that failed.
type heard struct {
	Code, RequestID string
	After           time.Duration
	Says            bool
}
