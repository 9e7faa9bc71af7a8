package serve

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// lingers is how long a client may go on sending what nobody reads any more, so
// that it finds the answer and no broken connection.
const lingers = 2 * time.Second

// arriving is the body of a request, of which it is known whether all was read.
type arriving struct {
	io.ReadCloser

	ended bool
}

// Read notes the end.
func (a *arriving) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	a.ended = a.ended || errors.Is(err, io.EOF)
	return n, err
}

// arrivingOf puts the body of r under observation.
func arrivingOf(r *http.Request) *arriving {
	a := &arriving{ReadCloser: r.Body, ended: r.Body == nil || r.Body == http.NoBody}
	if !a.ended {
		r.Body = a
	}
	return a
}

// leaveUnread is called before the answer begins. Where there is more of the body,
// net/http would wait for it, however long, before it sends the answer, unless the
// connection is to be closed; and after it, unless there is a deadline.
func (o *observation) leaveUnread() {
	if o.arriving == nil || o.arriving.ended {
		return
	}
	if o.closes {
		o.Header().Set("Connection", "close")
	}
	_ = o.conn.SetReadDeadline(time.Now().Add(min(o.stall, lingers)))
}
