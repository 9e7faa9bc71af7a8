//go:build unix

package testenv

import (
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

const (
	pollEvery = 10 * time.Millisecond
	pollLimit = 30 * time.Second
)

// Eventually polls cond until it is true, and fails tb after half a minute,
// naming what it waited for. It is for what another process or server does and
// does not announce. It must be called by the goroutine of the test.
func Eventually(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	if !poll(pollLimit, cond) {
		tb.Fatalf("waited %s in vain: %s", pollLimit, what)
	}
}

// poll reports whether cond came true within limit.
func poll(limit time.Duration, cond func() bool) bool {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline.C:
			return false
		}
	}
	return true
}

// Logger returns a logger whose lines appear with tb's when it fails. A line
// that a goroutine writes after tb's end is dropped.
func Logger(tb testing.TB) zerolog.Logger {
	tb.Helper()
	w := &tbWriter{tb: tb}
	tb.Cleanup(w.close)
	return zerolog.New(w).Level(zerolog.DebugLevel)
}

// tbWriter writes to a test until it ends, since a later Log would panic.
type tbWriter struct {
	mu    sync.Mutex
	tb    testing.TB
	ended bool
}

// Write logs one line.
func (w *tbWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ended {
		w.tb.Logf("%s", p)
	}
	return len(p), nil
}

func (w *tbWriter) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
}
