package intake

import (
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
// error came from r.
//
// The file is read piece by piece. One that turns out not to be UTF-8 is read
// once more from where it began; for that an r that is no [io.Seeker], or cannot
// seek, is held in memory, packed, as far as it was read.
func ReadCSV(r io.Reader, o Options) (*Batch, error) {
	return readFile(r, o, func(in *tape) (*Batch, error) {
		batch, err := parse(in, o)
		if err != nil {
			return nil, err
		}
		batch.SHA256, batch.Encoding = in.origin.sum(), in.origin.encoding
		return batch, nil
	})
}

// parse makes a batch of the records of in.
func parse(in *tape, o Options) (*Batch, error) {
	records := openRecords(in)
	first, ok := records.first()
	switch {
	case records.err != nil:
		return nil, records.err
	case !ok:
		return nil, errEmpty()
	case first.broken:
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
	for record, ok := records.next(); ok; record, ok = records.next() {
		if err := b.add(record); err != nil {
			return nil, err
		}
	}
	if records.err != nil {
		return nil, records.err
	}
	b.batch.Encoding, b.batch.Delimiter = in.origin.encoding, string(records.comma)
	return b.finish()
}
