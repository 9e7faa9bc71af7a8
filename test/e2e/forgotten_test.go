package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/usher-bi/usher/internal/devstack"
	"github.com/usher-bi/usher/internal/testenv"
)

// TestQueueingLost is a job that was accepted and never queued, because between
// the two something broke. A worker finds it in Postgres.
func TestQueueingLost(t *testing.T) {
	t.Parallel()

	rows := apart(40)
	for _, tt := range []struct {
		name   string
		submit func(*deployment, string)
	}{
		{"enqueue is killed after the commit", func(d *deployment, file string) {
			w := newWire(d.t, d.redis, false)
			p := d.begin(invocation{program: "enqueue", args: []string{"csv", file}, env: []string{"REDIS_URL=" + w.url}})
			d.eventually("enqueue begins to queue", w.isDead)
			p.kill()
		}},
		{"Redis goes away after the commit", func(d *deployment, file string) {
			w := newWire(d.t, d.redis, true)
			p := d.begin(invocation{program: "enqueue", args: []string{"csv", file, "--json"}, env: []string{"REDIS_URL=" + w.url}})
			j := p.end().want(0).job()
			if len(j.Warnings) != 1 || !strings.Contains(j.Warnings[0], "Redis was lost") {
				d.t.Errorf("warnings = %q, want one about Redis", j.Warnings)
			}
		}},
		{"Redis forgets everything", func(d *deployment, file string) {
			d.enqueue("csv", file).want(0)
			if err := d.openRedis().FlushDB(d.t.Context()).Err(); err != nil {
				d.t.Fatal(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			d := setup(t, worldOf(rows))
			file := d.file("rows.csv", rows)
			tt.submit(d, file)
			if n, err := d.openRedis().Keys(t.Context(), "asynq:*:t:*").Result(); len(n) > 0 || err != nil {
				t.Fatalf("%d tasks are queued, %v; want none", len(n), err)
			}
			id := d.jobID()
			if j := d.enqueue("csv", file, "--json").want(0).job(); j.ID != id || !j.Replayed {
				t.Errorf("repeating the command made job %s, replayed %t; want %s", j.ID, j.Replayed, id)
			}
			d.work()
			d.wantCounts(d.finish(id), "succeeded", counts{Succeeded: 40})
			d.wantHeld(held{}.apply(rows...))
			d.wantOnce()
		})
	}
}

// TestRedisRestarts in the middle of a job, and has forgotten everything. The
// worker says so, goes on by itself, and sends nothing twice.
func TestRedisRestarts(t *testing.T) {
	t.Parallel()

	stack, err := devstack.Start(t.Context(), devstack.Options{NoPostgres: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stack.Stop() })
	rows := apart(60)
	d := prepare(t, testenv.Postgres(t), stack.RedisURL(0))
	d.sandbox = startSandbox(t, slow(rows, 50*time.Millisecond))
	d.env = append(d.env, d.sandbox.env()...)
	w := d.work("WORKER_CONCURRENCY=2")
	id := d.submit(rows).ID
	d.tasksDone(5)
	if err := stack.Redis().Kill(); err != nil {
		t.Fatal(err)
	}
	d.eventually("the worker is not ready", func() bool {
		r := w.ready()
		return r.status == 503 && !r.Ready && len(r.Problems) == 1 && strings.HasPrefix(r.Problems[0], "Redis: ")
	})
	if d.status(id).Counts.Pending == 0 {
		t.Fatal("the job ended before Redis did")
	}
	d.enqueue("csv", d.file("more.csv", rows[:1])).want(11).says("Redis cannot be reached")
	if err := stack.Redis().Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.wantCounts(d.finish(id), "succeeded", counts{Succeeded: 60})
	d.wantHeld(held{}.apply(rows...))
	d.wantOnce()
	if r := w.ready(); !r.Ready {
		t.Errorf("/readyz = %+v, want ready", r)
	}
}
