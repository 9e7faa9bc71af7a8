package quickbi_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/usher-bi/usher/internal/quickbi"
)

type sourceFunc func(context.Context) (quickbi.Credentials, error)

func (f sourceFunc) Credentials(ctx context.Context) (quickbi.Credentials, error) { return f(ctx) }

// bundle is a client, the server it talks to, and what must never show up in
// the text of an error.
type bundle struct {
	client *quickbi.Client
	server *httptest.Server
	hits   atomic.Int64
}

type bundleOptions struct {
	handler http.HandlerFunc // nil: succeeds
	source  quickbi.CredentialSource
	options quickbi.Options
}

func setup(t *testing.T, o bundleOptions) *bundle {
	t.Helper()
	b := &bundle{}
	if o.handler == nil {
		o.handler = answers(http.StatusOK, `{"Success":true,"RequestId":"R-1"}`)
	}
	b.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.hits.Add(1)
		o.handler(w, r)
	}))
	b.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	b.server.Start()
	t.Cleanup(b.server.Close)
	b.client = newClient(t, b.server.URL, o)
	return b
}

func newClient(t *testing.T, endpoint string, o bundleOptions) *quickbi.Client {
	t.Helper()
	if o.source == nil {
		o.source = quickbi.StaticCredentials(quickbi.Credentials{
			AccessKeyID: "LTAIkey", AccessKeySecret: "s3cret", SecurityToken: "t0ken",
		})
	}
	c, err := quickbi.New(endpoint, o.source, o.options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// wantQuiet fails t if err shows a secret or anything of the request.
func (b *bundle) wantQuiet(t *testing.T, err error) {
	t.Helper()
	for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err)} {
		for _, banned := range []string{"s3cret", "t0ken", "user-1", "cube-1", "UserIds", "OperationType", "http://", "?", "\n"} {
			if strings.Contains(text, banned) {
				t.Errorf("error %q shows %q", text, banned)
			}
		}
	}
}

func onePair() quickbi.SmartqAuthorizeRequest {
	return quickbi.SmartqAuthorizeRequest{UserIDs: []string{"user-1"}, LlmCubes: []string{"cube-1"}, ExpireDay: "2026-12-31"}
}

func answers(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Acs-Request-Id", "R-header")
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func queryOf(t *testing.T, raw string) map[string]string {
	t.Helper()
	values, err := url.ParseQuery(raw)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for name := range values {
		out[name] = values.Get(name)
	}
	return out
}

// brief is the timeout of calls that cannot but run into it.
const brief = 50 * time.Millisecond
