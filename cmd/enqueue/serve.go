package main

import (
	"context"
	"errors"
	"net"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/term"
	"golang.org/x/time/rate"

	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/serve"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// serveConns is enough for the requests that are worked on at once: more would
// only wait for each other.
const serveConns = 16

// serveSilence is how long Postgres may say nothing in the middle of a statement.
// The longest ones end a copy of a million rows.
const serveSilence = time.Minute

// servedDocument is what --json prints when the intake has stopped. Its JSON is
// API.
type servedDocument struct {
	Stopped bool `json:"stopped"`
}

func (a *app) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Take jobs over HTTP until SIGTERM",
		Long: `Takes jobs from programs over HTTP, and tells them what became of their rows. Each
needs a token: see "enqueue token add". /openapi.json describes the requests, and
docs/http.md shows them; /healthz, /readyz and /metrics need no token.

It listens on ENQUEUE_LISTEN, with TLS where ENQUEUE_TLS_CERT and ENQUEUE_TLS_KEY
name files; when these are replaced, the new certificate is used at once. While Postgres or Redis is away it answers 503, and nothing is
accepted. On SIGTERM it lets requests under way finish, within ENQUEUE_DRAIN.`,
		Example: `  enqueue token add hr-feed --source hr
  enqueue serve`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context()) },
	}
}

func (a *app) serve(ctx context.Context) error {
	cfg, err := a.settings(config.Serve)
	if err != nil {
		return err
	}
	log := a.newLogger(cfg)
	at := serve.Listening{Address: cfg.EnqueueListen, Drain: cfg.ServeDrain}
	if at.Cert, err = certificate(cfg, log); err != nil {
		return err
	}
	st, err := store.New(ctx, cfg.DatabaseURL.Reveal(), store.Options{MaxConns: serveConns, Silence: serveSilence})
	if err != nil {
		return blame("DATABASE_URL", err)
	}
	defer st.Close()
	if err := st.CheckSchema(ctx); err != nil && !errors.Is(err, store.ErrUnavailable) { // who is away may come back
		return blame("DATABASE_URL", err)
	}
	look, done := lookout(cfg, st)
	defer done()
	resolver, disconnect := a.resolver(cfg, st, look.Redis)
	defer disconnect()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	server := serve.New(serve.Options{
		Store: st, Lookout: look, Submitter: tasks.NewSubmitter(st, tasks.NewQueue(look.Redis)), Log: log, Registry: registry,
		Location: cfg.Location, Now: a.Now, MaxBytes: cfg.MaxBytes, MaxRows: cfg.MaxRows, MaxBacklog: cfg.MaxBacklog, Exports: serveConns / 4, Rate: rate.Limit(cfg.TokenRate),
		Guards: new(guardFlags).over(cfg.Guards), Accounts: resolver,
	})
	err = server.Run(ctx, at, func(addr net.Addr) { tellListening(log, addr, at) })
	if _, refused := errors.AsType[*net.OpError](err); refused {
		return config.Blame("ENQUEUE_LISTEN", err)
	}
	if err != nil {
		return err
	}
	log.Info().Msg("intake stopped")
	if a.json {
		return a.emit(servedDocument{Stopped: true})
	}
	return nil
}

// tellListening warns where tokens would travel in the open.
func tellListening(log zerolog.Logger, addr net.Addr, at serve.Listening) {
	log.Info().Str("listen", addr.String()).Bool("tls", at.Cert != nil).Msg("intake runs")
	if tcp, ok := addr.(*net.TCPAddr); ok && at.Cert == nil && !tcp.IP.IsLoopback() {
		log.Warn().Msg("tokens travel unencrypted unless a proxy in front of this ends TLS; or set ENQUEUE_TLS_CERT and ENQUEUE_TLS_KEY")
	}
}

// certificate reads the certificate that the environment names; nil if it names
// none.
func certificate(cfg config.Config, log zerolog.Logger) (*serve.Certificate, error) {
	if cfg.TLSCert == "" {
		return nil, nil //nolint:nilnil // none is named
	}
	cert, err := serve.OpenCertificate(serve.CertificateFiles{Cert: cfg.TLSCert, Key: cfg.TLSKey}, log)
	return cert, config.Blame("ENQUEUE_TLS_CERT", err)
}

// newLogger writes JSON, or readable lines to a terminal.
func (a *app) newLogger(cfg config.Config) zerolog.Logger {
	level, err := zerolog.ParseLevel(cfg.LogLevel)
	if err != nil {
		level = zerolog.InfoLevel
	}
	out := a.Stderr
	f, isFile := out.(*os.File)
	isTerminal := isFile && term.IsTerminal(int(f.Fd()))
	if cfg.LogFormat == "console" || cfg.LogFormat == "auto" && isTerminal {
		out = zerolog.ConsoleWriter{Out: out, NoColor: !isTerminal}
	}
	return zerolog.New(out).Level(level).With().Timestamp().Logger()
}
