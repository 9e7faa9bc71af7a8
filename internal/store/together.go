package store

import (
	"context"
	"slices"
	"sync"
	"time"
)

// together has requests done in one statement, and one commit, that come while
// others are on their way. Nobody waits for company: a request that finds none
// under way goes alone, so what is asked seldom takes no longer than it would by
// itself, and what is asked thousands of times a second costs a fraction. Those
// under way are waited for, but not for long: what holds one group up, as a lock
// does, holds up no other.
type together[Q, A any] struct {
	// do does all of asked in one transaction, and returns an answer for each. On
	// an error nothing is known of any of them.
	do func(ctx context.Context, asked []Q) ([]A, error)

	mu      sync.Mutex
	waiting []*request[Q, A]
	busy    int          // groups under way
	newest  *group[Q, A] // of them; nil where it is over, or has taken long
}

const (
	groupsAtOnce = 3
	groupMost    = 128
	groupLong    = 50 * time.Millisecond // after which the next one does not wait for it
	groupFor     = 30 * time.Second      // so that one that hangs does not do so for ever
)

// request is one question and, once done is closed, its answer.
type request[Q, A any] struct {
	question Q
	answer   A
	err      error
	done     chan struct{}
}

// group is what is done in one go.
type group[Q, A any] []*request[Q, A]

// ask returns the answer to a question. If ctx ends before, it returns its
// error, and the question may have been carried out all the same.
func (t *together[Q, A]) ask(ctx context.Context, question Q) (A, error) {
	r := &request[Q, A]{question: question, done: make(chan struct{})}
	t.mu.Lock()
	t.waiting = append(t.waiting, r)
	t.next(context.WithoutCancel(ctx))
	t.mu.Unlock()
	select {
	case <-r.done:
		return r.answer, r.err
	case <-ctx.Done():
		t.withdraw(r)
		var none A
		return none, ctx.Err() //nolint:wrapcheck // the caller's own
	}
}

// withdraw drops a request that nobody has begun with.
func (t *together[Q, A]) withdraw(r *request[Q, A]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.waiting, r); i >= 0 {
		t.waiting = slices.Delete(t.waiting, i, i+1)
	}
}

// next begins with what waits, unless there is a group to wait for. The caller
// holds the lock.
func (t *together[Q, A]) next(ctx context.Context) {
	if len(t.waiting) == 0 || t.newest != nil || t.busy == groupsAtOnce {
		return
	}
	g := group[Q, A](t.waiting[:min(len(t.waiting), groupMost)])
	t.waiting = t.waiting[len(g):]
	t.busy++
	t.newest = &g
	go func() {
		long := time.AfterFunc(groupLong, func() { t.over(ctx, &g, 0) })
		t.finish(ctx, g)
		long.Stop()
		t.over(ctx, &g, 1)
	}()
}

// over says that a group need not be waited for any more, and how many are no
// longer under way.
func (t *together[Q, A]) over(ctx context.Context, g *group[Q, A], ended int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy -= ended
	if t.newest == g {
		t.newest = nil
	}
	t.next(ctx)
}

// finish does a group. What Postgres refuses for the sake of one of them is done
// one by one, so that each has its own answer.
func (t *together[Q, A]) finish(ctx context.Context, g group[Q, A]) {
	questions := make([]Q, len(g))
	for i, r := range g {
		questions[i] = r.question
	}
	within, cancel := context.WithTimeout(ctx, groupFor)
	defer cancel()
	answers, err := t.do(within, questions)
	if err != nil && len(g) > 1 && refused(err) {
		for i := range g {
			t.finish(ctx, g[i:i+1])
		}
		return
	}
	for i, r := range g {
		if r.err = err; err == nil {
			r.answer = answers[i]
		}
		close(r.done)
	}
}
