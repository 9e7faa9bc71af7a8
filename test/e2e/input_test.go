package e2e_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

// rejection is what --json prints for a file that was refused.
type rejection struct {
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
	Rows   int        `json:"rows"`
	Errors []rowError `json:"errors"`
}

type rowError struct {
	Line    int    `json:"line"`
	Column  string `json:"column"`
	RowID   string `json:"row_id"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// TestPlantedErrors has 500 of them in 100,000 rows: each is reported with its
// line, column and code, and nothing else happens.
func TestPlantedErrors(t *testing.T) {
	t.Parallel()

	const rows, every = 100_000, 200
	planted := []struct{ cells, column, code string }{
		{"grant,u%d,qa_resource,r%d,2020-01-01", "expires_on", "expiry_in_the_past"},
		{"grant,u%d,qa_resource,r%d,", "expires_on", "missing_expiry"},
		{"grant,u%d,qa_resource,r%d,31.12.2099", "expires_on", "invalid_expiry"},
		{"revoke,u%d,qa_theme,r%d,2099-12-31", "expires_on", "expiry_not_allowed"},
		{"allow,u%d,qa_resource,r%d,2099-12-31", "action", "unknown_action"},
		{"grant,\"u%d,u0\",qa_resource,r%d,2099-12-31", "principal", "invalid_id"},
		{"grant,u %d,qa_resource,r%d,2099-12-31", "principal", "invalid_id"},
		{"grant,u%d,slideshow,r%d,2099-12-31", "resource_type", "unknown_resource_type"},
		{"grant,u%d,,r%d,2099-12-31", "resource_type", "missing_value"},
		{"grant,7.%dE+10,qa_theme,r%d,2099-12-31", "principal", "excel_mangled_id"},
	}

	var text strings.Builder
	var want []rowError
	text.WriteString("row_id,action,principal,resource_type,resource_id,expires_on\n")
	for i := range rows {
		cells := "grant,u%d,qa_resource,r%d,2099-12-31"
		if i%every == every-1 {
			p := planted[i/every%len(planted)]
			cells = p.cells
			want = append(want, rowError{Line: i + 2, Column: p.column, RowID: fmt.Sprintf("hr-%d", i), Code: p.code})
		}
		fmt.Fprintf(&text, "hr-%d,"+cells+"\n", i, i/10, i)
	}
	d := setup(t, quickbitest.Options{})
	file := d.write("broken.csv", text.String())

	var got rejection
	d.enqueue("csv", file, "--json").want(3).document(&got)
	for i, e := range got.Errors {
		if e.Message == "" {
			t.Errorf("line %d: no word of what to do", e.Line)
		}
		got.Errors[i].Message = ""
	}
	if diff := cmp.Diff(want, got.Errors); len(want) != 500 || diff != "" {
		t.Errorf("%d planted errors (-want +got):\n%s", len(want), diff)
	}
	if got.Error.Code != "input_rejected" || got.Rows != rows {
		t.Errorf("%+v for %d rows", got.Error, got.Rows)
	}
	said := d.enqueue("csv", file).want(3).says("500 errors in 100,000 rows; nothing was written or sent", "line 201, expires_on: ", "line 100001, ")
	if n := strings.Count("\n"+said.stderr, "\nline "); n != 500 || said.stdout != "" {
		t.Errorf("%d lines about rows, want 500; on stdout: %q", n, said.stdout)
	}
	d.wantNothingKept()
}

// TestSkipInvalid submits the good rows and records the others as failures.
func TestSkipInvalid(t *testing.T) {
	t.Parallel()

	rows := grants(ids("u", 10), ids("r", 1))
	rows[4].expires = "2020-01-01"
	d := setup(t, worldOf(rows))
	d.work()
	job := d.enqueue("csv", d.file("rows.csv", rows), "--skip-invalid", "--wait", "--json").want(5).job()
	d.wantCounts(job, "partial", counts{Succeeded: 9, Failed: 1})
	results := d.results(job.ID)
	if r := results[6]; r["result__status"] != "failed" || r["result__code"] != "expiry_in_the_past" || r["result__attempts"] != "0" {
		t.Errorf("the invalid row came back as %v", r)
	}
	d.wantHeld(held{}.apply(d.succeeded(rows, results)...))
}

func TestOtherFiles(t *testing.T) {
	t.Parallel()

	d := prepareOffline(t)
	for _, tt := range []struct{ name, content, code, says string }{
		{"ZIP file", workbook(t), "not_a_workbook", "no Excel workbook"},
		{"old workbook", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + strings.Repeat("\x00", 600), "not_a_csv", "Excel workbook"},
		{"pdf", "%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n", "not_a_csv", "PDF"},
		{"html", "<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n", "not_a_csv", "HTML"},
		{"json", `{"users":["u1"]}`, "not_a_csv", "JSON"},
		{"empty", "", "empty_file", "empty"},
		{"header only", "action,principal,resource_type,resource_id,expires_on\n", "no_rows", "no rows"},
		{"no header", "grant,u1,qa_resource,r1,2099-12-31\n", "missing_column", "principal"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			d := d.in(t)
			file := d.write("file.csv", tt.content)
			var got rejection
			d.enqueue("csv", file, "--dry-run", "--json").want(3).document(&got)
			if got.Error.Code != "input_rejected" || len(got.Errors) != 1 || got.Errors[0].Code != tt.code || !strings.Contains(got.Error.Message, tt.says) {
				t.Errorf("%+v %+v, want %s with %q", got.Error, got.Errors, tt.code, tt.says)
			}
			d.enqueue("csv", file, "--dry-run").want(3).says("file.csv: ", tt.says)
		})
	}
	d.enqueue("csv", "/no/such/file.csv", "--dry-run").want(2).says("/no/such/file.csv")
}

// workbook is a ZIP file that lacks what makes it a workbook.
func workbook(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	w, err := z.Create("[Content_Types].xml")
	if err == nil {
		_, err = w.Write([]byte(`<?xml version="1.0"?><Types/>`))
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestUnknownColumn is remarked once, whatever the number of rows.
func TestUnknownColumn(t *testing.T) {
	t.Parallel()

	d := prepareOffline(t)
	file := d.write("rows.csv", "action,principal,Cost centre,resource_type,resource_id,expires_on,note\n"+
		strings.Repeat("revoke,u1,4711,qa_resource,r1,,x\n", 50))
	var plan struct {
		Rows     int            `json:"rows"`
		Changes  int            `json:"changes"`
		Calls    map[string]int `json:"calls"`
		Warnings []string       `json:"warnings"`
	}
	d.enqueue("csv", file, "--dry-run", "--json").want(0).document(&plan)
	if len(plan.Warnings) != 1 || !strings.Contains(plan.Warnings[0], `"Cost centre", "note"`) {
		t.Errorf("warnings = %q, want one that names both columns", plan.Warnings)
	}
	if plan.Rows != 50 || plan.Changes != 1 || plan.Calls["SmartqAuthorize"] != 1 {
		t.Errorf("plan = %+v, want 50 rows that are one change in one call", plan)
	}
	if said := d.enqueue("csv", file, "--dry-run").want(0); strings.Count(said.stderr, "warning:") != 1 {
		t.Errorf("it warns\n%s", said.stderr)
	}
}
