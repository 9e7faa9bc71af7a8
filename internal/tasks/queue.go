package tasks

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

// typeCall is the one type of asynq task. It is never renamed: tasks outlive
// deploys.
const typeCall = "call"

const (
	// neverArchive keeps asynq from giving up on a task: Postgres counts attempts
	// and decides. An archived id would block its own re-queueing for 90 days.
	neverArchive = 1 << 20

	// handlerTimeout is asynq's patience with a handler, in whole seconds. A
	// handler ends by its claim's lease, long before.
	handlerTimeout = 30 * time.Minute

	// putters is how many goroutines hand tasks to Redis at once: asynq has no
	// bulk call, and beyond 32 they only wait for each other.
	putters = 24
)

// Queue hands tasks to Redis. What it puts there is a task's numbers and its
// generation, never a person's id.
type Queue struct {
	client *asynq.Client
	redis  redis.UniversalClient
}

// NewQueue returns a queue in the given Redis. It sends nothing.
func NewQueue(client redis.UniversalClient) *Queue {
	return &Queue{client: asynq.NewClientFromRedisClient(client), redis: client}
}

// Ping asks Redis for an answer.
func (q *Queue) Ping(ctx context.Context) error { return PingRedis(ctx, q.redis) }

// Put queues tasks, due ones at once and the others for later. A task that is
// queued already under its generation is left as it is, so putting twice is
// harmless. On an error some may be queued and some not.
func (q *Queue) Put(ctx context.Context, tasks []store.Queued) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(putters)
	for _, t := range tasks {
		group.Go(func() error { return q.put(ctx, t) })
	}
	return group.Wait()
}

func (q *Queue) put(ctx context.Context, t store.Queued) error {
	name := taskID(t.TaskRef, t.Generation)
	opts := []asynq.Option{
		asynq.TaskID(name), asynq.Queue(queueName(t.Action, t.Lane)),
		asynq.MaxRetry(neverArchive), asynq.Timeout(handlerTimeout),
	}
	if t.Delay > 0 {
		opts = append(opts, asynq.ProcessIn(t.Delay))
	}
	_, err := q.client.EnqueueContext(ctx, asynq.NewTask(typeCall, []byte(name)), opts...)
	if errors.Is(err, asynq.ErrTaskIDConflict) {
		return nil // it is there, perhaps by this very call
	}
	if err != nil {
		return fmt.Errorf("queueing task %s: %w: %w", name, ErrRedisUnavailable, err)
	}
	return nil
}

// queueName is the asynq queue of an action's lane. Each action has queues of
// its own, so that a flood of one cannot starve another.
func queueName(action access.Action, lane store.Lane) string {
	return strings.ToLower(string(action)) + ":" + string(lane)
}

// taskID names a task at one generation, in asynq and as its payload.
func taskID(ref store.TaskRef, generation int) string {
	return strconv.FormatInt(ref.Job, 10) + "-" + strconv.Itoa(ref.No) + "@" + strconv.Itoa(generation)
}

// parseTaskID is the inverse of taskID.
func parseTaskID(s string) (ref store.TaskRef, generation int, err error) {
	names, gen, ok := strings.Cut(s, "@")
	job, no, ok2 := strings.Cut(names, "-")
	if !ok || !ok2 {
		return store.TaskRef{}, 0, fmt.Errorf("%q does not name a task", s)
	}
	var errs [3]error
	ref.Job, errs[0] = strconv.ParseInt(job, 10, 64)
	ref.No, errs[1] = strconv.Atoi(no)
	generation, errs[2] = strconv.Atoi(gen)
	if err := errors.Join(errs[:]...); err != nil {
		return store.TaskRef{}, 0, fmt.Errorf("%q does not name a task: %w", s, err)
	}
	return ref, generation, nil
}
