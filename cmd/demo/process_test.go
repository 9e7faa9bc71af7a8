//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// child launches a shell script, which is killed at the end of the test.
func child(t *testing.T, script string) (*process, chan error) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "sh", "-c", script) //nolint:gosec // the scripts below
	cmd.SysProcAttr = apart()
	crashes := make(chan error, 1)
	p, err := launch(cmd, filepath.Join(t.TempDir(), "log"), func(err error) { crashes <- err })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
	})
	return p, crashes
}

func saysReady(t *testing.T, p *process) {
	t.Helper()
	err := p.await(t.Context(), func(context.Context) error {
		if !strings.Contains(tail(p.log), "ready") {
			return errNotYet
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCrashIsReportedWithTheLog(t *testing.T) {
	t.Parallel()

	for script, how := range map[string]string{"echo no such world >&2; exit 3": "exit status 3", "echo no such world >&2": "exit status 0"} {
		p, crashes := child(t, script)
		err := <-crashes
		for _, want := range []string{"sh ended before its time", how, p.log, "no such world"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("crash of %q is told as %q, want %q in it", script, err, want)
			}
		}
		if _, ok := errors.AsType[*crashError](p.explain(os.ErrClosed)); !ok {
			t.Errorf("what follows from a crash is not explained by it")
		}
	}
}

func TestStopIsNoCrash(t *testing.T) {
	t.Parallel()

	p, crashes := child(t, `trap 'echo drained >&2; exit 0' TERM; echo ready >&2; while :; do sleep 0.01; done`)
	saysReady(t, p)
	if err := p.stop(); err != nil {
		t.Errorf("stop() = %v", err)
	}
	if !strings.Contains(tail(p.log), "drained") {
		t.Errorf("it was not waited for: %q", tail(p.log))
	}
	select {
	case err := <-crashes:
		t.Errorf("stopping is told as %v", err)
	default:
	}
	if err := p.stop(); err != nil {
		t.Errorf("stopping what is gone: %v", err)
	}
}

func TestBadEndIsTold(t *testing.T) {
	t.Parallel()

	p, _ := child(t, `trap 'echo calls were lost >&2; exit 4' TERM; echo ready >&2; while :; do sleep 0.01; done`)
	saysReady(t, p)
	if err := p.stop(); err == nil || !strings.Contains(err.Error(), "exit status 4") || !strings.Contains(err.Error(), "calls were lost") {
		t.Errorf("stop() = %v, want the exit status and the log", err)
	}
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	t.Parallel()

	p, _ := child(t, "sleep 60")
	ctx, cancel := context.WithCancelCause(t.Context())
	crash := &crashError{name: "sandbox", log: p.log}
	err := p.await(ctx, func(context.Context) error {
		cancel(crash)
		return errNotYet
	})
	if !errors.Is(err, crash) {
		t.Errorf("await = %v, want what ended its context", err)
	}
}

func TestReadAnnouncementEndsWithItsContext(t *testing.T) {
	t.Parallel()

	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	defer writer.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if a, err := readAnnouncement(ctx, reader); err == nil {
		t.Errorf("readAnnouncement = %+v, want an error", a)
	}
}

func TestListenAddress(t *testing.T) {
	t.Parallel()

	log := filepath.Join(t.TempDir(), "worker.log")
	write := func(text string) {
		if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const line = `{"level":"info","worker":"vm/1","listen":"127.0.0.1:4711","message":"worker runs"}`
	write("not JSON\n" + line[:50])
	if got, err := listenAddress(log); !errors.Is(err, errNotYet) {
		t.Errorf("listenAddress of half a line = %q, %v", got, err)
	}
	write("not JSON\n" + line + "\n")
	if got, err := listenAddress(log); got != "127.0.0.1:4711" || err != nil {
		t.Errorf("listenAddress = %q, %v", got, err)
	}
}

func TestWithoutSettings(t *testing.T) {
	t.Parallel()

	environ := []string{
		"HOME=/home/me", "GOPATH=/go", "DATABASE_URL=postgres://production/usher", "QUICKBI_RATE_SMARTQAUTHORIZE=1/s",
		"ALIBABA_CLOUD_ACCESS_KEY_ID=mine", "WORKER_LEASE=1s", "PGHOST=production", "LOG_FORMAT=console", "PATH=/bin",
	}
	if diff := cmp.Diff([]string{"HOME=/home/me", "GOPATH=/go", "PATH=/bin"}, withoutSettings(environ, true)); diff != "" {
		t.Errorf("beside private servers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"HOME=/home/me", "GOPATH=/go", "PGHOST=production", "PATH=/bin"}, withoutSettings(environ, false)); diff != "" {
		t.Errorf("beside given servers (-want +got):\n%s", diff)
	}
}

func TestShell(t *testing.T) {
	t.Parallel()

	got := shell([]string{"enqueue", "csv", "-", "--reason", "it's new", "--key", "", "--status", "failed,unknown"})
	if want := `enqueue csv - --reason 'it'\''s new' --key '' --status failed,unknown`; got != want {
		t.Errorf("shell = %s, want %s", got, want)
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()

	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--help"}, exitOK, "  make demo "},
		{[]string{"--wat"}, exitUsage, "-wat"},
		{[]string{"now"}, exitUsage, "takes no arguments"},
		{nil, exitFailed, "this is not the checkout"}, // tests run in the folder of their package
	} {
		var out, log bytes.Buffer
		code := run(t.Context(), world{args: tt.args, out: &out, err: &log, now: time.Now})
		if code != tt.code || !strings.Contains(log.String(), tt.want) || out.Len() > 0 {
			t.Errorf("demo %q = %d, %q, %q; want %d and %q", tt.args, code, &out, &log, tt.code, tt.want)
		}
	}
}
