package tasks_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
	"github.com/usher-bi/usher/internal/testenv"
)

var normal = store.ActionLane{Action: access.SmartqAuthorize, Lane: store.Normal}

// queued counts the tasks that wait in Redis, and backlog those that were never
// handed to it.
func (w *world) queued(t *testing.T) int {
	t.Helper()
	return int(w.redis.LLen(t.Context(), waitsHere+"pending").Val())
}

func (w *world) backlog(t *testing.T) (n int) {
	t.Helper()
	if err := w.sql(t).QueryRow(t.Context(), `SELECT coalesce(sum(last_no - next_no + 1), 0) FROM backlog`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// wantAllOnce waits for the end of a job of n tasks, of which each must have been
// sent once.
func (w *world) wantAllOnce(t *testing.T, id string, n int) {
	t.Helper()
	if job := w.finish(t, id); job.Counts.Succeeded != n || job.Calls.Sent != n {
		t.Errorf("%+v with %+v; want %d succeeded with as many calls", job.Counts, job.Calls, n)
	}
	if bad := w.notOnce(t); bad > 0 {
		t.Errorf("%d tasks were not sent exactly once", bad)
	}
	if left := w.backlog(t); left != 0 {
		t.Errorf("%d tasks of a job that ended are still to be queued", left)
	}
}

// slowly has a worker work without a reconciler that helps, at a rate at which
// most of a job is not in Redis.
func slowly(rate float64) func(*tasks.Options) {
	return func(o *tasks.Options) {
		o.Sweep, o.Rate = time.Hour, func(access.Action) float64 { return rate }
	}
}

func TestRedisHoldsWhatIsNextOnly(t *testing.T) {
	t.Parallel()
	const n, ahead = 400, 100 // half a second at 200 a second
	changes, users, resources := loners(n)
	w := setup(t, quickbitest.Options{Users: users, QAResources: resources})
	id := w.submit(t, changes)
	if queued, left := w.queued(t), w.backlog(t); queued == 0 || queued > 32 || queued+left != n {
		t.Errorf("%d tasks are queued and %d wait, want a few of %d", queued, left, n)
	}
	w.work(t, slowly(200))
	w.work(t, slowly(200))
	testenv.Eventually(t, "the job ends", func() bool {
		if queued := w.queued(t); queued > ahead {
			t.Errorf("%d tasks are queued, want at most %d", queued, ahead)
		}
		return w.job(t, id).Status.Final()
	})
	w.wantAllOnce(t, id, n)
}

// holdLane keeps others from handing out tasks until the test lets go.
func (w *world) holdLane(t *testing.T) (release func()) {
	t.Helper()
	conn := w.sql(t)
	if _, err := conn.Exec(t.Context(), `SELECT pg_advisory_lock(hashtextextended('SmartqAuthorize:normal', 7201884419))`); err != nil {
		t.Fatal(err)
	}
	return func() { _ = conn.Close(t.Context()) }
}

func TestWhatDiesBetweenPostgresAndRedisLosesNothing(t *testing.T) {
	t.Parallel()
	const n = 60
	for _, tt := range []struct {
		name   string
		repair bool // it takes a reconciler
		submit func(*testing.T, *world, []access.Change) (id string)
	}{
		{"a submitter after the commit", false, func(t *testing.T, w *world, changes []access.Change) string {
			t.Helper()
			defer w.holdLane(t)()
			id := w.submit(t, changes)
			if queued := w.queued(t); queued != 0 {
				t.Fatalf("%d tasks are queued", queued)
			}
			return id
		}},
		{"whoever has put tasks and not written it down", false, func(t *testing.T, w *world, changes []access.Change) string {
			t.Helper()
			id, died := w.submit(t, changes), errors.New("died")
			_, err := w.store.HandOut(t.Context(), normal, 20, func(ctx context.Context, some []store.Queued) error {
				return errors.Join(tasks.NewQueue(w.redis).Put(ctx, some), died)
			})
			if !errors.Is(err, died) || w.queued(t)+w.backlog(t) != n+20 {
				t.Fatalf("HandOut = %v; %d queued, %d wait", err, w.queued(t), w.backlog(t))
			}
			return id
		}},
		{"Redis, with what was put", true, func(t *testing.T, w *world, changes []access.Change) string {
			t.Helper()
			id := w.submit(t, changes)
			_, err := w.store.HandOut(t.Context(), normal, 20, func(context.Context, []store.Queued) error { return nil })
			if err != nil || w.queued(t)+w.backlog(t) != n-20 {
				t.Fatalf("HandOut = %v; %d queued, %d wait", err, w.queued(t), w.backlog(t))
			}
			return id
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			changes, users, resources := loners(n)
			w := setup(t, quickbitest.Options{Users: users, QAResources: resources})
			id := tt.submit(t, w, changes)
			registry := prometheus.NewRegistry()
			w.work(t, slowly(100), func(o *tasks.Options) {
				o.Registry = registry
				if tt.repair {
					o.Sweep = 200 * time.Millisecond
				}
			})
			w.wantAllOnce(t, id, n)
			if got := counted(t, registry)["task_requeued"]; (got == 20) != tt.repair || got > 20 {
				t.Errorf("%d tasks were repaired, want just those that were lost", got)
			}
		})
	}
}

// A large job in the same lane is no reason for a small one to wait.
func TestJobsOfALaneTakeTurns(t *testing.T) {
	t.Parallel()
	const large, small, ahead, handlers = 300, 10, 30, 4
	changes, users, resources := loners(large + small)
	w := setup(t, quickbitest.Options{Users: users, QAResources: resources})
	w.work(t, slowly(60), func(o *tasks.Options) { o.Concurrency = handlers })
	first := w.submit(t, changes[:large])
	testenv.Eventually(t, "the large one has begun", func() bool { return w.job(t, first).Tasks.Done > 0 })
	var begun, between int
	calls := func(into *int, query string, args ...any) {
		t.Helper()
		if err := w.sql(t).QueryRow(t.Context(), query, args...).Scan(into); err != nil {
			t.Fatal(err)
		}
	}
	second := w.submit(t, changes[large:])
	calls(&begun, `SELECT max(id) FROM calls`)
	w.finish(t, second)
	calls(&between, `SELECT count(*) FROM calls WHERE job_id = $1 AND id > $2 AND id < (SELECT max(id) FROM calls WHERE job_id = $3)`,
		w.number(t, first), begun, w.number(t, second))
	if most := handlers + ahead + small + ahead/2; between > most {
		t.Errorf("%d calls of the large job came before the last of the small one, want at most %d: what was queued, and a turn each", between, most)
	}
}

func TestAStopKeepsTheBacklogInPostgres(t *testing.T) {
	t.Parallel()
	const n = 100
	changes, users, resources := loners(n)
	w := setup(t, quickbitest.Options{Users: users, QAResources: resources})
	if _, err := w.store.StopAction(t.Context(), store.Stop{Action: access.SmartqAuthorize}, time.Second); err != nil {
		t.Fatal(err)
	}
	id := w.submit(t, changes)
	if queued, left := w.queued(t), w.backlog(t); queued != 0 || left != n {
		t.Errorf("%d tasks are queued and %d wait, want none and all", queued, left)
	}
	w.work(t, slowly(200)) // whose probe sends a task that was never queued
	w.wantAllOnce(t, id, n)
}
