package intake

import (
	"encoding/json"
	"io"
	"strings"
)

// Document is a JSON document of rows, and of what is said beside them:
// {"rows": [{…}, …], "reason": …}.
type Document struct {
	// Beside has the other members by name, as JSON.
	Beside map[string]json.RawMessage

	file *jsonFile
}

// mostBeside is how many members a document may have beside its rows.
const mostBeside = 32

// ReadDocument reads a JSON document. Its rows are checked by [Document.Batch],
// which reads r again; the error of what is no such document is a [*FileError].
// As to memory it is as [ReadNDJSON].
func ReadDocument(r io.Reader, o Options) (*Document, error) {
	d := &Document{Beside: map[string]json.RawMessage{}, file: newJSONFile(r, o)}
	return d, d.file.survey(func(t *jsonText, yield func(object) error) error {
		return (&documentReader{jsonText: t, beside: d.Beside, yield: yield}).read()
	})
}

// Batch checks the rows as [ReadNDJSON] does. The line of a row is its place in
// the array, counted from 1.
func (d *Document) Batch(o Options) (*Batch, error) {
	return d.file.batch(func(t *jsonText, yield func(object) error) error {
		return (&documentReader{jsonText: t, beside: map[string]json.RawMessage{}, yield: yield}).read()
	}, o)
}

// documentReader reads a document from its beginning to its end.
type documentReader struct {
	*jsonText

	beside map[string]json.RawMessage
	yield  func(object) error // for each row
	found  bool               // there are rows
	rows   int
}

func errNoDocument() error {
	return fileError(CodeInvalidJSON, `the document is not a JSON object; write {"rows": [{…}, …]}`)
}

func (d *documentReader) read() error {
	err := d.list("{}", d.member)
	if err != nil {
		return err
	}
	switch rest, err := d.next(); {
	case err != nil:
		return err
	case rest != 0:
		return errNoDocument()
	case !d.found:
		return fileError(CodeNoRows, `the document has no "rows"`)
	case d.rows == 0:
		return fileError(CodeNoRows, `"rows" is empty`)
	}
	return nil
}

// list reads what stands between two brackets, with commas between them.
func (d *documentReader) list(brackets string, item func() error) error {
	if err := d.expect(brackets[:1]); err != nil {
		return err
	}
	if c, err := d.next(); err != nil || c == brackets[1] {
		_, _ = d.in.Discard(1) // it is there, or nothing is
		return err
	}
	for {
		if err := item(); err != nil {
			return err
		}
		c, err := d.next()
		if err != nil {
			return err
		}
		if err := d.expect(brackets[1:] + ","); err != nil || c == brackets[1] {
			return err
		}
	}
}

// expect takes one of the given characters.
func (d *documentReader) expect(chars string) error {
	c, err := d.next()
	if err != nil {
		return err
	}
	if c == 0 || strings.IndexByte(chars, c) < 0 {
		return errNoDocument()
	}
	_, err = d.in.Discard(1)
	return err
}

// sound takes a value that is JSON.
func (d *documentReader) sound() ([]byte, error) {
	raw, err := d.value(d.rows)
	if err == nil && !json.Valid(raw) {
		err = errNoDocument()
	}
	return raw, err
}

func (d *documentReader) member() error {
	raw, err := d.sound()
	if err != nil {
		return err
	}
	if raw[0] != '"' {
		return errNoDocument()
	}
	name, sound := decodeString(string(raw))
	if !sound {
		name = "" // it counts as having none
	}
	if err := d.expect(":"); err != nil {
		return err
	}
	_, twice := d.beside[name]
	switch {
	case twice || d.found && name == "rows":
		return fileError(CodeDuplicateField, "the document has the member %q twice; keep one", name)
	case name == "rows":
		return d.array()
	case len(d.beside) == mostBeside:
		return fileError(CodeTooManyFields, "the document has more than %d members beside its rows; leave out those that are not needed", mostBeside)
	}
	raw, err = d.sound()
	d.beside[name] = append(json.RawMessage{}, raw...)
	return err
}

// array reads the rows.
func (d *documentReader) array() error {
	d.found = true
	c, err := d.next()
	if err != nil {
		return err
	}
	if c == '[' {
		return d.list("[]", d.row)
	}
	raw, err := d.sound()
	if err != nil {
		return err
	}
	return fileError(CodeInvalidType, `"rows" is %s; write an array of objects`, kindOf(string(raw)))
}

func (d *documentReader) row() error {
	d.rows++
	raw, err := d.sound()
	if err != nil {
		return err
	}
	return d.yield(object{line: d.rows, raw: raw, sound: true})
}
