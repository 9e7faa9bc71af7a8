//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	pollEvery  = 20 * time.Millisecond
	startLimit = 20 * time.Second // for a program to be ready
	stopLimit  = 40 * time.Second // for a program that was asked to end: a worker drains
)

// crashError is a program that ended while it was needed.
type crashError struct {
	name string
	how  error // nil for exit code 0
	log  string
}

func (e *crashError) Error() string {
	how := "exit status 0"
	if e.how != nil {
		how = e.how.Error()
	}
	return fmt.Sprintf("%s ended before its time (%s); the end of its log, %s:\n%s", e.name, how, e.log, tail(e.log))
}

func (e *crashError) Unwrap() error { return e.how }

// process is a program that runs until it is stopped.
type process struct {
	name   string
	log    string
	cmd    *exec.Cmd
	ending atomic.Bool
	done   chan struct{} // closed when it is gone
	err    error         // how it went; to be read after done
}

// launch starts cmd with its stderr in the file log. If it ends before
// [process.stop], crashed is called.
func launch(cmd *exec.Cmd, log string, crashed func(error)) (*process, error) {
	file, err := os.OpenFile(filepath.Clean(log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	cmd.Stderr = file
	p := &process{name: cmd.Args[0], log: log, cmd: cmd, done: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		p.err = cmd.Wait()
		if !p.ending.Load() {
			crashed(&crashError{name: p.name, how: p.err, log: log})
		}
	}()
	return p, nil
}

// await asks ready until it says yes. A crash ends ctx.
func (p *process) await(ctx context.Context, ready func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := ready(limited)
		if err == nil {
			return nil
		}
		select {
		case <-limited.Done():
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("%s is not ready after %s: %w; the end of its log, %s:\n%s", p.name, startLimit, err, p.log, tail(p.log))
		case <-tick.C:
		}
	}
}

// explain returns the crash of p that err is a sign of, or err itself.
func (p *process) explain(err error) error {
	select {
	case <-p.done:
		return &crashError{name: p.name, how: p.err, log: p.log}
	case <-time.After(time.Second):
		return err
	}
}

// stop asks p to end, waits for it, and kills it in the end. If it is gone
// already, that was told as a crash.
func (p *process) stop() error {
	p.ending.Store(true)
	select {
	case <-p.done:
		return nil
	default:
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stopping %s: %w", p.name, err)
		}
		select {
		case <-p.done:
			return p.howItEnded(sig)
		case <-time.After(stopLimit):
		}
	}
	return fmt.Errorf("%s does not end", p.name)
}

func (p *process) howItEnded(last syscall.Signal) error {
	switch {
	case last == syscall.SIGKILL:
		return fmt.Errorf("%s did not end within %s of SIGTERM and was killed; see %s", p.name, stopLimit, p.log)
	case p.err != nil:
		return fmt.Errorf("%s did not end well: %w; the end of its log, %s:\n%s", p.name, p.err, p.log, tail(p.log))
	default:
		return nil
	}
}

// apart gives a child a process group of its own, so that Ctrl-C reaches the
// demo alone, and has it die when the demo does.
func apart() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(attr)
	return attr
}
