package serve

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"
)

// room bounds how many bodies are in memory at once.
type room struct{ all, large *places }

func newRoom(large int) room { return room{all: newPlaces(smallJobs), large: newPlaces(large)} }

// roomWithin is how long a submission waits for others.
const roomWithin = 10 * time.Second

// places are shared by all tokens. A token gets another one only while it has
// fewer than are free then: alone it takes half of them at most, two take two
// thirds together, and whoever comes without one finds one free, however long the
// others keep theirs.
type places struct {
	mu      sync.Mutex
	free    int
	has     map[string]int // by the token's name
	waiting []*waiting     // the first come first, but for those whose token has enough
}

// waiting is a submission without a place; got is closed once it has one.
type waiting struct {
	token string
	got   chan struct{}
}

func newPlaces(all int) *places { return &places{free: all, has: map[string]int{}} }

// enter waits for a place among others.
func (p *places) enter(ctx context.Context, token string) (leave func(), err error) {
	one := p.line(token)
	patience := time.NewTimer(roomWithin)
	defer patience.Stop()
	leave = sync.OnceFunc(func() { p.leave(token) })
	select {
	case <-one.got:
		return leave, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-patience.C:
		err = &Problem{
			Status: http.StatusServiceUnavailable, Code: "busy", RetryAfter: roomWithin,
			Detail: "too many submissions are being read; nothing was accepted. Repeat the request with the same key",
		}
	}
	if !p.withdraw(one) { // it got one at the last moment
		leave()
	}
	return nil, err
}

// line puts a submission in line, and serves whoever can be.
func (p *places) line(token string) *waiting {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := &waiting{token: token, got: make(chan struct{})}
	p.waiting = append(p.waiting, one)
	p.serve()
	return one
}

func (p *places) leave(token string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free++
	if p.has[token]--; p.has[token] == 0 {
		delete(p.has, token)
	}
	p.serve()
}

// serve gives places to those in line who may have one.
func (p *places) serve() {
	p.waiting = slices.DeleteFunc(p.waiting, func(w *waiting) bool {
		if p.has[w.token] >= p.free {
			return false
		}
		p.free--
		p.has[w.token]++
		close(w.got)
		return true
	})
}

// withdraw takes a submission out of the line, unless it has a place.
func (p *places) withdraw(one *waiting) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.waiting, one)
	if i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	}
	return i >= 0
}
