package intake

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
)

// jsonText is a JSON text as it is read: UTF-8, without a byte order mark. Its
// errors are of type [*FileError], or come from where it is read.
type jsonText struct {
	origin origin

	in   *bufio.Reader
	long []byte // a line or a value that is longer than what in holds
}

func newJSONText(r io.Reader, o Options) *jsonText {
	from, start := newRaw(r, o), make([]byte, 3)
	n, err := io.ReadFull(from, start)
	in := io.MultiReader(bytes.NewReader(start[:n]), from)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		in = failing{err}
	}
	t := &jsonText{origin: origin{raw: from, encoding: encodingUTF8}}
	if bytes.Equal(start, []byte("\xef\xbb\xbf")) {
		in, t.origin.encoding = from, encodingUTF8BOM
	}
	t.in = bufio.NewReaderSize(&blocks{decoded: &decoded{in: in, name: "UTF-8", remedy: "JSON is UTF-8"}}, blockSize)
	return t
}

// blocks reads a text as bytes. NUL bytes are for others to find.
type blocks struct {
	*decoded

	left []byte
}

// Read implements [io.Reader].
func (b *blocks) Read(p []byte) (n int, err error) {
	for len(b.left) == 0 {
		if b.left, err = b.read(); err != nil {
			return 0, err
		}
	}
	n = copy(p, b.left)
	b.left = b.left[n:]
	return n, nil
}

// line returns the next line, which is that number, and io.EOF with the last. It
// holds until the next is read.
func (t *jsonText) line(no int) ([]byte, error) {
	piece, err := t.in.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return piece, err
	}
	t.long = t.long[:0]
	for {
		if t.long = append(t.long, piece...); len(t.long) > maxRecord {
			return nil, errTooLong(no)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return t.long, err
		}
		piece, err = t.in.ReadSlice('\n')
	}
}

// next returns the next byte that is no space, without taking it; 0 at the end,
// where no JSON has one.
func (t *jsonText) next() (byte, error) {
	for {
		c, err := t.in.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return 0, nil
		case err != nil:
			return 0, err
		case strings.IndexByte(jsonSpace, c) < 0:
			return c, t.in.UnreadByte()
		}
	}
}

// value takes what stands where a value is to be, as far as it goes, which may be
// no JSON. No value of the text is longer than a record; no is for the error. It
// holds until the next is taken.
func (t *jsonText) value(no int) ([]byte, error) {
	if _, err := t.next(); err != nil {
		return nil, err
	}
	var e extent
	t.long = t.long[:0]
	for {
		_, err := t.in.Peek(1)
		if errors.Is(err, io.EOF) {
			return t.long, nil
		}
		if err != nil {
			return nil, err
		}
		piece, _ := t.in.Peek(t.in.Buffered()) // it is there
		n, ended := e.of(piece)
		if t.long = append(t.long, piece[:n]...); len(t.long) > maxRecord {
			return nil, errTooLong(no)
		}
		_, _ = t.in.Discard(n) // likewise
		if ended {
			return t.long, nil
		}
	}
}

// extent is how far a value goes that comes in pieces.
type extent struct {
	depth           int
	quoted, escaped bool
}

// of returns how much of a piece belongs to the value, and whether that ends
// there.
func (e *extent) of(piece []byte) (n int, ended bool) { //nolint:cyclop // a case for each kind of character
	for i, c := range piece {
		switch {
		case e.escaped:
			e.escaped = false
		case e.quoted && c == '\\':
			e.escaped = true
		case c == '"':
			if e.quoted = !e.quoted; !e.quoted && e.depth == 0 {
				return i + 1, true
			}
		case e.quoted:
		case c == '{', c == '[':
			e.depth++
		case e.depth == 0 && (c <= ' ' || c == ',' || c == '}' || c == ']' || c == ':'):
			return i, true
		case c == '}', c == ']':
			if e.depth--; e.depth == 0 {
				return i + 1, true
			}
		}
	}
	return len(piece), false
}
