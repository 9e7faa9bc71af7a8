package serve

import (
	"bytes"
	"context"
	"crypto/rand"
	stdlog "log"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// metrics count what was answered. No token, source or job is in them.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	rows     prometheus.Counter
	open     prometheus.Gauge
}

func newMetrics(registry *prometheus.Registry) metrics {
	m := metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "usher_http_requests_total", Help: "Requests by route and status.",
		}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "usher_http_request_seconds", Help: "Time to answer, by route.", Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"route"}),
		rows: prometheus.NewCounter(prometheus.CounterOpts{Name: "usher_http_rows_accepted_total", Help: "Rows of accepted jobs."}),
		open: prometheus.NewGauge(prometheus.GaugeOpts{Name: "usher_http_requests_open", Help: "Requests under way."}),
	}
	registry.MustRegister(m.requests, m.seconds, m.rows, m.open)
	return m
}

// observation is what the log says of a request. It is written by the goroutine
// of the request alone.
type observation struct {
	http.ResponseWriter

	conn   *http.ResponseController
	stall  time.Duration // for so long the client may take nothing
	taking time.Duration // how long it took what it has
	id     string
	token  string // its name
	job    string
	status int
	bytes  int64
	code   string // of the problem
	cause  error

	arriving *arriving // nil: nothing is known of the body
	closes   bool      // the connection, rather than the request's part of it, can be closed
}

type observationKey struct{}

// observed returns what is kept of the request under way.
func observed(ctx context.Context) *observation {
	if o, ok := ctx.Value(observationKey{}).(*observation); ok {
		return o
	}
	return &observation{} // of a handler that is called by itself
}

func (o *observation) started() bool { return o.status != 0 }

// Unwrap lets http.ResponseController reach the connection.
func (o *observation) Unwrap() http.ResponseWriter { return o.ResponseWriter }

// WriteHeader notes the status.
func (o *observation) WriteHeader(status int) {
	if o.status == 0 {
		o.status = status
		o.leaveUnread()
	}
	o.ResponseWriter.WriteHeader(status)
}

// Write counts the bytes. The client must keep taking them, and on the whole no
// slower than leastRate; the time in which there are none does not count.
func (o *observation) Write(p []byte) (int, error) {
	if o.status == 0 {
		o.WriteHeader(http.StatusOK)
	}
	began := time.Now()
	left := 2*o.stall + atLeast(leastRate, o.bytes+int64(len(p))) - o.taking
	_ = o.conn.SetWriteDeadline(began.Add(min(o.stall, left))) // where there is none to set, there is none
	n, err := o.ResponseWriter.Write(p)
	o.taking += time.Since(began)
	o.bytes += int64(n)
	return n, err
}

var requestID = regexp.MustCompile(`^[A-Za-z0-9._:/+=@-]{1,128}$`)

// observe names a request, answers it, and says in a line what came of it. What
// is asked in the query is not said: reasons name people.
func (s *Server) observe(w http.ResponseWriter, r *http.Request, answer http.HandlerFunc) {
	began := time.Now()
	o := &observation{ResponseWriter: w, conn: http.NewResponseController(w), stall: s.options.Stall, id: r.Header.Get("X-Request-ID")}
	_ = o.conn.SetWriteDeadline(time.Time{}) // that of the answer before
	if !requestID.MatchString(o.id) {
		o.id = rand.Text()
	}
	header := w.Header()
	header.Set("X-Request-ID", o.id)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	r = r.WithContext(context.WithValue(r.Context(), observationKey{}, o))
	o.arriving, o.closes = arrivingOf(r), r.ProtoMajor == 1
	s.metrics.open.Inc()
	defer func() {
		s.metrics.open.Dec()
		failed := recover()
		s.conclude(r, o, concluded{took: time.Since(began), failed: failed})
		if failed != nil {
			panic(failed) //nolint:forbidigo // net/http ends the connection, and nothing else
		}
	}()
	answer(o, r)
}

type concluded struct {
	took   time.Duration
	failed any // what a handler panicked with
}

func (s *Server) conclude(r *http.Request, o *observation, c concluded) {
	route := r.Pattern
	if route == "" {
		route = "none"
	}
	s.metrics.requests.WithLabelValues(route, strconv.Itoa(o.status)).Inc()
	s.metrics.seconds.WithLabelValues(route).Observe(c.took.Seconds())
	level := zerolog.InfoLevel
	switch {
	case o.status >= http.StatusInternalServerError, c.failed != nil:
		level = zerolog.WarnLevel
	case route == "GET /healthz", route == "GET /readyz", route == "GET /metrics":
		level = zerolog.DebugLevel
	}
	line := s.options.Log.WithLevel(level).Str("request_id", o.id).Str("method", r.Method).Str("route", route).Int("status", o.status).
		Dur("took", c.took).Int64("bytes", o.bytes)
	for _, word := range [][2]string{{"token", o.token}, {"job", o.job}, {"code", o.code}} {
		if word[1] != "" {
			line.Str(word[0], word[1])
		}
	}
	if c.failed != nil && c.failed != http.ErrAbortHandler { //nolint:errorlint // it is the very value
		line.Interface("panic", c.failed)
	}
	line.AnErr("cause", o.cause).Msg("request")
}

// quiet passes on what net/http says of connections, which is nobody's error.
func quiet(log zerolog.Logger) *stdlog.Logger {
	return stdlog.New(lines{log}, "", 0)
}

type lines struct{ log zerolog.Logger }

// Write logs one line.
func (l lines) Write(p []byte) (int, error) {
	l.log.Debug().Msg(string(bytes.TrimSpace(p)))
	return len(p), nil
}
