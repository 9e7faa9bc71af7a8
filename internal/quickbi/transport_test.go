package quickbi_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/usher-bi/usher/internal/quickbi"
)

func TestCanceledBeforeSending(t *testing.T) {
	t.Parallel()

	b := setup(t, bundleOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.client.SmartqAuthorize(ctx, onePair())
	b.wantTransportError(t, err, quickbi.TransportError{Sent: false})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled inside", err)
	}
	if got := b.hits.Load(); got != 0 {
		t.Errorf("%d requests arrived, want none", got)
	}
}

// A source that waits for ctx must not hide that the caller gave up.
func TestCanceledWhileWaitingForCredentials(t *testing.T) {
	t.Parallel()

	ctx, cancel := context.WithCancel(t.Context())
	b := setup(t, bundleOptions{source: sourceFunc(func(ctx context.Context) (quickbi.Credentials, error) {
		cancel()
		<-ctx.Done()
		return quickbi.Credentials{}, errors.New("interrupted")
	})})
	_, err := b.client.SmartqAuthorize(ctx, onePair())
	b.wantTransportError(t, err, quickbi.TransportError{Sent: false})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled inside", err)
	}
}

// A source that hangs is the account's trouble, not the network's.
func TestTimeIsUpWhileWaitingForCredentials(t *testing.T) {
	t.Parallel()

	b := setup(t, bundleOptions{
		source: sourceFunc(func(ctx context.Context) (quickbi.Credentials, error) {
			<-ctx.Done()
			return quickbi.Credentials{}, ctx.Err()
		}),
		options: quickbi.Options{Timeout: brief},
	})
	_, err := b.client.SmartqAuthorize(t.Context(), onePair())
	if quickbi.Classify(err) != quickbi.ClassAccount || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error = %v, want an account trouble with a deadline inside", err)
	}
}

func TestCanceledAfterSending(t *testing.T) {
	t.Parallel()

	ctx, cancel := context.WithCancel(t.Context())
	b := setup(t, bundleOptions{handler: func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}})
	_, err := b.client.SmartqAuthorize(ctx, onePair())
	b.wantTransportError(t, err, quickbi.TransportError{Sent: true})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled inside", err)
	}
}

func TestCanceledWhileReading(t *testing.T) {
	t.Parallel()

	ctx, cancel := context.WithCancel(t.Context())
	b := setup(t, bundleOptions{handler: func(w http.ResponseWriter, r *http.Request) {
		answers(200, `{"Success":`)(w, r)
		_ = http.NewResponseController(w).Flush()
		cancel()
		<-r.Context().Done()
	}})
	_, err := b.client.SmartqAuthorize(ctx, onePair())
	if quickbi.Classify(err) != quickbi.ClassUnknownOutcome || !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want an unknown outcome with context.Canceled inside", err)
	}
}

func TestSlowAnswer(t *testing.T) {
	t.Parallel()

	b := setup(t, bundleOptions{
		handler: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		options: quickbi.Options{Timeout: time.Second}, // ample for loopback to connect
	})
	_, err := b.client.SmartqAuthorize(t.Context(), onePair())
	b.wantTransportError(t, err, quickbi.TransportError{Sent: true, Timeout: true})
}

func TestConnectionCutAfterRequest(t *testing.T) {
	t.Parallel()

	b := setup(t, bundleOptions{handler: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }})
	_, err := b.client.SmartqAuthorize(t.Context(), onePair())
	b.wantTransportError(t, err, quickbi.TransportError{Sent: true})
	if got := b.hits.Load(); got != 1 {
		t.Errorf("%d requests arrived, want 1: nothing may be sent twice", got)
	}
}

// net/http quotes a malformed answer in its error; this one repeats the request.
func TestMalformedAnswerIsNotQuoted(t *testing.T) {
	t.Parallel()

	b := setup(t, bundleOptions{handler: func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Errorf("hijacking: %v", err)
			return
		}
		_, _ = io.WriteString(conn, r.URL.RawQuery+"\r\n\r\n")
		_ = conn.Close()
	}})
	_, err := b.client.SmartqAuthorize(t.Context(), onePair())
	b.wantTransportError(t, err, quickbi.TransportError{Sent: true})
	if cause := errors.Unwrap(err); cause == nil || !strings.Contains(cause.Error(), "user-1") {
		t.Errorf("cause = %v: this test shows nothing", cause)
	}
}

func TestNeverSent(t *testing.T) {
	t.Parallel()

	listener := func(t *testing.T) net.Listener {
		t.Helper()
		var lc net.ListenConfig
		l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	tests := []struct {
		name    string
		setup   func(t *testing.T) (endpoint string, o quickbi.Options)
		timeout bool
		want    string
	}{
		{"refused", func(t *testing.T) (string, quickbi.Options) {
			t.Helper()
			l := listener(t)
			_ = l.Close()
			return "http://" + l.Addr().String(), quickbi.Options{}
		}, false, "connection refused"},
		{"unknown name", func(*testing.T) (string, quickbi.Options) {
			dial := func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "quickbi.invalid", IsNotFound: true}}
			}
			return "quickbi.invalid", quickbi.Options{HTTP: &http.Client{Transport: &http.Transport{DialContext: dial}}}
		}, false, "no such host"},
		{"certificate", func(t *testing.T) (string, quickbi.Options) {
			t.Helper()
			srv := httptest.NewUnstartedServer(nil)
			srv.Config.ErrorLog = setup(t, bundleOptions{}).server.Config.ErrorLog
			srv.StartTLS()
			t.Cleanup(srv.Close)
			return srv.URL, quickbi.Options{}
		}, false, "certificate"},
		{"server without TLS", func(t *testing.T) (string, quickbi.Options) {
			t.Helper()
			return strings.Replace(setup(t, bundleOptions{}).server.URL, "http:", "https:", 1), quickbi.Options{}
		}, false, "http, not https"},
		{"silent handshake", func(t *testing.T) (string, quickbi.Options) {
			t.Helper()
			return "https://" + listener(t).Addr().String(), quickbi.Options{Timeout: brief}
		}, true, "time is up"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			endpoint, o := tt.setup(t)
			b := &bundle{client: newClient(t, endpoint, bundleOptions{options: o})}
			_, err := b.client.SmartqAuthorize(t.Context(), onePair())
			b.wantTransportError(t, err, quickbi.TransportError{Sent: false, Timeout: tt.timeout})
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one with %q", err, tt.want)
			}
		})
	}
}

// A transport that reports nothing of its doings may have sent the request.
func TestUntracedTransportMayHaveSent(t *testing.T) {
	t.Parallel()

	dead := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
		return nil, tls.RecordHeaderError{Msg: "user-1"}
	})}
	b := setup(t, bundleOptions{options: quickbi.Options{HTTP: dead}})
	_, err := b.client.SmartqAuthorize(t.Context(), onePair())
	b.wantTransportError(t, err, quickbi.TransportError{Sent: true})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (b *bundle) wantTransportError(t *testing.T, err error, want quickbi.TransportError) {
	t.Helper()
	e, ok := errors.AsType[*quickbi.TransportError](err)
	if !ok {
		t.Fatalf("error = %v, want a TransportError", err)
	}
	if e.Sent != want.Sent || e.Timeout != want.Timeout {
		t.Errorf("error = %v: sent %t, timeout %t; want %t, %t", err, e.Sent, e.Timeout, want.Sent, want.Timeout)
	}
	class := quickbi.ClassTransient
	if want.Sent {
		class = quickbi.ClassUnknownOutcome
	}
	if got := quickbi.Classify(err); got != class {
		t.Errorf("class = %s, want %s", got, class)
	}
	b.wantQuiet(t, errors.New(err.Error()))
}
