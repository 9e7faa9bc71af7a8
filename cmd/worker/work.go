package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/accounts"
	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/events"
	"github.com/usher-bi/usher/internal/schedule"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
	"github.com/usher-bi/usher/internal/webhook"
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
	a.collectLess()

	client, err := newClient(cfg)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	stores, err := newStores(ctx, cfg)
	if err != nil {
		return err
	}
	defer stores.close()

	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	probes := probes{db: stores.db, redis: stores.queue, stopping: ctx.Done()}
	status, err := listen(ctx, cfg.WorkerListen, newMux(probes, registry), log)
	if err != nil {
		return err
	}
	defer status.close(ctx)
	log.Info().Str("listen", status.addr).Msg("worker starts")
	if err := stores.await(ctx, log); err != nil {
		return a.stopped(ctx, err, log)
	}

	stores.accounts = accounts.NewResolver(accounts.Options{
		Cache: stores.db, Ages: store.AccountAges{Known: cfg.AccountMaxAge, Unknown: cfg.UnknownMaxAge}, Redis: stores.queue, PerSecond: float64(cfg.RateOf(string(tasks.QueryUserInfoByAccount))),
		Connect: func() (accounts.Directory, error) { return client, nil },
	})
	options := options(cfg)
	options.Registry = registry
	done, err := addChores(&options, cfg, stores, log)
	if err != nil {
		return err
	}
	defer done()
	log.Info().Str("worker", options.Name).Str("listen", status.addr).Str("endpoint", cfg.Endpoint).
		Stringer("rate", cfg.Rate).Msg("worker runs")
	err = tasks.NewWorker(stores.db, stores.queue, client, log, options).Run(ctx)
	return a.stopped(ctx, err, log)
}

// collectLess has garbage collected a few times less often than Go would by
// itself: what tasks hold is little and soon gone, so a worker stays small, and a
// fifth of its CPU time is saved. The schedule of a large file is held to the
// limit. Whoever sets GOGC or GOMEMLIMIT knows better.
func (a *app) collectLess() {
	if a.getenv("GOGC") != "" || a.getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(512 << 20)
}

// addChores adds what workers do beside tasks. The caller calls done once they do
// it no more.
func addChores(o *tasks.Options, cfg config.Config, stores stores, log zerolog.Logger) (done func(), err error) {
	inbox, err := openInbox(cfg)
	if err != nil {
		return nil, err
	}
	submitter := tasks.NewSubmitter(stores.db, tasks.NewQueue(stores.queue))
	schedules := schedule.NewRunner(stores.db, submitter, schedule.Options{
		Inbox: inbox, Location: cfg.Location, Log: log, Accounts: stores.accounts,
	})
	people := events.NewApplier(stores.db, submitter, events.Options{Name: o.Name, Location: cfg.Location, Log: log})
	hooks := webhook.NewRunner(stores.db, webhook.Options{Sender: webhook.SenderOptions{Private: cfg.WebhookPrivate, Version: version()}, Log: log})
	o.Chores = append(append(o.Chores, schedules.Chores()...), people.Chore(), hooks.Chore())
	return func() {
		if inbox != nil {
			_ = inbox.Close()
		}
	}, nil
}

// openInbox opens the folder that schedules find their files in; nil if there is
// none.
func openInbox(cfg config.Config) (*os.Root, error) {
	if cfg.Inbox == "" {
		return nil, nil //nolint:nilnil // to have none is no error
	}
	inbox, err := os.OpenRoot(cfg.Inbox)
	return inbox, config.Blame("WORKER_INBOX", err)
}

// stopped says that the worker was stopped, unless it ended for another reason.
func (a *app) stopped(ctx context.Context, err error, log zerolog.Logger) error {
	if err != nil && (ctx.Err() == nil || !errors.Is(err, ctx.Err())) {
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
		MinShare:    cfg.MinShare,
		Concurrency: cfg.Concurrency, MaxStrikes: cfg.MaxStrikes, CallTimeout: cfg.Timeout, LateFor: cfg.LateFor, Lease: cfg.Lease, Alive: cfg.Alive,
		Drain: cfg.DrainFor, Sweep: cfg.Sweep, ProbeFirst: cfg.ProbeFirst, ProbeMost: cfg.ProbeMost, Location: cfg.Location,
	}
}

// connections is enough for what is not asked for each task: the reconciler, the
// feeder, a health check, answers that end no task. The store has nine more.
// Together they are few enough for several workers beside each other on a Postgres
// with its default of 100.
const connections = 8

// workerName tells workers apart in claims and in the audit. A container that
// starts again has the same host and process numbers, hence the rest.
func workerName() string {
	host, err := os.Hostname()
	return fmt.Sprintf("%s/%d/%s", cmp.Or(host, fmt.Sprint(err)), os.Getpid(), strings.ToLower(rand.Text()[:8]))
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
