package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/usher-bi/usher/internal/store"
)

// Message is what is sent, and when.
type Message struct {
	ID   string
	At   time.Time
	Body []byte // JSON
}

// SenderOptions adjusts a Sender. The zero value works.
type SenderOptions struct {
	Private   bool          // private and link-local addresses are allowed
	Timeout   time.Duration // until the answer is there; 0 means 15s
	Version   string        // of the product, for User-Agent
	Transport http.RoundTripper
}

// Sender posts messages.
type Sender struct {
	client *http.Client
	agent  string
}

// most is how much of an answer is read: its body means nothing.
const most = 64 << 10

// NewSender returns a sender that follows no redirect and uses no proxy, both of
// which would lead past the judgement of addresses.
func NewSender(o SenderOptions) *Sender {
	if o.Timeout <= 0 {
		o.Timeout = 15 * time.Second
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{
			DialContext: newDialer(o.Private).dial, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second,
			MaxIdleConnsPerHost: beside, IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: most,
		}
	}
	return &Sender{agent: "usher/" + o.Version, client: &http.Client{
		Transport: o.Transport, Timeout: o.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close ends the connections that are kept open.
func (s *Sender) Close() { s.client.CloseIdleConnections() }

// Send posts a message once. Status is that of the answer, 0 if none came. The
// error says why it does not count as delivered, and does not name the URL; it is
// nil for 2xx alone.
func (s *Sender) Send(ctx context.Context, to store.Endpoint, m Message) (status int, err error) {
	if err := CheckURL(to.URL); err != nil {
		return 0, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to.URL, bytes.NewReader(m.Body))
	if err != nil {
		return 0, errors.New("not a URL that can be posted to")
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", s.agent)
	r.Header.Set(HeaderID, m.ID)
	r.Header.Set(HeaderTimestamp, timestamp(m.At))
	r.Header.Set(HeaderSignature, Sign(to.Key, m))
	answer, err := s.client.Do(r)
	if err != nil {
		return 0, unnamed(err)
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, most)) // so that the connection can be used again
	switch code := answer.StatusCode; {
	case code >= 200 && code < 300:
		return code, nil
	case code >= 300 && code < 400:
		return code, fmt.Errorf("answered %d; redirects are not followed", code)
	default:
		return code, fmt.Errorf("answered %d", code)
	}
}

// unnamed is err without the URL, which may hold a secret.
func unnamed(err error) error {
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		return errors.New("no answer in time")
	}
	if named, ok := errors.AsType[*url.Error](err); ok {
		return named.Err
	}
	return err
}
