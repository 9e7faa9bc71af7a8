package xlsx_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/usher-bi/usher/internal/intake/xlsx"
)

// parts are those of a workbook with one sheet of the given rows.
func parts(rows string) map[string]string {
	const space = `xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"`
	const types = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
	return map[string]string{
		"xl/workbook.xml":            `<workbook ` + space + `><sheets><sheet name="S" sheetId="1" r:id="a"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": `<Relationships><Relationship Id="a" Type="` + types + `worksheet" Target="worksheets/s.xml"/><Relationship Id="b" Type="` + types + `sharedStrings" Target="strings.xml"/></Relationships>`,
		"xl/worksheets/s.xml":        `<worksheet ` + space + `><sheetData>` + rows + `</sheetData></worksheet>`,
		"xl/strings.xml":             `<sst><si><t>shared</t></si></sst>`,
	}
}

func pack(tb testing.TB, parts map[string]string) []byte {
	tb.Helper()
	var buf bytes.Buffer
	archive := zip.NewWriter(&buf)
	for name, content := range parts {
		part, err := archive.Create(name)
		if err != nil {
			tb.Fatal(err)
		}
		_, _ = io.WriteString(part, content) // into memory
	}
	if err := archive.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

// cells returns the texts of a sheet by row, and the error of reading it.
func cells(raw []byte, sheet int) (map[int][]string, error) {
	book, err := xlsx.Open(raw)
	if err != nil {
		return nil, err
	}
	texts := map[int][]string{}
	_, err = book.Rows(book.Sheets()[sheet], func(row xlsx.Row) error {
		for _, cell := range row.Cells {
			texts[row.Number] = append(texts[row.Number], cell.Text)
		}
		return nil
	})
	return texts, err
}

func TestRowsReadsEveryKindOfCell(t *testing.T) {
	t.Parallel()
	got, err := cells(pack(t, parts(`<row><c t="s"><v>0</v></c><c/><c t="inlineStr"><is><r><t>a</t></r><r><t>&amp;b</t></r><rPh sb="0" eb="1"><t>no</t></rPh></is></c></row>`+
		`<row r="5"><c r="B5"><v> 1.50 </v></c><c t="b"><v>1</v></c><c r="AA5" t="e"><v>#N/A</v></c></row><row><c t="str"><f>1</f><v>_x000D_ _x0000_ _x005F_x0041_</v></c></row>`)), 0)
	if err != nil {
		t.Fatal(err)
	}
	long := make([]string, 27)
	long[1], long[2], long[26] = "1.50", "TRUE", "#N/A"
	want := map[int][]string{1: {"shared", "", "a&b"}, 5: long, 6: {"\r _x0000_ _x0041_"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
}

func TestRowsRefusesWhatIsDamaged(t *testing.T) {
	t.Parallel()
	for name, rows := range map[string]string{
		"a text that is not there": `<row><c t="s"><v>1</v></c></row>`,
		"no number of a text":      `<row><c t="s"><v>x</v></c></row>`,
		"rows out of order":        `<row r="2"/><row r="1"/>`,
		"cells out of order":       `<row><c r="B1"/><c r="A1"/></row>`,
		"no such column":           `<row><c r="XFE1"/></row>`,
		"no name of a cell":        `<row><c r="7"/></row>`,
		"no XML":                   `<row><c`,
		"an end too many":          `</worksheet`,
	} {
		if got, err := cells(pack(t, parts(rows)), 0); !errors.Is(err, xlsx.ErrNotAWorkbook) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestOpenRefusesWhatIsNoWorkbook(t *testing.T) {
	t.Parallel()
	for _, missing := range []string{"xl/workbook.xml", "xl/_rels/workbook.xml.rels"} {
		p := parts("")
		delete(p, missing)
		if _, err := xlsx.Open(pack(t, p)); !errors.Is(err, xlsx.ErrNotAWorkbook) {
			t.Errorf("without %s: %v", missing, err)
		}
	}
	if _, err := xlsx.Open([]byte("PK\x03\x04")); !errors.Is(err, xlsx.ErrNotAWorkbook) {
		t.Errorf("half a file: %v", err)
	}
	p := parts("")
	p["xl/_rels/workbook.xml.rels"] = "<Relationships/>"
	if _, err := xlsx.Open(pack(t, p)); !errors.Is(err, xlsx.ErrNotAWorkbook) {
		t.Errorf("without a sheet: %v", err)
	}
}

// A small file must not take all memory or time.
func TestRowsRefusesWhatUnpacksToTooMuch(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(map[string]string){
		"many blanks": func(p map[string]string) {
			p["xl/worksheets/s.xml"] += strings.Repeat(strings.Repeat(" ", 1000)+"<a/>", 10_000)
			p["xl/worksheets/s.xml"] = strings.Replace(p["xl/worksheets/s.xml"], "</worksheet>", "", 1)
		},
		"one long text": func(p map[string]string) {
			random := make([]byte, 0, 5<<20)
			for i := range 5 << 17 {
				random = fmt.Appendf(random, "%08x", uint32(i)*2654435761)
			}
			p["xl/worksheets/s.xml"] = `<worksheet><sheetData><row><c t="str"><v>` + string(random) + `</v></c></row></sheetData></worksheet>`
		},
		"many texts": func(p map[string]string) {
			p["xl/strings.xml"] = `<sst>` + strings.Repeat(`<si><t>shared</t></si>`, 500_000) + `</sst>`
		},
	} {
		p := parts("")
		change(p)
		if _, err := cells(pack(t, p), 0); !errors.Is(err, xlsx.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRowsPassesOnTheErrorOfItsCaller(t *testing.T) {
	t.Parallel()
	book, err := xlsx.Open(pack(t, parts(`<row><c t="s"><v>0</v></c></row>`)))
	if err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	if _, err := book.Rows(book.Sheets()[0], func(xlsx.Row) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("error %v", err)
	}
}

// What was written comes back, whatever it is.
func TestWriterIsReadBack(t *testing.T) {
	t.Parallel()
	nasty := rapid.StringOfN(rapid.SampledFrom([]rune("_x0041F5D&<>\"'\t\r\n\x01\ufffe \u5de5\U0001f600=")), 0, 30, -1)
	text := rapid.Custom(func(t *rapid.T) string {
		s := rapid.OneOf(rapid.String(), nasty).Draw(t, "text")
		return strings.ReplaceAll(s, "\x00", "")
	})
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.SliceOfN(text, 1, 4), 1, 5).Draw(t, "rows")
		var buf bytes.Buffer
		w := xlsx.NewWriter(&buf)
		errs := []error{w.Sheet("first", nil), w.Row([]string{"x"}), w.Sheet("a&\"b", []xlsx.Column{{List: []string{"a&b"}}})}
		for _, row := range want {
			errs = append(errs, w.Row(row))
		}
		if err := errors.Join(append(errs, w.Close())...); err != nil {
			t.Fatal(err)
		}
		got, err := cells(buf.Bytes(), 1)
		if err != nil {
			t.Fatal(err)
		}
		for i, row := range want {
			for len(row) > 0 && row[len(row)-1] == "" {
				row = row[:len(row)-1]
			}
			if diff := cmp.Diff(row, append([]string{}, got[i+1]...)); diff != "" && len(row)+len(got[i+1]) > 0 {
				t.Fatalf("row %d (-want +got):\n%s", i+1, diff)
			}
		}
	})
}

func TestWriterRefusesWhatNoWorkbookHolds(t *testing.T) {
	t.Parallel()
	w := xlsx.NewWriter(io.Discard)
	if err := errors.Join(w.Sheet("s", nil), w.Row([]string{strings.Repeat("\u5de5", 32_767)})); err != nil {
		t.Fatal(err)
	}
	if err := w.Row([]string{strings.Repeat("\U0001f600", 16_384)}); !errors.Is(err, xlsx.ErrTextTooLong) {
		t.Errorf("error %v", err)
	}
	if err := w.Close(); !errors.Is(err, xlsx.ErrTextTooLong) {
		t.Errorf("closed with %v", err)
	}
	w = xlsx.NewWriter(io.Discard)
	err := w.Sheet("s", nil)
	for range xlsx.MaxRows {
		err = errors.Join(err, w.Row(nil))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Row(nil); !errors.Is(err, xlsx.ErrTooManyRows) {
		t.Errorf("error %v", err)
	}
}

func FuzzRows(f *testing.F) {
	f.Add(`<row r="2" hidden="1"><c r="A2" t="s" s="1"><v>0</v></c><c t="b"><f>A1</f><v>1</v></c></row>`, `<si><t>x</t></si>`, `<cellXfs><xf/><xf numFmtId="14"/></cellXfs>`)
	f.Add(`<row><c t="inlineStr"><is><r><t>a_x000D_</t></r></is></c><c><v>46387.5</v></c></row></sheetData><mergeCells><mergeCell ref="A1:B2"/></mergeCells><sheetData>`, `<si/>`,
		`<numFmts><numFmt numFmtId="164" formatCode="[h]:mm;@"/></numFmts><cellXfs><xf numFmtId="164"/></cellXfs>`)
	f.Fuzz(func(t *testing.T, rows, texts, styles string) {
		p := parts(rows)
		p["xl/strings.xml"] = "<sst>" + texts + "</sst>"
		p["xl/styles.xml"] = "<styleSheet>" + styles + "</styleSheet>"
		p["xl/_rels/workbook.xml.rels"] = strings.Replace(p["xl/_rels/workbook.xml.rels"], "</Relationships>",
			`<Relationship Id="c" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles" Target="styles.xml"/></Relationships>`, 1)
		checkRows(t, pack(t, p))
	})
}

func FuzzOpen(f *testing.F) {
	f.Add(pack(f, parts(`<row><c t="s"><v>0</v></c></row>`)))
	f.Fuzz(checkRows)
}

// checkRows fails t unless raw is refused in one of the known ways, or has rows
// and cells in order.
func checkRows(t *testing.T, raw []byte) {
	t.Helper()
	book, err := xlsx.Open(raw)
	last := 0
	if err == nil {
		_, err = book.Rows(book.Sheets()[0], func(row xlsx.Row) error {
			if row.Number <= last || len(row.Cells) == 0 || len(row.Cells) > 16_384 {
				t.Fatalf("row %d of %d cells after row %d", row.Number, len(row.Cells), last)
			}
			last = row.Number
			for _, cell := range row.Cells {
				if (cell.Kind == xlsx.Empty) != (cell.Text == "") || strings.Contains(cell.Text, "\x00") {
					t.Fatalf("cell %+v", cell)
				}
			}
			return nil
		})
	}
	if err != nil && !errors.Is(err, xlsx.ErrNotAWorkbook) && !errors.Is(err, xlsx.ErrTooLarge) {
		t.Fatalf("%T: %v", err, err)
	}
}
