package main

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/usher-bi/usher/internal/testenv"
)

// process is the built program while it runs.
type process struct {
	*exec.Cmd

	stdout *bufio.Reader
	stderr bytes.Buffer
}

func start(t *testing.T, b *bench, stdin *os.File, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.CommandContext(t.Context(), testenv.Build(t, "./cmd/enqueue"), args...)} //nolint:gosec // the test's own
	p.Env = os.Environ()
	for name, value := range b.vars {
		p.Env = append(p.Env, name+"="+value)
	}
	p.Stderr = &p.stderr
	if stdin != nil {
		p.Stdin = stdin
	}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdout = bufio.NewReader(out)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// interrupt sends what Ctrl-C does and returns the exit code.
func (p *process) interrupt(t *testing.T) int {
	t.Helper()
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err := p.Wait()
	if _, ok := errors.AsType[*exec.ExitError](err); !ok {
		t.Fatalf("the program ended with %v", err)
	}
	return p.ProcessState.ExitCode()
}

func TestCtrlCWhileWaiting(t *testing.T) {
	t.Parallel()

	b := setup(t)
	p := start(t, b, nil, "csv", b.file(threeRows), "--wait")
	line, err := p.stdout.ReadString('\n')
	if err != nil {
		t.Fatalf("%v: %s", err, &p.stderr)
	}
	if code := p.interrupt(t); code != exitInterrupted {
		t.Errorf("exit code %d, want %d", code, exitInterrupted)
	}
	id := strings.TrimSpace(line)
	if !strings.Contains(p.stderr.String(), "Next: enqueue status "+id+" --watch") {
		t.Errorf("stderr does not say how to follow %s:\n%s", id, &p.stderr)
	}
	if job := b.job(id); job.Counts.Pending != 3 {
		t.Errorf("the job is %+v, want it to go on", job)
	}
}

func TestCtrlCWhileReadingStdin(t *testing.T) {
	t.Parallel()

	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	p := start(t, offline(t), r, "csv", "-", "--dry-run")
	_ = r.Close()
	const morePipe = 1 << 20 // than a pipe holds: once it is written, the program reads
	if _, err := w.Write(bytes.Repeat([]byte("\n"), morePipe)); err != nil {
		t.Fatal(err)
	}
	if code := p.interrupt(t); code != exitInterrupted {
		t.Errorf("exit code %d, want %d:\n%s", code, exitInterrupted, &p.stderr)
	}
}
