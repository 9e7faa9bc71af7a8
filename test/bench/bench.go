//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/usher-bi/usher/internal/devstack"
)

// bench is what all scenarios share.
type bench struct {
	options

	programs programs
	dir      string // of logs and files
	stack    *devstack.Stack
	scenario string // that is being measured
	sites    int    // so far
	rows     []row
}

// template is the migrated database of which every case gets a copy.
const template = "template"

// newBench builds the programs and starts the servers: a Postgres that syncs
// and a Redis that keeps nothing on disk.
func newBench(ctx context.Context, o options, dir string) (*bench, error) {
	b := &bench{options: o, dir: dir}
	b.sayf("building the programs")
	var err error
	if b.programs, err = build(ctx, filepath.Join(dir, "bin")); err != nil {
		return nil, err
	}
	b.stack, err = devstack.Start(ctx, devstack.Options{Durable: true, RedisArgs: []string{"--appendonly", "no"}})
	if err != nil {
		return nil, err
	}
	if err := b.migrate(ctx); err != nil {
		return nil, errors.Join(err, b.stack.Stop())
	}
	return b, nil
}

func (b *bench) migrate(ctx context.Context) error {
	if err := b.stack.CreateDatabase(ctx, template); err != nil {
		return err
	}
	p, err := launch(command{
		path: b.programs.worker, args: []string{"migrate"}, log: b.file("migrate.log"),
		env: []string{"HOME=" + b.dir, "LOG_FORMAT=json", "DATABASE_URL=" + b.stack.DatabaseURL(template)},
	})
	if err != nil {
		return err
	}
	if err := p.wait(ctx); err != nil {
		return err
	}
	return b.stack.SealDatabase(ctx, template)
}

func (b *bench) file(name string) string { return filepath.Join(b.dir, name) }

// sayf tells the person at the terminal what is going on.
func (b *bench) sayf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format(time.TimeOnly)+" "+format+"\n", args...)
}

// add takes a row into the table.
func (b *bench) add(r row) {
	r.Scenario = b.scenario
	b.rows = append(b.rows, r)
	b.sayf("%s, %s: %s (wanted: %s; %s)", r.Scenario, r.Case, r.Measured, r.Wanted, r.verdict())
}

// pause waits for d and reports whether ctx lasted that long.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// errPatience means that what was waited for did not come.
var errPatience = errors.New("did not happen in time")

// await asks cond until it holds.
func await(ctx context.Context, limit time.Duration, cond func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errPatience)
	defer cancel()
	for !cond() {
		if !pause(ctx, 50*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
	return nil
}
