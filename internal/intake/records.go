package intake

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
)

// delimiters are the characters that may separate cells, the likeliest first.
const delimiters = ",;\t|"

// sniff returns the delimiter under which the first record names the most
// columns that intake knows.
func sniff(body []byte) rune {
	var best rune
	most := -1
	for _, comma := range delimiters {
		record, _ := newReader(body, comma).Read()
		known := 0
		for _, name := range record {
			if _, ok := columnOf(name); ok {
				known++
			}
		}
		if known > most {
			best, most = comma, known
		}
	}
	return best
}

func newReader(body []byte, comma rune) *csv.Reader {
	r := csv.NewReader(bytes.NewReader(body))
	r.Comma = comma
	r.FieldsPerRecord = -1
	r.ReuseRecord = true
	return r
}

// records reads the records of a CSV text, the broken ones too.
type records struct {
	body   []byte // what reader reads
	before int    // lines of the text before body
	comma  rune
	reader *csv.Reader
}

// record is one record of a CSV text. Its cells hold until the next is read.
type record struct {
	line   int
	cells  []string
	broken bool // a quote is wrong; cells are those before it
}

func newRecords(body []byte, comma rune) *records {
	return &records{body: body, comma: comma, reader: newReader(body, comma)}
}

// next returns the next record, and false after the last.
func (r *records) next() (record, bool) {
	from := r.reader.InputOffset()
	cells, err := r.reader.Read()
	if errors.Is(err, io.EOF) {
		return record{}, false
	}
	if bad, ok := errors.AsType[*csv.ParseError](err); ok {
		out := record{line: r.before + bad.StartLine, cells: cells, broken: true}
		if bad.Line > bad.StartLine {
			r.resume(r.body[from:], out.line)
		}
		return out, true
	}
	line, _ := r.reader.FieldPos(0)
	return record{line: r.before + line, cells: cells}, true
}

// resume goes on in the line after the given one. A quote that is never closed
// has swallowed the rows below it; they are rows all the same. rest begins with
// the record that broke, or with blank lines before it.
func (r *records) resume(rest []byte, line int) {
	for blank := true; blank; {
		end := bytes.IndexByte(rest, '\n') + 1
		blank = end == 1
		rest = rest[end:]
	}
	r.body, r.before, r.reader = rest, line, newReader(rest, r.comma)
}
