package main

import (
	"bufio"
	"bytes"
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
// a pipe is kept meanwhile.
func parseTwice[T any](in io.Reader, parse func(io.ReadSeeker) (T, error)) (T, error) {
	if seeker, ok := in.(io.ReadSeeker); ok {
		if _, err := seeker.Seek(0, io.SeekCurrent); err == nil {
			return parse(seeker)
		}
	}
	kept, forget, err := keep(io.LimitReader(in, intake.DefaultMaxBytes+1))
	if err != nil {
		var none T
		return none, fmt.Errorf("keeping the input at hand: %w", err)
	}
	defer forget()
	return parse(kept)
}

// keptInMemory is how much of a pipe is kept without a file.
const keptInMemory = 8 << 20

// keep reads all of in, and keeps it in memory or, if it is large, in a file. Where
// none can be made, as in a container that is read-only, memory has to do. The
// caller calls forget.
func keep(in io.Reader) (kept io.ReadSeeker, forget func(), err error) {
	var start bytes.Buffer
	none := func() {}
	if _, err := io.CopyN(&start, in, keptInMemory); err != nil {
		if !errors.Is(err, io.EOF) {
			return nil, none, err
		}
		return bytes.NewReader(start.Bytes()), none, nil
	}
	file, err := os.CreateTemp("", "enqueue-*.tmp") // mode 0600
	if err != nil {
		_, err := io.Copy(&start, in)
		return bytes.NewReader(start.Bytes()), none, err
	}
	removed := os.Remove(file.Name()) == nil // at once, where the system lets it live on while it is open
	forget = func() {
		_ = file.Close()
		if !removed {
			_ = os.Remove(file.Name())
		}
	}
	if _, err = io.Copy(file, io.MultiReader(&start, in)); err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		forget()
		return nil, none, err
	}
	return file, forget, nil
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
