// Package xlsx reads and writes the cells of Excel workbooks, row by row. It reads
// them as they are stored, with their kind and number format, which a reader of
// texts alone loses, and writes them without a temporary file. It knows nothing of
// what the rows mean.
//
// The format is that of ECMA-376, part 1, as Excel, WPS and LibreOffice write it.
// A workbook that unpacks to much more than it should is refused, so that no
// small file takes all memory.
package xlsx

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// Why a workbook cannot be read.
var (
	ErrNotAWorkbook = errors.New("not an Excel workbook")
	ErrTooLarge     = errors.New("the workbook unpacks to more than is allowed")
	ErrNoSheet      = errors.New("the workbook has no such sheet")
)

// Limits of what a part of a workbook may unpack to, in bytes. A part may also be
// no more than mostRatio times as large as packed once it passes fairSize.
const (
	maxSmall   = 16 << 20  // relations, names of sheets, styles
	maxStrings = 256 << 20 // the shared texts, which are held in memory
	maxSheet   = 2 << 30   // the cells, which are read as a stream
	fairSize   = 8 << 20
	mostRatio  = 200
)

// Workbook is an opened workbook. It is not safe for concurrent use.
type Workbook struct {
	sheets  []Sheet
	parts   map[string]*zip.File // by name, in lower case
	strings string               // name of the part with the shared texts; "" for none
	formats []Format             // by number of the cell style
	date    bool                 // days are counted from 1904
}

// Sheet is a sheet of cells.
type Sheet struct {
	Name   string
	Hidden bool
	part   string
}

// Open reads what a workbook consists of, but no cells. raw must not change while
// the workbook is in use.
func Open(raw []byte) (*Workbook, error) {
	archive, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotAWorkbook, err)
	}
	w := &Workbook{parts: make(map[string]*zip.File, len(archive.File))}
	for _, f := range archive.File {
		w.parts[partName(f.Name)] = f
	}
	main := "xl/workbook.xml"
	if related, err := w.relations(""); err == nil {
		for _, r := range related {
			if strings.HasSuffix(r.Type, "/officeDocument") {
				main = resolve("", r.Target)
			}
		}
	}
	if err := w.readBook(main); err != nil {
		return nil, err
	}
	return w, nil
}

// Sheets returns the sheets of cells in the order of their tabs.
func (w *Workbook) Sheets() []Sheet { return w.sheets }

// Days1904 reports whether the workbook counts days from 1904-01-01 on, as those
// of old Macintosh programs do: its day 0 is day 1462 of others.
func (w *Workbook) Days1904() bool { return w.date }

type relation struct {
	ID     string `xml:"Id,attr"`
	Type   string `xml:"Type,attr"`
	Target string `xml:"Target,attr"`
}

// relations returns what a part refers to; "" is the package itself.
func (w *Workbook) relations(part string) ([]relation, error) {
	var doc struct {
		Relations []relation `xml:"Relationship"`
	}
	dir, file := path.Split(part)
	err := w.unmarshal(path.Join(dir, "_rels", file+".rels"), &doc)
	return doc.Relations, err
}

// readBook reads the part that names the sheets.
func (w *Workbook) readBook(part string) error {
	var doc struct {
		Properties struct {
			Date1904 string `xml:"date1904,attr"`
		} `xml:"workbookPr"`
		Sheets []struct {
			Name  string `xml:"name,attr"`
			State string `xml:"state,attr"`
			ID    string `xml:"id,attr"`
		} `xml:"sheets>sheet"`
	}
	if err := w.unmarshal(part, &doc); err != nil {
		return err
	}
	w.date = doc.Properties.Date1904 == "1" || doc.Properties.Date1904 == "true"
	related, err := w.relations(part)
	if err != nil {
		return err
	}
	tables := map[string]string{} // relation → part
	for _, r := range related {
		target := resolve(part, r.Target)
		switch path.Base(r.Type) {
		case "worksheet":
			tables[r.ID] = target
		case "sharedStrings":
			w.strings = target
		case "styles":
			if w.formats, err = w.readFormats(target); err != nil {
				return err
			}
		}
	}
	for _, s := range doc.Sheets {
		if target, ok := tables[s.ID]; ok { // a chart is no table
			w.sheets = append(w.sheets, Sheet{Name: s.Name, Hidden: s.State == "hidden" || s.State == "veryHidden", part: target})
		}
	}
	if w.sheets == nil {
		return fmt.Errorf("%w: it has no sheet of cells", ErrNotAWorkbook)
	}
	return nil
}

// resolve returns the name of the part that a relation of part means.
func resolve(part, target string) string {
	target = strings.ReplaceAll(target, `\`, "/")
	if strings.HasPrefix(target, "/") {
		return partName(target)
	}
	return partName(path.Join(path.Dir(part), target))
}

func partName(name string) string {
	return strings.ToLower(strings.TrimPrefix(path.Clean(strings.ReplaceAll(name, `\`, "/")), "/"))
}

// unmarshal reads a small part into v.
func (w *Workbook) unmarshal(part string, v any) error {
	in, err := w.open(part, maxSmall)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := xml.NewDecoder(in).Decode(v); err != nil {
		return damaged(part, err)
	}
	return nil
}

// open opens a part that unpacks to limit bytes at most.
func (w *Workbook) open(part string, limit int64) (*bounded, error) {
	f, ok := w.parts[partName(part)]
	if !ok {
		return nil, fmt.Errorf("%w: it has no part %q", ErrNotAWorkbook, part)
	}
	packed := min(f.CompressedSize64, maxSheet)
	limit = min(limit, max(fairSize, int64(packed)*mostRatio))
	in, err := f.Open()
	if err != nil {
		return nil, damaged(part, err)
	}
	return &bounded{in: in, left: limit}, nil
}

// damaged says which part an error is about, unless it is one of size.
func damaged(part string, err error) error {
	if errors.Is(err, ErrTooLarge) {
		return ErrTooLarge
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: its part %q is damaged: %w", ErrNotAWorkbook, part, err)
}

// bounded ends with ErrTooLarge once too much was read, in all or since the
// last call of next.
type bounded struct {
	in    io.ReadCloser
	left  int64
	token int64 // 0 means that it is not counted
}

// maxToken is how much of a part may be read for one element or text of it.
const maxToken = 4 << 20

// next begins to count for another token.
func (b *bounded) next() { b.token = maxToken }

// Read reads what is left.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.in.Read(p)
	b.left -= int64(n)
	if b.token > 0 {
		b.token -= int64(n)
	}
	if b.left < 0 || b.token < 0 {
		return 0, ErrTooLarge
	}
	return n, err
}

// Close closes the part.
func (b *bounded) Close() error { return b.in.Close() }
