//go:build unix

package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// programs are the paths of what a run starts.
type programs struct{ worker, enqueue, jumpy string }

// buildOptions say how the programs are made.
type buildOptions struct {
	dir  string
	race bool
	tags string // of a deliberately broken build
}

// build compiles the programs of this module into a folder.
func build(ctx context.Context, o buildOptions) (programs, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return programs{}, err
	}
	race := fmt.Sprintf("-race=%t", o.race)
	if err := run(ctx, root, "build", race, "-tags="+o.tags, "-o", o.dir+"/", "./cmd/worker", "./cmd/enqueue"); err != nil {
		return programs{}, err
	}
	overlay, err := clockOverlay(ctx, o.dir)
	if err != nil {
		return programs{}, err
	}
	p := programs{
		worker: filepath.Join(o.dir, "worker"), enqueue: filepath.Join(o.dir, "enqueue"), jumpy: filepath.Join(o.dir, "jumpy"),
	}
	return p, run(ctx, root, "build", "-overlay="+overlay, "-tags="+o.tags, "-o", p.jumpy, "./cmd/worker")
}

// jumpSource is what the clock of a worker is made to jump with.
//
//go:embed jump.go.txt
var jumpSource string

// nowReads is the line of time.Now after which the jump is added.
const nowReads = "sec, nsec, mono := runtimeNow()\n"

var errClock = errors.New("time.Now of this Go does not read the clock as it used to: adapt nowReads")

// clockOverlay writes a copy of the standard library's clock that can jump, and
// returns the file that has the compiler use it.
func clockOverlay(ctx context.Context, dir string) (string, error) {
	goroot, err := output(ctx, "", "env", "GOROOT")
	if err != nil {
		return "", err
	}
	original := filepath.Join(goroot, "src", "time", "time.go")
	source, err := os.ReadFile(filepath.Clean(original))
	if err != nil {
		return "", err
	}
	at := strings.Index(string(source), nowReads)
	if at < 0 {
		return "", errClock
	}
	at += len(nowReads)
	patched := string(source[:at]) + "\tsec += jumped(mono)\n" + string(source[at:])
	replace := map[string]string{
		original: filepath.Join(dir, "time.go"),
		filepath.Join(filepath.Dir(original), "jump.go"): filepath.Join(dir, "jump.go"),
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, errors.Join(err,
		os.WriteFile(replace[original], []byte(patched), 0o600), //nolint:gosec // in a folder of ours
		os.WriteFile(filepath.Join(dir, "jump.go"), []byte(jumpSource), 0o600),
		os.WriteFile(overlay, list, 0o600))
}

func moduleRoot(ctx context.Context) (string, error) {
	mod, err := output(ctx, "", "env", "GOMOD")
	return filepath.Dir(mod), err
}

func output(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // the Go command, with arguments of ours
	cmd.Dir = dir
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

func run(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // the Go command, with arguments of ours
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}
