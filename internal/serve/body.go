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
)

const (
	// leastRate is how many bytes a second a client must send on the whole.
	leastRate = 16 << 10

	// largeFrom is how many bytes make a body a large one.
	largeFrom = 1 << 20

	// smallJobs is how many submissions are worked on at once, large ones too.
	smallJobs = 64

	// roomWithin is how long a submission waits for others.
	roomWithin = 10 * time.Second
)

// atLeast is how long so many bytes take at a rate of bytes a second.
func atLeast(rate, bytes int64) time.Duration {
	return time.Duration(float64(bytes) / float64(rate) * float64(time.Second))
}

// room bounds how many bodies are in memory at once.
type room struct{ all, large chan struct{} }

func newRoom(large int) room {
	return room{all: make(chan struct{}, smallJobs), large: make(chan struct{}, large)}
}

// enter waits for a place among others.
func enter(ctx context.Context, places chan struct{}) (leave func(), err error) {
	patience := time.NewTimer(roomWithin)
	defer patience.Stop()
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-patience.C:
		return nil, &Problem{
			Status: http.StatusServiceUnavailable, Code: "busy", RetryAfter: roomWithin,
			Detail: "too many submissions are being read; nothing was accepted. Repeat the request with the same key",
		}
	}
}

// body is the body of a request as it is read: inflated, no longer than is
// allowed, and no slower. Its errors are problems.
type body struct {
	in    io.Reader
	ctx   context.Context //nolint:containedctx // of the request that it is a part of
	large chan struct{}
	read  int64
	leave []func()
}

// openBody prepares a body to be read. The caller closes it, which makes room for
// others, when nothing that was made of it is needed any more.
func (s *Server) openBody(w http.ResponseWriter, r *http.Request) (*body, error) {
	encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding")))
	if encoding != "" && encoding != "identity" && encoding != "gzip" {
		w.Header().Set("Accept-Encoding", "gzip")
		return nil, problemf(http.StatusUnsupportedMediaType, "content_encoding", "the encoding %.40q is not read; send gzip, or none", encoding)
	}
	leave, err := enter(r.Context(), s.room.all)
	if err != nil {
		return nil, err
	}
	b := &body{ctx: r.Context(), large: s.room.large, leave: []func(){leave}}
	b.in = &paced{
		in: http.MaxBytesReader(w, r.Body, s.options.MaxBytes), conn: http.NewResponseController(w), stall: s.options.Stall, began: time.Now(),
	}
	if encoding == "gzip" {
		if b.in, err = gzip.NewReader(b.in); err != nil {
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
		leave, noRoom := enter(b.ctx, b.large)
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
	onTheWhole := p.began.Add(2*p.stall + atLeast(leastRate, p.read))
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
