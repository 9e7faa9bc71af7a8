package quickbitest

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Version is the only API version served.
const Version = "2022-01-01"

// maxBody is far above what 100 pairs need.
const maxBody = 1 << 20

// Server is the stand-in. Make one with [New]; it is safe for concurrent use.
// Beside the API it serves the requests that the package comment lists.
type Server struct {
	opts  Options
	creds credentials
	admin http.Handler

	mu      sync.Mutex // guards the rest
	org     *organisation
	faults  []*scripted
	nonces  nonces
	limits  Limits
	windows map[string]*window
	calls   []*Call
	issued  int // request ids
}

var _ http.Handler = (*Server)(nil)

// New returns a Server of the organisation that o describes. Nil is an empty,
// healthy one that takes the default key pair. New does not keep o.
func New(o *Options) *Server {
	s := &Server{nonces: nonces{used: map[string]time.Time{}}}
	if o != nil {
		s.opts = *o
	}
	s.opts.setDefaults()
	s.creds = credentials{keyID: s.opts.AccessKeyID, secret: s.opts.AccessKeySecret, token: s.opts.SecurityToken}
	s.admin = s.adminMux()
	s.Reset()
	return s
}

// Reset brings back what New made: the first organisation, faults and limits, no
// grants and no calls. Used nonces stay used, and request ids are not reused.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.org = newOrganisation(&s.opts)
	s.faults = script(s.opts.Faults)
	s.limits = s.opts.limits()
	s.windows = map[string]*window{}
	s.calls = nil
}

// AddFaults puts faults in place behind those already there. If one of them
// could never do what it says, it returns an error and adds none.
func (s *Server) AddFaults(faults ...Fault) error {
	if err := checkFaults(faults); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, script(faults)...)
	return nil
}

// ClearFaults removes all faults.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// ServeHTTP answers a call of the API, or a request under /_sandbox/.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, adminPrefix) {
		s.admin.ServeHTTP(w, r)
		return
	}
	x := exchange{Server: s, r: r, call: s.receive(r)}
	a := x.answer()
	s.finish(x.call, a)
	a.send(w)
}

// receive writes a call down before anything is known about it.
func (s *Server) receive(r *http.Request) *Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issued++
	call := &Call{
		Number: len(s.calls) + 1, Time: s.opts.Now(),
		Action: r.Header.Get(headerAction), RequestID: requestID(s.issued),
	}
	s.calls = append(s.calls, call)
	return call
}

// finish writes down what is about to be answered, so that who has an answer
// finds it in the log.
func (s *Server) finish(call *Call, a answer) {
	s.mu.Lock()
	call.Status, call.Code = a.status, a.code
	done := *call
	s.mu.Unlock()
	if s.opts.Log != nil {
		s.opts.Log(done)
	}
}

// readParams merges the query and a form body. Each name may come once.
func readParams(r *http.Request, body []byte) (map[string]string, *refusal) {
	form := url.Values{}
	if len(body) > 0 {
		kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
		parsed, err := url.ParseQuery(string(body))
		if err != nil || kind != "application/x-www-form-urlencoded" {
			return nil, malformed("the body is not a form")
		}
		form = parsed
	}
	params := map[string]string{}
	for _, place := range []url.Values{r.URL.Query(), form} {
		for name, values := range place {
			if _, repeated := params[name]; repeated || len(values) > 1 {
				return nil, malformed("%s comes more than once", name)
			}
			params[name] = values[0]
		}
	}
	return params, nil
}

// readBody refuses what cannot be checked at all.
func readBody(r *http.Request) ([]byte, *refusal) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	switch {
	case err != nil: // its sender has gone, which is no offence
		return nil, &refusal{code: "InvalidBody", message: "The body was cut off."}
	case len(body) > maxBody:
		return nil, &refusal{status: http.StatusRequestEntityTooLarge, code: "InvalidBody", message: "The body is too large.", broke: RuleProtocol}
	}
	return body, nil
}

// checkProtocol checks what the gateway expects of every request of this product.
func checkProtocol(r *http.Request) *refusal {
	bad := &refusal{broke: RuleProtocol}
	switch _, err := url.ParseQuery(r.URL.RawQuery); {
	case r.URL.Path != "/":
		bad.status, bad.code, bad.message = http.StatusNotFound, "InvalidApi.NotFound", "Specified api is not found, the path of an RPC call is /."
	case r.Method != http.MethodPost:
		bad.code, bad.message = "UnsupportedHTTPMethod", "This http method is not supported."
	case err != nil:
		bad.code, bad.message = "InvalidParameter", "The query is malformed."
	case !strings.Contains(r.Header.Get("Accept"), "application/json"):
		bad.code, bad.message = "InvalidFormat", "Only JSON is answered, ask for it with Accept: application/json."
	default:
		return nil
	}
	return bad
}

// checkAction comes after the signature, so that a stranger learns nothing.
func checkAction(h http.Header) *refusal {
	switch {
	case !known(h.Get(headerAction)):
		return &refusal{status: http.StatusNotFound, code: "InvalidApi.NotFound", message: "Specified api is not found, please check your url and method.", broke: RuleProtocol}
	case h.Get(headerVersion) != Version:
		return &refusal{code: "InvalidVersion", message: "Specified parameter Version is not valid.", broke: RuleProtocol}
	}
	return nil
}
