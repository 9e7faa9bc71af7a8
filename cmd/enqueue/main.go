// Command enqueue submits bulk changes of access and follows what becomes of
// them. Data goes to stdout, talk to stderr; README and --help name the rest.
package main

import (
	"context"
	"os"
	"os/signal"
	"os/user"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	code := run(ctx, world())
	stop()
	os.Exit(code)
}

// world is the env of a real process.
func world() env {
	e := env{
		Args:    os.Args[1:],
		Stdin:   os.Stdin,
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
		Environ: os.Environ(),
		User:    whoami(),
		Now:     time.Now,
		After:   time.After,
		Every: func(d time.Duration) (<-chan time.Time, func()) {
			ticker := time.NewTicker(d)
			return ticker.C, ticker.Stop
		},
	}
	stderr := term.IsTerminal(int(os.Stderr.Fd()))
	e.IsTTY = stderr && e.lookup("TERM") != "dumb"
	e.Asks = stderr && term.IsTerminal(int(os.Stdin.Fd()))
	return e
}

// whoami is user@host, as far as the machine knows.
func whoami() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return strings.ToValidUTF8(name, "?")
}
