package intake_test

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/unicode"
	"pgregory.net/rapid"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/intake"
)

var columns = []string{
	"row_id", "action", "principal", "principal_type", "resource_type", "resource_id", "role", "expires_on", "reason", "ticket", "note",
}

// crlf matches what comes out of a file as LF.
var crlf = regexp.MustCompile("\r+\n")

// text draws what a cell may hold, formulas, quotes and line breaks included.
func text(t *rapid.T, label string) string {
	nasty := rapid.StringOfN(rapid.SampledFrom([]rune("'=+-@\t\r\n\",;| a\u5de5\ufeff\U0001f600")), 0, 8, -1)
	s := rapid.OneOf(rapid.String(), nasty).Draw(t, label)
	return crlf.ReplaceAllString(strings.NewReplacer("\x00", "", "\ufffd", "").Replace(s), "\n")
}

// anyRow draws a sound row for the pair with the given number.
func anyRow(t *rapid.T, number int) intake.Row {
	id := rapid.StringMatching(`['=+@-]{0,3}[0-9a-z-]{0,19}x`)
	row := intake.Row{
		RowID:  fmt.Sprintf("%s#%d", id.Draw(t, "row id"), number),
		Change: revoke(id.Draw(t, "user"), fmt.Sprintf("%s%d", id.Draw(t, "resource"), number)),
		Reason: text(t, "reason"),
		Ticket: text(t, "ticket"),
	}
	row.Change.Resource.Type = rapid.SampledFrom([]access.ResourceType{access.QAResource, access.QATheme, access.Dataset}).Draw(t, "type")
	if rapid.Bool().Draw(t, "grant") {
		row.Change.Operation = access.Grant
		row.Change.Terms.ExpiresOn = today.AddDays(rapid.IntRange(0, 5000).Draw(t, "days"))
	}
	return row
}

// TestReadCSVReadsBackWhatWasWritten in any column order, with any delimiter,
// in every encoding that can hold the text.
func TestReadCSVReadsBackWhatWasWritten(t *testing.T) {
	t.Parallel()
	encodings := map[string]encoding.Encoding{
		"utf-8":     encoding.Nop,
		"utf-8-bom": unicode.UTF8BOM,
		"utf-16le":  unicode.UTF16(unicode.LittleEndian, unicode.UseBOM),
		"utf-16be":  unicode.UTF16(unicode.BigEndian, unicode.UseBOM),
	}
	rapid.Check(t, func(t *rapid.T) {
		want := make([]intake.Row, rapid.IntRange(1, 20).Draw(t, "rows"))
		notes := make([]string, len(want))
		for i := range want {
			want[i], notes[i] = anyRow(t, i), text(t, "note")
		}
		header := rapid.Permutation(columns).Draw(t, "header")
		layout, note := intake.LayoutOf(header), slices.Index(header, "note")
		comma := rapid.SampledFrom([]rune{',', ';', '\t', '|'}).Draw(t, "comma")

		var file bytes.Buffer
		w := csv.NewWriter(&file)
		w.Comma = comma
		_ = w.Write(header) // into memory
		for i, row := range want {
			cells := layout.AppendCells(nil, row)
			cells[note] = notes[i]
			for j, cell := range cells {
				cells[j] = intake.Neutralise(cell)
			}
			_ = w.Write(cells)
		}
		w.Flush()
		name := rapid.SampledFrom([]string{"utf-8", "utf-8-bom", "utf-16le", "utf-16be"}).Draw(t, "encoding")
		raw, err := encodings[name].NewEncoder().Bytes(file.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		got, err := intake.ReadCSV(bytes.NewReader(raw), options)
		if err != nil {
			t.Fatal(err)
		}
		if got.Encoding != name || got.Delimiter != string(comma) || len(got.Errors) > 0 {
			t.Fatalf("read as %s, %q with errors %v", got.Encoding, got.Delimiter, got.Errors)
		}
		list := rows(got)
		for i := range list {
			if cells := layout.AppendCells(nil, list[i]); cells[note] != notes[i] {
				t.Fatalf("row %d: note %q, want %q", i, cells[note], notes[i])
			}
			list[i].Line, list[i].Cells = 0, nil
		}
		if diff := gocmp.Diff(want, list); diff != "" {
			t.Fatalf("rows (-want +got):\n%s", diff)
		}
	})
}

func FuzzReadCSV(f *testing.F) {
	for _, name := range []string{"utf-8.csv", "utf-8-cr.csv", "utf-16le-tabs-crlf.csv", "gb18030-semicolons.csv"} {
		f.Add(fixture(f, name))
	}
	f.Add([]byte("user_id;action;resource_id;resource_type;row_id;x\r\nu;revoke;r;dataset;line-3;'=1\r\nu;revoke;r;dataset;;\r\n\"u;;;\r\n"))
	f.Add([]byte(minimal + ",result__x\n\n,,,\ngrant,\"u\n\",qa_theme,r\"\",2027-01-01\n\"\"\"a\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		o := options
		o.MaxRows = 1000
		b, err := intake.ReadCSV(bytes.NewReader(file), o)
		if err != nil {
			if _, ok := errors.AsType[*intake.FileError](err); !ok {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		checkBatch(t, b)
		again, err := intake.ReadCSV(bytes.NewReader(write(b)), o)
		if b.Len() == 0 && err != nil {
			return // the invalid rows are not written
		}
		if err != nil {
			t.Fatalf("reading what was written: %v\n%q", err, write(b))
		}
		if again.Len() != b.Len() || len(again.Invalid) > 0 || !slices.Equal(again.Header, b.Header) {
			t.Fatalf("%d rows of %q came back as %d rows of %q and errors %v", b.Len(), b.Header, again.Len(), again.Header, again.Errors)
		}
		if diff := gocmp.Diff(write(b), write(again)); diff != "" {
			t.Fatalf("written again (-first +second):\n%s", diff)
		}
		if diff := gocmp.Diff(changes(b), changes(again)); diff != "" {
			t.Fatalf("changes (-first +second):\n%s", diff)
		}
	})
}

// checkBatch fails t unless the parts of b fit together.
func checkBatch(t *testing.T, b *intake.Batch) {
	t.Helper()
	all := rows(b)
	sound := map[int]access.Change{}
	for _, r := range b.Rows() {
		if p := r.Change.Problems(today); p != nil {
			t.Fatalf("line %d is among the sound rows: %v", r.Line, p)
		}
		if first, ok := sound[r.DuplicateOf]; r.DuplicateOf != 0 && (!ok || first != r.Change) {
			t.Fatalf("line %d is no duplicate of line %d", r.Line, r.DuplicateOf)
		}
		sound[r.Line] = r.Change
	}
	blamed := map[int]int{}
	for _, e := range b.Errors {
		blamed[e.Line]++
	}
	for _, r := range b.Invalid {
		if blamed[r.Line] == 0 || r.Problem.Code == "" || len(r.Cells) != len(b.Header) {
			t.Fatalf("invalid row without an error or cells: %+v", r)
		}
		delete(blamed, r.Line)
		all = append(all, r.Row)
	}
	if len(blamed) > 0 || len(all) != b.Total() {
		t.Fatalf("errors of rows that are not there: %v", blamed)
	}
	if !slices.IsSortedFunc(b.Errors, func(a, b intake.RowError) int { return cmp.Compare(a.Line, b.Line) }) {
		t.Fatalf("errors are not in file order: %v", b.Errors)
	}
	lines, ids := map[int]bool{}, map[string]bool{}
	for _, r := range all {
		if lines[r.Line] || r.Line < 1 || r.RowID == "" {
			t.Fatalf("line %d, row id %q: %+v", r.Line, r.RowID, all)
		}
		lines[r.Line] = true
	}
	for _, r := range b.Rows() {
		if ids[r.RowID] {
			t.Fatalf("two rows with id %q", r.RowID)
		}
		ids[r.RowID] = true
	}
}
