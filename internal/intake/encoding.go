package intake

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"unicode/utf8"
)

// The encodings of [Batch.Encoding]. A byte order mark is believed. Without one,
// what is not strictly UTF-8 is taken for GB18030, in which Chinese spreadsheets
// write CSV. Text that is damaged in its encoding is refused, never patched.
const (
	encodingUTF8    = "utf-8"
	encodingUTF8BOM = "utf-8-bom"
	encodingUTF16LE = "utf-16le"
	encodingUTF16BE = "utf-16be"
	encodingGB18030 = "gb18030"
)

// errNotUTF8 means that a file without a byte order mark is not UTF-8.
var errNotUTF8 = errors.New("not UTF-8")

// decoded is the text of a file as UTF-8, block by block. It is checked for what
// no CSV has.
type decoded struct {
	in       io.Reader
	name     string // of the encoding, in messages
	remedy   string // of damage, in messages; "" for that of a CSV file
	guess    bool   // it may be another one: errNotUTF8 then
	replaced bool   // a decoder has put U+FFFD for what it has no character for; no sound file holds that

	buf   []byte
	rest  []byte // of buf: a character that goes on in the next block
	size  int    // so far, in bytes
	lines int    // line ends so far
	text  bool   // there was something other than white space
}

// next returns the next block, which holds until the one after it is read, and
// io.EOF after the last.
func (d *decoded) next() ([]byte, error) {
	block, err := d.read()
	if err != nil || bytes.IndexByte(block, 0) < 0 {
		return block, err
	}
	return nil, d.explainNUL(block)
}

// read is next without a look at NUL bytes.
func (d *decoded) read() ([]byte, error) {
	if d.buf == nil {
		d.buf = make([]byte, blockSize)
	}
	kept := copy(d.buf, d.rest)
	n, err := io.ReadAtLeast(d.in, d.buf[kept:], 1)
	block := d.buf[:kept+n]
	d.rest = nil
	switch {
	case err == nil:
		whole := len(block) - unfinished(block)
		block, d.rest = block[:whole], block[whole:]
	case !errors.Is(err, io.EOF):
		return nil, err
	case len(block) == 0 && !d.text:
		return nil, errEmpty()
	case len(block) == 0:
		return nil, io.EOF
	}
	if at := d.damage(block); at >= 0 {
		if d.guess {
			return nil, errNotUTF8
		}
		return nil, fileError(CodeInvalidEncoding, "line %d holds bytes that are not %s; %s", 1+d.lines+lineEnds(block[:at]), d.name,
			cmp.Or(d.remedy, "save the file as CSV UTF-8"))
	}
	d.size += len(block)
	d.lines += lineEnds(block)
	d.text = d.text || len(bytes.TrimSpace(block)) > 0
	return block, nil
}

// damage returns the place of the first byte that is not text, or -1.
func (d *decoded) damage(block []byte) int {
	if d.replaced {
		return bytes.IndexRune(block, utf8.RuneError)
	}
	if utf8.Valid(block) {
		return -1
	}
	for at := 0; ; {
		r, size := utf8.DecodeRune(block[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
}

// explainNUL refuses text with NUL bytes, which no CSV has and no database
// stores. It reads the file to its end: how many there are tells what it is.
func (d *decoded) explainNUL(block []byte) error {
	line := 1 + d.lines - lineEnds(block[bytes.IndexByte(block, 0):])
	nuls := 0
	for {
		nuls += bytes.Count(block, []byte{0})
		var err error
		if block, err = d.read(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
	}
	if nuls > d.size/4 {
		return fileError(CodeNULByte, "the file is binary, or UTF-16 without a byte order mark; save it as CSV UTF-8")
	}
	return fileError(CodeNULByte, "line %d holds a NUL byte; the file is binary, or was damaged on its way", line)
}

func errEmpty() error { return fileError(CodeEmptyFile, "the file is empty") }

// unfinished returns how many bytes at the end of block may begin a character
// that goes on after it.
func unfinished(block []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(block); n++ {
		if last := block[len(block)-n:]; utf8.RuneStart(last[0]) {
			if utf8.FullRune(last) {
				return 0
			}
			return n
		}
	}
	return 0
}

func lineEnds(text []byte) int { return bytes.Count(text, []byte{'\n'}) }
