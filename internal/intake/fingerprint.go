package intake

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// Fingerprint identifies what b asks for on behalf of source: two files have
// the same one if their rows mean the same in the same order, whatever their
// column order, encoding, delimiter and spelling. Unknown columns do not count,
// and neither does an id that was made from the line. Invalid rows count as
// they were written. A result file asks for its rows once more, so it is not the
// file that the results are of, but the same result file again is itself. It is
// a SHA-256 in hex.
//
// A default expiry that was filled in counts as the number of its days, so that
// the file is the same one on the next day: see [Batch.DatedFingerprint].
func (b *Batch) Fingerprint(source string) string {
	return b.fingerprint(source, fmt.Sprintf("default %dd", b.defaultDays))
}

// DatedFingerprint is the fingerprint of b with the day that the default expiry
// falls on, as if it were written out: on another day the file asks for something
// else. It is Fingerprint where no expiry was filled in.
func (b *Batch) DatedFingerprint(source string) string { return b.fingerprint(source, "") }

// FillsIn reports whether the default expiry was filled in anywhere.
func (b *Batch) FillsIn() bool { return b.filled != nil }

// fingerprint takes filled for the expiries that were filled in; "" for the day.
func (b *Batch) fingerprint(source, filled string) string {
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
		expiry := expiries[c.changes.Cells[i].Kind]
		if filled != "" && b.filled.has(int(c.lines[i])) {
			expiry = filled
		}
		add("row", id, string(change.Operation), string(change.Principal.Type), change.Principal.ID,
			string(change.Resource.Type), change.Resource.ID, expiry, change.Terms.Role,
			c.texts.get(c.reasons.at(i)), c.texts.get(c.tickets.at(i)))
	}
	layout := LayoutOf(b.Header)
	for _, r := range b.Invalid {
		add("invalid")
		for c := range numColumns {
			cell := layout.get(r.Cells, c)
			if c == colExpiresOn && filled != "" && b.filled.has(r.Line) {
				cell = filled
			}
			add(cell)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// lineSet is a set of lines, a bit each.
type lineSet []uint64

func (s lineSet) with(line int) lineSet {
	if more := line/64 + 1 - len(s); more > 0 {
		s = append(s, make([]uint64, more)...)
	}
	s[line/64] |= 1 << (line % 64)
	return s
}

func (s lineSet) has(line int) bool { return line/64 < len(s) && s[line/64]&(1<<(line%64)) != 0 }
