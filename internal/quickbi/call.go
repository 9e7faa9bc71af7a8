package quickbi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
)

// call sends one request and reads its answer.
func (c *Client) call(ctx context.Context, action string, params map[string]string) (answer, error) {
	limited, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	credentials, err := c.source.Credentials(limited)
	if err == nil {
		err = credentials.check()
	}
	switch {
	case ctx.Err() != nil:
		return answer{}, transportError(action, ctx.Err(), false)
	case err != nil:
		return answer{}, &CredentialError{Action: action, Err: err}
	}
	resp, err := c.send(limited, action, c.sign(action, params, credentials))
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	maxBody := c.maxBody(action)
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	return decodeAnswer(reply{
		action: action, status: resp.StatusCode, header: resp.Header,
		body: body, maxBody: maxBody, readErr: err,
	})
}

// signed is a request that is ready to be sent once.
type signed struct {
	query, body string
	header      map[string]string
}

// sign dates and signs a request. Only its date and nonce are new each time:
// the same parameters always look the same on the wire.
func (c *Client) sign(action string, params map[string]string, credentials Credentials) signed {
	u := unsigned{
		method: http.MethodPost, host: c.endpoint.Host, path: c.endpoint.Path,
		header: map[string]string{"x-acs-action": action, "x-acs-version": apiVersion},
		date:   c.opts.Now(), nonce: c.opts.Nonce(), credentials: credentials,
	}
	var s signed
	if c.opts.ParamsInBody {
		s.body = encode(params)
		u.header["content-type"] = formContentType
	} else {
		s.query = encode(params)
		u.query = params
	}
	u.bodySHA256 = hexSHA256([]byte(s.body))
	s.header = sign(u)
	return s
}

// send sends s. Its error is a [TransportError].
func (c *Client) send(ctx context.Context, action string, s signed) (*http.Response, error) {
	var w wire
	target := *c.endpoint
	target.RawQuery = s.query
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, w.trace()),
		http.MethodPost, target.String(), strings.NewReader(s.body))
	if err != nil {
		return nil, transportError(action, withoutURL(err), false)
	}
	for name, value := range s.header {
		req.Header.Set(name, value)
	}
	req.Header.Del("Host") // part of the URL
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.opts.UserAgent)

	if err := ctx.Err(); err != nil {
		return nil, transportError(action, err, false)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, transportError(action, withoutURL(err), w.maySend())
	}
	return resp, nil
}

// withoutURL removes the layer of err that quotes the URL of the request.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// wire watches how far a request gets.
type wire struct{ wanted, got atomic.Bool }

func (w *wire) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) { w.wanted.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { w.got.Store(true) },
	}
}

// maySend reports whether bytes of the request may have left. They have not
// only when a connection was wanted and none was ever had: names not found,
// dials refused and failed handshakes all come before. A connection that was
// had may have carried the request even where writing reported an error, and a
// transport that reports nothing proves nothing.
func (w *wire) maySend() bool { return w.got.Load() || !w.wanted.Load() }
