//go:build unix

package testenv

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Build compiles a program of this module, such as "./cmd/worker", and returns
// the path of the binary. Every program is built once per test binary, with the
// race detector where the tests have it.
func Build(tb testing.TB, program string) string {
	tb.Helper()
	shared.requireMain(tb)
	path, err := shared.programs.build(program)
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

type builder struct {
	mu     sync.Mutex
	builds map[string]func() (string, error)
	dirs   []string
}

func (b *builder) build(program string) (string, error) {
	b.mu.Lock()
	if b.builds == nil {
		b.builds = map[string]func() (string, error){}
	}
	if b.builds[program] == nil {
		b.builds[program] = sync.OnceValues(func() (string, error) { return b.compile(program) })
	}
	once := b.builds[program]
	b.mu.Unlock()
	return once()
}

func (b *builder) compile(program string) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "usher-build-")
	if err != nil {
		return "", fmt.Errorf("building %s: %w", program, err)
	}
	b.mu.Lock()
	b.dirs = append(b.dirs, dir)
	b.mu.Unlock()

	binary := filepath.Join(dir, filepath.Base(program))
	cmd := exec.CommandContext(context.Background(), "go", "build", fmt.Sprintf("-race=%t", raceEnabled), "-o", binary, program) //nolint:gosec // named by a test
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", program, err, out)
	}
	return binary, nil
}

// moduleRoot is the folder of go.mod. Tests run in the folder of their package.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod above the tests: %w", os.ErrNotExist)
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}

func (b *builder) close() error {
	for _, dir := range b.dirs {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}
