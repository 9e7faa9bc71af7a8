package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCSVAsksOnATerminal(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.asks = true
	path := b.file(threeRows)
	for _, answer := range []string{"", "\n", "n\n", "yes please\n", "q"} {
		b.stdin = strings.NewReader(answer)
		o := b.run("csv", path).want(t, exitInterrupted).says(t,
			"rows     3", "calls    2 SmartqAuthorize", "floor", "revoke   line 4: user user-3 loses qa_theme theme-1\n", "Submit? [y/N] ", "nothing was submitted", "--yes")
		if o.out != "" {
			t.Errorf("%q: stdout is %q", answer, o.out)
		}
	}
	b.wantNothing()
	b.stdin = strings.NewReader("Y\n")
	b.run("csv", path).want(t, exitOK).says(t, "Submit? [y/N] ", "3 rows in 2 tasks")
}

func TestCSVAsksNobodyElse(t *testing.T) {
	t.Parallel()

	b := setup(t)
	path := b.file(threeRows)
	for source, args := range map[string][]string{
		"yes":   {"csv", path, "--yes"},
		"json":  {"csv", path, "--json"},
		"stdin": {"csv", "-"},
		"pipe":  {"csv", path},
	} {
		b.asks = source != "pipe"
		b.stdin = strings.NewReader(threeRows)
		if o := b.run(append(args, "--source", source)...).want(t, exitOK); strings.Contains(o.err, "Submit?") {
			t.Errorf("%s was asked:\n%s", source, o.err)
		}
	}
	b.asks = true
	if o := b.run("csv", path, "--dry-run").want(t, exitOK); strings.Contains(o.err, "Submit?") {
		t.Errorf("a dry run asks:\n%s", o.err)
	}
}

func TestCSVNamesFewRevokesAndCountsTheRest(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.asks = true
	rows := strings.Builder{}
	rows.WriteString("action,principal,resource_type,resource_id,expires_on\n")
	for i := range 1012 {
		fmt.Fprintf(&rows, "revoke,u%d,qa_resource,r,\n", i)
	}
	rows.WriteString("revoke,u0,qa_resource,r,\n")
	o := b.run("csv", b.file(rows.String())).want(t, exitInterrupted).says(t, "loses qa_resource r", "revoke   and 1,002 more\n")
	if n := strings.Count(o.err, " loses "); n != shownRevokes {
		t.Errorf("%d revokes are named:\n%s", n, o.err)
	}
	b.run("csv", b.file("action,principal,resource_type,resource_id,expires_on\ngrant,u,qa_resource,r,2026-12-31\n")).
		want(t, exitInterrupted).says(t, "revoke   nothing")
}

func TestCSVInterruptedWhileItAsksWritesNothing(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.asks = true
	in, out := io.Pipe()
	defer out.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	b.stdin = readerFunc(func(p []byte) (int, error) {
		interrupt() // once it is asked
		return in.Read(p)
	})
	b.runCtx(ctx, "csv", b.file(threeRows)).want(t, exitInterrupted).says(t, "Submit? [y/N] ", "interrupted; nothing was submitted", "--yes")
	b.wantNothing()
}

func TestTemplateIsAcceptedOnceFilledIn(t *testing.T) {
	t.Parallel()

	for _, name := range []string{"t.csv", "t.xlsx"} {
		for _, lang := range []string{"en", "zh"} {
			b := offline(t)
			path := filepath.Join(t.TempDir(), name)
			b.run("template", "--lang", lang, "-o", path).want(t, exitOK).says(t, "Next: enqueue csv ", "--dry-run")
			b.run("csv", path, "--dry-run").want(t, exitRejected).says(t, "has no rows")
			b.run("template", "--lang", lang, "-o", path).want(t, exitUsage).says(t, "exists")
			fillIn(t, path)
			o := b.run("csv", path, "--dry-run").want(t, exitOK)
			if !strings.Contains(o.out, "rows     3") || strings.Contains(o.err, "warning") {
				t.Errorf("%s, %s: %s%s", name, lang, o.out, o.err)
			}
		}
	}
}

func TestTemplateOnStdout(t *testing.T) {
	t.Parallel()

	b := offline(t)
	if o := b.run("template").want(t, exitOK); !strings.HasPrefix(o.out, "row_id,action,principal,") || o.err != "" {
		t.Errorf("stdout %q, stderr %q", o.out, o.err)
	}
	if o := b.run("template", "--lang", "zh").want(t, exitOK); !strings.HasPrefix(o.out, "行号,操作,用户,") || !strings.Contains(o.out, "# 2,撤销,") {
		t.Errorf("stdout %q", o.out)
	}
	if o := b.run("template", "--format", "xlsx").want(t, exitOK); !strings.HasPrefix(o.out, "PK\x03\x04") {
		t.Errorf("stdout %.20q", o.out)
	}
	document := decode[map[string]string](t, b.run("template", "--json").want(t, exitOK))
	if !strings.HasPrefix(document["text"], "row_id,") {
		t.Errorf("document %q", document)
	}
	path := filepath.Join(t.TempDir(), "people.XLSX")
	decode[map[string]string](t, b.run("template", "--json", "-o", path).want(t, exitOK))
	if content := read(t, path); !strings.HasPrefix(content, "PK\x03\x04") {
		t.Errorf("the file begins with %.20q", content)
	}
	b.run("template", "--format", "csv", "-o", path+".xlsx").want(t, exitUsage).says(t, "does not fit")
	if _, err := os.Stat(path + ".xlsx"); err == nil {
		t.Error("a file was written")
	}
}
