package schedule

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
	"github.com/usher-bi/usher/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// world is a private Postgres and Redis, a folder, and runners that see it. Its
// time is that of the runners: the nights of a schedule, one after the other.
type world struct {
	*store.Store

	t         *testing.T
	url       string // of Postgres
	redis     redis.UniversalClient
	submitter *tasks.Submitter
	dir       string
	inbox     *os.Root
	runner    *Runner
	now       time.Time
}

func setup(t *testing.T) *world {
	t.Helper()
	url := testenv.Postgres(t)
	st, err := store.Open(t.Context(), url, 6)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	client, err := tasks.OpenRedis(t.Context(), testenv.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	w := &world{Store: st, t: t, url: url, redis: client, submitter: tasks.NewSubmitter(st, tasks.NewQueue(client)), dir: t.TempDir()}
	if w.inbox, err = os.OpenRoot(w.dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.inbox.Close() })
	w.runner = w.newRunner()
	if w.now, err = st.Now(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) newRunner() *Runner {
	return NewRunner(w.Store, w.submitter, Options{Inbox: w.inbox, Log: zerolog.Nop()})
}

// nightly is a schedule of a kind, at two in the night.
func nightly(kind store.ScheduleKind, path string) store.Schedule {
	return store.Schedule{
		Name: "nightly", Kind: kind, Path: path, CompleteBy: store.CompleteByDone, Cron: "0 2 * * *", Timezone: "UTC",
		CatchUp: store.CatchUpOnce, Overlap: store.OverlapSkip, Lane: store.Bulk, Source: "hr-nightly", RequestedBy: "tess",
		Guards: store.Guards{MaxRevokes: 5, MaxShrink: 1.0 / 3},
	}
}

func (w *world) add(s store.Schedule) store.Schedule {
	w.t.Helper()
	if err := w.AddSchedule(w.t.Context(), s); err != nil {
		w.t.Fatal(err)
	}
	s, err := w.Schedule(w.t.Context(), s.Name)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// nextNight moves the time to a minute past the next two o'clock.
func (w *world) nextNight() {
	two := time.Date(w.now.Year(), w.now.Month(), w.now.Day(), 2, 1, 0, 0, time.UTC)
	if !two.After(w.now) {
		two = two.AddDate(0, 0, 1)
	}
	w.now = two
}

// round decides on slots and carries out what is open, as the chores do.
func (r *Runner) round(ctx context.Context, now time.Time) error {
	if _, err := r.plan(ctx, now); err != nil {
		return err
	}
	return r.carryOut(ctx, now)
}

// round does a round, which must succeed.
func (w *world) round() {
	w.t.Helper()
	if err := w.runner.round(w.t.Context(), w.now); err != nil {
		w.t.Fatalf("round: %v", err)
	}
}

// write writes a file as of the world's time.
func (w *world) write(name, content string) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Chtimes(path, w.now, w.now); err != nil {
		w.t.Fatal(err)
	}
}

// deliver writes a file and says that it is complete.
func (w *world) deliver(name, content string) {
	w.t.Helper()
	w.write(name, content)
	w.write(name+".done", "")
}

// files lists everything in the inbox, with an x for what differs from run to run.
func (w *world) files() []string {
	w.t.Helper()
	var names []string
	err := filepath.WalkDir(w.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(w.dir, path)
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// last is the newest run of the only schedule.
func (w *world) last() store.Run {
	w.t.Helper()
	s, err := w.Schedules(w.t.Context())
	if err != nil || len(s) != 1 {
		w.t.Fatal(s, err)
	}
	runs, err := w.Runs(w.t.Context(), s[0].ID, 1)
	if err != nil || len(runs) != 1 {
		w.t.Fatal(runs, err)
	}
	return runs[0]
}

// jobs lists all jobs, the newest first.
func (w *world) jobs() []store.Job {
	w.t.Helper()
	jobs, err := w.Jobs(w.t.Context(), store.JobFilter{Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	return jobs
}

// guard names the guard that holds a job; "" if none does.
func (w *world) guard(id string) string {
	w.t.Helper()
	job, err := w.RunJob(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return job.Guard
}

// work does what workers do with all that may be sent, and returns what they
// were asked to do. The users named are refused.
func (w *world) work(refused ...string) (sent []string) {
	w.t.Helper()
	ctx := w.t.Context()
	if _, err := w.Beat(ctx, store.Heartbeat{Worker: "w", For: time.Hour}); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.submitter.Requeue(ctx, store.Target{Scope: store.ScopeAll}); err != nil {
		w.t.Fatal(err)
	}
	due, err := w.DueTasks(ctx, -time.Second, store.TaskRef{}, 10_000)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, q := range due {
		task, err := w.Claim(ctx, store.ClaimRequest{TaskRef: q.TaskRef, Generation: q.Generation, Worker: "w", Lease: time.Minute})
		if err != nil {
			w.t.Fatal(err)
		}
		begun, err := w.BeginCall(ctx, store.NewCall{Claim: task.Claim, Action: task.Action})
		if err != nil {
			w.t.Fatal(err)
		}
		var end store.Ending
		for _, p := range task.Principals {
			for _, r := range task.Resources {
				sent = append(sent, fmt.Sprintf("%s %s %s %s", task.Operation, p.ID, r, task.Terms.ExpiresOn))
				if slices.Contains(refused, p.ID) {
					end.Exceptions = append(end.Exceptions, store.CellException{Principal: p.ID, Resource: r, Exception: store.Exception{Status: store.Failed, Code: "user_not_in_organization"}})
				}
			}
		}
		if err := w.Finish(ctx, task.Claim, store.Answer{Call: begun.Call, Class: "ok", HTTPStatus: 200, Took: time.Millisecond}, end); err != nil {
			w.t.Fatal(err)
		}
		if err := w.Finalize(ctx, q.Job); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := w.redis.FlushDB(ctx).Err(); err != nil { // what is done is not queued any more
		w.t.Fatal(err)
	}
	slices.Sort(sent)
	return sent
}

// rows writes a file of changes of one resource.
func rows(operation string, users ...string) string {
	expiry := "2099-12-31"
	if operation == "revoke" {
		expiry = ""
	}
	var out strings.Builder
	out.WriteString("action,principal,resource_type,resource_id,expires_on\n")
	for _, u := range users {
		fmt.Fprintf(&out, "%s,%s,qa_resource,res,%s\n", operation, u, expiry)
	}
	return out.String()
}

func users(from, to int) []string {
	var all []string
	for i := from; i <= to; i++ {
		all = append(all, fmt.Sprint("user-", i))
	}
	return all
}

var somebody = store.Order{Actor: "ann", Reason: "checked"}

var _ Submitter = dying{}

// dying submits and then dies, before it can say so.
type dying struct{ Submitter }

func (d dying) Submit(ctx context.Context, sub tasks.Submission) (tasks.Submitted, error) {
	_, err := d.Submitter.Submit(ctx, sub)
	if err == nil {
		err = errDied
	}
	return tasks.Submitted{}, err
}
