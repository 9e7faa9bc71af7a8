package store

import (
	"context"
	"slices"
	"sync"
	"time"
)

// together has requests done in one statement, and one commit, that come while
// others are on their way. Nobody waits for company: a request that finds few
// under way goes alone, so what is asked seldom takes no longer than it would by
// itself, and what is asked thousands of times a second costs a fraction.
type together[Q, A any] struct {
	// do does all of asked in one transaction, and returns an answer for each. On
	// an error nothing is known of any of them.
	do func(ctx context.Context, asked []Q) ([]A, error)

	mu      sync.Mutex
	waiting []*request[Q, A]
	busy    int
}

const (
	groupsAtOnce = 3
	groupMost    = 64
	groupFor     = 30 * time.Second // so that one that hangs does not do so for ever
)

// request is one question and, once done is closed, its answer.
type request[Q, A any] struct {
	question Q
	answer   A
	err      error
	done     chan struct{}
}

// ask returns the answer to a question. If ctx ends before, it returns its
// error, and the question may have been carried out all the same.
func (t *together[Q, A]) ask(ctx context.Context, question Q) (A, error) {
	r := &request[Q, A]{question: question, done: make(chan struct{})}
	t.mu.Lock()
	t.waiting = append(t.waiting, r)
	if t.busy < groupsAtOnce {
		t.busy++
		go t.run(context.WithoutCancel(ctx))
	}
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

// run does what waits until nothing does.
func (t *together[Q, A]) run(ctx context.Context) {
	for {
		t.mu.Lock()
		group := t.waiting[:min(len(t.waiting), groupMost)]
		t.waiting = t.waiting[len(group):]
		if len(group) == 0 {
			t.busy--
			t.mu.Unlock()
			return
		}
		t.mu.Unlock()
		t.finish(ctx, group)
	}
}

// finish does a group. What Postgres refuses for the sake of one of them is done
// one by one, so that each has its own answer.
func (t *together[Q, A]) finish(ctx context.Context, group []*request[Q, A]) {
	questions := make([]Q, len(group))
	for i, r := range group {
		questions[i] = r.question
	}
	within, cancel := context.WithTimeout(ctx, groupFor)
	defer cancel()
	answers, err := t.do(within, questions)
	if err != nil && len(group) > 1 && refused(err) {
		for i := range group {
			t.finish(ctx, group[i:i+1])
		}
		return
	}
	for i, r := range group {
		if r.err = err; err == nil {
			r.answer = answers[i]
		}
		close(r.done)
	}
}
