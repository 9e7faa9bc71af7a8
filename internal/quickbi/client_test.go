package quickbi_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/usher-bi/usher/internal/quickbi"
)

func TestNewChecksEndpoint(t *testing.T) {
	t.Parallel()

	tests := []struct {
		endpoint string
		want     string // of String, or of the error
		ok       bool
	}{
		{"quickbi-public.cn-hangzhou.aliyuncs.com", "quickbi client for quickbi-public.cn-hangzhou.aliyuncs.com", true},
		{"https://Quickbi-Public.example.com:443/", "quickbi client for quickbi-public.example.com", true},
		{"quickbi.example.com:8443", "quickbi client for quickbi.example.com:8443", true},
		{"http://127.0.0.1:8080", "quickbi client for 127.0.0.1:8080", true},
		{"http://[::1]:80", "quickbi client for [::1]", true},
		{"http://localhost:9", "quickbi client for localhost:9", true},
		{"http://quickbi.example.com", "in the clear", false},
		{"http://127.0.0.1.example.com", "in the clear", false},
		{"ftp://quickbi.example.com", "not a scheme", false},
		{"", "no host", false},
		{"https://:443", "no host", false},
		{"https://id:s3cret@quickbi.example.com", "only a scheme, a host and a port", false},
		{"https://quickbi.example.com/api", "only a scheme, a host and a port", false},
		{"https://quickbi.example.com?s3cret", "only a scheme, a host and a port", false},
		{"https://s3cret:x@bad host", "neither a URL nor a host name", false},
	}
	for _, tt := range tests {
		t.Run(tt.endpoint, func(t *testing.T) {
			t.Parallel()

			c, err := quickbi.New(tt.endpoint, quickbi.StaticCredentials(quickbi.Credentials{}), quickbi.Options{})
			switch {
			case tt.ok && err != nil:
				t.Errorf("New: %v", err)
			case tt.ok && c.String() != tt.want:
				t.Errorf("client = %q, want %q", c, tt.want)
			case !tt.ok && (err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cret")):
				t.Errorf("error = %v, want one with %q and without the secret", err, tt.want)
			}
		})
	}
}

func TestNewChecksOptions(t *testing.T) {
	t.Parallel()

	source := quickbi.StaticCredentials(quickbi.Credentials{})
	if _, err := quickbi.New("h", nil, quickbi.Options{}); err == nil {
		t.Error("a client without a credential source")
	}
	if _, err := quickbi.New("h", source, quickbi.Options{Timeout: -time.Second}); err == nil {
		t.Error("a client with a negative timeout")
	}
	if _, err := quickbi.New("h", source, quickbi.Options{MaxBody: -1}); err == nil {
		t.Error("a client with a negative answer size")
	}
	if _, err := quickbi.New("h", source, quickbi.Options{UserAgent: "two\nlines"}); err == nil {
		t.Error("a client with a user agent that cannot be sent")
	}
}

// The client given is used, and left as it was.
func TestOwnHTTPClientIsUsed(t *testing.T) {
	t.Parallel()

	asked := 0
	own := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		Proxy: func(*http.Request) (*url.URL, error) {
			asked++
			return nil, nil //nolint:nilnil // means no proxy
		},
	}}
	b := setup(t, bundleOptions{options: quickbi.Options{HTTP: own, UserAgent: "tests"}})
	if _, err := b.client.SmartqAuthorize(t.Context(), onePair()); err != nil {
		t.Fatal(err)
	}
	if asked != 1 || own.CheckRedirect != nil {
		t.Errorf("asked %d times, redirect policy %p; want once and none", asked, own.CheckRedirect)
	}
}

// Every attempt has a nonce and a date of its own: the server refuses repeats.
func TestEveryCallIsSignedAnew(t *testing.T) {
	t.Parallel()

	nonces, dates, auths := map[string]bool{}, map[string]bool{}, map[string]bool{}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	b := setup(t, bundleOptions{
		handler: func(w http.ResponseWriter, r *http.Request) {
			nonces[r.Header.Get("X-Acs-Signature-Nonce")] = true
			dates[r.Header.Get("X-Acs-Date")] = true
			auths[r.Header.Get("Authorization")] = true
			answers(http.StatusOK, `{"Success":true}`)(w, r)
		},
		options: quickbi.Options{Now: func() time.Time { now = now.Add(time.Second); return now }},
	})
	for range 3 {
		if _, err := b.client.SmartqAuthorize(t.Context(), onePair()); err != nil {
			t.Fatal(err)
		}
	}
	if len(nonces) != 3 || len(dates) != 3 || len(auths) != 3 || nonces[""] {
		t.Errorf("nonces %v, dates %v, signatures %v; want 3 of each", nonces, dates, auths)
	}
}
