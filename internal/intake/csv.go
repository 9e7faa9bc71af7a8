package intake

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// ReadCSV reads a whole CSV file. Encoding, delimiter and line ends are found
// out; column order is free; names are read in any case, and user_id is another
// name for principal. Columns named result__… are dropped, but for what
// Batch.ResultOf remembers, and other unknown ones carried through, with one
// warning. Line breaks inside quotes come out as LF.
//
// Bad rows are no error of ReadCSV: they are in Batch.Invalid and
// Batch.Errors. A file of which no row can be read is a [*FileError]; any other
// error came from r. The file is held in memory while it is read.
func ReadCSV(r io.Reader, o Options) (*Batch, error) {
	raw, err := readAll(r, o)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(raw)
	start := bytes.Clone(raw[:min(len(raw), 1024)]) // raw is decoded in place
	batch, err := parse(raw, o)
	if err != nil {
		if refused, ok := errors.AsType[*FileError](err); ok {
			return nil, explain(start, refused)
		}
		return nil, err
	}
	batch.SHA256 = hex.EncodeToString(sum[:])
	return batch, nil
}

// readAll reads a file that is not too large.
func readAll(r io.Reader, o Options) ([]byte, error) {
	limit := cmp.Or(o.MaxBytes, DefaultMaxBytes)
	raw, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading the file: %w", err)
	}
	if int64(len(raw)) > limit {
		return nil, fileError(CodeFileTooLarge, "the file is larger than %d bytes; split it", limit)
	}
	return raw, nil
}

// text makes of raw, which it overwrites, UTF-8 with LF line ends, and says
// which encoding it was in.
func text(raw []byte) (body []byte, encoding string, err error) {
	body, encoding, err = decode(raw)
	if err != nil {
		return nil, "", err
	}
	if err := checkNUL(body); err != nil {
		return nil, "", err
	}
	body = unifyLines(body)
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, "", fileError(CodeEmptyFile, "the file is empty")
	}
	return body, encoding, nil
}

// parse makes a batch of raw, which it overwrites.
func parse(raw []byte, o Options) (*Batch, error) {
	body, encoding, err := text(raw)
	if err != nil {
		return nil, err
	}
	comma := sniff(body)
	records := newRecords(body, comma)
	first, _ := records.next()
	if first.broken {
		return nil, fileError(CodeNotACSV, "line %d, which should name the columns, has a quote that is not closed or not doubled", first.line)
	}
	h, err := parseHeader(first.cells)
	if err != nil {
		return nil, err
	}
	if o.DefaultExpiryDays > 0 {
		h = h.with(colExpiresOn)
	}
	b := newBuilder(h, o)
	b.expect(body)
	for record, ok := records.next(); ok; record, ok = records.next() {
		if err := b.add(record); err != nil {
			return nil, err
		}
	}
	b.batch.Encoding, b.batch.Delimiter = encoding, string(comma)
	return b.finish()
}
