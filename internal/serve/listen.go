package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Listening says where and how a server listens.
type Listening struct {
	Address string
	Cert    *Certificate  // nil: without TLS, behind a proxy or on loopback
	Drain   time.Duration // on the end of the context, requests under way may finish within that
}

// Run listens until ctx is done, and then lets requests under way finish. Up is
// told the address once connections are taken. An address that cannot be had is
// an [net.OpError].
func (s *Server) Run(ctx context.Context, at Listening, up func(net.Addr)) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", at.Address)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	up(l.Addr())
	return s.Serve(ctx, l, at)
}

// Serve is [Server.Run] for a listener, which it closes.
func (s *Server) Serve(ctx context.Context, l net.Listener, at Listening) error {
	// Bodies and long answers have deadlines of their own, which move as they do.
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: quiet(s.options.Log),
	}
	serve := func() error { return server.Serve(l) }
	if at.Cert != nil {
		server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: at.Cert.get}
		serve = func() error { return server.ServeTLS(l, "", "") }
	}
	ended := make(chan error, 1)
	go func() { ended <- serve() }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	s.Stop()
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), at.Drain)
	defer cancel()
	err := server.Shutdown(patience)
	if errors.Is(err, context.DeadlineExceeded) {
		s.options.Log.Warn().Msg("requests under way are cut off")
		err = server.Close()
	}
	if served := <-ended; err == nil && !errors.Is(served, http.ErrServerClosed) {
		err = served
	}
	return err
}
