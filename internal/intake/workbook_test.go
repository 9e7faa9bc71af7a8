package intake_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/intake/xlsx"
)

func TestReadXLSXReadsTheSheetThatIsNamed(t *testing.T) {
	t.Parallel()
	file := fixture(t, "corpus/excel-hidden.xlsx")
	for sheet, lines := range map[string][]int{"": {2, 5}, "mine": {2, 5}, "Others": {10}, "秘密": {2}, "gone": {10}} {
		o := options
		o.Sheet = sheet
		b, err := intake.Read(bytes.NewReader(file), o)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, sheet, lines, each(rows(b), func(r intake.Row) int { return r.Line }))
	}
	o := options
	o.Sheet = "none"
	for _, in := range []string{string(file), minimal + "\n"} {
		_, err := intake.Read(strings.NewReader(in), o)
		if refused, ok := errors.AsType[*intake.FileError](err); !ok || refused.Code != intake.CodeNoSuchSheet {
			t.Errorf("error %v", err)
		}
	}
}

func TestReadTellsFilesApartByTheirContent(t *testing.T) {
	t.Parallel()
	for name, encoding := range map[string]string{"lo-text.xlsx": "xlsx", "lo-gb18030.csv": "gb18030"} {
		file := fixture(t, "corpus/"+name)
		for _, in := range []io.Reader{bytes.NewReader(file), iotest.OneByteReader(bytes.NewReader(file))} {
			b, err := intake.Read(in, options)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, name, encoding, b.Encoding)
			equal(t, "a hash of the file", 64, len(b.SHA256))
		}
	}
	gone := errors.New("gone")
	for _, in := range []io.Reader{iotest.ErrReader(gone), io.MultiReader(strings.NewReader("PK\x03\x04"), iotest.ErrReader(gone))} {
		if _, err := intake.Read(in, options); !errors.Is(err, gone) {
			t.Errorf("error %v", err)
		}
	}
}

func TestReadXLSXRefusesWhatIsTooMuch(t *testing.T) {
	t.Parallel()
	file := fixture(t, "corpus/lo-text.xlsx")
	few, small := options, options
	few.MaxRows, small.MaxBytes = 2, int64(len(file))-1
	for want, o := range map[string]intake.Options{intake.CodeTooManyRows: few, intake.CodeFileTooLarge: small} {
		_, err := intake.Read(bytes.NewReader(file), o)
		if refused, ok := errors.AsType[*intake.FileError](err); !ok || refused.Code != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

func TestReadXLSXFillsInTheDefaultExpiry(t *testing.T) {
	t.Parallel()
	o := options
	o.DefaultExpiryDays = 40
	b, err := intake.Read(bytes.NewReader(fixture(t, "corpus/excel-extra-cells.xlsx")), o)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "errors", []string{"2  wrong_number_of_cells", "4 resource_id missing_value"}, found(b))
}

// TestReadXLSXReadsBackWhatWasWritten, as a result file is written.
func TestReadXLSXReadsBackWhatWasWritten(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"lo-text.xlsx", "wps-zh-headers.xlsx", "wps-zh-headers-gbk.csv", "excel-formulas.xlsx", "dirty-words.csv"} {
		b, err := intake.Read(bytes.NewReader(fixture(t, "corpus/"+name)), options)
		if err != nil {
			t.Fatal(err)
		}
		var buf bytes.Buffer
		w, layout := xlsx.NewWriter(&buf), intake.LayoutOf(b.Header)
		errs := []error{w.Sheet("results", make([]xlsx.Column, len(b.Header))), w.Row(b.Header)}
		for _, r := range b.Rows() {
			errs = append(errs, w.Row(each(layout.AppendCells(nil, r), intake.Neutralise)))
		}
		if err := errors.Join(append(errs, w.Close())...); err != nil {
			t.Fatal(err)
		}
		again, err := intake.Read(&buf, options)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, name, string(write(b)), string(write(again)))
	}
}

func FuzzReadXLSX(f *testing.F) {
	f.Add(`<c t="str"><v>grant</v></c><c><v>7.39E+10</v></c><c t="str"><v>qa_resource</v></c><c t="b"><v>1</v></c><c s="1"><v>46418</v></c>`)
	f.Add(`<c t="str"><v>revoke</v></c><c t="str"><f>A1</f><v>u</v></c><c t="str"><v>qa_theme</v></c><c><f>1</f></c><c/><c t="e"><v>#N/A</v></c></row><row hidden="1"><c t="str"><v># x</v></c></row></sheetData><mergeCells><mergeCell ref="A2:A3"/></mergeCells><sheetData><row>`)
	f.Fuzz(func(t *testing.T, row string) {
		var header strings.Builder
		for name := range strings.SplitSeq(minimal, ",") {
			header.WriteString(`<c t="str"><v>` + name + `</v></c>`)
		}
		var buf bytes.Buffer
		archive := zip.NewWriter(&buf)
		for name, content := range map[string]string{
			"xl/workbook.xml":            `<workbook><sheets><sheet name="S" id="a"/></sheets></workbook>`,
			"xl/_rels/workbook.xml.rels": `<Relationships><Relationship Id="a" Type="worksheet" Target="s.xml"/><Relationship Id="b" Type="styles" Target="t.xml"/></Relationships>`,
			"xl/s.xml":                   `<worksheet><sheetData><row>` + header.String() + `</row><row>` + row + `</row></sheetData></worksheet>`,
			"xl/t.xml":                   `<styleSheet><cellXfs><xf/><xf numFmtId="14"/><xf numFmtId="11"/></cellXfs></styleSheet>`,
		} {
			part, _ := archive.Create(name)      // into memory
			_, _ = io.WriteString(part, content) // likewise
		}
		_ = archive.Close()
		b, err := intake.Read(&buf, options)
		if _, ok := errors.AsType[*intake.FileError](err); err != nil && !ok {
			t.Fatalf("%T: %v", err, err)
		}
		if err == nil {
			checkBatch(t, b)
		}
	})
}

// Whatever the date, its problem is said in a message of sound text.
func FuzzExpiry(f *testing.F) {
	f.Add("03/04/2027")
	f.Add("２０２６.1.5")
	f.Add("46387")
	f.Fuzz(func(t *testing.T, cell string) {
		file := minimal + "\ngrant,u,qa_resource,r,\"" + strings.ReplaceAll(cell, `"`, `""`) + "\"\n"
		b, err := intake.ReadCSV(strings.NewReader(file), options)
		if err != nil {
			return // not text
		}
		for _, e := range b.Errors {
			if e.Column != "expires_on" || e.Message == "" {
				t.Fatalf("%+v", e)
			}
		}
		checkBatch(t, b)
	})
}

func BenchmarkReadXLSX(b *testing.B) {
	const rows = 100_000
	var buf bytes.Buffer
	w := xlsx.NewWriter(&buf)
	err := errors.Join(w.Sheet("rows", make([]xlsx.Column, 10)), w.Row(strings.Split(strings.TrimSpace(fullHeader), ",")))
	for line := 2; line < rows+2; line++ {
		err = errors.Join(err, w.Row(soundRow(line)))
	}
	if err := errors.Join(err, w.Close()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := intake.Read(bytes.NewReader(buf.Bytes()), options); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(buf.Len()), "bytes")
}
