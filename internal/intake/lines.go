package intake

import (
	"bytes"
	"errors"
	"io"
)

// unified is a text with LF line ends. CRLF becomes LF, and the lone CR of old
// Macintosh files too if the first line ends in one. A CR elsewhere is content.
type unified struct {
	in *decoded

	known bool   // whether lone is
	lone  bool   // a CR alone ends a line
	crs   int    // that came last
	out   []byte // reused
}

// mostOfFirst is how far the end of the first line is looked for.
const mostOfFirst = 1 << 20

// next is as that of [decoded].
func (u *unified) next() ([]byte, error) {
	if !u.known {
		return u.first()
	}
	block, err := u.in.next()
	if errors.Is(err, io.EOF) && u.crs > 0 {
		return u.unify(nil, true), nil
	}
	return u.unify(block, false), err
}

// first reads as much as shows how lines end.
func (u *unified) first() ([]byte, error) {
	var head []byte
	for !u.known {
		block, err := u.in.next()
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		head = append(head, block...)
		ended := err != nil || len(head) > mostOfFirst
		u.lone, u.known = endsInCR(head, ended)
	}
	return u.unify(head, false), nil
}

// unify returns the next part of the text. At the end CRs that came last are
// part of it.
func (u *unified) unify(block []byte, end bool) []byte {
	if u.crs == 0 && bytes.IndexByte(block, '\r') < 0 {
		return block
	}
	u.out = u.out[:0]
	for _, b := range block {
		if b == '\r' {
			u.crs++
			continue
		}
		u.flush(b == '\n') // some tools write two CRs before the LF
		u.out = append(u.out, b)
	}
	if end {
		u.flush(false)
	}
	return u.out
}

// flush writes the CRs that came last, unless they are part of a line end.
func (u *unified) flush(ended bool) {
	for ; u.crs > 0; u.crs-- {
		switch {
		case ended:
		case u.lone:
			u.out = append(u.out, '\n')
		default:
			u.out = append(u.out, '\r')
		}
	}
}

// endsInCR reports whether the first line of a text, quotes respected, ends in a
// CR without an LF. It is not known as long as more may come.
func endsInCR(head []byte, ended bool) (lone, known bool) {
	quoted := false
	for i, b := range head {
		switch {
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '\n':
			return false, true
		case b == '\r':
			rest := bytes.TrimLeft(head[i:], "\r")
			if len(rest) == 0 {
				return ended, ended
			}
			return rest[0] != '\n', true
		}
	}
	return false, ended
}
