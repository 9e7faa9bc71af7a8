package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/intake/xlsx"
)

// The formats of files that people fill in or read.
type fileFormat string

const (
	formatCSV  fileFormat = "csv"
	formatXLSX fileFormat = "xlsx"
)

func fileFormats() []fileFormat { return []fileFormat{formatCSV, formatXLSX} }

// formatOf returns the format that the name of a file asks for.
func formatOf(file string) fileFormat {
	if strings.EqualFold(filepath.Ext(file), ".xlsx") {
		return formatXLSX
	}
	return formatCSV
}

// language is that of a template.
type language string

const (
	english language = "en"
	chinese language = "zh"
)

// templateRequest is which template to write where.
type templateRequest struct {
	format fileFormat // "" means that of the file's name
	lang   language
	file   string // "" means stdout
}

func (a *app) templateCommand() *cobra.Command {
	r := templateRequest{lang: english}
	cmd := &cobra.Command{
		Use:   "template",
		Short: "Write a file to fill in and submit",
		Long: `Writes a file with the columns that "enqueue csv" reads and examples. The examples
are remarks: a row that begins with "# " is not submitted.

In a workbook every column is formatted as text, so that ids and dates stay as they
are entered, what is allowed is offered as a list, and a second sheet explains the
columns. A FILE that exists is not replaced.`,
		Example: `  enqueue template -o people.xlsx
  enqueue template --lang zh -o 权限.xlsx
  enqueue template > people.csv`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.template(r) },
	}
	flags := cmd.Flags()
	flags.Var(wordFlag[fileFormat]{&r.format, fileFormats()}, "format", "`FORMAT` of the file: csv or xlsx (default: by the name of the FILE, else csv)")
	flags.Var(wordFlag[language]{&r.lang, []language{english, chinese}}, "lang", "`LANGUAGE` of the columns and values: en or zh")
	flags.StringVarP(&r.file, "output", "o", "", "write to this `FILE` instead of stdout")
	complete(cmd, "format", fileFormats())
	complete(cmd, "lang", []language{english, chinese})
	return cmd
}

func (a *app) template(r templateRequest) error {
	toFile := r.file != "" && r.file != "-"
	switch named := formatOf(r.file); {
	case r.format == "":
		r.format = named
	case toFile && r.format != named:
		return usageError{err: fmt.Errorf("--format %s does not fit the name %s", r.format, r.file)}
	}
	t := template{lang: r.lang, today: access.DateOf(a.Now().UTC())}
	if !toFile {
		return a.templateToStdout(t, r.format)
	}
	if _, err := os.Lstat(r.file); err == nil {
		return usageError{err: fmt.Errorf("%s exists, and may be filled in already; name another file", r.file)}
	}
	err := replaceFile(r.file, func(w io.Writer) error {
		if r.format == formatXLSX {
			return t.writeXLSX(w)
		}
		if _, err := io.WriteString(w, byteOrderMark); err != nil {
			return err
		}
		return t.writeCSV(w)
	})
	if err != nil {
		return err
	}
	if a.json {
		return a.emit(map[string]any{"file": r.file, "format": r.format, "lang": r.lang})
	}
	a.sayf("Wrote %s. Fill it in and save it.", printable(r.file))
	a.next("enqueue csv " + shellWord(r.file) + " --dry-run")
	return nil
}

// templateToStdout writes what can stand there: with --json that is text.
func (a *app) templateToStdout(t template, format fileFormat) error {
	switch {
	case format == formatXLSX && a.json:
		return usageError{err: errors.New("a workbook is no JSON; name a file with -o")}
	case format == formatXLSX:
		return t.writeXLSX(a.Stdout)
	case a.json:
		var text strings.Builder
		if err := t.writeCSV(&text); err != nil {
			return err
		}
		return a.emit(map[string]any{"format": format, "lang": t.lang, "text": text.String()})
	default:
		return t.writeCSV(a.Stdout)
	}
}

// template is a file to fill in.
type template struct {
	lang  language
	today access.Date
}

// word returns a word in the language of the template.
func (t template) word(w intake.Word) string {
	if t.lang == chinese {
		return w.Chinese()
	}
	return w.Name
}

// header returns the names of the columns.
func (t template) header() []string {
	columns := intake.Columns()
	names := make([]string, 0, len(columns))
	for _, c := range columns {
		names = append(names, t.word(c.Word))
	}
	return names
}

// examples returns rows that show what rows look like, and are remarks.
func (t template) examples() [][]string {
	day := t.today.AddDays(90).String()
	rows := [][]string{
		{"# 1", "grant", "46e53a5ba4b6", "user", "qa_resource", "6b407e50e774", "", day, "joiner", "HR-8812"},
		{"# 2", "revoke", "de4bc5f94291", "user", "workspace", "95296e95-ca89", "", "", "leaver", "HR-8830"},
		{"# 3", "grant", "de4bc5f94291", "user", "dashboard", "97f7f4c1-543a", "view_export", day, "", ""},
	}
	for _, row := range rows {
		for i, c := range intake.Columns() {
			for _, value := range c.Values {
				if row[i] == value.Name {
					row[i] = t.word(value)
				}
			}
		}
	}
	return rows
}

func (t template) writeCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	if err := out.Write(t.header()); err != nil {
		return err
	}
	return out.WriteAll(t.examples())
}

func (t template) writeXLSX(w io.Writer) error {
	out := xlsx.NewWriter(w)
	known := intake.Columns()
	columns := make([]xlsx.Column, 0, len(known))
	for _, c := range known {
		column := xlsx.Column{Only: c.Name != "role"} // a workspace may have roles of its own
		if c.ID {
			column.Width = 36
		}
		for _, value := range c.Values {
			column.List = append(column.List, t.word(value))
		}
		columns = append(columns, column)
	}
	name, notes := "access", intake.NotesPrefix+"columns"
	if t.lang == chinese {
		name, notes = "权限", intake.NotesPrefix+"说明"
	}
	errs := []error{out.Sheet(name, columns), out.Row(t.header())}
	for _, row := range t.examples() {
		errs = append(errs, out.Row(row))
	}
	errs = append(errs, out.Sheet(notes, []xlsx.Column{{}, {Width: 10}, {Width: 24}, {Width: 80}}))
	for _, row := range t.notes() {
		errs = append(errs, out.Row(row))
	}
	return errors.Join(append(errs, out.Close())...)
}
