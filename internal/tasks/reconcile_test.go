package tasks_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/devstack"
	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
	"github.com/usher-bi/usher/internal/testenv"
)

// loners is n grants of which no two fit in one call.
func loners(n int) (changes []access.Change, users, resources []string) {
	users, resources = ids("u", n), ids("r", n)
	for i := range n {
		changes = append(changes, change(access.Grant, users[i], access.QAResource, resources[i]))
	}
	return changes, users, resources
}

// counted reads usher_repairs_total by kind.
func counted(t *testing.T, registry *prometheus.Registry) map[string]int {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, f := range families {
		if f.GetName() != "usher_repairs_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			out[m.GetLabel()[0].GetValue()] = int(m.GetCounter().GetValue())
		}
	}
	return out
}

// audited reads the same from the audit.
func (w *world) audited(t *testing.T) map[string]int {
	t.Helper()
	rows, err := w.sql(t).Query(t.Context(), `
		SELECT substr(event, 8), sum((detail->>'count')::int)::int FROM audit WHERE event LIKE 'repair.%' AND actor = 'usher' GROUP BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	var (
		kind string
		n    int
	)
	for rows.Next() {
		if err := rows.Scan(&kind, &n); err != nil {
			t.Fatal(err)
		}
		out[kind] = n
	}
	return out
}

// notOnce counts the tasks that were not sent and answered exactly once.
func (w *world) notOnce(t *testing.T) int {
	t.Helper()
	var n int
	err := w.sql(t).QueryRow(t.Context(), `
		SELECT count(*) FROM tasks t CROSS JOIN LATERAL (
			SELECT count(*) AS sent, count(a.call_id) AS answered FROM calls c LEFT JOIN answers a ON a.call_id = c.id
			WHERE c.job_id = t.job_id AND c.task_no = t.no) k
		WHERE t.state <> 'done' OR k.sent <> 1 OR k.answered <> 1`).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// keys lists what matches in Redis.
func (w *world) keys(t *testing.T, pattern string) []string {
	t.Helper()
	keys, err := w.redis.Keys(t.Context(), pattern).Result()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestNothingIsLostWithRedis(t *testing.T) {
	t.Parallel()
	del := func(pattern string, every int) func(*testing.T, *world, *devstack.Stack) {
		return func(t *testing.T, w *world, _ *devstack.Stack) {
			t.Helper()
			n := 0
			for i, key := range w.keys(t, pattern) {
				if i%every == 0 {
					n += int(w.redis.Del(t.Context(), key).Val())
				}
			}
			if n == 0 {
				t.Errorf("there was no %s to delete", pattern)
			}
		}
	}
	for _, tt := range []struct {
		name   string
		damage func(*testing.T, *world, *devstack.Stack)
		repair string // the kind that must have been needed; "" for any
	}{
		{"flushed", func(t *testing.T, w *world, _ *devstack.Stack) {
			t.Helper()
			if err := w.redis.FlushAll(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		}, ""}, // what was handed out may all have been claimed by then
		{"restarted empty", func(t *testing.T, _ *world, stack *devstack.Stack) {
			t.Helper()
			if err := stack.Redis().Kill(); err != nil {
				t.Fatal(err)
			}
			if err := stack.Redis().Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, ""}, // what was handed out may all have been claimed by then
		{"some tasks", del("asynq:*:t:*", 3), "ghost_cleared"},
		{"waiting lists", del("asynq:*:pending", 1), "task_requeued"},
		{"lists of work in progress", del("asynq:*:active", 1), "ghost_cleared"},
		{"leases", del("asynq:*:lease", 1), ""},
		{"names of queues", del("asynq:queues", 1), "queue_named"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			stack, err := devstack.Start(t.Context(), devstack.Options{NoPostgres: true})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = stack.Stop() })
			const n = 300
			changes, users, resources := loners(n)
			w := setupOn(t, servers{postgres: testenv.Postgres(t), redis: stack.RedisURL(0)}, quickbitest.Options{Users: users, QAResources: resources, Latency: quickbitest.Duration(20 * time.Millisecond)})
			registry := prometheus.NewRegistry()
			stop := w.work(t, func(o *tasks.Options) {
				o.Registry, o.Concurrency, o.Rate = registry, 8, func(access.Action) float64 { return 150 }
			})
			id := w.submit(t, changes)
			testenv.Eventually(t, "some tasks are done", func() bool { return w.job(t, id).Tasks.Done >= 20 })
			tt.damage(t, w, stack)
			if job := w.finish(t, id); job.Counts.Succeeded != n {
				t.Errorf("%s, %+v; want all succeeded", job.Outcome, job.Counts)
			}
			testenv.Eventually(t, "Redis holds nothing of what is over", func() bool {
				return len(w.keys(t, "asynq:*:t:*"))+len(w.keys(t, "asynq:*:active"))+len(w.keys(t, "asynq:*:lease")) == 0
			})
			testenv.Eventually(t, "Redis knows the queues", func() bool { return w.redis.SCard(t.Context(), "asynq:queues").Val() == 27 })
			stop()
			if bad := w.notOnce(t); bad > 0 {
				t.Errorf("%d tasks were not sent exactly once", bad)
			}
			w.wantGranted(t, changes)
			if diff := cmp.Diff(w.audited(t), counted(t, registry)); diff != "" {
				t.Errorf("repairs (-audit +metric):\n%s", diff)
			}
			if got := counted(t, registry); got[tt.repair] == 0 && (tt.repair != "" || len(got) == 0) {
				t.Errorf("repairs = %v, want some %s", got, tt.repair)
			}
		})
	}
}

const waitsHere = "asynq:{smartqauthorize:normal}:"

func TestTaskOfAWorkerThatDiedBeforeItsClaim(t *testing.T) {
	t.Parallel()
	w := setup(t, quickbitest.Options{Users: ids("u", 1), QAResources: ids("r", 1)})
	id := w.submit(t, grants(ids("u", 1), ids("r", 1)))
	name := w.redis.RPopLPush(t.Context(), waitsHere+"pending", waitsHere+"active").Val()
	w.redis.HSet(t.Context(), waitsHere+"t:"+name, "state", "active")
	w.redis.ZAdd(t.Context(), waitsHere+"lease", redis.Z{Score: float64(time.Now().Add(30 * time.Second).Unix()), Member: name})

	registry := prometheus.NewRegistry()
	w.work(t, func(o *tasks.Options) { o.Registry = registry })
	if job := w.finish(t, id); job.Outcome != store.OutcomeSucceeded {
		t.Errorf("%s, %+v", job.Outcome, job.Counts)
	}
	testenv.Eventually(t, "the repair is noted", func() bool { return w.audited(t)["task_renewed"] == 1 })
	over := func() bool { return w.audited(t)["task_removed"] > 0 } // a later round, once the job has ended
	if n := w.redis.Exists(t.Context(), waitsHere+"t:"+name).Val(); n != 1 && !over() {
		t.Error("what has a lease was taken away from its worker")
	}
}

func TestWhatIsOverLeavesRedis(t *testing.T) {
	t.Parallel()
	const n = 4
	changes, users, resources := loners(2 * n)
	w := setup(t, quickbitest.Options{Users: users, QAResources: resources})
	gone, stays := w.submit(t, changes[:n]), w.submit(t, changes[n:])
	if _, err := w.store.StopAction(t.Context(), store.Stop{Action: access.SmartqAuthorize}, time.Hour); err != nil {
		t.Fatal(err)
	}
	for _, lane := range store.Lanes() { // as a worker would, after a moment
		if err := asynq.NewInspectorFromRedisClient(w.redis).PauseQueue("smartqauthorize:" + string(lane)); err != nil {
			t.Fatal(err)
		}
	}
	registry := prometheus.NewRegistry()
	inspector := asynq.NewInspectorFromRedisClient(w.redis)
	first, second := w.number(t, gone), w.number(t, stays)
	for _, name := range []string{fmt.Sprintf("%d-1@0", first), fmt.Sprintf("%d-1@0", second)} {
		if err := inspector.ArchiveTask("smartqauthorize:normal", name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.store.Cancel(t.Context(), store.OfJob(gone), store.Order{Actor: "tester"}); err != nil {
		t.Fatal(err)
	}
	w.work(t, func(o *tasks.Options) { o.Registry = registry })
	testenv.Eventually(t, "tasks of the canceled job are removed, the archived one of the other is queued again", func() bool {
		got := w.audited(t)
		return got["task_removed"] == n+1 && got["task_renewed"] == 1
	})
	if left := w.keys(t, fmt.Sprintf("%st:%d-*", waitsHere, second)); len(left) != n || len(w.keys(t, fmt.Sprintf("%st:%d-*", waitsHere, first))) != 0 {
		t.Errorf("Redis holds %v, want the %d tasks of the other job", w.keys(t, "asynq:*:t:*"), n)
	}
	if diff := cmp.Diff(w.audited(t), counted(t, registry)); diff != "" {
		t.Errorf("repairs (-audit +metric):\n%s", diff)
	}
	if _, err := w.store.ResumeAction(t.Context(), access.SmartqAuthorize, "tester"); err != nil {
		t.Fatal(err)
	}
	if job := w.finish(t, stays); job.Counts.Succeeded != n {
		t.Errorf("%s, %+v", job.Outcome, job.Counts)
	}
}

func TestTaskThatAWrongClockPutOff(t *testing.T) {
	t.Parallel()
	w := setup(t, quickbitest.Options{Users: ids("u", 1), QAResources: ids("r", 1)})
	id := w.submit(t, grants(ids("u", 1), ids("r", 1)))
	name := w.redis.RPop(t.Context(), waitsHere+"pending").Val()
	w.redis.HSet(t.Context(), waitsHere+"t:"+name, "state", "scheduled")
	w.redis.ZAdd(t.Context(), waitsHere+"scheduled", redis.Z{Score: float64(time.Now().Add(time.Hour).Unix()), Member: name})

	w.work(t)
	if job := w.finish(t, id); job.Outcome != store.OutcomeSucceeded {
		t.Errorf("%s, %+v", job.Outcome, job.Counts)
	}
	testenv.Eventually(t, "what was put off is removed", func() bool { return w.redis.ZCard(t.Context(), waitsHere+"scheduled").Val() == 0 })
}

func TestJobThatNobodyEnded(t *testing.T) {
	t.Parallel()
	w := setup(t, quickbitest.Options{})
	id := w.submit(t, grants(ids("u", 1), ids("r", 1)))
	if _, err := w.store.Beat(t.Context(), store.Heartbeat{Worker: "dies", For: time.Minute}); err != nil {
		t.Fatal(err)
	}
	task, err := w.store.Claim(t.Context(), store.ClaimRequest{TaskRef: store.TaskRef{Job: w.number(t, id), No: 1}, Worker: "dies", Lease: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	begun, err := w.store.BeginCall(t.Context(), store.NewCall{Claim: task.Claim, Action: task.Action})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.Finish(t.Context(), task.Claim, store.Answer{Call: begun.Call, Class: "ok"}, store.Ending{}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.work(t)
	}
	if job := w.finish(t, id); job.Outcome != store.OutcomeSucceeded {
		t.Errorf("%s, %+v", job.Outcome, job.Counts)
	}
	testenv.Eventually(t, "the repair is noted", func() bool { return w.audited(t)["job_ended"] > 0 })
	var ended int
	if err := w.sql(t).QueryRow(t.Context(), `SELECT count(*) FROM audit WHERE event = 'job.finished'`).Scan(&ended); err != nil || ended != 1 {
		t.Errorf("ended %d times, %v", ended, err)
	}
	if n := w.audited(t)["job_ended"]; n != 1 {
		t.Errorf("%d repairs, want 1", n)
	}
}

func TestWorkGoesOnWhenRedisIsBack(t *testing.T) {
	t.Parallel()
	stack, err := devstack.Start(t.Context(), devstack.Options{NoPostgres: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stack.Stop() })
	changes, users, resources := loners(100)
	w := setupOn(t, servers{postgres: testenv.Postgres(t), redis: stack.RedisURL(0)}, quickbitest.Options{Users: users, QAResources: resources})
	w.work(t, func(o *tasks.Options) { o.Rate = func(access.Action) float64 { return 50 } })
	id := w.submit(t, changes)
	testenv.Eventually(t, "some tasks are done", func() bool { return w.job(t, id).Tasks.Done >= 10 })
	if err := stack.Redis().Stop(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "what was taken is done", func() bool {
		var working int
		err := w.sql(t).QueryRow(t.Context(), `SELECT count(*) FROM tasks WHERE state = 'running'`).Scan(&working)
		return err == nil && working == 0
	})
	if job := w.job(t, id); job.Counts.Pending == 0 {
		t.Fatal("the job ended before Redis was away")
	}
	if err := stack.Redis().Start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	if job := w.finish(t, id); job.Counts.Succeeded != len(changes) || job.Calls.Sent != len(changes) {
		t.Errorf("%s with %s", job.Outcome, fmt.Sprint(job.Counts, job.Calls))
	}
}
