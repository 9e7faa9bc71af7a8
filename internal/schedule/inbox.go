package schedule

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/usher-bi/usher/internal/store"
)

// Where files lie, beside each other: those that are worked on, and those that
// have ended well, or not.
const (
	workingFolder = "working"
	doneFolder    = "done"
	errorsFolder  = "errors"
)

// doneSuffix names the file that says that another one is complete.
const doneSuffix = ".done"

// inbox is where the files of a run lie. All its names are below the folder that
// the process was given, whatever links are in it.
type inbox struct {
	root   *os.Root
	of     store.Schedule
	prefix string // of the files that the run has taken
}

func (w *work) inbox() inbox {
	slot := w.run.Slot.UTC().Format("20060102T150405")
	if ms := w.run.Slot.UTC().Format(".000"); ms != ".000" { // a person asked for it
		slot += ms
	}
	return inbox{root: w.options.Inbox, of: w.run.Of, prefix: slot + "Z-" + w.run.Of.Name + "-"}
}

// dir is the folder of the files.
func (b inbox) dir() string {
	if b.of.Kind == store.FolderSchedule {
		return path.Clean(b.of.Path)
	}
	return path.Dir(b.of.Path)
}

// absence is why there is no file, and how the run ends if none comes.
type absence struct {
	state store.RunState
	why   string
}

// complete lists the files that are there and complete, by name; if there are
// none, why. That a folder is empty is nothing that anybody need look at.
func (b inbox) complete() (files []store.RunInput, none absence, err error) {
	none.state = store.RunMissing
	names := []string{path.Base(b.of.Path)}
	if b.of.Kind == store.FolderSchedule {
		switch names, err = b.names(); {
		case errors.Is(err, fs.ErrNotExist):
			none.why = "there is no folder " + b.of.Path
			return nil, none, nil
		case err != nil:
			return nil, none, err
		case len(names) == 0:
			none = absence{store.RunNothing, "there is no file in " + b.of.Path}
		}
	}
	for _, name := range names {
		found, whyNot, err := b.judge(name)
		if err != nil {
			return nil, none, err
		}
		if whyNot != "" {
			none.why = whyNot
			continue
		}
		files = append(files, found)
	}
	return files, none, nil
}

// names lists what looks like a file of rows. What begins with a dot or with ~$ is
// another program's, such as the mark of a workbook that somebody has open.
func (b inbox) names() ([]string, error) {
	d, err := b.root.Open(b.dir())
	if err != nil {
		return nil, err
	}
	defer d.Close()
	all, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(all, func(name string) bool {
		return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "~$") ||
			!slices.Contains([]string{".csv", ".tsv", ".txt", ".xlsx"}, strings.ToLower(path.Ext(name)))
	})
	slices.Sort(names)
	return names, nil
}

// judge looks at a complete file, or says why there is none.
func (b inbox) judge(name string) (found store.RunInput, why string, err error) {
	at := path.Join(b.dir(), name)
	file, err := b.root.Lstat(at)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return found, at + " is not there", nil
	case err != nil:
		return found, "", err
	case !file.Mode().IsRegular():
		return found, at + " is not a plain file", nil
	case b.of.CompleteBy == store.CompleteByRename:
		return inputOf(name, file), "", nil
	}
	mark, err := b.root.Lstat(at + doneSuffix)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return found, at + " is not complete: there is no " + name + doneSuffix, nil
	case err != nil:
		return found, "", err
	case mark.ModTime().Before(file.ModTime()):
		return found, at + " is not complete: it was written after " + name + doneSuffix, nil
	default:
		return inputOf(name, file), "", nil
	}
}

// inputOf is a file as it lies there. Postgres keeps microseconds.
func inputOf(name string, file fs.FileInfo) store.RunInput {
	modified, size := file.ModTime().Truncate(time.Microsecond), file.Size()
	return store.RunInput{File: name, ModifiedAt: &modified, Size: &size}
}

// unchanged reports whether a file is the one that was judged to be complete.
func unchanged(judged store.RunInput, file fs.FileInfo) bool {
	now := inputOf(judged.File, file)
	return (judged.ModifiedAt == nil || judged.ModifiedAt.Equal(*now.ModifiedAt)) && (judged.Size == nil || *judged.Size == *now.Size)
}

// place is where a file of the run lies in a folder of ours.
func (b inbox) place(folder, name string) string { return path.Join(b.dir(), folder, b.prefix+name) }

// Why a file that was judged to be complete cannot be taken any more.
var (
	errGone    = errors.New("it was taken away before it could be read")
	errChanged = errors.New("it was changed after it was found to be complete")
)

// take moves a file to where nobody looks for it, if that was not done already. It
// must be complete still, and as it was judged: a while may have passed.
func (b inbox) take(judged store.RunInput) error {
	name := judged.File
	to := b.place(workingFolder, name)
	if _, err := b.root.Lstat(to); err == nil {
		return nil
	}
	if err := b.root.MkdirAll(path.Dir(to), 0o750); err != nil {
		return err
	}
	from := path.Join(b.dir(), name)
	switch file, err := b.root.Lstat(from); {
	case errors.Is(err, fs.ErrNotExist):
		return errGone
	case err != nil:
		return err
	case !unchanged(judged, file):
		return errChanged
	}
	if _, why, err := b.judge(name); err != nil || why != "" {
		return cmp.Or(err, errChanged)
	}
	if err := b.root.Rename(from, to); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return errGone
		}
		return err
	}
	if err := b.root.Remove(from + doneSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// wasRejected reports whether a file lies among the errors already.
func (b inbox) wasRejected(name string) bool {
	_, err := b.root.Lstat(b.place(errorsFolder, name))
	return err == nil
}

// open opens a file that was taken.
func (b inbox) open(name string) (*os.File, error) { return b.root.Open(b.place(workingFolder, name)) }

// put moves a file that was taken to where it belongs, if that was not done
// already.
func (b inbox) put(folder, name string) error {
	to := b.place(folder, name)
	if err := b.root.MkdirAll(path.Dir(to), 0o750); err != nil {
		return err
	}
	err := b.root.Rename(b.place(workingFolder, name), to)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := b.root.Lstat(to); err == nil {
			return nil
		}
	}
	return err
}

// write writes a file beside those of a folder, whole or not at all.
func (b inbox) write(to string, fill func(io.Writer) error) (err error) {
	if err := b.root.MkdirAll(path.Dir(to), 0o750); err != nil {
		return err
	}
	part := path.Join(path.Dir(to), fmt.Sprintf(".%s.%d.tmp", path.Base(to), os.Getpid()))
	f, err := b.root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = b.root.Remove(part)
		}
	}()
	for _, step := range []func() error{func() error { return fill(f) }, f.Sync, f.Close, func() error { return b.root.Rename(part, to) }} {
		if err := step(); err != nil {
			return fmt.Errorf("writing %s: %w", to, err)
		}
	}
	return nil
}
