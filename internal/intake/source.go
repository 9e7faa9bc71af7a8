package intake

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
)

// blockSize is how much is read at once.
const blockSize = 64 << 10

// raw is a file as it comes: counted, and hashed.
type raw struct {
	in    io.Reader
	limit int64
	read  int64
	start []byte // how the file begins
	hash  hash.Hash
}

func newRaw(in io.Reader, o Options) *raw {
	limit := int64(DefaultMaxBytes)
	if o.MaxBytes > 0 {
		limit = min(o.MaxBytes, limit)
	}
	return &raw{in: in, limit: limit, hash: sha256.New()}
}

// Read returns a FileError once the file turns out to be too large.
func (r *raw) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	r.read += int64(n)
	if r.read > r.limit {
		return 0, fileError(CodeFileTooLarge, "the file is larger than %d bytes; split it", r.limit)
	}
	_, _ = r.hash.Write(p[:n]) // a hash never fails
	if room := 1024 - len(r.start); room > 0 {
		r.start = append(r.start, p[:min(room, n)]...)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("reading the file: %w", err)
	}
	return n, err
}

// origin is where a text comes from.
type origin struct {
	*raw

	encoding string
}

func (o origin) sum() string { return hex.EncodeToString(o.hash.Sum(nil)) }

// readFile has parse read a file. What is wrong with the file as a whole, be it
// at its very end, goes before what parse finds wrong with its beginning.
func readFile[T any](r io.Reader, o Options, parse func(*tape) (T, error)) (T, error) {
	again, in := repeatable(r)
	text := newTape(newRaw(in, o), "")
	out, err := parse(text)
	if err = text.verdict(err); errors.Is(err, errNotUTF8) {
		if in, err = again(); err == nil {
			text = newTape(newRaw(in, o), encodingGB18030)
			out, err = parse(text)
			err = text.verdict(err)
		}
	}
	if err == nil {
		return out, nil
	}
	var none T
	if refused, ok := errors.AsType[*FileError](err); ok {
		return none, explain(text.origin.start, refused)
	}
	return none, err
}

// repeatable returns a reader of what r holds, and a function that begins anew.
func repeatable(r io.Reader) (again func() (io.Reader, error), in io.Reader) {
	if s, ok := r.(io.Seeker); ok {
		if at, err := s.Seek(0, io.SeekCurrent); err == nil {
			return func() (io.Reader, error) {
				_, err := s.Seek(at, io.SeekStart)
				return r, err
			}, r
		}
	}
	seen := &kept{}
	return func() (io.Reader, error) { return io.MultiReader(seen.reader(), r), nil }, io.TeeReader(r, seen)
}

// newTape returns the text of a file. It is read by its byte order mark, or else
// in the given encoding; "" means UTF-8, or errNotUTF8 where it is not.
func newTape(from *raw, assumed string) *tape {
	start := make([]byte, 3)
	n, err := io.ReadFull(from, start)
	start = start[:n]
	in := io.MultiReader(bytes.NewReader(start), from)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		in = failing{err}
	}
	d := &decoded{in: in, name: "UTF-8", guess: true}
	o := origin{raw: from, encoding: cmp.Or(assumed, encodingUTF8)}
	mark := func(bom string) bool { return bytes.HasPrefix(start, []byte(bom)) }
	convert := func(e encoding.Encoding, skip int, name string) {
		rest := io.MultiReader(bytes.NewReader(start[skip:]), from)
		*d = decoded{in: e.NewDecoder().Reader(rest), name: name, replaced: true}
	}
	switch {
	case mark("\xef\xbb\xbf"):
		o.encoding = encodingUTF8BOM
		*d = decoded{in: from, name: "UTF-8, as its byte order mark says"}
	case mark("\xff\xfe"):
		o.encoding = encodingUTF16LE
		convert(unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), 2, "UTF-16, as its byte order mark says")
	case mark("\xfe\xff"):
		o.encoding = encodingUTF16BE
		convert(unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), 2, "UTF-16, as its byte order mark says")
	case assumed == encodingGB18030:
		convert(simplifiedchinese.GB18030, 0, "UTF-8 or GB18030")
	}
	lines := &unified{in: d}
	return &tape{origin: o, next: lines.next}
}

// failing is a file that cannot be read.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
