//go:build unix

package devstack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	dirPrefix     = "usher-stack-"
	lockName      = "lock"
	randomDigits  = 10  // at most, of os.MkdirTemp
	maxSocketPath = 107 // of sockaddr_un, without the closing zero
	maxParentPath = maxSocketPath - len("/"+dirPrefix) - randomDigits - len("/"+postgresSocket)
)

// errTaken means that somebody else holds the lock of a directory, or removed
// the directory while we were at it.
var errTaken = errors.New("directory is in use")

// privateDir makes the directory of a stack and returns it locked. Before
// that, it removes what crashed stacks left in the same folder.
func privateDir(parent string, as account) (string, *os.File, error) {
	parent, err := chooseParent(parent, as)
	if err != nil {
		return "", nil, fmt.Errorf("choosing a folder for private servers: %w", err)
	}
	sweep(parent, as)
	for {
		dir, err := os.MkdirTemp(parent, dirPrefix)
		if err != nil {
			return "", nil, fmt.Errorf("making a private directory: %w", err)
		}
		lock, err := lockDir(dir, os.O_CREATE)
		if errors.Is(err, errTaken) || errors.Is(err, os.ErrNotExist) {
			continue // another Start took it for a leftover
		}
		if err != nil {
			return "", nil, fmt.Errorf("locking a private directory: %w", err)
		}
		if !as.switched {
			return dir, lock, nil
		}
		if err := os.Chown(dir, int(as.uid), int(as.gid)); err != nil {
			return "", nil, errors.Join(fmt.Errorf("giving a private directory away: %w", err), removeDir(dir), lock.Close())
		}
		return dir, lock, nil
	}
}

// chooseParent returns the folder that was asked for if it will do, else the
// first of the system's folders that will.
func chooseParent(asked string, as account) (string, error) {
	candidates := []string{asked}
	if asked == "" {
		candidates = []string{os.TempDir(), "/tmp", "/var/tmp"}
	}
	var errs []error
	for _, dir := range candidates {
		resolved, err := checkParent(dir, as)
		if err == nil {
			return resolved, nil
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

// checkParent returns dir in full, or why no stack can live in it.
func checkParent(dir string, as account) (string, error) {
	full, err := filepath.Abs(dir)
	if err == nil {
		full, err = filepath.EvalSymlinks(full)
	}
	switch {
	case err != nil:
		return "", err
	case len(full) > maxParentPath:
		return "", fmt.Errorf("%s is longer than %d bytes, too long for sockets in it", full, maxParentPath)
	case strings.Contains(full, ","):
		return "", fmt.Errorf("%s holds a comma, which separates folders for postgres", full)
	case !as.switched:
		return full, nil
	}
	for at := full; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return "", err
		}
		if !as.mayEnter(info) {
			return "", fmt.Errorf("%s is closed to user %d, which runs the servers", at, as.uid)
		}
		if at == filepath.Dir(at) {
			return full, nil
		}
	}
}

// lockDir takes the lock of a stack's directory, or says errTaken. The lock
// lives until the file is closed or this process ends. create is os.O_CREATE
// for a directory that has no lock yet, else 0.
func lockDir(dir string, create int) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, create|os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600) //nolint:gosec // not followed
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(errTaken, err, f.Close())
	}
	held, errHeld := f.Stat()
	named, errNamed := os.Lstat(path)
	if err := errors.Join(errHeld, errNamed); err != nil || !os.SameFile(held, named) {
		return nil, errors.Join(errTaken, err, f.Close())
	}
	return f, nil
}

// removeDir removes a directory whose lock is held. The lock goes last, so
// that a sweep finishes what a crash interrupts.
func removeDir(dir string) error {
	inside, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range inside {
		if entry.Name() == lockName {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	for _, last := range []string{filepath.Join(dir, lockName), dir} {
		if err := os.Remove(last); err != nil && !errors.Is(err, os.ErrNotExist) { // a sweep may be faster
			return err
		}
	}
	return nil
}

// sweep removes the directories of stacks that nobody holds. It is a courtesy:
// what cannot be removed stays.
func sweep(parent string, as account) {
	found, err := filepath.Glob(filepath.Join(parent, dirPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range found {
		if !ours(dir, as) {
			continue
		}
		lock, err := lockDir(dir, 0)
		if errors.Is(err, os.ErrNotExist) {
			_ = os.Remove(dir) // succeeds for an empty one alone
		}
		if err == nil {
			_ = removeDir(dir)
			_ = lock.Close()
		}
	}
}

// ours keeps root from touching what another user put into a shared folder.
func ours(dir string, as account) bool {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && (stat.Uid == as.uid || int(stat.Uid) == os.Geteuid())
}
