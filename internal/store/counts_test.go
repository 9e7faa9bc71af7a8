package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/testenv"
)

// countedAnew counts a job from its tasks, exceptions and calls alone.
const countedAnew = `
SELECT t.total, t.ended, j.rows, t.done - e.on_tasks, e.no_change, e.failed, e.unknown, e.superseded, t.canceled, t.open, c.sent, c.throttled
FROM jobs j
CROSS JOIN LATERAL (
    SELECT count(*) AS total, count(*) FILTER (WHERE state IN ('done', 'canceled')) AS ended,
           coalesce(sum(cells) FILTER (WHERE state = 'done'), 0) AS done, coalesce(sum(cells) FILTER (WHERE state = 'canceled'), 0) AS canceled,
           coalesce(sum(cells) FILTER (WHERE state IN ('ready', 'running')), 0) AS open
    FROM tasks WHERE job_id = j.id AND state <> 'split'
) t
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE status = 'failed') AS failed, count(*) FILTER (WHERE status = 'unknown') AS unknown,
           count(*) FILTER (WHERE status = 'no_change') AS no_change, count(*) FILTER (WHERE status = 'superseded') AS superseded,
           count(task_no) AS on_tasks
    FROM outcomes WHERE job_id = j.id
) e
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE a.class IS DISTINCT FROM 'not_sent') AS sent, count(*) FILTER (WHERE a.class = 'throttled') AS throttled
    FROM calls k LEFT JOIN answers a ON a.job_id = k.job_id AND a.call_id = k.id WHERE k.job_id = j.id
) c
WHERE j.ulid = $1`

// reckoning is what is counted of a job.
type reckoning struct {
	Tasks  store.TaskCounts
	Counts store.Counts
	Calls  store.CallCounts
}

func (w world) countedAnew(t *testing.T, id string) (r reckoning) {
	t.Helper()
	c := &r.Counts
	err := w.sql.QueryRow(t.Context(), countedAnew, id).Scan(&r.Tasks.Total, &r.Tasks.Done, &c.Total, &c.Succeeded, &c.NoChange, &c.Failed,
		&c.Unknown, &c.Superseded, &c.Canceled, &c.Pending, &r.Calls.Sent, &r.Calls.Throttled)
	if err != nil {
		t.Fatalf("counting job %s: %v", id, err)
	}
	return r
}

// walk is a random sequence of all that can happen to jobs.
type walk struct {
	world

	t       *testing.T
	rand    *rand.Rand
	sealer  *store.Sealer
	ids     []string
	queue   []store.Queued
	claims  []store.Task
	started int // jobs
	path    []string
}

// Whatever happens to a job, at every moment it is said to have come to what
// counting all its rows comes to.
func TestCountsAreThoseOfTheRows(t *testing.T) {
	t.Parallel()
	w := setup(t)
	seed := rand.Uint64()
	walks := &walk{world: w, t: t, rand: rand.New(rand.NewPCG(seed, 0)), sealer: w.NewSealer()}
	steps := map[string]func() bool{
		"accept": walks.submit, "hand out": walks.handOutSome, "claim": walks.claimOne, "end": walks.endOne, "end more": walks.endOne,
		"reclaim": walks.reclaimAll, "cancel": walks.cancelSome, "settle": walks.settle, "seal": walks.sealAll, "probe": walks.probe,
		"finalize": walks.finalizeAll, "claim more": walks.claimOne,
	}
	names := make([]string, 0, len(steps))
	for name := range steps {
		names = append(names, name)
	}
	slices.Sort(names)
	done := map[string]int{}
	for range 300 {
		name := names[walks.rand.IntN(len(names))]
		if !steps[name]() {
			continue
		}
		done[name]++
		walks.path = append(walks.path, name)
		if !walks.agree() {
			t.Fatalf("seed %d, after %q", seed, walks.path[max(0, len(walks.path)-20):])
		}
	}
	t.Logf("seed %d: %v", seed, done) // few walks come to everything
}

// agree holds what is said of every job, alone and in a list, against its rows.
func (w *walk) agree() bool {
	w.t.Helper()
	listed, err := w.Jobs(w.t.Context(), store.JobFilter{Limit: len(w.ids) + 1})
	if err != nil || len(listed) != len(w.ids) {
		w.t.Fatalf("%d jobs are listed, want %d: %v", len(listed), len(w.ids), err)
	}
	if len(listed) > 0 {
		listed = append(listed, w.job(w.ids[w.rand.IntN(len(w.ids))]))
	}
	for _, job := range listed {
		if diff := cmp.Diff(w.countedAnew(w.t, job.ID), reckoning{job.Tasks, job.Counts, job.Calls}); diff != "" {
			w.t.Errorf("job %s, which is %s (-counted +said):\n%s", job.ID, job.Status, diff)
			return false
		}
	}
	return true
}

func (w *walk) job(id string) store.Job {
	w.t.Helper()
	job, err := w.Job(w.t.Context(), id)
	if err != nil {
		w.t.Fatalf("Job: %v", err)
	}
	return job
}

// submit accepts a job of a few tasks of two actions, and rows that are never sent.
func (w *walk) submit() bool {
	if len(w.ids) > 7 {
		return false
	}
	w.started++
	job := grid([]string{"x"}, []string{"r"})
	job.IdempotencyKey = strconv.Itoa(w.started)
	job.Tasks, job.Changes = nil, nil
	for i := range 1 + w.rand.IntN(8) {
		users := make([]string, 1+w.rand.IntN(3))
		for j := range users {
			users[j] = fmt.Sprintf("job%d-task%d-user%d", w.started, i, j)
		}
		part := grid(users, []string{"r1", "r2"}[:1+w.rand.IntN(2)])
		part.Tasks[0].FirstChange = len(job.Changes)
		if i >= 4 {
			part.Tasks[0].Action = access.AddUserToWorkspace // any other one
		}
		for _, c := range part.Changes {
			c.Task = len(job.Tasks)
			job.Changes = append(job.Changes, c)
		}
		job.Tasks = append(job.Tasks, part.Tasks...)
	}
	for range w.rand.IntN(3) {
		job.Changes = append(job.Changes,
			store.NewChange{Task: store.NoTask, Exception: &store.Exception{Status: store.Failed, Code: "bad"}},
			store.NewChange{Task: store.NoTask, Exception: &store.Exception{Status: store.NoChange, Code: "duplicate_row"}})
	}
	w.ids = append(w.ids, w.accept(w.t, job).ID)
	return true
}

// handOutSome puts tasks, some of which are claimed and ended before the backlog
// passes them; at times it never does, for whoever put them is gone.
func (w *walk) handOutSome() bool {
	lanes, err := w.Backlogs(w.t.Context())
	if err != nil {
		w.t.Fatalf("Backlogs: %v", err)
	}
	if len(lanes) == 0 {
		return false
	}
	lost := errors.New("lost")
	_, err = w.HandOut(w.t.Context(), lanes[w.rand.IntN(len(lanes))], 1+w.rand.IntN(4), func(_ context.Context, tasks []store.Queued) error {
		w.queue = append(w.queue, tasks...)
		for w.rand.IntN(2) == 0 {
			w.claimOne() //nolint:contextcheck // the test's own
			w.endOne()   //nolint:contextcheck // likewise
		}
		if !w.agree() { //nolint:contextcheck // likewise
			w.t.Error("while tasks are put")
		}
		if w.rand.IntN(3) == 0 {
			return lost
		}
		return nil
	})
	if err != nil && !errors.Is(err, lost) {
		w.t.Fatalf("HandOut: %v", err)
	}
	return true
}

// probe queues what nobody handed out.
func (w *walk) probe() bool {
	task, err := w.ReadyTask(w.t.Context(), access.SmartqAuthorize)
	if err == nil {
		w.queue = append(w.queue, task)
	}
	return err == nil
}

func (w *walk) claimOne() bool {
	if len(w.queue) == 0 {
		return false
	}
	i := w.rand.IntN(len(w.queue))
	q := w.queue[i]
	w.queue = slices.Delete(w.queue, i, i+1)
	task, err := w.Claim(w.t.Context(), store.ClaimRequest{TaskRef: q.TaskRef, Generation: q.Generation, Worker: "w", Lease: time.Hour})
	if err == nil {
		w.claims = append(w.claims, task)
	} else if !errors.Is(err, store.ErrStale) {
		w.t.Fatalf("Claim: %v", err)
	}
	return err == nil
}

// endOne ends a claim in one of all ways.
func (w *walk) endOne() bool {
	if len(w.claims) == 0 {
		return false
	}
	i := w.rand.IntN(len(w.claims))
	task := w.claims[i]
	w.claims = slices.Delete(w.claims, i, i+1)
	w.beat(w.t, "w")
	begun, err := w.BeginCall(w.t.Context(), store.NewCall{Claim: task.Claim, Action: task.Action, Repeatable: true})
	if errors.Is(err, store.ErrStale) {
		w.giveBack(task, store.Again{})
		return true
	}
	if err != nil {
		w.t.Fatalf("BeginCall: %v", err)
	}
	answer := store.Answer{Call: begun.Call, Class: "ok"}
	switch w.rand.IntN(6) {
	case 0:
		err = w.Finish(w.t.Context(), task.Claim, answer, store.Ending{})
	case 1:
		err = w.Finish(w.t.Context(), task.Claim, answer, store.Ending{Exceptions: w.exceptions(task.Rectangle)})
	case 2:
		err = w.cut(task, answer)
	case 3:
		err = w.NotSent(w.t.Context(), task.Claim, "too late")
		w.giveBack(task, store.Again{})
	case 4:
		answer.Class = "throttled"
		err = w.Answered(w.t.Context(), task.TaskRef, answer)
		w.giveBack(task, store.Again{})
	default:
		w.giveBack(task, store.Again{Counts: true, Unsure: true}) // no answer came
	}
	if err != nil && !errors.Is(err, store.ErrStale) {
		w.t.Fatalf("ending a task: %v", err)
	}
	return true
}

func (w *walk) giveBack(task store.Task, again store.Again) {
	q, ok, err := w.GiveBack(w.t.Context(), task.Claim, again)
	if ok {
		w.queue = append(w.queue, q)
	} else if err != nil && !errors.Is(err, store.ErrStale) {
		w.t.Fatalf("GiveBack: %v", err)
	}
}

// cut splits a task, of which a part may be done, with its exceptions.
func (w *walk) cut(task store.Task, answer store.Answer) error {
	if task.Cells() < 2 {
		return w.Finish(w.t.Context(), task.Claim, answer, store.Ending{})
	}
	first, second := task.Halves()
	parts := []store.Part{{Rectangle: first}, {Rectangle: second, Done: w.rand.IntN(2) == 0}}
	if parts[1].Done {
		parts[1].Exceptions = w.exceptions(second)
	}
	queued, err := w.Split(w.t.Context(), task.Claim, answer, parts)
	w.queue = append(w.queue, queued...)
	return err
}

// exceptions are some of some cells.
func (w *walk) exceptions(of access.Rectangle) (out []store.CellException) {
	statuses := []store.Status{store.Failed, store.Unknown, store.NoChange, store.Superseded}
	for _, p := range of.Principals {
		for _, r := range of.Resources {
			if w.rand.IntN(2) == 0 {
				e := store.Exception{Status: statuses[w.rand.IntN(len(statuses))], Code: "c"}
				out = append(out, store.CellException{Principal: p.ID, Resource: r, Exception: e})
			}
		}
	}
	return out
}

// reclaimAll takes every claim back; whoever has one finds out.
func (w *walk) reclaimAll() bool {
	if w.rand.IntN(4) > 0 {
		return false
	}
	w.exec(w.t, `UPDATE tasks SET claimed_until = now() - interval '1 second' WHERE state = 'running'`)
	lost := w.reclaim(w.t, "w")
	w.queue = append(w.queue, lost...)
	return len(lost) > 0
}

// cancelSome cancels a job, or an action in all of them.
func (w *walk) cancelSome() bool {
	if len(w.ids) == 0 || w.rand.IntN(3) > 0 {
		return false
	}
	target := store.OfJob(w.ids[w.rand.IntN(len(w.ids))])
	if w.rand.IntN(4) == 0 {
		target = store.Target{Scope: store.ScopeAction, Name: string(access.AddUserToWorkspace)}
	}
	_, err := w.Cancel(w.t.Context(), target, somebody)
	if err != nil && !errors.Is(err, store.ErrFinished) {
		w.t.Fatalf("Cancel: %v", err)
	}
	return err == nil
}

// settle settles some exceptions of unknown outcome, both ways.
func (w *walk) settle() bool {
	tag, err := w.sql.Exec(w.t.Context(), `
		INSERT INTO settlements (job_id, change_no, status, code, message, retryable, read_job_id)
		SELECT job_id, change_no, CASE change_no % 2 WHEN 0 THEN 'failed' ELSE 'succeeded' END, '', '', false, 1
		FROM exceptions WHERE status = 'unknown' AND change_no % 3 = $1 ON CONFLICT DO NOTHING`, w.rand.IntN(3))
	if err != nil {
		w.t.Fatal(err)
	}
	return tag.RowsAffected() > 0
}

func (w *walk) sealAll() bool {
	_, sealed, err := w.sealer.Seal(w.t.Context())
	if err != nil {
		w.t.Fatalf("Seal: %v", err)
	}
	return sealed
}

func (w *walk) finalizeAll() bool {
	ended, err := w.FinalizeForsaken(w.t.Context())
	if err != nil {
		w.t.Fatalf("FinalizeForsaken: %v", err)
	}
	return len(ended) > 0
}

// sealedBefore is a database as migration 8 left it, with a job of which all but
// a settlement is sealed.
//
//nolint:dupword // SQL
const sealedBefore = `
INSERT INTO jobs (ulid, source, requested_by, lane, idempotency_key, fingerprint, rows, header, next_task, status)
VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FAV', 's', 'w', 'normal', 'a', 'f', 7, '{action}', 8, 'running');
INSERT INTO tasks (job_id, no, root_no, first_change, last_change, action, operation, principal_type, principals, resources, role, state, finished_at, generation)
SELECT id, n, n, least(n, 5), CASE n WHEN 5 THEN 6 ELSE least(n, 6) END, 'SmartqAuthorize', 'grant', 'user',
       CASE n WHEN 5 THEN '{u1,u2}'::text[] ELSE ARRAY['u' || n] END, '{qa_resource:q}', '', state, CASE WHEN state <> 'ready' THEN now() END, 1
FROM jobs, unnest('{done,canceled,ready,done,split}'::text[]) WITH ORDINALITY AS x (state, n);
INSERT INTO tasks (job_id, no, root_no, first_change, last_change, action, operation, principal_type, principals, resources, role, state, finished_at)
SELECT id, 6, 5, 5, 6, 'SmartqAuthorize', 'grant', 'user', '{u1}'::text[], '{qa_resource:q}'::text[], '', 'ready', NULL::timestamptz FROM jobs
UNION ALL SELECT id, 7, 5, 5, 6, 'SmartqAuthorize', 'grant', 'user', '{u2}'::text[], '{qa_resource:q}'::text[], '', 'done', now() FROM jobs;
INSERT INTO backlog (job_id, action, lane, next_no, last_no, turn) SELECT id, 'SmartqAuthorize', 'normal', 3, 4, 0 FROM jobs;
INSERT INTO exceptions (job_id, change_no, task_no, status, code, message, retryable)
SELECT id, 1, 1, 'unknown', 'c', '', false FROM jobs UNION ALL SELECT id, 7, NULL, 'no_change', 'duplicate_row', '', false FROM jobs;
INSERT INTO calls (job_id, task_no, generation, action, cells, worker) SELECT id, 1, 1, 'SmartqAuthorize', 1, 'w' FROM jobs, generate_series(1, 3);
INSERT INTO answers (job_id, call_id, class, took) SELECT job_id, max(id), 'throttled', '1 s' FROM calls GROUP BY job_id;
INSERT INTO audit_seals (no, sealed_at, after_no, upto_no, entries, prev, hash) SELECT 1, now(), 0, max(no), '[]', '', '' FROM answers;
INSERT INTO settlements (job_id, change_no, status, code, message, retryable, read_job_id) SELECT id, 1, 'failed', '', '', false, 1 FROM jobs`

// What was there before counts were sealed is counted like all else.
func TestMigrationCountsWhatWasSealed(t *testing.T) {
	t.Parallel()
	w := migratedFrom(t, 8, sealedBefore)
	job, err := w.Job(t.Context(), "01ARZ3NDEKTSV4RRFFQ69G5FAV")
	if err != nil {
		t.Fatal(err)
	}
	want := w.countedAnew(t, job.ID)
	if diff := cmp.Diff(want, reckoning{job.Tasks, job.Counts, job.Calls}); diff != "" {
		t.Errorf("(-counted +said):\n%s", diff)
	}
	if want.Calls != (store.CallCounts{Sent: 3, Throttled: 1}) || want.Counts.Pending != 2 || want.Counts.Canceled != 1 || want.Counts.Failed != 1 {
		t.Errorf("counted anew: %+v", want)
	}
}

// Workers of before would cut and withdraw, and count none of it.
func TestMigrationWaitsForWorkersToStop(t *testing.T) {
	t.Parallel()
	url := testenv.EmptyPostgres(t)
	migrateTo(t, url, 8)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	w := world{sql: conn}
	w.exec(t, `INSERT INTO workers (name, alive_until) VALUES ('w', now() + interval '1 hour')`)
	if err := store.Migrate(t.Context(), url); err == nil {
		t.Error("the database was migrated under a worker")
	}
	w.exec(t, `UPDATE workers SET alive_until = now() - interval '1 second'`)
	if err := store.Migrate(t.Context(), url); err != nil {
		t.Errorf("Migrate: %v", err)
	}
}

// migratedFrom is a database that was filled at a version and then migrated.
func migratedFrom(t *testing.T, version int64, fill string) world {
	t.Helper()
	url := testenv.EmptyPostgres(t)
	migrateTo(t, url, version)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	if _, err := conn.Exec(t.Context(), fill); err != nil {
		t.Fatal(err)
	}
	if err := store.Migrate(t.Context(), url); err != nil {
		t.Fatalf("Migrate: %v", err)
	}
	s, err := store.Open(t.Context(), url, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return world{Store: s, sql: conn}
}
