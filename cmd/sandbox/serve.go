package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

// drainFor is how long calls may go on after the signal to stop.
const drainFor = 5 * time.Second

// serve announces the sandbox once it accepts connections and serves it until
// ctx ends.
func (a *app) serve(ctx context.Context, o *quickbitest.Options) error {
	listener, err := listen(ctx, a.listen)
	if err != nil {
		return err
	}
	if a.verbose {
		o.Log = logTo(a.std.err)
	}
	out := announce(listener.Addr(), o)
	server := &http.Server{
		Handler:           quickbitest.New(o),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx }, // scripted delays end with us
		ErrorLog:          slog.NewLogLogger(slog.NewTextHandler(a.std.err, nil), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	a.announced = true
	if err := out.write(a.std.out, a.json); err != nil {
		return errors.Join(fmt.Errorf("announcing: %w", err), server.Close())
	}
	fmt.Fprintf(a.std.err, "serving %d users, %d Q&A resources, %d themes, %d datasets, %d works, %d workspaces until Ctrl-C; next: curl %s/_sandbox/state\n",
		len(o.Users), len(o.QAResources), len(o.QAThemes), len(o.Datasets), len(o.Works), len(o.Workspaces), out.Endpoint)
	select {
	case err := <-served:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
		return stop(ctx, server)
	}
}

// stop lets calls finish that are under way, and cuts those that do not.
func stop(ctx context.Context, server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainFor)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return fmt.Errorf("stopping: %w", errors.Join(err, server.Close()))
	}
	return nil
}

// listen refuses every address that others could reach: what is served under
// /_sandbox/ is open to whoever can connect.
func listen(ctx context.Context, address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, usage(fmt.Errorf("--listen: %w", err))
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, usage(fmt.Errorf("--listen %s: the sandbox serves loopback only, like 127.0.0.1:0", address))
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return listener, nil
}

// announcement is what a client needs to know.
type announcement struct {
	Endpoint        string `json:"endpoint"`
	AccessKeyID     string `json:"access_key_id"`
	AccessKeySecret string `json:"access_key_secret"` // made up: it opens this sandbox and nothing else
	SecurityToken   string `json:"security_token,omitempty"`
	State           string `json:"state"`
}

func announce(addr net.Addr, o *quickbitest.Options) announcement {
	endpoint := "http://" + addr.String()
	return announcement{
		Endpoint:        endpoint,
		AccessKeyID:     cmp.Or(o.AccessKeyID, quickbitest.DefaultAccessKeyID),
		AccessKeySecret: cmp.Or(o.AccessKeySecret, quickbitest.DefaultAccessKeySecret),
		SecurityToken:   o.SecurityToken,
		State:           endpoint + "/_sandbox/state",
	}
}

// write prints a as one JSON document, or as lines for a shell. An empty token
// is exported too, lest one be inherited that does not belong to the key pair.
func (a announcement) write(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(a)
	}
	var lines strings.Builder
	for _, v := range []struct{ name, value string }{
		{"QUICKBI_ENDPOINT", a.Endpoint},
		{"QUICKBI_CREDENTIALS", "env"},
		{"ALIBABA_CLOUD_ACCESS_KEY_ID", a.AccessKeyID},
		{"ALIBABA_CLOUD_ACCESS_KEY_SECRET", a.AccessKeySecret},
		{"ALIBABA_CLOUD_SECURITY_TOKEN", a.SecurityToken},
	} {
		lines.WriteString("export " + v.name + "=" + quote(v.value) + "\n")
	}
	_, err := io.WriteString(w, lines.String())
	return err
}

var plain = regexp.MustCompile(`^[A-Za-z0-9_./:@%+=-]+$`)

// quote makes s one word of a POSIX shell.
func quote(s string) string {
	if plain.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// logTo returns a log of one line a call.
func logTo(w io.Writer) func(quickbitest.Call) {
	log := slog.New(slog.NewTextHandler(w, nil))
	return func(c quickbitest.Call) {
		log.Info("call",
			slog.String("action", c.Action), slog.String("request_id", c.RequestID),
			slog.Int("status", c.Status), slog.String("code", c.Code),
			slog.Int("users", c.Users), slog.Int("resources", c.Resources), slog.Int("failed", c.Failed),
			slog.Bool("applied", c.Applied), slog.String("fault", string(c.Fault)), slog.String("violation", string(c.Violation)))
	}
}
