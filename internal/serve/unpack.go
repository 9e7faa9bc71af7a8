package serve

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
)

var errTrailing = errors.New("something follows the gzip")

// unpack returns what is packed in a gzip, and no more of it than a body may have.
func (s *Server) unpack(in io.Reader) (io.Reader, error) {
	u := &unpacked{in: bufio.NewReader(in), gzip: new(gzip.Reader)}
	if err := u.next(); err != nil {
		return nil, err
	}
	return http.MaxBytesReader(nil, io.NopCloser(u), s.options.MaxBytes), nil
}

// unpacked inflates the parts of a gzip one after the other. By itself [gzip.Reader]
// takes whatever follows for another part, which ends too early.
type unpacked struct {
	in   *bufio.Reader
	gzip *gzip.Reader
}

func (u *unpacked) next() error {
	err := u.gzip.Reset(u.in)
	u.gzip.Multistream(false)
	return err
}

// Read reads on, in the next part if there is one.
func (u *unpacked) Read(p []byte) (int, error) {
	n, err := u.gzip.Read(p)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	start, err := u.in.Peek(2)
	switch {
	case len(start) == 0, err != nil && !errors.Is(err, io.EOF):
		return n, err
	case !bytes.Equal(start, []byte{0x1f, 0x8b}):
		return n, errTrailing
	}
	return n, u.next()
}
