package intake

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"regexp"

	"github.com/usher-bi/usher/internal/access"
)

// delimiters are the characters that may separate cells, the likeliest first.
const delimiters = ",;\t|"

// sniff returns the delimiter under which the first record of a text that
// nobody has read yet names the most columns that intake knows.
func sniff(in *tape) rune {
	var best rune
	most := -1
	for _, comma := range delimiters {
		in.wind(in.keep)
		record, _ := newReader(in, comma).Read()
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

func newReader(in io.Reader, comma rune) *csv.Reader {
	r := csv.NewReader(bufio.NewReaderSize(in, blockSize))
	r.Comma = comma
	r.FieldsPerRecord = -1
	r.ReuseRecord = true
	return r
}

// records reads the records of a CSV text, the broken ones too.
type records struct {
	in     *tape
	start  int64 // where reader began
	before int   // lines of the text before that
	comma  rune
	reader *csv.Reader
	again  *record // comes once more
	err    error   // why no more records came, if not for the end of the text
}

// record is one record of a text. Its cells hold until the next is read.
type record struct {
	line   int
	cells  []string
	broken bool             // a quote is wrong; cells are those before it
	faults []access.Problem // of cells that hold what no text can stand for; of their columns no more is said
	unread bool             // nothing but its faults is to be said of it
	exact  bool             // a program wrote it: nothing in it is a remark
}

// newRecords reads a text from what is still needed of it.
func newRecords(in *tape, comma rune) *records {
	in.wind(in.keep)
	return &records{in: in, start: in.keep, comma: comma, reader: newReader(in, comma)}
}

// openRecords finds out how a text that nobody has read yet separates cells. A
// first line "sep=;", which spreadsheets obey and do not show, says it.
func openRecords(in *tape) *records {
	in.wind(in.keep)
	line, _ := bufio.NewReader(in).ReadSlice('\n')
	named := sepLine.FindSubmatch(bytes.TrimSuffix(line, []byte{'\n'}))
	if named == nil {
		return newRecords(in, sniff(in))
	}
	comma := rune(named[1][0])
	in.keep += int64(len(line))
	r := newRecords(in, comma)
	r.before = 1
	return r
}

var sepLine = regexp.MustCompile(`(?i)^"?sep=([,;|\t])"?[,;|\t]*$`)

// first returns the first record that is not blank, and false if there is none.
func (r *records) first() (record, bool) {
	for {
		out, ok := r.next()
		if !ok || out.broken || !blank(out.cells) {
			return out, ok
		}
	}
}

// next returns the next record, and false after the last.
func (r *records) next() (record, bool) {
	if out := r.again; out != nil {
		r.again = nil
		return *out, true
	}
	r.in.keep = r.start + r.reader.InputOffset()
	cells, err := r.reader.Read()
	if r.err = r.in.failed(); r.err != nil {
		return record{}, false
	}
	bad, broken := errors.AsType[*csv.ParseError](err)
	switch {
	case broken:
		out := record{line: r.before + bad.StartLine, cells: cells, broken: true}
		if bad.Line > bad.StartLine {
			r.resume(out.line)
		} else if r.in.over {
			r.err = errTooLong(out.line)
			return record{}, false
		}
		return out, true
	case errors.Is(err, io.EOF):
		return record{}, false
	}
	line, _ := r.reader.FieldPos(0)
	if r.in.over {
		r.err = errTooLong(r.before + line)
		return record{}, false
	}
	return record{line: r.before + line, cells: cells}, true
}

func errTooLong(line int) error {
	return fileError(CodeNotACSV, "line %d is longer than %d bytes, which no row is", line, maxRecord)
}

// resume goes on in the line after the given one, in which the record that broke
// begins. A quote that is never closed has swallowed the rows below it; they are
// rows all the same.
func (r *records) resume(line int) {
	rest := r.in.held[r.in.keep-r.in.from:]
	at := 0
	for blank := true; blank; { // there may be blank lines before the record
		end := bytes.IndexByte(rest[at:], '\n') + 1
		blank = end == 1
		at += end
	}
	r.in.keep += int64(at)
	r.in.wind(r.in.keep)
	r.start, r.before, r.reader = r.in.keep, line, newReader(r.in, r.comma)
}
