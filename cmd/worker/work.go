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
	"github.com/redis/go-redis/v9/logging"
	"github.com/rs/zerolog"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/quickbi"
	"github.com/usher-bi/usher/internal/quickbi/credentials"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// work wires everything together and runs until ctx is done.
func work(ctx context.Context, env environment) error {
	cfg, err := config.Load(config.Worker, env.getenv, env.environ)
	if err != nil {
		return err
	}
	log := newLogger(cfg, env.stderr)
	logging.Disable() // go-redis prints every failed dial; what matters is logged by us

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
	queue, err := tasks.OpenRedis(ctx, cfg.RedisURL.Reveal())
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
	return nil
}

func options(cfg config.Config) tasks.Options {
	return tasks.Options{
		Name:        workerName(),
		Rate:        func(a access.Action) float64 { return float64(cfg.RateOf(string(a))) },
		Concurrency: cfg.Concurrency, MaxStrikes: cfg.MaxStrikes, CallTimeout: cfg.Timeout, Lease: cfg.Lease,
		Drain: cfg.DrainFor, Sweep: cfg.Sweep, ProbeFirst: cfg.ProbeFirst, ProbeMost: cfg.ProbeMost,
	}
}

// connections is enough for the handlers of every action, the reconciler and a
// health check.
func connections(cfg config.Config) int32 {
	return int32(min(cfg.Concurrency*len(access.Actions()), 64) + 4) //nolint:gosec // at most 68
}

// workerName tells workers apart in claims and in the audit.
func workerName() string {
	host, err := os.Hostname()
	return fmt.Sprintf("%s/%d", cmp.Or(host, fmt.Sprint(err)), os.Getpid())
}

func newClient(cfg config.Config) (*quickbi.Client, error) {
	source, err := credentials.New(credentials.Config{
		Provider: credentials.Provider(cfg.Credentials),
		Static: quickbi.Credentials{
			AccessKeyID: cfg.AccessKeyID, AccessKeySecret: cfg.AccessKeySecret.Reveal(), SecurityToken: cfg.SecurityToken.Reveal(),
		},
		RoleName: cfg.RoleName, RoleARN: cfg.RoleARN, OIDCProviderARN: cfg.OIDCProviderARN, OIDCTokenFile: cfg.OIDCTokenFile,
		URI: cfg.CredentialsURI.Reveal(),
	})
	if err != nil {
		return nil, fmt.Errorf("preparing credentials: %w", err)
	}
	client, err := quickbi.New(cfg.Endpoint, source, quickbi.Options{Timeout: cfg.Timeout, UserAgent: "usher/" + version()})
	if err != nil {
		return nil, &config.SettingError{Name: "QUICKBI_ENDPOINT", Reason: err.Error()}
	}
	return client, nil
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
	Ready    bool         `json:"ready"`
	Problems []string     `json:"problems"`
	Stopped  []store.Stop `json:"stopped_actions"`
}

// ready answers 200 when tasks can be worked on, else 503 with the reasons. An
// action that is stopped for the account is listed, but the worker is ready: it
// probes.
func (p probes) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), time.Second)
	defer cancel()
	answer := readiness{Problems: []string{}, Stopped: []store.Stop{}}
	select {
	case <-p.stopping:
		answer.Problems = append(answer.Problems, "the worker is stopping")
	default:
	}
	if stops, err := p.db.Stops(ctx); err != nil {
		answer.Problems = append(answer.Problems, "Postgres: "+err.Error())
	} else if stops != nil {
		answer.Stopped = stops
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
