package intake_test

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/usher-bi/usher/internal/intake"
)

var update = flag.Bool("update", false, "write the golden files and documents anew")

// corpus is the folder with files as spreadsheets write them. Beside each stands
// what it must give, to the letter. Those named lo- were written by LibreOffice
// 7.4, the others by hand in the way of the program that they are named after.
const corpus = "testdata/corpus"

func TestCorpus(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(os.DirFS(corpus), "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if path.Ext(name) == ".golden" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := rendered(fixture(t, path.Join("corpus", name)))
			golden := filepath.Join(corpus, name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			equal(t, "what the file gives", string(fixture(t, path.Join("corpus", name+".golden"))), got)
		})
	}
}

// rendered writes down everything that a file gives.
func rendered(file []byte) string {
	b, err := intake.Read(bytes.NewReader(file), options)
	if err != nil {
		return fmt.Sprintf("refused: %#v\n", err)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s %q\n%q\n", b.Encoding, b.Delimiter, b.Header)
	layout := intake.LayoutOf(b.Header)
	for _, r := range b.Rows() {
		again := ""
		if r.DuplicateOf > 0 {
			again = fmt.Sprintf(" (as line %d)", r.DuplicateOf)
		}
		fmt.Fprintf(&out, "%d %s: %s %s %s %s %s%s\n   %q\n", r.Line, r.RowID, r.Change.Operation, r.Change.Principal, r.Change.Resource,
			r.Change.Terms.Role, r.Change.Terms.ExpiresOn, again, layout.AppendCells(nil, r))
	}
	for _, r := range b.Invalid {
		fmt.Fprintf(&out, "%d %s: invalid\n   %q\n", r.Line, r.RowID, r.Cells)
	}
	for _, e := range b.Errors {
		fmt.Fprintf(&out, "error: %s [%s]\n", e, e.Code)
	}
	for _, w := range b.Warnings {
		fmt.Fprintf(&out, "warning: %s\n", w)
	}
	return out.String()
}

// TestReadXLSXGivesTheRowsOfTheCSV of the same sheet, as LibreOffice saves it.
func TestReadXLSXGivesTheRowsOfTheCSV(t *testing.T) {
	t.Parallel()
	for book, saved := range map[string][]string{
		"lo-text.xlsx": {
			"lo-utf8-comma.csv", "lo-utf8-semicolon-quoted.csv", "lo-utf16-tab.csv", "lo-gb18030.csv", "lo-bar.csv",
		},
		"lo-dates.xlsx": {"lo-dates-shown.csv", "lo-dates-zh-shown.csv", "lo-utf8-comma.csv"},
	} {
		want, err := intake.Read(bytes.NewReader(fixture(t, "corpus/"+book)), options)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range saved {
			got, err := intake.Read(bytes.NewReader(fixture(t, "corpus/"+name)), options)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, name, want.Fingerprint("hr"), got.Fingerprint("hr"))
			equal(t, name, write(want), write(got))
		}
	}
}
