package webhook_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/webhook"
)

// What is signed here is what the library of the specification signs.
func TestSign(t *testing.T) {
	t.Parallel()

	secret, key := webhook.NewSecret()
	judge, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	m := webhook.Message{ID: "msg_p5jXN8AQM9LWM0D4loKWxJek", At: time.Unix(1614265330, 999), Body: []byte(`{"test": 2432232314}`)}
	want, err := judge.Sign(m.ID, m.At, m.Body)
	if got := webhook.Sign(key, m); err != nil || got != want {
		t.Errorf("signed %s, want %s, %v", got, want, err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()

	mux := http.NewServeMux()
	mux.HandleFunc("/in", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/elsewhere", func(http.ResponseWriter, *http.Request) { t.Error("followed") })
	server := httptest.NewServer(mux)
	defer server.Close()
	s := webhook.NewSender(webhook.SenderOptions{})
	defer s.Close()
	status, err := s.Send(t.Context(), store.Endpoint{URL: server.URL + "/in?token=t0ken"}, webhook.Message{})
	if status != http.StatusTemporaryRedirect || err == nil || !strings.Contains(err.Error(), "redirect") {
		t.Errorf("%d, %v", status, err)
	}
}

func TestSlowAnswers(t *testing.T) {
	t.Parallel()

	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else nobody looks whether the client is still there
		<-r.Context().Done()
	}))
	defer server.Close()
	s := webhook.NewSender(webhook.SenderOptions{Timeout: 50 * time.Millisecond})
	defer s.Close()
	status, err := s.Send(t.Context(), store.Endpoint{URL: server.URL}, webhook.Message{Body: []byte("{}")})
	if status != 0 || err == nil || err.Error() != "no answer in time" {
		t.Errorf("%d, %v", status, err)
	}
}

func TestPrivateAddressesAreRefused(t *testing.T) {
	t.Parallel()

	s := webhook.NewSender(webhook.SenderOptions{})
	defer s.Close()
	for _, host := range []string{
		"10.0.0.5", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.100.100.200", "0.0.0.0", "224.0.0.1", "255.255.255.255", "198.18.0.1",
		"[fe80::1]", "[fd00::1]", "[::]", "[::ffff:10.0.0.5]", "[64:ff9b::a00:5]", "[2002:a00:5::1]", "[ff02::1]",
	} {
		status, err := s.Send(t.Context(), store.Endpoint{URL: "https://" + host + "/?token=t0ken"}, webhook.Message{})
		if status != 0 || err == nil || !strings.Contains(err.Error(), "WEBHOOK_ALLOW_PRIVATE") || strings.Contains(err.Error(), "t0ken") {
			t.Errorf("%s: %d, %v", host, status, err)
		}
	}
}

func TestCheckURL(t *testing.T) {
	t.Parallel()

	for url, ok := range map[string]bool{
		"https://example.com/in?x=1": true,
		"https://example.com:8443":   true,
		"http://127.0.0.1:8080/":     true,
		"http://[::1]:8080/":         true,
		"http://localhost/in":        true,
		"http://example.com/":        false,
		"http://10.0.0.5/":           false,
		"http://localhost.evil.com/": false,
		"https://me@example.com/":    false,
		"https://me:pw@example.com/": false,
		"https://example.com/#a":     false,
		"https://":                   false,
		"https://:443":               false,
		"ftp://example.com/":         false,
		"example.com":                false,
		"https://exa mple.com/":      false,
		"":                           false,
	} {
		if err := webhook.CheckURL(url); (err == nil) != ok {
			t.Errorf("CheckURL(%q) = %v, want ok: %t", url, err, ok)
		}
	}
}
