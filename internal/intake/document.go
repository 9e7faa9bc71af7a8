package intake

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
)

// Document is a JSON document of rows, and of what is said beside them:
// {"rows": [{…}, …], "reason": …}.
type Document struct {
	// Beside has the other members by name, as JSON.
	Beside map[string]json.RawMessage

	rows     string // the array, without its opening bracket
	sum      string
	encoding string
}

// mostBeside is how many members a document may have beside its rows.
const mostBeside = 32

// ReadDocument reads a JSON document. Its rows are checked by [Document.Batch];
// the error of what is no such document is a [*FileError].
func ReadDocument(r io.Reader, o Options) (*Document, error) { //nolint:cyclop // each case is a way to be wrong
	raw, err := readAll(r, cmp.Or(o.MaxBytes, DefaultMaxBytes))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(raw)
	body, encoding, err := jsonText(raw)
	if err != nil {
		return nil, err
	}
	body = bytes.Trim(body, jsonSpace)
	if body[0] != '{' || !json.Valid(body) {
		return nil, fileError(CodeInvalidJSON, `the document is not a JSON object; write {"rows": [{…}, …]}`)
	}
	d := &Document{Beside: map[string]json.RawMessage{}, sum: hex.EncodeToString(sum[:]), encoding: encoding}
	found := false
	for rest := string(body[1:]); ; {
		m, after, ok := nextMember(rest)
		if !ok {
			break
		}
		rest = after
		_, twice := d.Beside[m.name]
		switch {
		case twice || found && m.name == "rows":
			return nil, fileError(CodeDuplicateField, "the document has the member %q twice; keep one", m.name)
		case m.name != "rows" && len(d.Beside) == mostBeside:
			return nil, fileError(CodeTooManyFields, "the document has more than %d members beside its rows; leave out those that are not needed", mostBeside)
		case m.name != "rows":
			d.Beside[m.name] = json.RawMessage(m.raw)
		case m.raw[0] != '[':
			return nil, fileError(CodeInvalidType, `"rows" is %s; write an array of objects`, kindOf(m.raw))
		default:
			found, d.rows = true, m.raw[1:]
		}
	}
	if !found {
		return nil, fileError(CodeNoRows, `the document has no "rows"`)
	}
	if _, _, ok := nextElement(d.rows); !ok {
		return nil, fileError(CodeNoRows, `"rows" is empty`)
	}
	return d, nil
}

// Batch checks the rows as [ReadNDJSON] does. The line of a row is its place in
// the array, counted from 1.
func (d *Document) Batch(o Options) (*Batch, error) {
	batch, err := readObjects(func(yield func(object) bool) {
		rest := d.rows
		for no := 1; ; no++ {
			raw, after, ok := nextElement(rest)
			if !ok || !yield(object{no, []byte(raw)}) {
				return
			}
			rest = after
		}
	}, o)
	if err != nil {
		return nil, err
	}
	batch.SHA256, batch.Encoding = d.sum, d.encoding
	return batch, nil
}
