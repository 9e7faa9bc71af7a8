package intake

import "strings"

// texts keeps many short texts in few pieces of memory.
type texts struct{ pieces []*strings.Builder }

// text says where one of them is: its place in the upper bits, its length in the
// lower ones. Zero is the empty text.
type text uint64

const (
	lengthBits = 25 // more than a record may be long
	pieceBits  = 16
	pieceSize  = 1 << pieceBits
)

// keep copies s, which is shorter than 2²⁵ bytes.
func (t *texts) keep(s string) text {
	if s == "" {
		return 0
	}
	n := len(t.pieces)
	if n == 0 || t.pieces[n-1].Len()+len(s) > pieceSize {
		piece := new(strings.Builder)
		piece.Grow(max(pieceSize, len(s)))
		t.pieces = append(t.pieces, piece)
		n++
	}
	last := t.pieces[n-1]
	place := uint64(n-1)<<pieceBits | uint64(last.Len()) //nolint:gosec // no negative numbers
	last.WriteString(s)
	return text(place<<lengthBits | uint64(len(s)))
}

// get returns what keep was given, without a copy.
func (t *texts) get(at text) string {
	if at == 0 {
		return ""
	}
	length, place := int(at&(1<<lengthBits-1)), int(at>>lengthBits)
	from := place & (pieceSize - 1)
	return t.pieces[place>>pieceBits].String()[from : from+length]
}

// textColumn has a text for each row, and takes no memory before the first that
// is not empty.
type textColumn []text

func (c *textColumn) set(row int, t text) {
	if t == 0 && row >= len(*c) {
		return
	}
	for row >= len(*c) {
		*c = append(*c, 0)
	}
	(*c)[row] = t
}

func (c *textColumn) at(row int) text {
	if row >= len(*c) {
		return 0
	}
	return (*c)[row]
}
