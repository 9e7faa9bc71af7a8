// Package quickbi calls the Quick BI API of Alibaba Cloud (quickbi-public,
// version 2022-01-01), one typed method per operation.
//
// A method sends exactly one HTTP request, or none, and never repeats it. What
// came of it is an answer, an [Error] that Quick BI spelled out, an
// [AnswerError] when something else than an answer came back, or a
// [TransportError] when nothing did. [Classify] says what each of them means
// for the changes in the call; [MeaningOf] explains the API's own codes.
//
// Limits, retries and records are the caller's. No error text holds a URL, a
// query or a secret.
package quickbi

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

const (
	apiVersion       = "2022-01-01"
	defaultTimeout   = 15 * time.Second // the server gives up after 10
	defaultMaxBody   = 1 << 20          // a hundred failure rows are some 30 kB
	defaultMaxList   = 16 << 20         // a work is some 800 bytes
	defaultUserAgent = "usher"

	schemeHTTP  = "http"
	schemeHTTPS = "https"
)

// Options adjusts a [Client]. The zero value works.
type Options struct {
	// HTTP sends the requests; its redirect policy and cookies are not used.
	// Nil means a client of our own: HTTP/1.1, so that a cut connection costs
	// one call, with 128 idle connections, and direct: the proxy variables of
	// the environment are ignored. Pass a client to go through a proxy.
	HTTP *http.Client

	// Timeout bounds one call, credentials and reading the answer included.
	// Zero means 15 s.
	Timeout time.Duration

	// Now dates the signature; the server refuses more than 15 minutes of
	// error. Nil means time.Now.
	Now func() time.Time

	// Nonce must return a new value for every call. Nil means random ones.
	Nonce func() string

	// UserAgent names the program to the server. Empty means "usher".
	UserAgent string

	// MaxBody is the longest answer read, in bytes. Zero means 1 MiB, and
	// 16 MiB for the lists of shares and access, which have no pages.
	MaxBody int64

	// ParamsInBody sends the parameters as a form instead of in the query. The
	// published SDKs use the query.
	ParamsInBody bool
}

// Client calls Quick BI. It is safe for concurrent use.
type Client struct {
	endpoint *url.URL
	source   CredentialSource
	http     *http.Client
	opts     Options
}

// New returns a client for endpoint, a URL or a bare host, which means https.
// Plain http is accepted for loopback hosts only. It sends nothing.
func New(endpoint string, source CredentialSource, o Options) (*Client, error) {
	base, err := parseEndpoint(endpoint)
	if err != nil {
		return nil, fmt.Errorf("quickbi endpoint: %w", err)
	}
	if source == nil {
		return nil, errors.New("quickbi: no credential source")
	}
	if o.Timeout < 0 || o.MaxBody < 0 {
		return nil, errors.New("quickbi: a negative timeout or answer size")
	}
	if strings.ContainsFunc(o.UserAgent, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil, errors.New("quickbi: the user agent is not one line of ASCII")
	}
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	o.MaxBody = min(o.MaxBody, math.MaxInt64-1) // one more is read, to notice
	o.UserAgent = cmp.Or(o.UserAgent, defaultUserAgent)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Nonce == nil {
		o.Nonce = rand.Text
	}
	return &Client{endpoint: base, source: source, http: withoutRedirects(o.HTTP), opts: o}, nil
}

// String names the endpoint and nothing else.
func (c *Client) String() string { return "quickbi client for " + c.endpoint.Host }

// GoString keeps %#v as quiet as %v.
func (c *Client) GoString() string { return c.String() }

// CloseIdleConnections lets go of connections that no call is using.
func (c *Client) CloseIdleConnections() { c.http.CloseIdleConnections() }

// maxBody is the longest answer to action that is read.
func (c *Client) maxBody(action string) int64 {
	switch action {
	case querySharesToUserList, queryShareList, querySmartqAccess:
		return cmp.Or(c.opts.MaxBody, defaultMaxList)
	default:
		return cmp.Or(c.opts.MaxBody, defaultMaxBody)
	}
}

func parseEndpoint(endpoint string) (*url.URL, error) {
	if !strings.Contains(endpoint, "://") {
		endpoint = schemeHTTPS + "://" + endpoint
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil:
		return nil, errors.New("neither a URL nor a host name") // the parser's error repeats its input
	case u.Host == "" || u.Hostname() == "":
		return nil, errors.New("no host in it")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return nil, errors.New("only a scheme, a host and a port belong in it")
	case u.Scheme == schemeHTTP && !isLoopback(u.Hostname()):
		return nil, fmt.Errorf("http would send everything in the clear to %s; use https", u.Hostname())
	case u.Scheme != schemeHTTP && u.Scheme != schemeHTTPS:
		return nil, fmt.Errorf("%s is not a scheme it speaks; use https", u.Scheme)
	}
	// Signed and sent are the same host: lower-case, without a default port.
	host := strings.ToLower(u.Host)
	host = strings.TrimSuffix(host, map[string]string{schemeHTTP: ":80", schemeHTTPS: ":443"}[u.Scheme])
	return &url.URL{Scheme: u.Scheme, Host: host, Path: "/"}, nil
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// withoutRedirects copies h, so that the caller's client stays as it is. A
// redirect would carry signed parameters to a host nobody chose.
func withoutRedirects(h *http.Client) *http.Client {
	if h == nil {
		h = &http.Client{Transport: newTransport()}
	}
	own := *h
	own.Jar = nil
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

func newTransport() *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		Protocols:           &protocols,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		MaxIdleConns:        128,
		MaxIdleConnsPerHost: 128,
		IdleConnTimeout:     30 * time.Second,
	}
}
