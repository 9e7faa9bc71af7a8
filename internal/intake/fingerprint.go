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
	c := &b.rows
	expiries := make([]string, len(c.changes.Kinds)) // in words, each once
	for i, kind := range c.changes.Kinds {
		expiries[i] = kind.Terms.ExpiresOn.String()
	}
	for i := range b.Len() {
		id, change := c.texts.get(c.ids.at(i)), c.changes.At(i)
		if isLineID(id, int(c.lines[i])) {
			id = ""
		}
		add("row", id, string(change.Operation), string(change.Principal.Type), change.Principal.ID,
			string(change.Resource.Type), change.Resource.ID, expiries[c.changes.Cells[i].Kind], change.Terms.Role,
			c.texts.get(c.reasons.at(i)), c.texts.get(c.tickets.at(i)))
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
