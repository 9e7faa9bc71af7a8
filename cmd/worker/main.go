// Command worker runs the tasks of accepted jobs against Quick BI, and migrates
// the database.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// After the first signal the next one ends the process at once: what it was
	// doing is settled by the fences in Postgres.
	context.AfterFunc(ctx, stop)
	code := run(ctx, environment{args: os.Args[1:], getenv: os.Getenv, environ: os.Environ(), stdout: os.Stdout, stderr: os.Stderr})
	stop()
	os.Exit(code)
}
