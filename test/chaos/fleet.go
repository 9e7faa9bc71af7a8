//go:build unix

package main

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"time"
)

const (
	restartAfter = 300 * time.Millisecond
	readyAfter   = 10 * time.Second // a worker minds signals
	endLimit     = 30 * time.Second // for a worker that was asked to end
)

// fleet is the workers of a rig, each of which is started again whenever it
// ends.
type fleet struct {
	rig     *rig
	members []*member
	over    context.CancelFunc
	running sync.WaitGroup
}

// member is one place for a worker.
type member struct {
	rig  *rig
	name string

	mu     sync.Mutex
	lives  int
	born   time.Time // of this life
	p      *process
	struck syscall.Signal // what it is ending of
	clock  string         // CHAOS_CLOCK of the next life
}

// man starts n workers, whose names begin with prefix.
func (r *rig) man(ctx context.Context, prefix string, n int) *fleet {
	ctx, cancel := context.WithCancel(ctx)
	f := &fleet{rig: r, over: cancel}
	for i := range n {
		m := &member{rig: r, name: fmt.Sprint(prefix, i+1)}
		f.members = append(f.members, m)
		f.running.Go(func() { m.live(ctx) })
	}
	return f
}

// live starts the worker again and again, until ctx ends.
func (m *member) live(ctx context.Context) {
	for ctx.Err() == nil {
		if err := m.start(); err != nil {
			m.rig.findf("a worker cannot be started: %v", err)
			return
		}
		select {
		case <-m.p.done:
			m.judge(m.p.cmd.ProcessState.ExitCode())
		case <-ctx.Done():
			m.retire()
			return
		}
		pause(ctx, restartAfter)
	}
}

func (m *member) start() (err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lives++
	m.struck, m.born = 0, time.Now()
	c := command{
		path: m.rig.programs.worker, args: []string{"run"}, log: m.rig.file(m.name + ".log"),
		env: m.rig.env(fmt.Sprintf("%s.%d", m.name, m.lives)),
	}
	if m.clock != "" {
		c.path = m.rig.programs.jumpy
		c.env = append(c.env, "CHAOS_CLOCK="+m.clock)
	}
	m.p, err = launch(c)
	if err == nil {
		m.rig.notef("%s.%d runs as process %d", m.name, m.lives, m.p.cmd.Process.Pid)
	}
	return err
}

// program is the name of the life that m leads now.
func (m *member) program() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return fmt.Sprintf("%s.%d", m.name, m.lives)
}

// unreachable is the exit code of a program that found a store away.
const unreachable = 11

// judge looks at how a worker ended whose time had not come, or that was struck.
func (m *member) judge(code int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rig.notef("%s.%d ended with code %d (struck by %v)", m.name, m.lives, code, m.struck)
	unready := code == -1 && time.Since(m.born) < readyAfter // it had not learnt to listen yet
	switch {
	case m.struck == syscall.SIGKILL, m.struck == syscall.SIGTERM && unready, m.rig.wasDisturbed() && (code == unreachable || m.struck == syscall.SIGTERM && code == 1):
	case m.struck == syscall.SIGTERM && code != 0:
		m.rig.findf("worker %s.%d ended with code %d after SIGTERM, want 0", m.name, m.lives, code)
	case m.struck == 0:
		m.rig.findf("worker %s.%d ended by itself with code %d", m.name, m.lives, code)
	}
}

// strike sends a signal that ends the worker; it is started again after it has
// ended.
func (m *member) strike(sig syscall.Signal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.p == nil {
		return
	}
	m.struck = sig
	m.p.signal(sig)
}

// freeze and thaw stop a worker and let it go on as if nothing had happened.
func (m *member) freeze() func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.p
	if p == nil {
		return func() {}
	}
	p.signal(syscall.SIGSTOP)
	return func() { p.signal(syscall.SIGCONT) }
}

// setClock has the clock of every later life jump as CHAOS_CLOCK says.
func (m *member) setClock(jump string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clock = jump
}

// retire ends the worker for good. It must go in good order.
func (m *member) retire() {
	m.p.signal(syscall.SIGTERM)
	code, inTime := m.p.wait(endLimit)
	switch {
	case !inTime:
		m.rig.findf("worker %s did not end within %s of the last SIGTERM", m.program(), endLimit)
	case code != 0:
		m.rig.findf("worker %s ended with code %d after the last SIGTERM, want 0", m.program(), code)
	}
}

// retire ends all workers for good.
func (f *fleet) retire() {
	f.over()
	f.running.Wait()
}
