package store

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// impatient is a connection that fails when the other side is silent for too
// long while something is expected of it: a server that hangs, or a network that
// swallows packets, refuses nothing.
type impatient struct {
	net.Conn

	silence time.Duration
	mu      sync.Mutex
	asked   time.Time // the deadline that the driver wants, if any
}

// impatiently dials like dial.
func impatiently(dial pgconn.DialFunc, silence time.Duration) pgconn.DialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &impatient{Conn: conn, silence: silence}, nil
	}
}

// SetDeadline is how the driver ends what is under way when a context ends.
func (c *impatient) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = t
	return c.Conn.SetDeadline(t)
}

// Read reads what comes before the other side has been silent for too long.
func (c *impatient) Read(p []byte) (int, error) {
	if err := c.expect(c.SetReadDeadline); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write writes what the other side takes before that.
func (c *impatient) Write(p []byte) (int, error) {
	if err := c.expect(c.SetWriteDeadline); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// expect sets the earlier of the two deadlines.
func (c *impatient) expect(set func(time.Time) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	deadline := time.Now().Add(c.silence)
	if !c.asked.IsZero() && c.asked.Before(deadline) {
		deadline = c.asked
	}
	return set(deadline)
}
