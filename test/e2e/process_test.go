package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/usher-bi/usher/internal/testenv"
)

// patience bounds what one process may take to end, on a loaded machine and
// with the race detector.
const patience = time.Minute

// invocation says what to run.
type invocation struct {
	program string // "worker"
	args    []string
	env     []string
	stdin   string
}

// process is a program that runs, or has run.
type process struct {
	t      *testing.T
	name   string
	cmd    *exec.Cmd
	stdout lockedBuffer
	stderr lockedBuffer
	done   chan struct{} // closed when the process is gone
}

// launch starts a program. It is killed at the end of the test if it still
// runs then, and shows what it said if the test failed.
func launch(t *testing.T, i invocation) *process {
	t.Helper()
	p := &process{t: t, name: strings.Join(append([]string{i.program}, i.args...), " "), done: make(chan struct{})}
	p.cmd = exec.Command(testenv.Build(t, "./cmd/"+i.program), i.args...) //nolint:gosec,noctx // just built; ended by name, below
	p.cmd.Env, p.cmd.Dir = i.env, t.TempDir()
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = strings.NewReader(i.stdin), &p.stdout, &p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithTests(p.cmd.SysProcAttr)
	started := make(chan error, 1)
	go p.run(started)
	if err := <-started; err != nil {
		t.Fatalf("starting %s: %v", p.name, err)
	}
	t.Cleanup(p.discard)
	return p
}

// run keeps its thread for as long as the process lives: where the system ends
// a process with the thread that started it, that thread must not go first.
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

// discard is the end of whatever has not ended in another way.
func (p *process) discard() {
	_ = p.cmd.Process.Kill()
	<-p.done
	if p.t.Failed() {
		p.t.Logf("%s ended with %s\n%s", p.name, p.cmd.ProcessState, p.stderr.tail())
	}
}

// signal sends sig, unless the process has ended.
func (p *process) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatalf("sending %s to %s: %v", sig, p.name, err)
	}
}

// wait returns the exit code once the process has ended, and -1 if a signal
// ended it.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("%s does not end; it says\n%s", p.name, p.stderr.tail())
	}
	return p.cmd.ProcessState.ExitCode()
}

// stop asks the process to end, and fails the test unless it does so in good
// order. A data race in it spoils the exit code.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != 0 {
		p.t.Errorf("%s: exit code %d after SIGTERM", p.name, code)
	}
}

// kill ends the process as a crash would.
func (p *process) kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	p.wait()
}

// ended is what a program left behind.
type ended struct {
	t              *testing.T
	name           string
	code           int
	stdout, stderr string
}

// end waits for the process.
func (p *process) end() ended {
	p.t.Helper()
	code := p.wait()
	return ended{t: p.t, name: p.name, code: code, stdout: p.stdout.String(), stderr: p.stderr.String()}
}

// want fails the test unless the program ended with code.
func (e ended) want(code int) ended {
	e.t.Helper()
	if e.code != code {
		e.t.Fatalf("%s: exit code %d, want %d\n%s%s", e.name, e.code, code, e.stdout, e.stderr)
	}
	return e
}

// says fails the test unless the program said all of this to a person.
func (e ended) says(words ...string) ended {
	e.t.Helper()
	for _, word := range words {
		if !strings.Contains(e.stderr, word) {
			e.t.Errorf("%s does not say %q; it says\n%s", e.name, word, e.stderr)
		}
	}
	return e
}

// document reads the one JSON document on stdout into v.
func (e ended) document(v any) {
	e.t.Helper()
	d := json.NewDecoder(strings.NewReader(e.stdout))
	if err := d.Decode(v); err != nil {
		e.t.Fatalf("%s: stdout is no JSON: %v\n%s%s", e.name, err, e.stdout, e.stderr)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		e.t.Errorf("%s: more than one document on stdout:\n%s", e.name, e.stdout)
	}
}

// lockedBuffer takes what a process writes while the test reads.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// tail is the end of what was written: a worker can be talkative.
func (b *lockedBuffer) tail() string {
	const keep = 4000
	text := b.String()
	return text[max(0, len(text)-keep):]
}

// logged returns the first complete JSON line whose message is msg.
func (b *lockedBuffer) logged(msg string) (line map[string]any, found bool) {
	for text := range strings.Lines(b.String()) {
		var fields map[string]any
		if strings.HasSuffix(text, "\n") && json.Unmarshal([]byte(text), &fields) == nil && fields["message"] == msg {
			return fields, true
		}
	}
	return nil, false
}
