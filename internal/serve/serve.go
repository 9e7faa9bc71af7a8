// Package serve is the HTTP intake: programs submit jobs and follow them, with
// tokens that are scoped to a source. docs/http.md says how to use it, and
// openapi.json what exactly goes in and comes out.
//
// A submission is answered once it is committed, and not before. Everything that
// is refused is told as an RFC 9457 problem with a code of ours.
package serve

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// Options says what a Server works with. Store, Lookout and Submitter are
// required; the zero value of the rest works.
type Options struct {
	Store     *store.Store
	Lookout   tasks.Lookout
	Submitter *tasks.Submitter
	Log       zerolog.Logger
	Registry  *prometheus.Registry // for /metrics; nil means one of its own

	Accounts Resolver // nil: rows that name accounts are refused

	Location *time.Location   // where a day ends for Quick BI; nil means UTC
	Now      func() time.Time // nil means time.Now

	Guards store.Guards // beyond which a job is accepted, but held

	MaxBytes   int64         // of a body, inflated; 0 means 256 MiB
	MaxRows    int           // of a job; 0 means a million
	MaxBacklog int           // tasks that wait, before all but urgent jobs are refused; 0 means two million
	LargeJobs  int           // bodies of more than a mebibyte that are worked on at once; 0 means two
	Exports    int           // downloads of results at once, each of which holds a connection of Store; 0 means four
	Rate       rate.Limit    // requests a second of each token; 0 means 300
	Stall      time.Duration // for so long a client may send or take nothing; 0 means 15 s
}

// Resolver puts users in the place of the accounts that rows name. Its errors are
// those of package accounts.
type Resolver interface {
	Resolve(ctx context.Context, b *intake.Batch) error
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Location == nil {
		o.Location = time.UTC
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	o.MaxBytes = cmp.Or(o.MaxBytes, 256<<20)
	o.MaxRows = cmp.Or(o.MaxRows, 1_000_000)
	o.MaxBacklog = cmp.Or(o.MaxBacklog, 2_000_000)
	o.LargeJobs = cmp.Or(o.LargeJobs, 2)
	o.Exports = cmp.Or(o.Exports, 4)
	o.Rate = cmp.Or(o.Rate, 300)
	o.Stall = cmp.Or(o.Stall, 15*time.Second)
	return o
}

// Server answers the requests of the HTTP intake.
type Server struct {
	options  Options
	mux      *http.ServeMux
	metrics  metrics
	pace     pace
	room     room
	exports  chan struct{}
	flights  flights
	fullness fullness
	stopping chan struct{} // closed when it stops
}

// New returns a server. It asks no other server anything until it is used, so it
// may be made while they are away.
func New(o Options) *Server {
	o = o.withDefaults()
	s := &Server{
		options: o, mux: http.NewServeMux(), metrics: newMetrics(o.Registry),
		pace: newPace(o.Rate), room: newRoom(o.LargeJobs), exports: make(chan struct{}, o.Exports), stopping: make(chan struct{}),
		fullness: fullness{count: o.Store.Backlog, now: o.Now},
	}
	s.mux.HandleFunc("GET /healthz", healthy)
	s.mux.HandleFunc("GET /readyz", s.ready)
	s.mux.Handle("GET /metrics", promhttp.HandlerFor(o.Registry, promhttp.HandlerOpts{}))
	s.mux.HandleFunc("GET /openapi.json", describe)
	s.Mount("POST /v1/jobs", s.create)
	s.Mount("GET /v1/jobs", s.list)
	s.Mount("GET /v1/jobs/{id}", s.show)
	s.Mount("POST /v1/jobs/{id}", s.control) // {id}:cancel and its like
	s.Mount("GET /v1/jobs/{id}/results", s.results)
	s.Mount("GET /v1/jobs/{id}/failures", s.failures)
	s.Mount("POST /v1/events", s.events)
	s.Mount("GET /v1/events", s.listEvents)
	s.Mount("GET /v1/limits", s.limits)
	return s
}

// Endpoint answers a request of whoever holds a token. What it returns is told
// as a problem, if nothing was written before: a [*Problem] as it is, and other
// errors by what they mean.
type Endpoint func(w http.ResponseWriter, r *http.Request, by store.Token) error

// Mount adds an endpoint behind the same tokens, limits, problems, logs and
// metrics as all others. It belongs before the server is used; pattern is one of
// [http.ServeMux], and is in the metrics.
func (s *Server) Mount(pattern string, e Endpoint) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		by, err := s.authenticate(w, r)
		if err == nil {
			err = e(w, r, by)
		}
		if err != nil {
			s.refuse(w, r, err)
		}
	})
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.observe(w, r, func(w http.ResponseWriter, r *http.Request) {
		handler, pattern := s.mux.Handler(r)
		if pattern == "" {
			s.refuse(w, r, unrouted(handler, r, w.Header()))
			return
		}
		s.mux.ServeHTTP(w, r)
	})
}

// Stop has /readyz say that the server stops, so that no more is sent to it. It
// goes on answering.
func (s *Server) Stop() { close(s.stopping) }

// unrouted says why no endpoint answers: there is none, or not for that method.
// The mux knows, and says it in text.
func unrouted(handler http.Handler, r *http.Request, header http.Header) *Problem {
	said := &silent{header: http.Header{}}
	handler.ServeHTTP(said, r)
	if said.status != http.StatusMethodNotAllowed {
		return &Problem{Status: http.StatusNotFound, Code: "not_found", Detail: "there is nothing here; /openapi.json lists what there is"}
	}
	header.Set("Allow", said.header.Get("Allow"))
	return &Problem{Status: said.status, Code: "method_not_allowed", Detail: "use one of: " + said.header.Get("Allow")}
}

// silent is an answer of which only the status and the header are kept.
type silent struct {
	header http.Header
	status int
}

func (s *silent) Header() http.Header         { return s.header }
func (s *silent) Write(p []byte) (int, error) { return len(p), nil }
func (s *silent) WriteHeader(status int)      { s.status = status }
