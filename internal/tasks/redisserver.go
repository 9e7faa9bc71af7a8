package tasks

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// serverRedis is the Redis of asynq's servers. It mends what asynq 0.26 does
// badly when Redis is slow or away, and lets everything else through:
//
//   - A completion whose write failed is repeated by asynq under the context of
//     the first attempt, which has been canceled by then, so no repeat is ever
//     sent. Such a context is revived; its deadline, the end of the lease, stays.
//   - An asynq server that cannot fetch tries again at once, and a process holds
//     one for every action. They wait, and learn from each other when Redis is
//     back.
//   - How many tasks a server works on at once is fixed. It fetches only what
//     there is room for, which may change.
type serverRedis struct {
	redis.UniversalClient

	absence *absence
	room    *room // nil: asynq's own number alone decides
	//nolint:containedctx // asynq fetches under a context that never ends
	fetching context.Context // ends when no further task is wanted
}

// EvalSha runs a script that Redis knows.
func (c *serverRedis) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	return c.run(ctx, keys, func(ctx context.Context) *redis.Cmd { return c.UniversalClient.EvalSha(ctx, sha, keys, args...) })
}

// Eval runs a script that Redis may not know, as after a restart.
func (c *serverRedis) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return c.run(ctx, keys, func(ctx context.Context) *redis.Cmd { return c.UniversalClient.Eval(ctx, script, keys, args...) })
}

func (c *serverRedis) run(ctx context.Context, keys []string, eval func(context.Context) *redis.Cmd) *redis.Cmd {
	if fetches(keys) {
		return c.fetch(eval)
	}
	ctx, cancel := revived(ctx)
	defer cancel()
	cmd := eval(ctx)
	switch err := cmd.Err(); {
	case err == nil, errors.Is(err, redis.Nil), replied(err):
		c.absence.answered()
	case ctx.Err() == nil:
		c.absence.failed(err)
	}
	return cmd
}

// refusedPause is how long a fetch waits that Redis refused, being out of memory
// or read-only.
const refusedPause = time.Second

// fetch runs the script that takes a task from a queue. When no further task is
// wanted it finds none, so that asynq's servers stop at once.
func (c *serverRedis) fetch(eval func(context.Context) *redis.Cmd) *redis.Cmd {
	if c.room != nil && !c.room.wait(c.fetching) || !c.absence.wait(c.fetching) {
		return noTask(c.fetching)
	}
	cmd := eval(c.fetching)
	switch err := cmd.Err(); {
	case err == nil, errors.Is(err, redis.Nil):
		c.absence.answered()
	case c.fetching.Err() != nil:
		return noTask(c.fetching)
	case redis.HasErrorPrefix(err, "NOSCRIPT"): // asynq sends the script itself next
	case replied(err):
		c.absence.answered()
		pause(c.fetching, refusedPause)
	default:
		c.absence.failed(err)
	}
	return cmd
}

// noTask is the answer of an empty queue.
func noTask(ctx context.Context) *redis.Cmd {
	cmd := redis.NewCmd(ctx)
	cmd.SetErr(redis.Nil)
	return cmd
}

// fetches reports whether a script with these keys takes a task from a queue:
// no other one looks whether the queue is paused.
func fetches(keys []string) bool {
	return len(keys) == 4 && strings.HasSuffix(keys[0], ":pending") && strings.HasSuffix(keys[1], ":paused")
}

// revived returns ctx, or if it was canceled one that was not, with the same
// values and deadline.
func revived(ctx context.Context) (context.Context, context.CancelFunc) {
	if !errors.Is(ctx.Err(), context.Canceled) {
		return ctx, func() {}
	}
	deadline, ok := ctx.Deadline()
	ctx = context.WithoutCancel(ctx)
	if !ok {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, deadline)
}
