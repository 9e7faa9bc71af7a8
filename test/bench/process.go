//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// programs are the paths of what is measured: the product's programs, and this
// one, which plays the parts of [roles].
type programs struct{ worker, enqueue, self string }

// build compiles the programs of this module into a folder.
func build(ctx context.Context, dir string) (programs, error) {
	self, err := os.Executable()
	if err != nil {
		return programs{}, err
	}
	mod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return programs{}, fmt.Errorf("looking for the module: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", dir+"/", "./cmd/worker", "./cmd/enqueue") //nolint:gosec // a folder of ours
	cmd.Dir = filepath.Dir(strings.TrimSpace(string(mod)))
	if out, err := cmd.CombinedOutput(); err != nil {
		return programs{}, fmt.Errorf("building the programs: %w\n%s", err, out)
	}
	return programs{worker: filepath.Join(dir, "worker"), enqueue: filepath.Join(dir, "enqueue"), self: self}, nil
}

// command is a program to run.
type command struct {
	path string
	args []string
	env  []string
	log  string    // its stderr is added to this file
	out  io.Writer // its stdout; nil is nowhere
}

// process is a program that runs, or has run.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it is gone
}

// launch starts c in a process group of its own. It dies with this program.
func launch(c command) (*process, error) {
	log, err := os.OpenFile(filepath.Clean(c.log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(c.path, c.args...) //nolint:gosec,noctx // just built; ended by a signal
	cmd.Env, cmd.Stdout, cmd.Stderr = c.env, c.out, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
	p := &process{cmd: cmd, log: c.log, done: make(chan struct{})}
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

const endLimit = 40 * time.Second // for a program that was asked to end

// stop ends p in good order, or by force, which is an error.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	timer := time.NewTimer(endLimit)
	defer timer.Stop()
	select {
	case <-p.done:
		return p.verdict()
	case <-timer.C:
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not end within %s, see %s", p.name(), endLimit, p.log)
	}
}

// wait waits for p to end by itself. When ctx ends first, p is killed.
func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.verdict()
	case <-ctx.Done():
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("waiting for %s: %w", p.name(), ctx.Err())
	}
}

func (p *process) verdict() error {
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("%s ended with exit code %d, see %s", p.name(), code, p.log)
	}
	return nil
}

func (p *process) name() string { return filepath.Base(p.cmd.Path) }
