package quickbitest_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is 18:30 in China, and still the same day in UTC.
var start = time.Date(2026, time.March, 10, 10, 30, 0, 0, time.UTC)

// clock stands still unless it is turned.
type clock struct{ passed atomic.Int64 }

func (c *clock) now() time.Time          { return start.Add(time.Duration(c.passed.Load())) }
func (c *clock) turn(d time.Duration)    { c.passed.Add(int64(d)) }
func (c *clock) turnTo(at time.Duration) { c.passed.Store(int64(at)) }

// organisation is small and healthy.
func organisation() quickbitest.Options {
	return quickbitest.Options{
		Users:       []string{"u1", "u2", "u3"},
		QAResources: []string{"r1", "r2"},
		QAThemes:    []string{"t1"},
		Datasets:    map[string]string{"d1": "r1", "d9": "r9"},
	}
}

// bench is a server over real connections, and a caller of it.
type bench struct {
	*quickbitest.Server
	*clock

	t    *testing.T
	http *httptest.Server
	sent atomic.Int64
}

func setup(t *testing.T, o quickbitest.Options) *bench {
	t.Helper()
	b := &bench{t: t, clock: &clock{}}
	if o.Now == nil {
		o.Now = b.now
	}
	b.Server = quickbitest.New(&o)
	b.http = httptest.NewServer(b.Server)
	t.Cleanup(b.http.Close)
	return b
}

// reply is whatever came back.
type reply struct {
	status int
	header http.Header
	body   []byte
	err    error
	doc    document
}

//nolint:tagliatelle // the names are the API's
type document struct {
	RequestID string       `json:"RequestId"`
	HostID    string       `json:"HostId"`
	Code      string       `json:"Code"`
	Message   string       `json:"Message"`
	Success   bool         `json:"Success"`
	Result    []failedPair `json:"Result"`
}

//nolint:tagliatelle // the names are the API's
type failedPair struct {
	UserID        string `json:"UserId"`
	LlmCube       string `json:"LlmCube"`
	LlmCubeTheme  string `json:"LlmCubeTheme"`
	DetailMessage string `json:"DetailMessage"`
}

// params are written like a query that needs no escaping.
func grant(users, resources string) string {
	return "OperationType=0&UserIds=" + users + "&" + resources + "&ExpireDay=2026-12-31"
}

func revoke(users, resources string) string {
	return "OperationType=1&UserIds=" + users + "&" + resources
}

// call sends a well-signed call and reads the answer to its end.
func (b *bench) call(params string) reply { return b.do(b.signed(params)) }

func (b *bench) signed(params string) *http.Request {
	b.t.Helper()
	return b.signedFor("", params)
}

func (b *bench) signedFor(action, params string) *http.Request {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.http.URL+"/?"+params, http.NoBody)
	if err != nil {
		b.t.Fatal(err)
	}
	seal(r, sealing{date: b.now(), nonce: fmt.Sprintf("nonce-%d", b.sent.Add(1)), action: action})
	return r
}

func (b *bench) do(r *http.Request) reply {
	resp, err := b.http.Client().Do(r)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	out := reply{status: resp.StatusCode, header: resp.Header}
	out.body, out.err = io.ReadAll(resp.Body)
	_ = json.Unmarshal(out.body, &out.doc)
	return out
}

// want fails the test unless the answer has this code; "" is a success.
func (r reply) want(t *testing.T, code string) {
	t.Helper()
	if r.err != nil || r.doc.Code != code || r.doc.Success != (code == "") || r.doc.RequestID == "" {
		t.Fatalf("answer = %d %s %v, want code %q", r.status, r.body, r.err, code)
	}
}

// sealing is what a caller adds to a request. Empty fields have the usual value.
type sealing struct {
	date                       time.Time
	nonce                      string
	keyID, secret, token, body string
	version, action            string
}

// seal signs r, from the published steps and apart from the code under test.
func seal(r *http.Request, s sealing) {
	set := func(name, value string) { r.Header[http.CanonicalHeaderKey(name)] = []string{value} }
	set("accept", "application/json")
	set("x-acs-action", cmp.Or(s.action, "SmartqAuthorize"))
	set("x-acs-version", cmp.Or(s.version, "2022-01-01"))
	set("x-acs-date", s.date.UTC().Format("2006-01-02T15:04:05Z"))
	set("x-acs-signature-nonce", s.nonce)
	if s.keyID == "" {
		s.keyID, s.secret = "sandbox-access-key-id", "sandbox-access-key-secret"
	}
	if s.token != "" {
		set("x-acs-accesskey-id", s.keyID)
		set("x-acs-security-token", s.token)
	}
	if s.body != "" {
		set("content-type", "application/x-www-form-urlencoded")
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(s.body)), int64(len(s.body))
	}
	set("x-acs-content-sha256", fmt.Sprintf("%x", sha256.Sum256([]byte(s.body))))
	set("authorization", authorization(r, s))
}

func authorization(r *http.Request, s sealing) string {
	lines := []string{"host:" + r.Host}
	for name, values := range r.Header {
		if name == "Content-Type" || strings.HasPrefix(name, "X-Acs-") {
			lines = append(lines, strings.ToLower(name)+":"+values[0])
		}
	}
	slices.Sort(lines)
	var canonical bytes.Buffer
	fmt.Fprintf(&canonical, "%s\n/\n", r.Method)
	pairs := strings.Split(r.URL.RawQuery, "&")
	slices.Sort(pairs)
	canonical.WriteString(strings.ReplaceAll(strings.Join(pairs, "&"), ",", "%2C") + "\n")
	names := make([]string, 0, len(lines))
	for _, line := range lines {
		name, _, _ := strings.Cut(line, ":")
		names = append(names, name)
		canonical.WriteString(line + "\n")
	}
	list := strings.Join(names, ";")
	fmt.Fprintf(&canonical, "\n%s\n%s", list, r.Header.Get("X-Acs-Content-Sha256"))
	mac := hmac.New(sha256.New, []byte(s.secret))
	fmt.Fprintf(mac, "ACS3-HMAC-SHA256\n%x", sha256.Sum256(canonical.Bytes()))
	return fmt.Sprintf("ACS3-HMAC-SHA256 Credential=%s,SignedHeaders=%s,Signature=%x", s.keyID, list, mac.Sum(nil))
}

// serve hands s a well-signed call without a network.
func serve(ctx context.Context, s *quickbitest.Server) { serveNonce(ctx, s, "n") }

// serveNonce is serve, for one call of several.
func serveNonce(ctx context.Context, s *quickbitest.Server, nonce string) {
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // the very value
			panic(p)
		}
	}()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/?OperationType=0&UserIds=u1&LlmCubes=r1", http.NoBody)
	seal(r, sealing{date: time.Now(), nonce: nonce})
	s.ServeHTTP(httptest.NewRecorder(), r)
}
