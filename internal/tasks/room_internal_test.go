package tasks

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/testenv"
)

// A server that runs works on more tasks at once when the limit of its action is
// raised, and on each task once.
func TestHandlersFollowTheLimit(t *testing.T) {
	t.Parallel()
	const tasks, raised = 300, 200
	w := &Worker{options: Options{Rate: func(access.Action) float64 { return 10 }}}
	var set []store.Limit
	w.limits = &limits{list: func(context.Context) ([]store.Limit, error) { return set, nil }, configured: w.options.Rate}
	in := newRoom(func() int { return w.handlersOf(access.SmartqAuthorize) })

	opts, err := redis.ParseURL(strings.Replace(testenv.Redis(t), "redis-socket://", "unix://", 1))
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(opts)
	t.Cleanup(func() { _ = client.Close() })
	queue := asynq.NewClientFromRedisClient(client)
	for i := range tasks {
		if _, err := queue.Enqueue(asynq.NewTask(typeCall, nil), asynq.TaskID(strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	fetching, stop := context.WithCancel(t.Context())
	srv := asynq.NewServerFromRedisClient(
		&serverRedis{UniversalClient: client, absence: &absence{server: "Redis", log: zerolog.Nop()}, room: in, fetching: fetching},
		asynq.Config{Concurrency: mostHandlers, TaskCheckInterval: 10 * time.Millisecond, LogLevel: asynq.FatalLevel},
	)
	work := make(chan struct{})
	worked := make(chan string, 2*tasks)
	if err := srv.Start(asynq.HandlerFunc(func(_ context.Context, task *asynq.Task) error {
		in.enter()
		defer in.leave()
		<-work
		worked <- task.ResultWriter().TaskID()
		return nil
	})); err != nil {
		t.Fatal(err)
	}
	for range 3 { // as long as it takes to see that no more come
		testenv.Eventually(t, "all handlers are busy", func() bool { return in.busy.Load() >= leastHandlers })
		work <- struct{}{}
	}
	before := in.busy.Load()
	set = []store.Limit{{Action: access.SmartqAuthorize, PerSecond: raised, Version: 1}}
	if err := w.limits.learn(t.Context()); err != nil {
		t.Fatal(err)
	}
	work <- struct{}{}
	testenv.Eventually(t, "all of the new number are busy", func() bool { return in.busy.Load() >= raised })
	if before > raised/2 {
		t.Errorf("%d tasks were worked on at once, want about %d", before, leastHandlers)
	}
	close(work)
	testenv.Eventually(t, "all are worked on", func() bool { return len(worked) >= tasks })
	stop()
	srv.Shutdown()
	close(worked)
	once := map[string]bool{}
	for name := range worked {
		once[name] = true
	}
	if len(once) != tasks || in.busy.Load() != 0 {
		t.Errorf("%d tasks of %d were worked on, %d handlers are left", len(once), tasks, in.busy.Load())
	}
}

func TestNobodyWaitsForRoomWhenStopped(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	in := newRoom(func() int { return 1 })
	if !in.wait(ctx) {
		t.Error("there is room, and nobody is let in")
	}
	in.enter()
	ended := make(chan bool, 1)
	go func() { ended <- in.wait(ctx) }()
	stop()
	if <-ended {
		t.Error("somebody was let in where there is no room")
	}
}
