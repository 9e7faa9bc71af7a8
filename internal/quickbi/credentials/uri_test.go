package credentials_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/usher-bi/usher/internal/quickbi"
	"github.com/usher-bi/usher/internal/quickbi/credentials"
)

// bundle is a credentials service and a source that asks it.
type bundle struct {
	source quickbi.CredentialSource
	hits   atomic.Int64
}

// setup hands the handler the number of the request, from 1.
func setup(t *testing.T, handler func(w http.ResponseWriter, r *http.Request, n int64)) *bundle {
	t.Helper()
	b := &bundle{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler(w, r, b.hits.Add(1))
	}))
	t.Cleanup(srv.Close)
	var err error
	b.source, err = credentials.New(credentials.Config{Provider: credentials.CredentialsURI, URI: srv.URL + "/?key=s3cret"})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// answer is what the service says, valid for so long.
func answer(n int64, valid time.Duration) string {
	return fmt.Sprintf(`{"AccessKeyId":"id-%d","AccessKeySecret":"s3cret-%d","SecurityToken":"t0ken-%d","Expiration":%q}`,
		n, n, n, time.Now().Add(valid).UTC().Format("2006-01-02T15:04:05Z"))
}

func number(n int64) quickbi.Credentials {
	return quickbi.Credentials{
		AccessKeyID: fmt.Sprintf("id-%d", n), AccessKeySecret: fmt.Sprintf("s3cret-%d", n), SecurityToken: fmt.Sprintf("t0ken-%d", n),
	}
}

func (b *bundle) want(t *testing.T, n int64) {
	t.Helper()
	got, err := b.source.Credentials(t.Context())
	if err != nil || got != number(n) {
		t.Errorf("got %v, %v; want the credentials of request %d", got, err, n)
	}
}

func TestCredentialsAreKeptUntilTheyAreOld(t *testing.T) {
	t.Parallel()

	b := setup(t, func(w http.ResponseWriter, _ *http.Request, n int64) {
		valid := time.Hour
		if n == 1 {
			valid = 2 * time.Minute // under the three that the library wants left
		}
		_, _ = io.WriteString(w, answer(n, valid))
	})
	b.want(t, 1)
	b.want(t, 2)
	b.want(t, 2)
	if got := b.hits.Load(); got != 2 {
		t.Errorf("%d requests, want 2", got)
	}
}

// An error is told without secrets, and is forgotten by the next caller.
func TestErrorThenRecovery(t *testing.T) {
	t.Parallel()

	status := func(code int, body string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
	tests := []struct {
		name   string
		answer func(http.ResponseWriter)
		want   string // of the error
	}{
		{"refusal", status(500, `{"Code":"NoRole","AccessKeySecret":"s3cret"}`), `"Code":"NoRole"`},
		{"html", status(200, "<html>s3cret</html>"), "the provider gave none"},
		{"nothing", status(200, ""), "the provider gave none"},
		{"null", status(200, "null"), "the provider gave none"},
		{"a field is missing", status(200, `{"AccessKeyId":"id","AccessKeySecret":"s3cret","SecurityToken":"t0ken"}`), "the provider gave none"},
		{"no date", status(200, strings.Replace(answer(0, time.Hour), "T", " ", 1)), "the provider gave none"},
		{"expiration is no date", status(200, `{"AccessKeyId":"id","AccessKeySecret":"s3cret","SecurityToken":"t0ken","Expiration":"soon"}`), "the provider gave none"},
		{"empty key", status(200, strings.Replace(answer(0, time.Hour), "id-0", "", 1)), "holds no key"},
		{"cut", func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, "the provider gave none"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			b := setup(t, func(w http.ResponseWriter, _ *http.Request, n int64) {
				if n == 1 {
					tt.answer(w)
					return
				}
				_, _ = io.WriteString(w, answer(n, time.Hour))
			})
			got, err := b.source.Credentials(t.Context())
			if err == nil || !strings.Contains(err.Error(), "credentials_uri") || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, %v; want an error of credentials_uri with %q", got, err, tt.want)
			}
			for _, secret := range []string{"s3cret", "t0ken", "http://"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("error %q shows %q", err, secret)
				}
			}
			b.want(t, 2)
		})
	}
}

func TestUnreachableService(t *testing.T) {
	t.Parallel()

	srv := httptest.NewServer(nil)
	srv.Close()
	source, err := credentials.New(credentials.Config{Provider: credentials.CredentialsURI, URI: srv.URL + "/s3cret"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = source.Credentials(t.Context())
	if err == nil || !strings.Contains(err.Error(), "connection refused") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("error = %v, want connection refused without the URL", err)
	}
}

// A caller that is canceled leaves; those who wait on get what it asked for.
func TestCanceledCallerDoesNotWait(t *testing.T) {
	t.Parallel()

	arrived, release := make(chan struct{}), make(chan struct{})
	b := setup(t, func(w http.ResponseWriter, _ *http.Request, n int64) {
		if n == 1 {
			close(arrived)
			<-release
		}
		_, _ = io.WriteString(w, answer(n, time.Hour))
	})
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := b.source.Credentials(ctx)
		first <- err
	}()
	<-arrived
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}

	second := make(chan struct{})
	go func() {
		defer close(second)
		b.want(t, 1)
	}()
	close(release)
	<-second
	if got := b.hits.Load(); got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
}

func TestEndedContextAsksNobody(t *testing.T) {
	t.Parallel()

	b := setup(t, func(w http.ResponseWriter, _ *http.Request, n int64) { _, _ = io.WriteString(w, answer(n, time.Hour)) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.source.Credentials(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
	if got := b.hits.Load(); got != 0 {
		t.Errorf("%d requests, want none", got)
	}
}

// Short-lived credentials make every call a refresh; two never overlap.
func TestOneRefreshAtATime(t *testing.T) {
	t.Parallel()

	var running atomic.Int64
	b := setup(t, func(w http.ResponseWriter, _ *http.Request, n int64) {
		if running.Add(1) > 1 {
			t.Error("two refreshes at once")
		}
		defer running.Add(-1)
		_, _ = io.WriteString(w, answer(n, time.Second))
	})
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 10 {
				got, err := b.source.Credentials(t.Context())
				if id, ok := strings.CutPrefix(got.AccessKeyID, "id-"); err != nil || !ok || got.SecurityToken != "t0ken-"+id {
					t.Errorf("got %v, %v; want credentials that belong together", got, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestManyCallersShareOneRequest(t *testing.T) {
	t.Parallel()

	b := setup(t, func(w http.ResponseWriter, _ *http.Request, n int64) { _, _ = io.WriteString(w, answer(n, time.Hour)) })
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() { b.want(t, 1) })
	}
	wg.Wait()
	if got := b.hits.Load(); got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
}
