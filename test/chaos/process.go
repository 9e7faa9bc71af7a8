//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// command is a program to run.
type command struct {
	path string
	args []string
	env  []string
	log  string   // its stderr is added to this file
	out  *os.File // its stdout; nil is nowhere
}

// process is a program that runs, or has run.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it is gone
}

// launch starts c in a process group of its own. It dies with this program.
func launch(c command) (*process, error) {
	log, err := os.OpenFile(filepath.Clean(c.log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(c.path, c.args...) //nolint:gosec,noctx // just built; ended by name
	cmd.Env, cmd.Stderr = c.env, log
	if c.out != nil {
		cmd.Stdout = c.out
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.run(started)
	return p, <-started
}

// run keeps its thread for as long as the process lives: the system ends a
// process with the thread that started it.
func (p *process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	err := p.cmd.Start()
	started <- err
	if err == nil {
		_ = p.cmd.Wait() // the exit code tells
	}
}

func (p *process) signal(sig syscall.Signal) {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		fmt.Fprintf(os.Stderr, "chaos: sending %s: %v\n", sig, err)
	}
}

// wait returns the exit code, -1 after a signal. A process that does not end
// within limit is killed, and ok is false.
func (p *process) wait(limit time.Duration) (code int, ok bool) {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), true
	case <-time.After(limit):
		p.signal(syscall.SIGKILL)
		<-p.done
		return p.cmd.ProcessState.ExitCode(), false
	}
}
