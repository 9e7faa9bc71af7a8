package intake_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/intake"
)

var (
	today   = access.Date{Year: 2026, Month: time.November, Day: 22}
	newYear = access.Date{Year: 2027, Month: time.January, Day: 1}
	options = intake.Options{Today: today}
)

// minimal is the shortest header under which rows are sound.
const minimal = "action,principal,resource_type,resource_id,expires_on"

// grant returns the change of a row "grant,user,qa_resource,resource,2027-01-01".
func grant(user, resource string) access.Change {
	return access.Change{
		Operation: access.Grant,
		Principal: access.Principal{Type: access.User, ID: user},
		Resource:  access.Resource{Type: access.QAResource, ID: resource},
		Terms:     access.Terms{ExpiresOn: newYear},
	}
}

func revoke(user, resource string) access.Change {
	c := grant(user, resource)
	c.Operation, c.Terms = access.Revoke, access.Terms{}
	return c
}

// read reads lines joined by LF and fails t if the file is refused.
func read(t *testing.T, lines ...string) *intake.Batch {
	t.Helper()
	return readWith(t, options, lines...)
}

func readWith(t *testing.T, o intake.Options, lines ...string) *intake.Batch {
	t.Helper()
	b, err := intake.ReadCSV(strings.NewReader(strings.Join(lines, "\n")+"\n"), o)
	if err != nil {
		t.Fatalf("reading %q: %v", lines, err)
	}
	return b
}

// refusal returns why the file is refused, and fails t if it is not.
func refusal(t *testing.T, o intake.Options, file string) *intake.FileError {
	t.Helper()
	b, err := intake.ReadCSV(strings.NewReader(file), o)
	refused, ok := errors.AsType[*intake.FileError](err)
	if !ok {
		t.Fatalf("reading %.80q: batch %+v, error %v; want a FileError", file, b, err)
	}
	return refused
}

// found lists the errors of b as "line column code".
func found(b *intake.Batch) []string {
	return each(b.Errors, func(e intake.RowError) string { return fmt.Sprintf("%d %s %s", e.Line, e.Column, e.Code) })
}

// rows lists the sound rows of b, repeats included.
func rows(b *intake.Batch) []intake.Row {
	var out []intake.Row
	for _, row := range b.Rows() {
		out = append(out, row)
	}
	return out
}

// changes lists the sound changes of b, repeats included.
func changes(b *intake.Batch) []access.Change {
	return each(rows(b), func(r intake.Row) access.Change { return r.Change })
}

// each returns what f makes of the values, and nil of none.
func each[V, R any](values []V, f func(V) R) []R {
	if len(values) == 0 {
		return nil
	}
	out := make([]R, 0, len(values))
	for _, v := range values {
		out = append(out, f(v))
	}
	return out
}

func equal[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// write writes b as a file again, as a result file is written: its own columns,
// every cell neutralised.
func write(b *intake.Batch) []byte {
	var buf bytes.Buffer
	w := csv.NewWriter(&buf)
	put := func(cells []string) {
		for i, cell := range cells {
			cells[i] = intake.Neutralise(cell)
		}
		_ = w.Write(cells) // into memory
	}
	layout := intake.LayoutOf(b.Header)
	put(append([]string{}, b.Header...))
	for _, r := range b.Rows() {
		put(layout.AppendCells(nil, r))
	}
	w.Flush()
	return buf.Bytes()
}

func readBytes(t *testing.T, file []byte) *intake.Batch {
	t.Helper()
	b, err := intake.ReadCSV(bytes.NewReader(file), options)
	if err != nil {
		t.Fatalf("reading %.80q: %v", file, err)
	}
	return b
}
