package serve

import (
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/usher-bi/usher/internal/store"
)

const (
	// leastRate is how many bytes a second a client must send on the whole.
	leastRate = 16 << 10

	// leastRateLarge is likewise, of what comes after the first largeFrom bytes of
	// a body: there are few places for large ones.
	leastRateLarge = 256 << 10

	// largeFrom is how many bytes make a body a large one.
	largeFrom = 1 << 20

	// smallJobs is how many submissions are worked on at once, large ones too.
	smallJobs = 64
)

// atLeast is how long so many bytes take at a rate of bytes a second.
func atLeast(rate, bytes int64) time.Duration {
	return time.Duration(float64(bytes) / float64(rate) * float64(time.Second))
}

// body is the body of a request as it is read: inflated, no longer than is
// allowed, and no slower. Its errors are problems.
type body struct {
	in    io.Reader
	ctx   context.Context //nolint:containedctx // of the request that it is a part of
	by    string          // the token's name
	large *places
	read  int64
	leave []func()
}

// openBody prepares a body to be read. The caller closes it, which makes room for
// others, when nothing that was made of it is needed any more.
func (s *Server) openBody(w http.ResponseWriter, r *http.Request, by store.Token) (*body, error) {
	encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding")))
	if encoding != "" && encoding != "identity" && encoding != "gzip" {
		w.Header().Set("Accept-Encoding", "gzip")
		return nil, problemf(http.StatusUnsupportedMediaType, "content_encoding", "the encoding %.40q is not read; send gzip, or none", encoding)
	}
	leave, err := s.room.all.enter(r.Context(), by.Name)
	if err != nil {
		return nil, err
	}
	b := &body{ctx: r.Context(), by: by.Name, large: s.room.large, leave: []func(){leave}}
	b.in = &paced{
		in: http.MaxBytesReader(w, r.Body, s.options.MaxBytes), conn: http.NewResponseController(w), stall: s.options.Stall, began: time.Now(),
	}
	if encoding == "gzip" {
		if b.in, err = s.unpack(b.in); err != nil {
			b.Close()
			return nil, bodyProblem(err)
		}
	}
	return b, nil
}

// Read reads on, and waits for room once the body turns out to be large.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.in.Read(p)
	before := b.read
	b.read += int64(n)
	if before <= largeFrom && b.read > largeFrom {
		leave, noRoom := b.large.enter(b.ctx, b.by)
		if noRoom != nil {
			return n, noRoom
		}
		b.leave = append(b.leave, leave)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = bodyProblem(err)
	}
	return n, err
}

// Close makes room for others.
func (b *body) Close() {
	for _, leave := range b.leave {
		leave()
	}
	b.leave = nil
}

// bodyProblem says why a body cannot be read.
func bodyProblem(err error) error {
	var tooLarge *http.MaxBytesError
	var corrupt flate.CorruptInputError
	switch {
	case errors.As(err, &tooLarge):
		return tooLargeProblem(tooLarge.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return problemf(http.StatusRequestTimeout, "too_slow", "the body came too slowly; nothing was accepted. Repeat the request with the same key")
	case errors.Is(err, errTrailing):
		return problemf(http.StatusBadRequest, "invalid_gzip", "something follows the gzip; nothing was accepted. Send nothing but the gzip")
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.As(err, &corrupt):
		return problemf(http.StatusBadRequest, "invalid_gzip", "the body is no gzip; nothing was accepted")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return problemf(http.StatusBadRequest, "body_incomplete", "the body ended too early; nothing was accepted. Repeat the request with the same key")
	default:
		p := problemf(http.StatusBadRequest, "body_unreadable", "the body cannot be read; nothing was accepted")
		p.Cause = err
		return p
	}
}

func tooLargeProblem(limit int64) *Problem {
	p := problemf(http.StatusRequestEntityTooLarge, "body_too_large", "the body is larger than %d bytes; nothing was accepted. Split it", limit)
	p.Limit = limit
	return p
}

// paced reads from a connection whose other side must keep sending.
type paced struct {
	in    io.Reader
	conn  *http.ResponseController
	stall time.Duration // the longest silence
	began time.Time
	read  int64
}

// Read sets a deadline for what comes next. Where a server has none to set, as
// in some tests, there is none.
func (p *paced) Read(b []byte) (int, error) {
	large := max(0, p.read-largeFrom)
	onTheWhole := p.began.Add(2*p.stall + atLeast(leastRate, p.read-large) + atLeast(leastRateLarge, large))
	deadline := time.Now().Add(p.stall)
	if onTheWhole.Before(deadline) {
		deadline = onTheWhole
	}
	_ = p.conn.SetReadDeadline(deadline)
	n, err := p.in.Read(b)
	p.read += int64(n)
	if err != nil { // a deadline that passed later would end the request that is being answered
		_ = p.conn.SetReadDeadline(time.Time{})
	}
	return n, err
}
