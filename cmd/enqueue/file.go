package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/usher-bi/usher/internal/intake"
)

// input is a file named on the command line, and what to make of it.
type input[T any] struct {
	name  string // "-" for standard input
	parse func(io.ReadSeeker) (T, error)
}

// readInput reads a file, or stdin. A terminal or pipe that gives nothing is
// abandoned when ctx ends.
func readInput[T any](ctx context.Context, stdin io.Reader, file input[T]) (T, error) {
	var none T
	in := stdin
	if file.name != "-" {
		f, err := os.Open(file.name)
		if err != nil {
			return none, unusable(file.name, err)
		}
		defer f.Close()
		in = f
	}
	type result struct {
		value T
		err   error
	}
	read := make(chan result, 1)
	go func() {
		value, err := parseTwice(in, file.parse)
		read <- result{value, err}
	}()
	select {
	case <-ctx.Done():
		return none, ctx.Err()
	case r := <-read:
		if bad, ok := errors.AsType[*intake.FileError](r.err); ok {
			return none, rejectFile(file.name, bad)
		}
		if _, ok := errors.AsType[*fs.PathError](r.err); ok { // a folder, for example
			return none, unusable(file.name, r.err)
		}
		return r.value, r.err
	}
}

// parseTwice has parse read an input, which may go back in it. What comes through
// a pipe is kept in a file meanwhile.
func parseTwice[T any](in io.Reader, parse func(io.ReadSeeker) (T, error)) (T, error) {
	if seeker, ok := in.(io.ReadSeeker); ok {
		if _, err := seeker.Seek(0, io.SeekCurrent); err == nil {
			return parse(seeker)
		}
	}
	var none T
	kept, err := os.CreateTemp("", "enqueue-*.tmp") // mode 0600
	if err != nil {
		return none, fmt.Errorf("keeping the input at hand: %w", err)
	}
	defer kept.Close()
	defer os.Remove(kept.Name())
	if _, err := io.Copy(kept, io.LimitReader(in, intake.DefaultMaxBytes+1)); err != nil {
		return none, fmt.Errorf("keeping the input at hand: %w", err)
	}
	if _, err := kept.Seek(0, io.SeekStart); err != nil {
		return none, fmt.Errorf("keeping the input at hand: %w", err)
	}
	return parse(kept)
}

// sizeOf is how much is left of an input, or 0 where nobody can tell.
func sizeOf(in io.Seeker) int64 {
	at, err := in.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0
	}
	if file, ok := in.(*os.File); ok { // a folder, for one, can be sought in and has no size
		if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
			return 0
		}
	}
	end, err := in.Seek(0, io.SeekEnd)
	if _, back := in.Seek(at, io.SeekStart); err != nil || back != nil {
		return 0
	}
	return end - at
}

// replaceFile has write fill a new file that only its owner can read, and puts
// it in the place of path once it is complete. An error leaves path as it was.
func replaceFile(path string, write func(io.Writer) error) (err error) {
	target, err := replaceable(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+".*.tmp") // mode 0600
	if err != nil {
		return unusable(path, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	out := bufio.NewWriter(f)
	if err := write(out); err != nil {
		return err
	}
	for _, step := range []func() error{out.Flush, f.Sync, f.Close, func() error { return os.Rename(f.Name(), target) }} {
		if err := step(); err != nil {
			return fmt.Errorf("writing %s: %w", path, err)
		}
	}
	return nil
}

// replaceable returns the file that path means, links followed. Anything that
// is no plain file, such as a device or a folder, must not be replaced.
func replaceable(path string) (string, error) {
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, nil
	}
	if err != nil {
		return "", unusable(path, err)
	}
	info, err := os.Stat(target)
	if err != nil {
		return "", unusable(path, err)
	}
	if !info.Mode().IsRegular() {
		return "", usageError{err: fmt.Errorf("%s is not a plain file; leave -o out to write to stdout", path)}
	}
	return target, nil
}

// unusable is a file name on the command line that cannot be opened.
func unusable(path string, err error) error {
	if bad, ok := errors.AsType[*fs.PathError](err); ok {
		err = bad.Err
	}
	return usageError{err: fmt.Errorf("cannot open %s: %w", path, err)}
}

// shellWord writes s so that a shell takes it for one word.
func shellWord(s string) string {
	plain := strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-") == ""
	if plain && s != "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
