package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestWebhookShowsItsSecretOnce(t *testing.T) {
	t.Parallel()

	b := setup(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Webhook-Signature"), "v1,") {
			t.Errorf("headers %v", r.Header)
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer server.Close()
	secret := strings.TrimSpace(b.run("webhook", "add", "hr", "--url", server.URL, "--source", "hr").want(t, exitOK).out)
	if !strings.HasPrefix(secret, "whsec_") {
		t.Errorf("stdout is %q", secret)
	}
	for _, args := range [][]string{{"webhook", "test", "hr"}, {"webhook", "test", "hr", "--json"}, {"webhook", "list"}, {"webhook", "list", "--json"}, {"webhook", "remove", "hr"}} {
		o := b.run(args...).want(t, exitOK)
		if strings.Contains(o.out+o.err, strings.TrimPrefix(secret, "whsec_")) || !strings.Contains(o.out, "hr") {
			t.Errorf("%v:\n%s%s", args, o.out, o.err)
		}
	}
}
