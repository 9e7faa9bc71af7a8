package xlsx

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Kind is what a cell holds.
type Kind int

// The kinds of cell.
const (
	Empty Kind = iota
	Text
	Number
	Truth // TRUE or FALSE
	Fault // an error value such as #N/A
)

// Cell is one cell.
type Cell struct {
	Kind    Kind
	Text    string // as stored: of a number its digits, of a truth value TRUE or FALSE
	Formula bool   // it was computed; Empty if no result is stored
	Format  Format // of a number
}

// Row is one row that holds anything.
type Row struct {
	Number int // counted from 1, as shown
	Hidden bool
	Cells  []Cell // from the first column on; valid until the next row
}

// Area is a rectangle of merged cells. Rows and columns are counted from 1.
type Area struct {
	Name                   string // such as A1:B2
	Top, Left, Bottom, End int
}

// maxColumns is how many columns a sheet has.
const maxColumns = 16_384

// Rows calls yield for each row of a sheet in order, until it returns an error,
// and returns the merged areas, which come last in the file.
func (w *Workbook) Rows(sheet Sheet, yield func(Row) error) ([]Area, error) {
	texts, err := w.readTexts()
	if err != nil {
		return nil, err
	}
	in, err := w.open(sheet.part, maxSheet)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	r := reader{part: sheet.part, in: in, xml: xml.NewDecoder(in), texts: texts, formats: w.formats, yield: yield}
	if err := r.run(); err != nil {
		return nil, err
	}
	return r.merged, nil
}

// readTexts reads the texts that cells share.
func (w *Workbook) readTexts() ([]string, error) {
	if w.strings == "" {
		return nil, nil
	}
	in, err := w.open(w.strings, maxStrings)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	r := reader{part: w.strings, in: in, xml: xml.NewDecoder(in)}
	var texts []string
	for {
		token, err := r.token()
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if t.Name.Local == "si" {
				text, err := r.text("si")
				if err != nil {
					return nil, err
				}
				texts = append(texts, text)
			}
		case xml.EndElement:
			if t.Name.Local == "sst" {
				return texts, nil
			}
		}
	}
}

// reader reads one part with cells or texts.
type reader struct {
	part    string
	in      *bounded
	xml     *xml.Decoder
	texts   []string
	formats []Format
	yield   func(Row) error

	row    Row
	column int // of the last cell of the row
	merged []Area
	buf    []byte
}

// token returns the next token. That there is none left is an error: a part ends
// with the element that it began with.
func (r *reader) token() (xml.Token, error) {
	r.in.next()
	token, err := r.xml.RawToken()
	if err != nil {
		return nil, damaged(r.part, err)
	}
	return token, nil
}

func (r *reader) run() error {
	for {
		token, err := r.token()
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			err = r.start(t)
		case xml.EndElement:
			switch t.Name.Local {
			case "row":
				if len(r.row.Cells) > 0 {
					err = r.yield(r.row)
				}
			case "worksheet":
				return nil
			}
		}
		if err != nil {
			return err
		}
	}
}

// start takes in the start of an element.
func (r *reader) start(e xml.StartElement) error {
	switch e.Name.Local {
	case "row":
		r.column = 0
		r.row = Row{Number: r.row.Number + 1, Hidden: isTrue(attr(e, "hidden")), Cells: r.row.Cells[:0]}
		if number := attr(e, "r"); number != "" {
			n, err := strconv.Atoi(number)
			if err != nil || n < r.row.Number {
				return damaged(r.part, fmt.Errorf("row %q is out of order", number))
			}
			r.row.Number = n
		}
	case "c":
		return r.cell(e)
	case "mergeCell":
		if area, ok := areaOf(attr(e, "ref")); ok {
			r.merged = append(r.merged, area)
		}
	}
	return nil
}

// cell reads a cell into the row.
func (r *reader) cell(e xml.StartElement) error {
	at := r.column + 1
	if ref := attr(e, "r"); ref != "" {
		column, _, ok := position(ref)
		if !ok || column < at {
			return damaged(r.part, fmt.Errorf("cell %q is out of order", ref))
		}
		at = column
	}
	if at > maxColumns {
		return damaged(r.part, errors.New("a row is longer than a row can be"))
	}
	r.column = at
	kind, style := attr(e, "t"), attr(e, "s")
	cell, err := r.content(kind)
	if err != nil || cell == (Cell{}) {
		return err
	}
	if cell.Kind == Number {
		cell.Format = r.format(style)
	}
	for len(r.row.Cells) < at-1 {
		r.row.Cells = append(r.row.Cells, Cell{})
	}
	r.row.Cells = append(r.row.Cells, cell)
	return nil
}

// content reads what is inside a cell of the given type, to its end.
func (r *reader) content(kind string) (Cell, error) {
	var cell Cell
	var value string
	for {
		token, err := r.token()
		if err != nil {
			return cell, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			switch t.Name.Local {
			case "f":
				cell.Formula = true
			case "v", "is":
				if value, err = r.text(t.Name.Local); err != nil {
					return cell, err
				}
			}
		case xml.EndElement:
			if t.Name.Local == "c" {
				return r.valued(cell, kind, value)
			}
		}
	}
}

// valued fills in what a cell of the given type with the given value holds.
func (r *reader) valued(cell Cell, kind, value string) (Cell, error) {
	if value == "" {
		return cell, nil
	}
	cell.Text = value
	switch kind {
	case "s":
		i, err := strconv.Atoi(strings.TrimSpace(value))
		if err != nil || i < 0 || i >= len(r.texts) {
			return cell, damaged(r.part, fmt.Errorf("there is no text %q", value))
		}
		cell.Kind, cell.Text = Text, r.texts[i]
	case "inlineStr", "str", "d":
		cell.Kind = Text
	case "b":
		cell.Kind, cell.Text = Truth, "FALSE"
		if isTrue(strings.TrimSpace(value)) {
			cell.Text = "TRUE"
		}
	case "e":
		cell.Kind = Fault
	default:
		cell.Kind, cell.Text = Number, strings.TrimSpace(value)
	}
	if cell.Text == "" {
		cell.Kind = Empty
	}
	return cell, nil
}

// text reads the text of an element to its end: of its runs together, without
// how they are pronounced.
func (r *reader) text(element string) (string, error) {
	r.buf = r.buf[:0]
	plain := element == "v"
	inText, spoken := plain, 0
	for {
		token, err := r.token()
		if err != nil {
			return "", err
		}
		switch t := token.(type) {
		case xml.StartElement:
			switch t.Name.Local {
			case "rPh":
				spoken++
			case "t":
				inText = true
			}
		case xml.CharData:
			if inText && spoken == 0 {
				r.buf = append(r.buf, t...)
			}
		case xml.EndElement:
			switch t.Name.Local {
			case "rPh":
				spoken--
			case "t":
				inText = plain
			case element:
				return unescape(string(r.buf)), nil
			}
		}
		if len(r.buf) > maxToken {
			return "", ErrTooLarge
		}
	}
}

func (r *reader) format(style string) Format {
	i, err := strconv.Atoi(style)
	if err != nil || i < 0 || i >= len(r.formats) {
		return Format{Plain: true}
	}
	return r.formats[i]
}

func attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

func isTrue(value string) bool { return value == "1" || value == "true" }
