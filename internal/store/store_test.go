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

func setup(t *testing.T) world {
	t.Helper()
	url := testenv.Postgres(t)
	s, err := store.Open(t.Context(), url, 8)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(s.Close)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return world{Store: s, sql: conn}
}

// grid makes a job of one task: users × resources.
func grid(users, resources []string) store.NewJob {
	rect := access.Rectangle{Action: access.SmartqAuthorize, Operation: access.Grant, Terms: access.Terms{ExpiresOn: expiry}}
	for _, u := range users {
		rect.Principals = append(rect.Principals, access.Principal{Type: access.User, ID: u})
	}
	for _, r := range resources {
		rect.Resources = append(rect.Resources, qa(r))
	}
	job := store.NewJob{
		Source: "test", RequestedBy: "tester", Lane: store.Normal, IdempotencyKey: "key", Fingerprint: "print",
		Header: []string{"action", "principal"}, Input: store.Input{Rows: rect.Cells()}, Tasks: []store.NewTask{{Rectangle: rect}},
	}
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

func (w world) create(t *testing.T, job store.NewJob) store.Created {
	t.Helper()
	created, err := w.CreateJob(t.Context(), job)
	if err != nil {
		t.Fatalf("CreateJob: %v", err)
	}
	return created
}

func (w world) claim(t *testing.T, ref store.TaskRef, generation int) store.Task {
	t.Helper()
	task, err := w.Claim(t.Context(), store.ClaimRequest{TaskRef: ref, Generation: generation, Worker: "w", Lease: time.Minute})
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	return task
}

func (w world) begin(t *testing.T, c store.Claim) int64 {
	t.Helper()
	call, err := w.BeginCall(t.Context(), c, false)
	if err != nil {
		t.Fatalf("BeginCall: %v", err)
	}
	return call
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
			created, err := w.CreateJob(t.Context(), job)
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
	if _, err := w.CreateJob(t.Context(), job); !errors.Is(err, store.ErrKeyReused) {
		t.Errorf("the same key with other rows: %v, want ErrKeyReused", err)
	}
}

func TestTaskIsClaimedOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)

	created := w.create(t, grid([]string{"u1"}, []string{"r1"}))
	var (
		won   = make(chan store.Task, 16)
		group sync.WaitGroup
	)
	for range 16 {
		group.Go(func() {
			task, err := w.Claim(t.Context(), store.ClaimRequest{TaskRef: store.TaskRef{Job: created.Number, No: 1}, Worker: "w", Lease: time.Minute})
			if err == nil {
				won <- task
			} else if !errors.Is(err, store.ErrStale) {
				t.Errorf("Claim: %v", err)
			}
		})
	}
	group.Wait()
	if len(won) != 1 {
		t.Fatalf("%d of 16 claims succeeded, want 1", len(won))
	}
	job, err := w.Job(t.Context(), created.ID)
	if err != nil {
		t.Fatal(err)
	}
	if job.Status != store.JobRunning || job.StartedAt == nil {
		t.Errorf("a job with a claimed task is %s, want running", job.Status)
	}
}

func TestFinishFailsExactlyTheNamedCells(t *testing.T) {
	t.Parallel()
	w := setup(t)

	created := w.create(t, grid([]string{"u1", "u2", "u3"}, []string{"r1", "r2"}))
	task := w.claim(t, store.TaskRef{Job: created.Number, No: 1}, 0)
	answer := store.Answer{Call: w.begin(t, task.Claim), Class: "partial", HTTPStatus: 200, RequestID: "REQ-1", Took: time.Millisecond}
	failure := store.CellException{Principal: "u2", Resource: qa("r2"), Exception: store.Exception{
		Status: store.Failed, Code: "user_not_in_organization", Message: "gone", APICode: "User.Not.In.Organization", RequestID: "REQ-1",
	}}
	if err := w.Finish(t.Context(), task.Claim, answer, []store.CellException{failure}); err != nil {
		t.Fatalf("Finish: %v", err)
	}
	if err := w.Finalize(t.Context(), created.Number); err != nil {
		t.Fatalf("Finalize: %v", err)
	}

	if diff := cmp.Diff(store.Counts{Total: 6, Succeeded: 5, Failed: 1}, w.counts(t, created.ID)); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[int]store.Status{5: store.Failed}, w.statuses(t, created.ID, store.Failed, store.Unknown)); diff != "" {
		t.Errorf("failed rows (-want +got):\n%s", diff)
	}
	groups, err := w.FailureGroups(t.Context(), created.ID)
	if err != nil {
		t.Fatalf("FailureGroups: %v", err)
	}
	want := []store.FailureGroup{{
		Code: "user_not_in_organization", APICode: "User.Not.In.Organization", Message: "gone", Count: 1, SampleLines: []int{5}, RequestID: "REQ-1",
	}}
	if diff := cmp.Diff(want, groups); diff != "" {
		t.Errorf("failure groups (-want +got):\n%s", diff)
	}
	var viewed int
	if err := w.sql.QueryRow(t.Context(), `SELECT count(*) FROM failures WHERE job = $1 AND principal = 'u2' AND request_id = 'REQ-1'`, created.ID).Scan(&viewed); err != nil {
		t.Fatal(err)
	}
	if viewed != 1 {
		t.Errorf("the failures view shows %d rows, want 1", viewed)
	}
}

func TestExceptionOfAForeignCellIsRefusedWhole(t *testing.T) {
	t.Parallel()
	w := setup(t)

	created := w.create(t, grid([]string{"u1"}, []string{"r1"}))
	task := w.claim(t, store.TaskRef{Job: created.Number, No: 1}, 0)
	answer := store.Answer{Call: w.begin(t, task.Claim), Class: "partial"}
	foreign := store.CellException{Principal: "somebody", Resource: qa("r1"), Exception: store.Exception{Status: store.Failed}}
	if err := w.Finish(t.Context(), task.Claim, answer, []store.CellException{foreign}); err == nil {
		t.Error("Finish took an exception of a cell that the task does not hold")
	}
	if got := w.counts(t, created.ID); got.Pending != 1 {
		t.Errorf("counts = %+v, want the row still pending", got)
	}
}

func TestLostClaimCanWriteNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)

	created := w.create(t, grid([]string{"u1", "u2"}, []string{"r1"}))
	ref := store.TaskRef{Job: created.Number, No: 1}
	lost := w.claim(t, ref, 0)
	call := w.begin(t, lost.Claim)
	if _, err := w.sql.Exec(t.Context(), `UPDATE tasks SET claimed_until = now() - interval '1 second'`); err != nil {
		t.Fatal(err)
	}
	if _, err := w.BeginCall(t.Context(), lost.Claim, false); !errors.Is(err, store.ErrStale) {
		t.Errorf("BeginCall after the lease = %v, want ErrStale", err)
	}
	if n, err := w.Reclaim(t.Context()); n != 1 || err != nil {
		t.Fatalf("Reclaim() = %d, %v, want 1", n, err)
	}
	current := w.claim(t, ref, lost.Generation+1)
	if current.Attempts != 1 || !current.Unsure {
		t.Errorf("a task whose call was never answered has attempts %d, unsure %t; want 1, true", current.Attempts, current.Unsure)
	}

	answer := store.Answer{Call: call, Class: "ok"}
	if err := w.Finish(t.Context(), lost.Claim, answer, nil); !errors.Is(err, store.ErrStale) {
		t.Errorf("Finish = %v, want ErrStale", err)
	}
	if _, _, err := w.GiveBack(t.Context(), lost.Claim, store.Again{}); !errors.Is(err, store.ErrStale) {
		t.Errorf("GiveBack = %v, want ErrStale", err)
	}
	first, second := lost.Halves()
	if _, err := w.Split(t.Context(), lost.Claim, answer, []store.Part{{Rectangle: first}, {Rectangle: second}}); !errors.Is(err, store.ErrStale) {
		t.Errorf("Split = %v, want ErrStale", err)
	}
	if err := w.Finish(t.Context(), current.Claim, store.Answer{Call: w.begin(t, current.Claim), Class: "ok"}, nil); err != nil {
		t.Errorf("Finish by the current claim: %v", err)
	}
	if got := w.counts(t, created.ID); got.Succeeded != 2 {
		t.Errorf("counts = %+v, want both succeeded", got)
	}
}

func TestSplitKeepsEveryCell(t *testing.T) {
	t.Parallel()
	w := setup(t)

	created := w.create(t, grid([]string{"u1", "u2", "u3", "u4"}, []string{"r1", "r2"}))
	task := w.claim(t, store.TaskRef{Job: created.Number, No: 1}, 0)
	first, second := task.Halves()
	failed := store.CellException{Principal: "u1", Resource: qa("r2"), Exception: store.Exception{Status: store.Failed, Code: "c"}}
	queued, err := w.Split(t.Context(), task.Claim, store.Answer{Call: w.begin(t, task.Claim), Class: "partial", RequestID: "REQ-1"},
		[]store.Part{{Rectangle: first, Done: true, Exceptions: []store.CellException{failed}}, {Rectangle: second}})
	if err != nil {
		t.Fatalf("Split: %v", err)
	}
	want := []store.Queued{{TaskRef: store.TaskRef{Job: created.Number, No: 3}, Action: access.SmartqAuthorize, Lane: store.Normal}}
	if diff := cmp.Diff(want, queued); diff != "" {
		t.Fatalf("queued (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(store.Counts{Total: 8, Succeeded: 3, Failed: 1, Pending: 4}, w.counts(t, created.ID)); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}

	// The open part is cut once more; its halves end in different ways.
	part := w.claim(t, queued[0].TaskRef, 0)
	a, b := part.Halves()
	queued, err = w.Split(t.Context(), part.Claim, store.Answer{Call: w.begin(t, part.Claim), Class: "user"}, []store.Part{{Rectangle: a}, {Rectangle: b}})
	if err != nil || len(queued) != 2 {
		t.Fatalf("Split() = %d tasks, %v, want 2", len(queued), err)
	}
	gone := w.claim(t, queued[0].TaskRef, 0)
	exceptions := []store.CellException{
		{Principal: "u3", Resource: qa("r1"), Exception: store.Exception{Status: store.Unknown, Code: "outcome_unknown", RequestID: "REQ-9"}},
	}
	if err := w.Finish(t.Context(), gone.Claim, store.Answer{Call: w.begin(t, gone.Claim), Class: "ok"}, exceptions); err != nil {
		t.Fatalf("Finish: %v", err)
	}
	statuses := map[int]store.Status{
		2: store.Succeeded, 3: store.Failed, 4: store.Succeeded, 5: store.Succeeded,
		6: store.Unknown, 7: store.Succeeded, 8: store.Pending, 9: store.Pending,
	}
	if diff := cmp.Diff(statuses, w.statuses(t, created.ID)); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(store.Counts{Total: 8, Succeeded: 4, Failed: 1, Unknown: 1, Pending: 2}, w.counts(t, created.ID)); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

func TestCancelWithdrawsWhatWasNotSent(t *testing.T) {
	t.Parallel()
	w := setup(t)

	job := grid([]string{"u1"}, []string{"r1"})
	other := grid([]string{"u2"}, []string{"r1"})
	other.Tasks[0].FirstChange = 1
	other.Changes[0].Task, other.Changes[0].Line = 1, 3
	job.Tasks, job.Changes = append(job.Tasks, other.Tasks...), append(job.Changes, other.Changes...)
	created := w.create(t, job)

	inFlight := w.claim(t, store.TaskRef{Job: created.Number, No: 1}, 0)
	call := w.begin(t, inFlight.Claim)
	for range 2 { // twice is the same as once
		if err := w.Cancel(t.Context(), created.ID, "tester"); err != nil {
			t.Fatalf("Cancel: %v", err)
		}
	}
	if diff := cmp.Diff(store.Counts{Total: 2, Canceled: 1, Pending: 1}, w.counts(t, created.ID)); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if _, err := w.BeginCall(t.Context(), inFlight.Claim, false); !errors.Is(err, store.ErrStale) {
		t.Errorf("BeginCall in a canceled job = %v, want ErrStale", err)
	}
	if err := w.Finish(t.Context(), inFlight.Claim, store.Answer{Call: call, Class: "ok"}, nil); err != nil {
		t.Fatalf("Finish: %v", err)
	}
	if err := w.Finalize(t.Context(), created.Number); err != nil {
		t.Fatalf("Finalize: %v", err)
	}
	got, err := w.Job(t.Context(), created.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.Status != store.JobCanceled || got.Outcome != store.OutcomePartial {
		t.Errorf("job is %s, %s; want canceled, partial", got.Status, got.Outcome)
	}
}

func TestCancelOfWhatReturnsToTheQueue(t *testing.T) {
	t.Parallel()
	w := setup(t)

	created := w.create(t, grid([]string{"u1"}, []string{"r1"}))
	task := w.claim(t, store.TaskRef{Job: created.Number, No: 1}, 0)
	if err := w.Cancel(t.Context(), created.ID, "tester"); err != nil {
		t.Fatalf("Cancel: %v", err)
	}
	if _, ok, err := w.GiveBack(t.Context(), task.Claim, store.Again{}); ok || err != nil {
		t.Fatalf("GiveBack in a canceled job = %t, %v, want false", ok, err)
	}
	if err := w.Finalize(t.Context(), created.Number); err != nil {
		t.Fatalf("Finalize: %v", err)
	}
	if got := w.counts(t, created.ID); got.Canceled != 1 {
		t.Errorf("counts = %+v, want the row canceled", got)
	}
	if err := w.Cancel(t.Context(), "01ARZ3NDEKTSV4RRFFQ69G5FAV", "tester"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Cancel of no job = %v, want ErrNotFound", err)
	}
}

func TestAuditTablesRefuseRewriting(t *testing.T) {
	t.Parallel()
	w := setup(t)

	created := w.create(t, grid([]string{"u1"}, []string{"r1"}))
	task := w.claim(t, store.TaskRef{Job: created.Number, No: 1}, 0)
	if err := w.Finish(t.Context(), task.Claim, store.Answer{Call: w.begin(t, task.Claim), Class: "ok"}, nil); err != nil {
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

func TestStopIsOneProbeAtATime(t *testing.T) {
	t.Parallel()
	w := setup(t)

	stop := store.Stop{Action: access.SmartqAuthorize, Code: "instance_expired", APICode: "Instance.Expired", RequestID: "REQ-1"}
	for i, want := range []bool{true, false} {
		if first, err := w.StopAction(t.Context(), stop, time.Hour); first != want || err != nil {
			t.Errorf("StopAction, time %d = %t, %v, want %t", i+1, first, err, want)
		}
	}
	created := w.create(t, grid([]string{"u1"}, []string{"r1"}))
	task := w.claim(t, store.TaskRef{Job: created.Number, No: 1}, 0)
	if _, err := w.BeginCall(t.Context(), task.Claim, false); !errors.Is(err, store.ErrStale) {
		t.Errorf("BeginCall of a stopped action = %v, want ErrStale", err)
	}
	if _, err := w.BeginCall(t.Context(), task.Claim, true); err != nil {
		t.Errorf("BeginCall of a probe: %v", err)
	}
	if turn, err := w.TakeProbe(t.Context(), access.SmartqAuthorize, time.Hour, time.Hour); turn || err != nil {
		t.Errorf("TakeProbe before its time = %t, %v, want false", turn, err)
	}
	if _, err := w.sql.Exec(t.Context(), `UPDATE action_stops SET next_probe_at = now()`); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, false} {
		if turn, err := w.TakeProbe(t.Context(), access.SmartqAuthorize, time.Hour, time.Hour); turn != want || err != nil {
			t.Errorf("TakeProbe, time %d = %t, %v, want %t", i+1, turn, err, want)
		}
	}
	if was, err := w.ResumeAction(t.Context(), access.SmartqAuthorize, "w"); !was || err != nil {
		t.Errorf("ResumeAction = %t, %v, want true", was, err)
	}
	if stops, err := w.Stops(t.Context()); len(stops) != 0 || err != nil {
		t.Errorf("Stops = %v, %v, want none", stops, err)
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
		[]store.CellException{cell("u1", "later", true), cell("u2", "never", false)})
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
		rows, err := w.RetryRows(t.Context(), created.ID, tt.filter)
		if err != nil {
			t.Fatalf("RetryRows: %v", err)
		}
		var lines []int
		for _, r := range rows {
			lines = append(lines, r.Line)
		}
		if diff := cmp.Diff(tt.want, lines); diff != "" {
			t.Errorf("%s: lines (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestOneLeaderAtATime(t *testing.T) {
	t.Parallel()
	w := setup(t)

	led, err := w.AsLeader(t.Context(), func(ctx context.Context) error {
		second, err := w.AsLeader(ctx, func(context.Context) error { return errors.New("two leaders") })
		if second {
			t.Error("a second leader was let in")
		}
		return err
	})
	if !led || err != nil {
		t.Errorf("AsLeader = %t, %v, want true", led, err)
	}
	if led, err := w.AsLeader(t.Context(), func(context.Context) error { return nil }); !led || err != nil {
		t.Errorf("AsLeader after the first = %t, %v, want true", led, err)
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
