//go:build unix

// Command demo shows the product from a CSV file to granted access, with the
// real programs, on servers of its own, against a strict stand-in for Quick BI.
// It needs no cloud account and leaves nothing running. `make demo` runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// The exit codes. Zero means that every check held.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

const usage = `  make demo              from a CSV file to granted access, and stop
  scripts/demo --keep    the same, but go on running until Ctrl-C

Builds worker, enqueue and sandbox, starts private servers (or takes those of
DATABASE_URL and REDIS_URL, which must be empty), and follows a job of about
3,000 changes from the file to the proof. What is worth a look is in .demo/
afterwards.

`

func main() {
	// The kernel ends our children when the thread ends that started them. The
	// main thread lives as long as the program.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second signal ends the program, and its children, at once
	code := run(ctx, world{args: os.Args[1:], environ: os.Environ(), out: os.Stdout, err: os.Stderr, now: time.Now})
	stop()
	os.Exit(code)
}

// world is what a run takes from outside.
type world struct {
	args     []string
	environ  []string
	out, err io.Writer
	now      func() time.Time
}

// run plays the story, stops whatever it started, and returns the exit code.
func run(ctx context.Context, w world) int {
	keep, err := parse(w)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage // the flag package has said why
	}
	dir, err := openFolder()
	if err != nil {
		fmt.Fprintln(w.err, "demo:", err)
		return exitFailed
	}
	defer dir.Close()

	playing, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	d := newDemo(w, fail)
	err = d.play(playing, keep)
	if crash, ok := errors.AsType[*crashError](context.Cause(playing)); ok {
		err = crash // whatever else went wrong follows from it
	}
	if err != nil && ctx.Err() != nil {
		err = errInterrupted
	}
	return d.conclude(err)
}

func parse(w world) (keep bool, err error) {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(w.err)
	flags.BoolVar(&keep, "keep", false, "leave everything running at the end, until Ctrl-C")
	flags.Usage = func() {
		fmt.Fprint(w.err, usage)
		flags.PrintDefaults()
	}
	if err := flags.Parse(w.args); err != nil {
		return false, err
	}
	if flags.NArg() > 0 {
		err = fmt.Errorf("demo takes no arguments, but was given %q", flags.Args())
		fmt.Fprintln(w.err, err)
	}
	return keep, err
}
