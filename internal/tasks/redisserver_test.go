package tasks

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/usher-bi/usher/internal/testenv"
)

// cutConn loses its connection when it is to carry a completion, as long as
// there are cuts left.
type cutConn struct {
	net.Conn

	cuts *atomic.Int64
}

func (c cutConn) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(":processed")) && c.cuts.Add(-1) >= 0 {
		return 0, errors.Join(net.ErrClosed, c.Close())
	}
	return c.Conn.Write(p)
}

// cutRedis is a client to an empty Redis whose first completion does not get
// through, however often the client itself repeats it.
func cutRedis(t *testing.T) (*redis.Client, *atomic.Int64) {
	t.Helper()
	opts, err := redis.ParseURL(strings.Replace(testenv.Redis(t), "redis-socket://", "unix://", 1))
	if err != nil {
		t.Fatal(err)
	}
	var cuts atomic.Int64
	cuts.Store(int64(opts.MaxRetries) + 4) // the default is 3 retries
	opts.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		return cutConn{conn, &cuts}, err
	}
	client := redis.NewClient(opts)
	t.Cleanup(func() { _ = client.Close() })
	return client, &cuts
}

// completeOnce runs an asynq server on server until the one task was worked on.
func completeOnce(t *testing.T, client *redis.Client, server redis.UniversalClient) {
	t.Helper()
	srv := asynq.NewServerFromRedisClient(server, asynq.Config{Concurrency: 1, TaskCheckInterval: 10 * time.Millisecond, LogLevel: asynq.FatalLevel})
	worked := make(chan struct{})
	if err := srv.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error { close(worked); return nil })); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Shutdown)
	if _, err := asynq.NewClientFromRedisClient(client).Enqueue(asynq.NewTask(typeCall, nil), asynq.TaskID("1")); err != nil {
		t.Fatal(err)
	}
	<-worked
}

func inWork(t *testing.T, client *redis.Client) bool {
	t.Helper()
	n, err := client.LLen(t.Context(), "asynq:{default}:active").Result()
	if err != nil {
		t.Fatal(err)
	}
	return n == 1
}

// asynq never sends the repeat of a completion whose write failed. If the first
// part of this test fails, that has been mended there, and what revives contexts
// can go.
func TestCompletionWhoseWriteFailedIsRepeated(t *testing.T) {
	t.Parallel()
	plain, plainCuts := cutRedis(t)
	completeOnce(t, plain, plain)
	testenv.Eventually(t, "the plain completion is cut off", func() bool { return plainCuts.Load() <= 0 })

	mended, cuts := cutRedis(t)
	completeOnce(t, mended, &serverRedis{
		UniversalClient: mended, absence: &absence{server: "Redis", log: zerolog.Nop()}, fetching: t.Context(),
	})
	testenv.Eventually(t, "the mended completion is cut off", func() bool { return cuts.Load() <= 0 })
	if !inWork(t, mended) {
		t.Fatal("nothing was cut off: the task was completed at once")
	}
	testenv.Eventually(t, "the completion is repeated", func() bool { return !inWork(t, mended) })
	if !inWork(t, plain) { // whose repeat was due earlier
		t.Error("asynq repeats a completion by itself: the work-around is no longer needed")
	}
}

// spy counts the fetches it recognises.
type spy struct {
	redis.UniversalClient

	fetched atomic.Int64
}

func (s *spy) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	if fetches(keys) {
		s.fetched.Add(1)
	}
	return s.UniversalClient.EvalSha(ctx, sha, keys, args...)
}

func TestFetchesAreRecognised(t *testing.T) {
	t.Parallel()
	client, _ := cutRedis(t)
	s := &spy{UniversalClient: client}
	completeOnce(t, client, s)
	if s.fetched.Load() == 0 {
		t.Error("a task was fetched, and not by the script that is slowed down while Redis is away")
	}
}

func TestStopEndsFetching(t *testing.T) {
	t.Parallel()
	fetching, stop := context.WithCancel(t.Context())
	gone := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	t.Cleanup(func() { _ = gone.Close() })
	c := &serverRedis{UniversalClient: gone, absence: &absence{server: "Redis", log: zerolog.Nop()}, fetching: fetching}
	keys := []string{"asynq:{q}:pending", "asynq:{q}:paused", "asynq:{q}:active", "asynq:{q}:lease"}
	if err := c.EvalSha(t.Context(), "sha", keys).Err(); err == nil || errors.Is(err, redis.Nil) || !c.absence.away() {
		t.Errorf("fetching from nowhere: %v, away %t", err, c.absence.away())
	}
	stop()
	if err := c.EvalSha(t.Context(), "sha", keys).Err(); !errors.Is(err, redis.Nil) {
		t.Errorf("fetching when stopped: %v, want nothing found", err)
	}
}

func TestCanceledContextIsRevivedUntilItsDeadline(t *testing.T) {
	t.Parallel()
	deadline := time.Now().Add(time.Hour)
	canceled, cancel := context.WithDeadline(t.Context(), deadline)
	cancel()
	ctx, end := revived(canceled)
	defer end()
	if got, ok := ctx.Deadline(); ctx.Err() != nil || !ok || !got.Equal(deadline) {
		t.Errorf("revived: %v, until %v; want alive until %v", ctx.Err(), got, deadline)
	}
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if ctx, end := revived(late); ctx.Err() == nil {
		t.Error("a context beyond its deadline came back to life")
	} else {
		end()
	}
}

func TestAsynqIsQuietWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	o := &absence{server: "Redis", log: zerolog.Nop()}
	log := asynqLogger{zerolog.New(&said).Level(zerolog.InfoLevel), o}
	o.failed(errDown)
	log.Error("dequeue error")
	o.answered()
	log.Warn("task expired")
	if got := said.String(); strings.Contains(got, "dequeue") || !strings.Contains(got, "expired") {
		t.Errorf("said %s", got)
	}
}
