//go:build unix

package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	pollEvery = 5 * time.Millisecond
	patience  = 10 * time.Second // for a server that was asked to end
)

// site is where and as whom the children of a stack run.
type site struct {
	dir string
	as  account
}

// command prepares a child: no word of the developer's settings in its
// environment, a process group of its own so that Ctrl-C reaches this program
// alone, and death when this program dies.
func (s site) command(ctx context.Context, death syscall.Signal, argv ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // found by findPrograms
	cmd.Dir = s.dir
	cmd.Env = []string{"HOME=" + s.dir, "LC_ALL=C", "TZ=UTC", "PATH=" + os.Getenv("PATH")}
	if libs, ok := os.LookupEnv("LD_LIBRARY_PATH"); ok { // servers unpacked without root need it
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+libs)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: s.as.credential()}
	dieWithParent(cmd.SysProcAttr, death)
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}

// process is a child that was started.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the child is gone
	err  error         // how it went; to be read after done
}

// launch starts cmd. The death signal belongs to the thread that forks, and
// the kernel sends it when that thread ends, so one thread is held for as long
// as the child lives.
func launch(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
	}()
	return p, <-started
}

// alive reports whether p was started and has not ended.
func (p *process) alive() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// end sends the signals one after the other until the child is gone.
func (p *process) end(signals ...syscall.Signal) error {
	for _, sig := range signals {
		if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("sending %v: %w", sig, err)
		}
		timer := time.NewTimer(patience)
		defer timer.Stop()
		select {
		case <-p.done:
			return nil
		case <-timer.C:
		}
	}
	return fmt.Errorf("process %d does not end", p.cmd.Process.Pid)
}

// Server is one server of a stack.
type Server struct {
	name    string
	site    site
	prepare func(ctx context.Context) error // before the first start; may be nil
	argv    []string
	ready   func(ctx context.Context) error
	death   syscall.Signal   // when this program dies, and for Kill
	endings []syscall.Signal // for Stop

	mu      sync.Mutex
	running *process // nil when stopped
}

// Start starts the server and waits until it answers. It does nothing if the
// server is running.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running.alive() {
		return nil
	}
	if s.prepare != nil {
		if err := s.prepare(ctx); err != nil {
			return fmt.Errorf("preparing %s: %w\n%s", s.name, err, logTail(s.logPath()))
		}
		s.prepare = nil
	}
	if err := s.start(ctx); err != nil {
		return fmt.Errorf("starting %s: %w\n%s", s.name, err, logTail(s.logPath()))
	}
	return nil
}

func (s *Server) start(ctx context.Context) error {
	cmd := s.site.command(context.WithoutCancel(ctx), s.death, s.argv...)
	p, err := s.launchLogged(cmd)
	if err != nil {
		return err
	}
	if err := p.await(ctx, s.ready); err != nil {
		return errors.Join(err, p.end(s.endings...))
	}
	s.running = p
	return nil
}

// await polls ready until it succeeds, the child ends or ctx does.
func (p *process) await(ctx context.Context, ready func(context.Context) error) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("it ended at once: %w", p.err)
		case <-ctx.Done():
			return fmt.Errorf("%w; last answer: %w", ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// run lets cmd run to its end, its output in the server's log.
func (s *Server) run(cmd *exec.Cmd) error {
	p, err := s.launchLogged(cmd)
	if err != nil {
		return err
	}
	<-p.done
	return p.err
}

func (s *Server) launchLogged(cmd *exec.Cmd) (*process, error) {
	log, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	return launch(cmd)
}

func (s *Server) logPath() string { return filepath.Join(s.site.dir, s.name+".log") }

// Stop ends the server in good order, or by force when it does not listen.
// Its data stays for the next Start as far as it was written to disk.
func (s *Server) Stop() error { return s.endWith(s.endings...) }

// Kill ends the server as a crash would.
func (s *Server) Kill() error { return s.endWith(s.death, syscall.SIGKILL) }

func (s *Server) endWith(signals ...syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == nil {
		return nil
	}
	if err := s.running.end(signals...); err != nil {
		return fmt.Errorf("stopping %s: %w", s.name, err)
	}
	s.running = nil
	return nil
}
