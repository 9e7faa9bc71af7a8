//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// errInterrupted means Ctrl-C or the like.
var errInterrupted = errors.New("interrupted; stopping what was started")

// demo is one run.
type demo struct {
	world

	fail     context.CancelCauseFunc // called when a program crashes
	began    time.Time
	took     time.Duration // of the whole story
	running  []running     // in the order of their starts
	childEnv []string
	given    bool // the servers are not ours

	appDatabase string // of a private server, for the role of the programs

	scenario    *scenario // from the third step on
	announced   announcement
	sandbox     sandbox
	callsBefore int // the request was submitted
	job         job // of the request
	retried     job // of its failures
	calls       []call
}

// running is something to stop at the end.
type running struct {
	name string
	stop func() error
}

func newDemo(w world, fail context.CancelCauseFunc) *demo {
	return &demo{world: w, fail: fail, began: w.now(), childEnv: withoutSettings(w.environ, true)}
}

// step is one part of the story.
type step struct {
	title string
	do    func(context.Context) error
}

func (d *demo) steps() []step {
	return []step{
		{"Build the programs", d.build},
		{"Start PostgreSQL and Redis", d.startServers},
		{"Make up a company, and start a stand-in for its Quick BI", d.startSandbox},
		{"Create the tables", d.migrate},
		{"Start a worker", d.startWorker},
		{"Give some people access, so that there is some to take away", d.submitBefore},
		{"See what the request would cost", d.dryRun},
		{"Submit the request and follow it", d.submit},
		{"Ask why rows failed", d.failures},
		{"Write what became of each row", d.results},
		{"Let the passing trouble pass, and retry what can be retried", d.retry},
		{"Compare Quick BI with the request, pair by pair", d.check},
		{"Look back", d.summary},
	}
}

// play does the steps in order.
func (d *demo) play(ctx context.Context, keep bool) error {
	steps := d.steps()
	for i, s := range steps {
		fmt.Fprintf(d.out, "\n[%d/%d] %s\n", i+1, len(steps), s.title)
		if err := s.do(ctx); err != nil {
			return err
		}
	}
	d.took = d.now().Sub(d.began).Round(100 * time.Millisecond)
	if keep {
		d.sayf("everything runs on until Ctrl-C; the lines with export above are for another terminal in this folder")
		<-ctx.Done()
		if errors.As(context.Cause(ctx), new(*crashError)) {
			return context.Cause(ctx)
		}
	}
	return nil
}

// conclude stops what was started, the newest first, says how it went and
// returns the exit code.
func (d *demo) conclude(err error) int {
	if err != nil {
		fmt.Fprintf(d.err, "\ndemo: %v\n", err)
	}
	errStop := d.stop()
	if errStop != nil {
		fmt.Fprintf(d.err, "demo: %v\n", errStop)
	}
	switch {
	case errors.Is(err, errInterrupted) && errStop == nil:
		fmt.Fprintln(d.err, "demo: all that was started is stopped")
		return exitInterrupted
	case err != nil || errStop != nil:
		fmt.Fprintf(d.err, "demo: failed; the logs are in %s\n", logDir)
		return exitFailed
	default:
		fmt.Fprintf(d.out, "\nEvery check held. The demo took %s.\n", d.took)
		return exitOK
	}
}

// stop ends what is running, the newest first: the worker before what it
// speaks to.
func (d *demo) stop() error {
	var errs []error
	fmt.Fprintln(d.out)
	for _, r := range slices.Backward(d.running) {
		err := r.stop()
		if err == nil {
			fmt.Fprintf(d.out, "stopped: %s\n", r.name)
		}
		errs = append(errs, err)
	}
	return errors.Join(append(errs, os.RemoveAll(binDir))...)
}

// atEnd has something stopped at the end of the run, whichever way it ends.
func (d *demo) atEnd(name string, stop func() error) {
	d.running = append(d.running, running{name, stop})
}

// sayf explains what happens.
func (d *demo) sayf(format string, args ...any) { fmt.Fprintf(d.out, "  "+format+"\n", args...) }

// show prints a line that one could type.
func (d *demo) show(line string) { fmt.Fprintf(d.out, "  $ %s\n", line) }
