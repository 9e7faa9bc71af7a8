package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/testenv"
)

// world is a private database with a store and a raw connection beside it.
type world struct {
	*store.Store

	sql *pgx.Conn
}

func setup(tb testing.TB) world {
	tb.Helper()
	url := testenv.Postgres(tb)
	s, err := store.Open(tb.Context(), url, 8)
	if err != nil {
		tb.Fatalf("Open: %v", err)
	}
	tb.Cleanup(s.Close)
	conn, err := pgx.Connect(tb.Context(), url)
	if err != nil {
		tb.Fatalf("connecting: %v", err)
	}
	tb.Cleanup(func() { _ = conn.Close(context.WithoutCancel(tb.Context())) })
	w := world{Store: s, sql: conn}
	w.beat(tb, "w")
	return w
}

// draft is a job whose tasks and changes can still be altered.
type draft struct {
	store.NewJob

	Tasks   []store.NewTask
	Changes []store.NewChange
}

func (d draft) job() store.NewJob {
	d.NewJob.Tasks, d.NewJob.Changes = store.SequenceOf(d.Tasks...), store.SequenceOf(d.Changes...)
	return d.NewJob
}

// grid makes a job of one task: users × resources.
func grid(users, resources []string) draft {
	rect := access.Rectangle{Action: access.SmartqAuthorize, Operation: access.Grant, Terms: access.Terms{ExpiresOn: expiry}}
	for _, u := range users {
		rect.Principals = append(rect.Principals, access.Principal{Type: access.User, ID: u})
	}
	for _, r := range resources {
		rect.Resources = append(rect.Resources, qa(r))
	}
	job := draft{Tasks: []store.NewTask{{Rectangle: rect}}, NewJob: store.NewJob{
		Source: "test", RequestedBy: "tester", Lane: store.Normal, IdempotencyKey: "key", Fingerprint: "print",
		Header: []string{"action", "principal"}, Input: store.Input{Rows: rect.Cells()},
	}}
	for _, p := range rect.Principals {
		for _, r := range rect.Resources {
			line := len(job.Changes) + 2
			job.Changes = append(job.Changes, store.NewChange{Row: store.Row{
				Line: line, RowID: fmt.Sprintf("line-%d", line),
				Change: access.Change{Operation: access.Grant, Principal: p, Resource: r, Terms: rect.Terms},
			}})
		}
	}
	return job
}

var expiry = access.Date{Year: 2099, Month: time.December, Day: 31}

func qa(id string) access.Resource { return access.Resource{Type: access.QAResource, ID: id} }

// create writes a job and has all its tasks handed out.
func (w world) create(tb testing.TB, job draft) store.Created {
	tb.Helper()
	created := w.accept(tb, job)
	w.exec(tb, `DELETE FROM backlog WHERE job_id = $1`, created.Number)
	return created
}

// accept writes a job whose tasks wait to be handed out.
func (w world) accept(tb testing.TB, job draft) store.Created {
	tb.Helper()
	created, err := w.CreateJob(tb.Context(), job.job())
	if err != nil {
		tb.Fatalf("CreateJob: %v", err)
	}
	return created
}

func (w world) claim(tb testing.TB, ref store.TaskRef, generation int) store.Task {
	tb.Helper()
	task, err := w.Claim(tb.Context(), store.ClaimRequest{TaskRef: ref, Generation: generation, Worker: "w", Lease: time.Minute})
	if err != nil {
		tb.Fatalf("Claim: %v", err)
	}
	return task
}

func (w world) begin(t *testing.T, c store.Claim) int64 {
	t.Helper()
	begun, err := w.BeginCall(t.Context(), store.NewCall{Claim: c, Action: access.SmartqAuthorize, Repeatable: true})
	if err != nil {
		t.Fatalf("BeginCall: %v", err)
	}
	return begun.Call
}

func (w world) counts(t *testing.T, id string) store.Counts {
	t.Helper()
	job, err := w.Job(t.Context(), id)
	if err != nil {
		t.Fatalf("Job: %v", err)
	}
	c := job.Counts
	if sum := c.Succeeded + c.NoChange + c.Failed + c.Unknown + c.Superseded + c.Canceled + c.Pending; sum != c.Total {
		t.Fatalf("the statuses add up to %d of %d rows: %+v", sum, c.Total, c)
	}
	return c
}

func (w world) statuses(t *testing.T, id string, only ...store.Status) map[int]store.Status {
	t.Helper()
	got := map[int]store.Status{}
	err := w.Results(t.Context(), id, only, func(r store.Result) error {
		got[r.Line] = r.Status
		return nil
	})
	if err != nil {
		t.Fatalf("Results: %v", err)
	}
	return got
}

func TestJobKeepsWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	w := setup(t)

	job := grid([]string{"u1", "u2"}, []string{"r1"})
	job.Changes = append(job.Changes,
		store.NewChange{
			Task: store.NoTask, Row: store.Row{Line: 4, RowID: "bad", Cells: []string{"gratn", "u,3"}},
			Exception: &store.Exception{Status: store.Failed, Code: "unknown_action", Message: "not an action"},
		},
		store.NewChange{
			Task: store.NoTask, Row: store.Row{Line: 5, RowID: "twice", Change: job.Changes[0].Change},
			Exception: &store.Exception{Status: store.NoChange, Code: "duplicate_row", Message: "duplicate of line 2"},
		})
	created := w.create(t, job)

	if diff := cmp.Diff(store.Counts{Total: 4, Failed: 1, NoChange: 1, Pending: 2}, w.counts(t, created.ID)); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	var rows []store.Row
	err := w.Results(t.Context(), created.ID, nil, func(r store.Result) error {
		rows = append(rows, r.Row)
		return nil
	})
	if err != nil {
		t.Fatalf("Results: %v", err)
	}
	var want []store.Row
	for _, c := range job.Changes {
		want = append(want, c.Row)
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestSameKeySameRowsIsOneJob(t *testing.T) {
	t.Parallel()
	w := setup(t)

	job := grid([]string{"u1"}, []string{"r1"})
	var (
		mu    sync.Mutex
		ids   = map[string]bool{}
		fresh int
		group sync.WaitGroup
	)
	for range 8 {
		group.Go(func() {
			created, err := w.CreateJob(t.Context(), job.job())
			if err != nil {
				t.Errorf("CreateJob: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			ids[created.ID] = true
			if !created.Replayed {
				fresh++
			}
		})
	}
	group.Wait()
	if len(ids) != 1 || fresh != 1 {
		t.Errorf("8 equal submissions made %d jobs, %d of them fresh; want 1 and 1", len(ids), fresh)
	}

	job.Fingerprint = "other"
	if _, err := w.CreateJob(t.Context(), job.job()); !errors.Is(err, store.ErrKeyReused) {
		t.Errorf("the same key with other rows: %v, want ErrKeyReused", err)
	}
}

func TestAuditTablesRefuseRewriting(t *testing.T) {
	t.Parallel()
	w := setup(t)

	created := w.create(t, grid([]string{"u1"}, []string{"r1"}))
	task := w.claim(t, store.TaskRef{Job: created.Number, No: 1}, 0)
	if err := w.Finish(t.Context(), task.Claim, store.Answer{Call: w.begin(t, task.Claim), Class: "ok"}, store.Ending{}); err != nil {
		t.Fatalf("Finish: %v", err)
	}
	for _, table := range []string{"calls", "answers", "audit"} {
		var rows int
		if err := w.sql.QueryRow(t.Context(), `SELECT count(*) FROM `+table).Scan(&rows); err != nil || rows == 0 {
			t.Fatalf("%s holds %d rows (%v), want some", table, rows, err)
		}
		for _, statement := range []string{"DELETE FROM " + table, "TRUNCATE " + table} {
			if _, err := w.sql.Exec(t.Context(), statement); err == nil {
				t.Errorf("%s was carried out", statement)
			}
		}
	}
	if _, err := w.sql.Exec(t.Context(), `UPDATE answers SET class = 'ok'`); err == nil {
		t.Error("an answer was rewritten")
	}
}

func TestRetryRowsAreTheFailedRetryableOnes(t *testing.T) {
	t.Parallel()
	w := setup(t)

	job := grid([]string{"u1", "u2", "u3"}, []string{"r1"})
	job.Changes = append(job.Changes, store.NewChange{
		Task: store.NoTask, Row: store.Row{Line: 9},
		Exception: &store.Exception{Status: store.Failed, Code: "invalid", Retryable: true},
	})
	created := w.create(t, job)
	task := w.claim(t, store.TaskRef{Job: created.Number, No: 1}, 0)
	cell := func(user, code string, retryable bool) store.CellException {
		return store.CellException{Principal: user, Resource: qa("r1"), Exception: store.Exception{Status: store.Failed, Code: code, Retryable: retryable}}
	}
	err := w.Finish(t.Context(), task.Claim, store.Answer{Call: w.begin(t, task.Claim), Class: "partial"},
		store.Ending{Exceptions: []store.CellException{cell("u1", "later", true), cell("u2", "never", false)}})
	if err != nil {
		t.Fatalf("Finish: %v", err)
	}
	for _, tt := range []struct {
		name   string
		filter store.RetryFilter
		want   []int
	}{
		{"retryable", store.RetryFilter{}, []int{2}},
		{"all", store.RetryFilter{All: true}, []int{2, 3}},
		{"one code", store.RetryFilter{All: true, Code: "never"}, []int{3}},
		{"a code that is not retryable", store.RetryFilter{Code: "never"}, nil},
	} {
		var lines []int
		err := w.RetryRows(t.Context(), created.ID, tt.filter, func(r store.RetryRow) error {
			lines = append(lines, r.Line)
			return nil
		})
		if err != nil {
			t.Fatalf("RetryRows: %v", err)
		}
		if n, err := w.CountRetryRows(t.Context(), created.ID, tt.filter); n != len(lines) || err != nil {
			t.Errorf("%s: counted %d, %v", tt.name, n, err)
		}
		if diff := cmp.Diff(tt.want, lines); diff != "" {
			t.Errorf("%s: lines (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestErrorsSayWhatIsAway(t *testing.T) {
	t.Parallel()

	if _, err := store.Open(t.Context(), "postgres://u:secret@127.0.0.1:1/db", 0); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Open of no server = %v, want ErrUnavailable", err)
	}
	s, err := store.Open(t.Context(), testenv.EmptyPostgres(t), 0)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer s.Close()
	if err := s.CheckSchema(t.Context()); !errors.Is(err, store.ErrSchema) {
		t.Errorf("CheckSchema of an empty database = %v, want ErrSchema", err)
	}
}

func TestMigrateTwiceAndAtOnce(t *testing.T) {
	t.Parallel()

	url := testenv.EmptyPostgres(t)
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			if err := store.Migrate(t.Context(), url); err != nil {
				t.Errorf("Migrate: %v", err)
			}
		})
	}
	group.Wait()
	s, err := store.Open(t.Context(), url, 0)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer s.Close()
	if err := s.CheckSchema(t.Context()); err != nil {
		t.Errorf("CheckSchema: %v", err)
	}
}

// number runs a query whose answer is one number.
func (w world) number(tb testing.TB, query string) int {
	tb.Helper()
	var n int
	if err := w.sql.QueryRow(tb.Context(), query).Scan(&n); err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
	return n
}

func (w world) eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	testenv.Eventually(t, what, cond)
}
