package intake

import (
	"errors"
	"io"
)

// tape is the text of a file. It can be wound back to what is still needed of it.
type tape struct {
	origin origin

	next func() ([]byte, error)
	held []byte // the text from the offset from on, as far as it was read
	from int64
	at   int64 // what is read next
	keep int64 // nothing before it is needed any more
	err  error // io.EOF at the end
	over bool  // a read ended at maxRecord
}

// maxRecord bounds the bytes of a record. A quote that is never closed would
// otherwise take the rest of the file for one.
const maxRecord = 16 << 20

// Read ends where a record that begins at keep would be too long.
func (t *tape) Read(p []byte) (int, error) {
	if t.at == t.end() {
		switch {
		case t.err != nil:
			return 0, t.err
		case t.at-t.keep >= maxRecord:
			t.over = true
			return 0, io.EOF
		}
		if t.advance(); t.at == t.end() && t.err != nil {
			return 0, t.err
		}
	}
	n := copy(p, t.held[t.at-t.from:])
	t.at += int64(n)
	return n, nil
}

func (t *tape) end() int64 { return t.from + int64(len(t.held)) }

// advance reads on, and forgets what is not needed.
func (t *tape) advance() {
	t.held = t.held[:copy(t.held, t.held[t.keep-t.from:])]
	t.from = t.keep
	block, err := t.next()
	t.held, t.err = append(t.held, block...), err
}

// wind goes to an offset that is no earlier than keep.
func (t *tape) wind(to int64) { t.at, t.over = to, false }

// failed returns what is wrong with the file as a whole, as far as it was read.
func (t *tape) failed() error {
	if errors.Is(t.err, io.EOF) {
		return nil
	}
	return t.err
}

// verdict reads the file to its end if it was refused, and returns what is
// wrong with all of it, or else err. A file that is too long is left there.
func (t *tape) verdict(err error) error {
	refused, ok := errors.AsType[*FileError](err)
	if !ok || refused.Code == CodeTooManyRows || refused.Code == CodeFileTooLarge {
		return err
	}
	for t.err == nil {
		t.keep = t.end()
		t.advance()
	}
	if worse := t.failed(); worse != nil {
		return worse
	}
	return err
}
