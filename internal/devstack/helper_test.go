//go:build linux

package devstack_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/usher-bi/usher/internal/devstack"
)

// helperDir asks the test binary to be a program that starts a stack in the
// named folder, prints its directory and stops it when its input ends.
const helperDir = "DEVSTACK_HELPER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		if err := helper(context.Background(), dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func helper(ctx context.Context, dir string) error {
	stack, err := devstack.Start(ctx, devstack.Options{Dir: dir})
	if err != nil {
		return err
	}
	fmt.Println(stack.Dir())
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return stack.Stop()
}

// program is a running helper.
type program struct {
	cmd  *exec.Cmd
	in   io.Closer
	dir  string // of its stack
	errs *strings.Builder
}

// startHelper runs cmd as a helper and waits until its stack is up.
func startHelper(t *testing.T, cmd *exec.Cmd) program {
	t.Helper()
	p := program{cmd: cmd, errs: &strings.Builder{}}
	cmd.Stderr = p.errs
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in = in
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("helper ended early: %v: %v: %s", err, cmd.Wait(), p.errs)
	}
	p.dir = strings.TrimSpace(line)
	return p
}

// openDir returns a short folder that every user may use and that is removed
// with t. t.TempDir is neither short nor open.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "devstack-test-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o777); err != nil { //nolint:gosec // a stack of another user goes in here
		t.Fatal(err)
	}
	return dir
}

// entries lists what lies in dir.
func entries(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// processesIn lists the processes that work in dir or below it.
func processesIn(t *testing.T, dir string) []string {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, link := range links {
		cwd, err := os.Readlink(link)
		if err == nil && strings.HasPrefix(cwd, dir) { // an error: it has just ended
			out = append(out, filepath.Base(filepath.Dir(link)))
		}
	}
	return out
}

// eventually polls cond, which nothing announces.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
