package intake

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/usher-bi/usher/internal/access"
)

// ReadNDJSON reads a file of one JSON object a line. The names of the fields are
// those of the columns of a CSV file, in any case and order; each line may have
// others. A field that is known must be a string, or null, which is the same as
// none: a number would not come back as it was written. Fields without a meaning
// are carried through, as JSON where they are no strings, and names that begin
// with result__ are dropped.
//
// It is UTF-8, with or without a byte order mark. Everything else is as with
// [ReadCSV], and so are the errors.
//
// The file is read twice, piece by piece: first for the names, because what is
// written of a row has a place for each name that any row has. An r that is no
// [io.Seeker], or cannot seek, is held in memory, packed.
func ReadNDJSON(r io.Reader, o Options) (*Batch, error) {
	return readObjects(r, o, (*jsonText).lines)
}

// lines calls yield for each line that is not blank.
func (t *jsonText) lines(yield func(object) error) error {
	began := false
	for no := 1; ; no++ {
		line, err := t.line(no)
		last := errors.Is(err, io.EOF)
		if err != nil && !last {
			return err
		}
		if line = bytes.Trim(line, jsonSpace); len(line) > 0 {
			if !began && line[0] != '{' {
				return notNDJSON(line)
			}
			began = true
			if err := yield(object{line: no, raw: line}); err != nil {
				return err
			}
		}
		if last {
			return nil
		}
	}
}

// notNDJSON says what a file is instead.
func notNDJSON(start []byte) *FileError {
	if start[0] == '[' {
		return fileError(CodeNotNDJSON, "this is a JSON array; write one object a line, without brackets and commas around them")
	}
	return fileError(CodeNotNDJSON, "the first line does not begin with {; write one JSON object a line, or submit a CSV file as CSV")
}

// object is one row as JSON. line is where it stands.
type object struct {
	line  int
	raw   []byte
	sound bool // it is known to be JSON
}

// objects has a JSON text call a function for each object in it, and returns its
// error.
type objects func(t *jsonText, yield func(object) error) error

// readObjects makes a batch of the objects of a file.
func readObjects(r io.Reader, o Options, each objects) (*Batch, error) {
	f := newJSONFile(r, o)
	if err := f.survey(each); err != nil {
		return nil, err
	}
	return f.batch(each, o)
}

// jsonFile is a file of objects, which is read twice.
type jsonFile struct {
	options Options
	again   func() (io.Reader, error)
	text    *jsonText // as it is read for the first time
	names   *fieldNames
}

func newJSONFile(r io.Reader, o Options) *jsonFile {
	again, in := repeatable(r)
	return &jsonFile{options: o, again: again, text: newJSONText(in, o), names: newFieldNames()}
}

// survey takes in the names of all rows.
func (f *jsonFile) survey(each objects) error {
	rows, most := 0, cmp.Or(f.options.MaxRows, DefaultMaxRows)
	return each(f.text, func(obj object) error {
		if rows++; rows > most {
			return errTooManyRows(most)
		}
		return f.names.collect(obj)
	})
}

// batch makes a batch of the rows once all names are known.
func (f *jsonFile) batch(each objects, o Options) (*Batch, error) {
	h, err := parseHeader(f.names.header())
	if err != nil {
		return nil, err
	}
	if o.DefaultExpiryDays > 0 {
		h = h.with(colExpiresOn)
	}
	in, err := f.again()
	if err != nil {
		return nil, err
	}
	b, text := newBuilder(h, o), newJSONText(in, o)
	if err := each(text, func(obj object) error { return b.add(f.names.record(obj)) }); err != nil {
		return nil, err
	}
	if text.origin.sum() != f.text.origin.sum() {
		return nil, errors.New("the file was changed while it was read")
	}
	batch, err := b.finish()
	if err != nil {
		return nil, err
	}
	batch.SHA256, batch.Encoding = text.origin.sum(), text.origin.encoding
	return batch, nil
}

// mostNames bounds the names of all fields of a file, because each row has a
// place for each.
const mostNames = 200

// fieldNames says in which place of a record a field goes.
type fieldNames struct {
	names  []string       // by place, as written at first
	means  []string       // by place: the column that is named; "" for none
	places map[string]int // by name as written
	known  [numColumns]int
	broken lineSet  // lines that are no JSON objects
	cells  []string // of the current record; reused
	seen   []bool   // likewise: in which places it has something
}

func newFieldNames() *fieldNames {
	n := &fieldNames{places: map[string]int{}}
	for c := range n.known {
		n.known[c] = -1
	}
	return n
}

// collect takes in the names of one row.
func (n *fieldNames) collect(obj object) error {
	if obj.raw[0] != '{' || !obj.sound && !json.Valid(obj.raw) {
		n.broken = n.broken.with(obj.line)
		return nil
	}
	for rest := string(obj.raw[1:]); ; {
		m, after, ok := nextMember(rest)
		if !ok {
			return nil
		}
		rest = after
		if _, known := n.places[m.name]; known || plainName(m.name) == "" {
			continue
		}
		if err := n.place(strings.Clone(m.name)); err != nil {
			return err
		}
	}
}

// place gives a name its place. Spellings of one column share theirs.
func (n *fieldNames) place(name string) error {
	c, known := columnOf(name)
	if known && n.known[c] >= 0 {
		n.places[name] = n.known[c]
		return nil
	}
	if len(n.names) == mostNames {
		return fileError(CodeTooManyFields, "the rows have more than %d different fields; leave out those that are not needed", mostNames)
	}
	n.places[name] = len(n.names)
	meaning := ""
	if known {
		n.known[c], meaning = len(n.names), c.String()
	}
	n.names, n.means = append(n.names, name), append(n.means, meaning)
	return nil
}

// header is the record that a CSV file of the same rows would begin with.
func (n *fieldNames) header() []string {
	for _, c := range required {
		if n.known[c] < 0 {
			n.known[c] = len(n.names)
			n.names, n.means = append(n.names, c.String()), append(n.means, c.String())
		}
	}
	header := make([]string, len(n.names))
	for i, name := range n.names {
		header[i] = Neutralise(name)
	}
	return header
}

// record is the record that a CSV file would have of a row. What is wrong with
// the JSON of it goes along.
func (n *fieldNames) record(obj object) record {
	n.cells = append(n.cells[:0], make([]string, len(n.names))...)
	out := record{line: obj.line, cells: n.cells, exact: true}
	if n.broken.has(obj.line) {
		out.unread = true
		out.faults = append(out.faults, problem("", CodeInvalidJSON, "this is not a JSON object; write one whole object, in one line"))
		return out
	}
	n.seen = append(n.seen[:0], make([]bool, len(n.names))...)
	for rest := string(obj.raw[1:]); ; {
		m, after, ok := nextMember(rest)
		if !ok {
			break
		}
		rest = after
		if bad := n.fill(m); bad != nil {
			out.faults = append(out.faults, *bad)
		}
	}
	if out.faults == nil && blank(out.cells) {
		out.unread = true
		out.faults = append(out.faults, problem("", CodeInvalidJSON, "the object is empty; leave the line out"))
	}
	return out
}

// fill puts the value of a member into its place, unless that was seen before.
func (n *fieldNames) fill(m member) *access.Problem {
	at, named := n.places[m.name]
	var bad access.Problem
	switch {
	case !named:
		bad = problem("", CodeInvalidJSON, "a field has no name")
		return &bad
	case n.seen[at]:
		bad = problem(n.column(at), CodeDuplicateField, "the row has the field %q twice; keep one", m.name)
		return &bad
	}
	n.seen[at] = true
	cell, problem := n.cell(at, m.raw)
	n.cells[at] = Neutralise(cell)
	return problem
}

// column is the canonical name of the column in a place, or the name as written.
func (n *fieldNames) column(at int) string { return cmp.Or(n.means[at], n.names[at]) }

// cell is the value of the field in a place as text.
func (n *fieldNames) cell(at int, raw string) (string, *access.Problem) {
	name, known := n.column(at), n.means[at] != ""
	switch {
	case raw == "null":
		return "", nil
	case raw[0] == '"':
		text, sound := decodeString(raw)
		if !sound {
			p := problem(name, CodeInvalidText, "%q holds a NUL or half of a character, which cannot be kept; remove it", name)
			return "", &p
		}
		return text, nil
	case known:
		p := problem(name, CodeInvalidType, "%q is %s; write it as a string, in quotes, so that nothing of it is lost", name, kindOf(raw))
		return "", &p
	case strings.Contains(raw, `\u`):
		p := problem(name, CodeInvalidType, "%q is %s with escaped characters; write it as a string", name, kindOf(raw))
		return "", &p
	default:
		return raw, nil
	}
}
