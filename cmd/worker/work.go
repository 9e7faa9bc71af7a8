package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/quickbi"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// stoppedDocument is what run --json prints at its end. Its JSON is API.
type stoppedDocument struct {
	Stopped bool `json:"stopped"`
}

// work wires everything together and runs until ctx is done.
func (a *app) work(ctx context.Context) error {
	cfg, err := a.settings(config.Worker)
	if err != nil {
		return err
	}
	log := newLogger(cfg, a.stderr)

	client, err := newClient(cfg)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	db, err := store.Open(ctx, cfg.DatabaseURL.Reveal(), connections(cfg))
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.CheckSchema(ctx); err != nil {
		return err
	}
	if err := warnOfRights(ctx, db, log); err != nil {
		return err
	}
	queue, err := openQueue(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer queue.Close()

	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	status, err := listen(ctx, cfg.WorkerListen, newMux(probes{db: db, redis: queue, stopping: ctx.Done()}, registry), log)
	if err != nil {
		return err
	}
	defer status.close(ctx)

	options := options(cfg)
	options.Registry = registry
	log.Info().Str("worker", options.Name).Str("listen", status.addr).Str("endpoint", cfg.Endpoint).
		Stringer("rate", cfg.Rate).Int("concurrency", cfg.Concurrency).Msg("worker runs")
	if err := tasks.NewWorker(db, queue, client, log, options).Run(ctx); err != nil {
		return err
	}
	log.Info().Msg("worker stopped")
	if a.json {
		return a.emit(stoppedDocument{Stopped: true})
	}
	return nil
}

func options(cfg config.Config) tasks.Options {
	return tasks.Options{
		Name:        workerName(),
		Rate:        func(a access.Action) float64 { return float64(cfg.RateOf(string(a))) },
		Concurrency: cfg.Concurrency, MaxStrikes: cfg.MaxStrikes, CallTimeout: cfg.Timeout, LateFor: cfg.LateFor, Lease: cfg.Lease,
		Drain: cfg.DrainFor, Sweep: cfg.Sweep, ProbeFirst: cfg.ProbeFirst, ProbeMost: cfg.ProbeMost, Location: cfg.Location,
	}
}

// connections is enough for the handlers of a busy action, the reconciler and a
// health check, and few enough for several workers beside each other on a
// Postgres with its default of 100. Statements are short: handlers take turns.
func connections(cfg config.Config) int32 {
	return int32(min(cfg.Concurrency, 12) + 4) //nolint:gosec // at most 16
}

// workerName tells workers apart in claims and in the audit.
func workerName() string {
	host, err := os.Hostname()
	return fmt.Sprintf("%s/%d", cmp.Or(host, fmt.Sprint(err)), os.Getpid())
}

// probes answers whether the worker is well.
type probes struct {
	db       *store.Store
	redis    redis.UniversalClient
	stopping <-chan struct{}
}

func newMux(p probes, registry *prometheus.Registry) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", p.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}

// readiness is the answer of /readyz.
type readiness struct {
	Ready    bool      `json:"ready"`
	Problems []string  `json:"problems"`
	Stopped  []stopped `json:"stopped_actions"`
	Paused   []paused  `json:"paused"`
}

// paused is what an operator has paused. Who did it, and why, is for "enqueue
// status" to tell: people and their words stay out of here.
type paused struct {
	store.Target

	Since time.Time `json:"since"`
}

// stopped is a stop with what the person should do about it.
type stopped struct {
	store.Stop

	Hint string `json:"hint"`
}

// ready answers 200 when tasks can be worked on, else 503 with the reasons. An
// action that is stopped for the account is listed, but the worker is ready: it
// probes. So is what an operator has paused.
func (p probes) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), time.Second)
	defer cancel()
	answer := readiness{Problems: []string{}, Stopped: []stopped{}, Paused: []paused{}}
	select {
	case <-p.stopping:
		answer.Problems = append(answer.Problems, "the worker is stopping")
	default:
	}
	stops, err := p.db.Stops(ctx)
	pauses, pausesErr := p.db.Pauses(ctx)
	if err := errors.Join(err, pausesErr); err != nil {
		answer.Problems = append(answer.Problems, "Postgres: "+err.Error())
	}
	for _, s := range stops {
		answer.Stopped = append(answer.Stopped, stopped{Stop: s, Hint: quickbi.HintFor(s.Code)})
	}
	for _, held := range pauses {
		answer.Paused = append(answer.Paused, paused{Target: held.Target, Since: held.Since})
	}
	if err := tasks.PingRedis(ctx, p.redis); err != nil {
		answer.Problems = append(answer.Problems, "Redis: "+err.Error())
	}
	answer.Ready = len(answer.Problems) == 0
	w.Header().Set("Content-Type", "application/json")
	if !answer.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		return // the reader has left
	}
}

// server is an HTTP server that listens already.
type server struct {
	http *http.Server
	addr string
	done chan struct{}
}

// listen serves until close. An address that is taken shows here.
func listen(ctx context.Context, addr string, handler http.Handler, log zerolog.Logger) (*server, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, &config.SettingError{Name: "WORKER_LISTEN", Reason: err.Error()}
	}
	s := &server{
		http: &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second},
		addr: l.Addr().String(), done: make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error().Err(err).Msg("status server ended")
		}
	}()
	return s, nil
}

func (s *server) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close() // whoever still reads is cut off
	}
	<-s.done
}
