package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// wire is a way to Redis that goes dead at the first script, which is how tasks
// are queued. All that comes before gets through.
type wire struct {
	url     string
	dead    chan struct{} // closed when the first script came
	cut     bool          // going dead means to close, rather than to fall silent
	socket  string
	listen  net.Listener
	running sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
}

// newWire leads to the Redis that redisURL names by its socket.
func newWire(t *testing.T, redisURL string, cut bool) *wire {
	t.Helper()
	target, err := url.Parse(redisURL)
	if err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{
		url:  fmt.Sprintf("redis://%s/%s", l.Addr(), target.Query().Get("db")),
		dead: make(chan struct{}), cut: cut, socket: target.Path, listen: l,
	}
	w.running.Go(w.accept)
	t.Cleanup(func() {
		w.close()
		w.running.Wait()
	})
	return w
}

func (w *wire) accept() {
	for {
		client, err := w.listen.Accept()
		if err != nil {
			return
		}
		server, err := new(net.Dialer).Dial("unix", w.socket)
		if err != nil {
			_ = client.Close()
			continue
		}
		w.mu.Lock()
		w.conns = append(w.conns, client, server)
		w.mu.Unlock()
		w.running.Go(func() { _, _ = io.Copy(client, server) })
		w.running.Go(func() { w.forward(client, server) })
	}
}

// forward passes on what a client says until a script is in it.
func (w *wire) forward(client io.Reader, server io.Writer) {
	chunk := make([]byte, 64<<10)
	for {
		n, err := client.Read(chunk)
		if err != nil || bytes.Contains(bytes.ToLower(chunk[:n]), []byte("evalsha")) {
			if err == nil {
				w.die()
			}
			return
		}
		if _, err := server.Write(chunk[:n]); err != nil {
			return
		}
	}
}

func (w *wire) die() {
	w.mu.Lock()
	select {
	case <-w.dead:
	default:
		close(w.dead)
	}
	w.mu.Unlock()
	if w.cut {
		w.close()
	}
}

func (w *wire) close() {
	_ = w.listen.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range w.conns {
		_ = conn.Close()
	}
}

// isDead reports whether a script came.
func (w *wire) isDead() bool {
	select {
	case <-w.dead:
		return true
	default:
		return false
	}
}
