package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/intake/xlsx"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/view"
)

// fillIn makes rows of the examples of a template, as a person would.
func fillIn(t *testing.T, path string) {
	t.Helper()
	if !strings.HasSuffix(path, ".xlsx") {
		write(t, path, strings.ReplaceAll(read(t, path), "# ", ""))
		return
	}
	header, rows := sheetOf(t, path)
	var buf bytes.Buffer
	w := xlsx.NewWriter(&buf)
	errs := []error{w.Sheet("filled", make([]xlsx.Column, len(header))), w.Row(header)}
	for _, row := range rows {
		row[0] = strings.TrimPrefix(row[0], "# ")
		errs = append(errs, w.Row(row))
	}
	if err := errors.Join(append(errs, w.Close())...); err != nil {
		t.Fatal(err)
	}
	write(t, path, buf.String())
}

// sheetOf reads the first sheet of a workbook.
func sheetOf(t *testing.T, path string) (header []string, rows [][]string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		t.Fatal(err)
	}
	book, err := xlsx.Open(raw)
	if err != nil {
		t.Fatal(err)
	}
	_, err = book.Rows(book.Sheets()[0], func(row xlsx.Row) error {
		cells := make([]string, len(row.Cells))
		for i, cell := range row.Cells {
			cells[i] = cell.Text
		}
		rows = append(rows, cells)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows[0], rows[1:]
}

// A result file, CSV or workbook, has the header of its input as written, opens
// with its ids as text, and goes back in unchanged.
func TestResultsGoBackIn(t *testing.T) {
	t.Parallel()

	const input = "操作,工号,资源类型,资源,到期日,备注\n" +
		"授权,00123,问数资源,12345678901234567890,2026-12-31,=1+1\n" +
		"撤销,'=u,问数主题,r,,\"two\nlines\"\n" +
		"grant,-u3,qa_resource,r,2026-12-31, _x0041_ \n"
	b := setup(t)
	id := b.submit(input)
	b.work(refusing(map[string]store.Exception{"00123": gone}))
	folder := t.TempDir()
	file, book := filepath.Join(folder, "results.csv"), filepath.Join(folder, "results.xlsx")
	b.run("results", id, "-o", file).want(t, exitOK)
	b.run("results", id, "-o", book).want(t, exitOK).says(t, "Wrote 3 rows to "+book)
	if info, err := os.Stat(book); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	header, rows := sheetOf(t, book)
	if diff := cmp.Diff(append(strings.Split("操作,工号,资源类型,资源,到期日,备注", ","), view.ResultColumns()...), header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	want := []string{"授权", "00123", "问数资源", "12345678901234567890", "2026-12-31", "'=1+1", "2", "failed", "user_not_in_organization"}
	if diff := cmp.Diff(want, rows[0][:9]); diff != "" {
		t.Errorf("first row (-want +got):\n%s", diff)
	}
	fromCSV := b.submit(read(t, file))
	if fromCSV == id {
		t.Error("a result file asks for nothing")
	}
	replayed := decode[jobDocument](t, b.run("csv", book, "--json").want(t, exitOK))
	if replayed.ID != fromCSV || !*replayed.Replayed {
		t.Errorf("the workbook became job %s, the CSV file %s", replayed.ID, fromCSV)
	}
	if diff := cmp.Diff(inputCells(t, b, id, len(header)), inputCells(t, b, fromCSV, len(header))); diff != "" {
		t.Errorf("the input's columns (-first +second):\n%s", diff)
	}
	left, err := filepath.Glob(filepath.Join(folder, ".*"))
	if err != nil || left != nil {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// inputCells returns the cells of the results of a job that came from its input.
func inputCells(t *testing.T, b *bench, job string, width int) [][]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(b.run("results", job).want(t, exitOK).out)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range rows {
		rows[i] = row[:width-len(view.ResultColumns())]
	}
	return rows
}

func TestCSVTakesAWorkbook(t *testing.T) {
	t.Parallel()

	b := setup(t)
	const corpus = "../../internal/intake/testdata/corpus/"
	o := b.run("csv", corpus+"excel-hidden.xlsx").want(t, exitOK).says(t, "hidden rows that were not read: 2", `not read: "秘密", "Others", "gone"`)
	if job := b.job(strings.TrimSpace(o.out)); job.Input.Encoding != "xlsx" || job.Counts.Total != 2 {
		t.Errorf("job %+v", job.Input)
	}
	b.run("csv", corpus+"excel-hidden.xlsx", "--sheet", "others", "--dry-run").want(t, exitOK).says(t, `the sheet "Others" was read`)
	b.run("csv", corpus+"excel-hidden.xlsx", "--sheet", "none").want(t, exitRejected).says(t, `no sheet "none"`)
	b.stdin = strings.NewReader(read(t, corpus+"lo-text.xlsx"))
	b.run("csv", "-", "--dry-run").want(t, exitOK)
	b.run("csv", corpus+"excel-merged.xlsx").want(t, exitRejected).says(t, "unmerge")
	b.run("csv", corpus+"lo-mangled.xlsx").want(t, exitRejected).says(t, "[excel_mangled_id]", "line 2, principal: the cell holds the number")
}
