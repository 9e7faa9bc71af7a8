//go:build unix

// Package testenv lends tests what they need from the outside world: a private
// database of a real PostgreSQL, a private logical database of a real Redis,
// built programs, a logger. Only tests import it.
//
// The servers of a test binary start when the first test asks for one, and end
// with [Main], which every package that borrows must call:
//
//	func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }
//
// Tests of the package store itself borrow from an external test package,
// because testenv imports store.
package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/usher-bi/usher/internal/devstack"
)

// cleanupLimit bounds what happens after a test, when its context has ended.
const cleanupLimit = 30 * time.Second

// environment is what the tests of one binary share.
type environment struct {
	inMain   bool // Main runs, so somebody will clean up
	postgres *postgresLender
	redis    *redisLender
	programs *builder
}

// shared is the one environment of a test binary. Tests reach it through
// functions that take nothing but a testing.TB, hence a variable of the package.
var shared = environment{postgres: newPostgresLender(), redis: newRedisLender(), programs: &builder{}}

// Main runs the tests, stops the servers they borrowed from and, if all went
// well, looks for goroutines that are left. It returns the exit code for the
// test binary. leaks tell goleak what to leave out.
func Main(m *testing.M, leaks ...goleak.Option) int {
	shared.inMain = true
	code := m.Run()
	if err := shared.close(); err != nil {
		fmt.Fprintln(os.Stderr, "testenv:", err)
		code = max(code, 1)
	}
	if code != 0 {
		return code
	}
	if err := goleak.Find(leaks...); err != nil {
		fmt.Fprintln(os.Stderr, "testenv: goroutines left by the tests:", err)
		return 1
	}
	return 0
}

func (e *environment) close() error {
	return errors.Join(e.postgres.server.stop(), e.redis.server.stop(), e.programs.close())
}

// requireMain fails tb where nobody would clean up after it.
func (e *environment) requireMain(tb testing.TB) {
	tb.Helper()
	if !e.inMain {
		tb.Fatal("this package needs: func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }")
	}
}

// lazyStack is a stack that starts when it is first needed.
type lazyStack struct {
	options devstack.Options
	once    sync.Once
	stack   *devstack.Stack
	err     error
}

func (l *lazyStack) start() (*devstack.Stack, error) {
	l.once.Do(func() { l.stack, l.err = devstack.Start(context.Background(), l.options) })
	return l.stack, l.err
}

func (l *lazyStack) stop() error {
	if l.stack == nil {
		return nil
	}
	return l.stack.Stop()
}

// cleanup has tb call f at its end, with a context that has not ended yet.
func cleanup(tb testing.TB, f func(context.Context) error) {
	tb.Helper()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), cleanupLimit)
		defer cancel()
		if err := f(ctx); err != nil {
			tb.Errorf("cleaning up: %v", err)
		}
	})
}
