//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// folder is where everything of a run is, within the checkout.
const folder = ".demo"

// The files of a run. What is not listed here is gone at the end.
const (
	binDir      = folder + "/bin" // emptied at the end
	logDir      = folder + "/logs"
	worldFile   = folder + "/world.json"
	beforeFile  = folder + "/before.csv"
	requestFile = folder + "/access.csv"
	resultsFile = folder + "/results.csv"
	failedFile  = folder + "/failed.csv"
	retriedFile = folder + "/retried.csv"
	workerLog   = logDir + "/worker.log"
	sandboxLog  = logDir + "/sandbox.log"
)

var errElsewhere = errors.New("this is not the checkout; change to its folder and run: make demo")

// openFolder makes the folder of a run, or empties it, and keeps other runs out
// of it until the returned file is closed.
func openFolder() (*os.File, error) {
	if _, err := os.Stat("cmd/demo/main.go"); err != nil {
		return nil, errElsewhere
	}
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // for people to look into
		return nil, err
	}
	dir, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another demo is running in %s: %w", folder, err), dir.Close())
	}
	if err := empty(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("emptying %s: %w", folder, err), dir.Close())
	}
	if err := os.Mkdir(logDir, 0o755); err != nil { //nolint:gosec // for people to look into
		return nil, errors.Join(err, dir.Close())
	}
	return dir, nil
}

func empty(dir *os.File) error {
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		errs = append(errs, os.RemoveAll(filepath.Join(dir.Name(), name)))
	}
	return errors.Join(errs...)
}

// tail returns the last lines of a log, for an error message.
func tail(path string) string {
	const keep = 5
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-keep):], "\n")
}
