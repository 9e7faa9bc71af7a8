package xlsx

import (
	"archive/zip"
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
)

// MaxRows is how many rows a sheet can have, its header among them.
const MaxRows = 1_048_576

// maxText is how long a text in a cell can be, in units of UTF-16.
const maxText = 32_767

// What a workbook cannot hold.
var (
	ErrTooManyRows = errors.New("a sheet has no more than 1,048,576 rows")
	ErrTextTooLong = errors.New("a cell holds no more than 32,767 characters")
)

// Column says how a column of a new sheet is written. The zero Column holds
// texts of any kind: its cells are formatted as text, so that a spreadsheet takes
// whatever is entered there for text too.
type Column struct {
	Width  float64  // in characters; 0 means usual
	Number bool     // its cells are whole numbers, below the header
	List   []string // offered below the header
	Only   bool     // nothing but List is accepted
}

// Writer writes a workbook. Its methods must be called in order: for each sheet
// Sheet, then Row for each of its rows, and Close at the end. After an error
// nothing more is written.
type Writer struct {
	archive *zip.Writer
	out     *bufio.Writer // of the open sheet
	sheets  []string
	columns []Column // of the open sheet
	rows    int      // of the open sheet
	err     error
}

// NewWriter returns a writer of a workbook without sheets.
func NewWriter(w io.Writer) *Writer { return &Writer{archive: zip.NewWriter(w)} }

// Sheet ends the sheet before and begins another. Its first row stays in view.
// name must be a name that spreadsheets accept.
func (w *Writer) Sheet(name string, columns []Column) error {
	w.endSheet()
	w.sheets, w.columns, w.rows = append(w.sheets, name), columns, 0
	w.part("xl/worksheets/sheet" + strconv.Itoa(len(w.sheets)) + ".xml")
	w.put(`<worksheet xmlns="` + mainSpace + `"><sheetViews><sheetView workbookViewId="0">` +
		`<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>`)
	if len(columns) > 0 {
		w.put(`<cols>`)
		for i, c := range columns {
			const usual = 14
			width := c.Width
			if width == 0 {
				width = usual
			}
			style := styleText
			if c.Number {
				style = styleNumber
			}
			w.put(fmt.Sprintf(`<col min="%d" max="%d" width="%g" style="%d" customWidth="1"/>`, i+1, i+1, width, style))
		}
		w.put(`</cols>`)
	}
	w.put(`<sheetData>`)
	return w.err
}

// Row writes the next row. The first row of a sheet is its header.
func (w *Writer) Row(cells []string) error {
	if w.rows == MaxRows && w.err == nil {
		w.err = ErrTooManyRows
	}
	w.rows++
	style := styleText
	if w.rows == 1 {
		style = styleHeader
	}
	number := strconv.Itoa(w.rows)
	w.put(`<row r="` + number + `">`)
	for i, cell := range cells {
		name := ColumnName(i+1) + number
		switch {
		case cell == "":
		case w.rows > 1 && i < len(w.columns) && w.columns[i].Number:
			w.put(`<c r="` + name + `" s="` + strconv.Itoa(styleNumber) + `"><v>`)
			w.text(cell)
			w.put(`</v></c>`)
		default:
			w.put(`<c r="` + name + `" s="` + strconv.Itoa(style) + `" t="inlineStr"><is><t xml:space="preserve">`)
			w.text(cell)
			w.put(`</t></is></c>`)
		}
	}
	w.put(`</row>`)
	return w.err
}

// Close ends the workbook. It does not close the writer below.
func (w *Writer) Close() error {
	w.endSheet()
	w.writeBook()
	if w.err != nil {
		return w.err
	}
	return w.archive.Close()
}

// endSheet ends the open sheet, if there is one.
func (w *Writer) endSheet() {
	if len(w.sheets) == 0 {
		return
	}
	w.put(`</sheetData>`)
	w.lists()
	w.put(`</worksheet>`)
	w.flush()
}

// lists writes which values are offered.
func (w *Writer) lists() {
	var lists strings.Builder
	count := 0
	for i, c := range w.columns {
		if c.List == nil {
			continue
		}
		count++
		name, only := ColumnName(i+1), "0"
		if c.Only {
			only = "1"
		}
		fmt.Fprintf(&lists, `<dataValidation type="list" allowBlank="1" showErrorMessage="%s" sqref="%s2:%s%d"><formula1>"`, only, name, name, MaxRows)
		escapeTo(&lists, strings.Join(c.List, ","))
		lists.WriteString(`"</formula1></dataValidation>`)
	}
	if count > 0 {
		w.put(fmt.Sprintf(`<dataValidations count="%d">%s</dataValidations>`, count, lists.String()))
	}
}

// part begins a part of the workbook.
func (w *Writer) part(name string) {
	if w.err != nil {
		return
	}
	part, err := w.archive.Create(name)
	w.out, w.err = bufio.NewWriter(part), err
	w.put(`<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n")
}

func (w *Writer) flush() {
	if w.err == nil {
		w.err = w.out.Flush()
	}
}

func (w *Writer) put(markup string) {
	if w.err == nil {
		_, w.err = w.out.WriteString(markup)
	}
}

// text writes the text of a cell.
func (w *Writer) text(s string) {
	if w.err != nil {
		return
	}
	if len(s) > maxText && len(utf16.Encode([]rune(s))) > maxText {
		w.err = ErrTextTooLong
		return
	}
	escapeTo(w.out, s)
}

// textWriter is what escapeTo writes to. Errors show later.
type textWriter interface {
	WriteString(s string) (int, error)
	WriteRune(r rune) (int, error)
}

// escapeTo writes s so that [unescape] gives it back: what XML cannot hold as
// _xHHHH_, and what looks like that with its first character escaped.
func escapeTo(out textWriter, s string) {
	for i, r := range s {
		switch {
		case r == '&':
			_, _ = out.WriteString("&amp;")
		case r == '<':
			_, _ = out.WriteString("&lt;")
		case r == '>':
			_, _ = out.WriteString("&gt;")
		case r < ' ' && r != '\t' && r != '\n', r == '\ufffe', r == '\uffff':
			fmt.Fprintf(writerOf{out}, "_x%04X_", r)
		case r == '_' && len(s)-i >= 7 && escape.MatchString(s[i:i+7]):
			_, _ = out.WriteString("_x005F_")
		default:
			_, _ = out.WriteRune(r)
		}
	}
}

// writerOf makes an io.Writer of a textWriter.
type writerOf struct{ textWriter }

func (w writerOf) Write(p []byte) (int, error) { return w.WriteString(string(p)) }
