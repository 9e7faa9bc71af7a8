package intake

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// Fingerprint identifies what b asks for on behalf of source: two files have
// the same one if their rows mean the same in the same order, whatever their
// column order, encoding, delimiter and spelling. Unknown columns do not count,
// and neither does an id that was made from the line. Invalid rows count as
// they were written. A result file asks for its rows once more, so it is not the
// file that the results are of, but the same result file again is itself. It is
// a SHA-256 in hex.
func (b *Batch) Fingerprint(source string) string {
	sum := sha256.New()
	var buf []byte
	add := func(fields ...string) {
		buf = buf[:0]
		for _, field := range fields {
			buf = binary.AppendUvarint(buf, uint64(len(field)))
			buf = append(buf, field...)
		}
		sum.Write(buf)
	}
	add("usher rows 1", source)
	for _, job := range b.ResultOf {
		add("result of", job)
	}
	for i := range b.Rows {
		r := &b.Rows[i]
		id := r.RowID
		if id == lineID(r.Line) {
			id = ""
		}
		add("row", id, string(r.Change.Operation), string(r.Change.Principal.Type), r.Change.Principal.ID,
			string(r.Change.Resource.Type), r.Change.Resource.ID, r.Change.Terms.ExpiresOn.String(), r.Change.Terms.Role,
			r.Reason, r.Ticket)
	}
	layout := LayoutOf(b.Header)
	for _, r := range b.Invalid {
		add("invalid")
		for c := range numColumns {
			add(layout.get(r.Cells, c))
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}
