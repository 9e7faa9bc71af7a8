package tasks_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
	"github.com/usher-bi/usher/internal/testenv"
)

func TestEveryKindIsGrantedAndRevokedAsAsked(t *testing.T) {
	t.Parallel()
	users, cubes, themes := ids("u", 30), ids("r", 7), ids("t", 3)
	w := setup(t, quickbitest.Options{
		Users: users, QAResources: cubes, QAThemes: themes, Datasets: map[string]string{"d1": "behind-d1", "d2": "behind-d2"},
	})
	w.work(t)

	var changes, held []access.Change
	for i, u := range users {
		for _, r := range cubes[:1+i%7] {
			changes = append(changes, change(access.Grant, u, access.QAResource, r))
		}
		changes = append(changes, change(access.Grant, u, access.QATheme, themes[i%3]))
	}
	held = append(held, changes...)
	for _, d := range []string{"d1", "d2"} {
		changes = append(changes, change(access.Grant, "u1", access.Dataset, d))
		held = append(held, change(access.Grant, "u1", access.QAResource, "behind-"+d))
	}
	job := w.finish(t, w.submit(t, changes))
	if job.Status != store.JobCompleted || job.Outcome != store.OutcomeSucceeded || job.Counts.Succeeded != len(changes) {
		t.Errorf("job is %s, %s with %+v; want all of %d succeeded", job.Status, job.Outcome, job.Counts, len(changes))
	}
	w.wantGranted(t, held)

	var revokes []access.Change
	for _, c := range changes {
		revokes = append(revokes, change(access.Revoke, c.Principal.ID, c.Resource.Type, c.Resource.ID))
	}
	if job := w.finish(t, w.submit(t, revokes)); job.Outcome != store.OutcomeSucceeded {
		t.Errorf("the revoke ended as %s, %+v", job.Outcome, job.Counts)
	}
	w.wantGranted(t, nil)
	if v := w.sandbox.Violations(); len(v) > 0 {
		t.Errorf("calls broke rules: %+v", v)
	}
	if most := w.sandbox.MaxPairsSeen(); most > 100 {
		t.Errorf("a call held %d pairs", most)
	}
}

func TestFailureRowsHitExactlyTheirChanges(t *testing.T) {
	t.Parallel()
	users, cubes := ids("u", 40), ids("r", 5)
	w := setup(t, quickbitest.Options{Users: users[:37], QAResources: cubes[:4]}) // u38 to u40 have left, r5 is gone
	w.work(t)

	changes := grants(users, cubes)
	id := w.submit(t, changes)
	job := w.finish(t, id)
	if want := (store.Counts{Total: 200, Succeeded: 37 * 4, Failed: 200 - 37*4}); job.Counts != want {
		t.Errorf("counts = %+v, want %+v", job.Counts, want)
	}
	w.wantGranted(t, grants(users[:37], cubes[:4]))
	for _, r := range w.results(t, id) {
		left, gone := slices.Contains(users[37:], r.Change.Principal.ID), r.Change.Resource.ID == "r5"
		if failed := r.Status == store.Failed; failed != (left || gone) {
			t.Errorf("%s × %s is %s", r.Change.Principal.ID, r.Change.Resource.ID, r.Status)
		}
		if r.RequestID == "" || r.Attempts == 0 || r.FinishedAt == nil {
			t.Errorf("line %d has no request id, attempt or time: %+v", r.Line, r)
		}
		if r.Status == store.Failed && r.Message == "" {
			t.Errorf("line %d failed without a word", r.Line)
		}
	}
	if len(w.sandbox.Calls()) != job.Calls.Sent || job.Calls.Sent != 2 {
		t.Errorf("%d calls, %d recorded; 200 pairs fit in 2", len(w.sandbox.Calls()), job.Calls.Sent)
	}
}

func TestPoisonedCallIsSplitUntilTheCulpritIsAlone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		fault    quickbitest.Fault
		code     string
		maxCalls int // 100 users × 1 resource, one culprit
	}{
		{"unnamed", quickbitest.Poison("u42"), "user_not_in_organization", 1 + 2*7},
		{"named", quickbitest.PoisonNaming("u42"), "", 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			users := ids("u", 100)
			w := setup(t, quickbitest.Options{Users: users, QAResources: ids("r", 1), Faults: []quickbitest.Fault{tt.fault}})
			w.work(t)

			changes := grants(users, ids("r", 1))
			id := w.submit(t, changes)
			job := w.finish(t, id)
			if want := (store.Counts{Total: 100, Succeeded: 99, Failed: 1}); job.Counts != want {
				t.Errorf("counts = %+v, want %+v", job.Counts, want)
			}
			for _, r := range w.results(t, id) {
				if r.Status == store.Failed && (r.Change.Principal.ID != "u42" || r.APICode != tt.fault.Code || r.RequestID == "") {
					t.Errorf("%s failed with %q, request %q", r.Change.Principal.ID, r.APICode, r.RequestID)
				}
				if r.Status == store.Failed && tt.code != "" && r.Code != tt.code {
					t.Errorf("failure code = %q, want %q", r.Code, tt.code)
				}
			}
			if calls := len(w.sandbox.Calls()); calls > tt.maxCalls {
				t.Errorf("finding one culprit among 100 cost %d calls, want at most %d", calls, tt.maxCalls)
			}
			w.wantGranted(t, append(changes[:41:41], changes[42:]...))
		})
	}
}

func TestRevokeOfWhoHasLeftIsNoChange(t *testing.T) {
	t.Parallel()
	w := setup(t, quickbitest.Options{Users: ids("u", 3), QAResources: ids("r", 1), Faults: []quickbitest.Fault{quickbitest.Poison("gone")}})
	w.work(t)

	job := w.finish(t, w.submit(t, []access.Change{
		change(access.Revoke, "u1", access.QAResource, "r1"), change(access.Revoke, "gone", access.QAResource, "r1"),
	}))
	if want := (store.Counts{Total: 2, Succeeded: 1, NoChange: 1}); job.Counts != want || job.Outcome != store.OutcomeSucceeded {
		t.Errorf("%s, counts = %+v, want %+v", job.Outcome, job.Counts, want)
	}
}

func TestThrottlingCostsNoAttempt(t *testing.T) {
	t.Parallel()
	users := ids("u", 20)
	w := setup(t, quickbitest.Options{Users: users, QAResources: ids("r", 10), Faults: []quickbitest.Fault{
		{Kind: quickbitest.Throttle, Times: 5, RetryAfter: quickbitest.Duration(50 * time.Millisecond)},
	}})
	w.work(t, func(o *tasks.Options) { o.MaxStrikes = 1 }) // a single strike would be final

	id := w.submit(t, grants(users, ids("r", 10)))
	job := w.finish(t, id)
	if job.Outcome != store.OutcomeSucceeded || job.Calls.Throttled != 5 || job.Calls.Sent != 7 {
		t.Errorf("%s with calls %+v; want success after 5 throttled calls of 7", job.Outcome, job.Calls)
	}
	for _, r := range w.results(t, id) {
		if r.Attempts != 1 {
			t.Fatalf("line %d took %d attempts; a throttle is none", r.Line, r.Attempts)
		}
	}
}

func TestPassingTroubleIsRetried(t *testing.T) {
	t.Parallel()
	for _, fault := range []quickbitest.Fault{
		{Kind: quickbitest.HTML, Times: 2, Status: 503},
		{Kind: quickbitest.Refuse, Times: 2},
		{Kind: quickbitest.LoseAnswer, Times: 2},
		{Kind: quickbitest.CutAnswer, Times: 2},
		{Kind: quickbitest.Drop, Times: 2},
		{Kind: quickbitest.Empty, Times: 2},
	} {
		t.Run(string(fault.Kind), func(t *testing.T) {
			t.Parallel()
			users := ids("u", 3)
			w := setup(t, quickbitest.Options{Users: users, QAResources: ids("r", 1), Faults: []quickbitest.Fault{fault}})
			w.work(t)

			changes := grants(users, ids("r", 1))
			id := w.submit(t, changes)
			if job := w.finish(t, id); job.Outcome != store.OutcomeSucceeded {
				t.Errorf("%s with %+v, want success at the third call", job.Outcome, job.Counts)
			}
			if r := w.results(t, id)[0]; r.Attempts != 3 {
				t.Errorf("%d attempts, want 3", r.Attempts)
			}
			w.wantGranted(t, changes)
		})
	}
}

func TestTroubleThatDoesNotPass(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind quickbitest.Kind
		want store.Status
		code string
	}{
		{quickbitest.Refuse, store.Failed, "server_error"}, // Internal.System.Error
		{quickbitest.LoseAnswer, store.Unknown, "outcome_unknown"},
	} {
		t.Run(string(tt.kind), func(t *testing.T) {
			t.Parallel()
			users := ids("u", 2)
			w := setup(t, quickbitest.Options{Users: users, QAResources: ids("r", 1), Faults: []quickbitest.Fault{
				{Kind: tt.kind, Match: quickbitest.Match{Users: []string{"u1"}}},
			}})
			w.work(t, func(o *tasks.Options) { o.MaxStrikes = 1 })

			id := w.submit(t, grants(users, ids("r", 1)))
			w.finish(t, id)
			got := map[string]store.Status{}
			for _, r := range w.results(t, id) {
				got[r.Change.Principal.ID] = r.Status
				if r.Status == tt.want && (r.Code != tt.code || !r.Retryable) {
					t.Errorf("code %q, retryable %t; want %q, true", r.Code, r.Retryable, tt.code)
				}
			}
			if diff := cmp.Diff(map[string]store.Status{"u1": tt.want, "u2": store.Succeeded}, got); diff != "" {
				t.Errorf("statuses (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRefusedAccountFailsNoRow(t *testing.T) {
	t.Parallel()
	users := ids("u", 200)
	w := setup(t, quickbitest.Options{Users: users, QAResources: ids("r", 5), Faults: []quickbitest.Fault{
		{Kind: quickbitest.Refuse, Code: "Instance.Expired", Message: "Your instance has expired."},
	}})
	w.work(t, func(o *tasks.Options) { o.Concurrency = 4 })

	changes := grants(users, ids("r", 5))
	id := w.submit(t, changes)
	testenv.Eventually(t, "the action is stopped and probed", func() bool {
		stops, err := w.store.Stops(t.Context())
		return err == nil && len(stops) == 1 && stops[0].Probes >= 2
	})
	job := w.job(t, id)
	if job.Counts.Pending != len(changes) {
		t.Errorf("counts = %+v; no row may fail for the account", job.Counts)
	}
	if calls := len(w.sandbox.Calls()); calls > 4+4 {
		t.Errorf("%d calls reached an expired instance; want the 4 in flight and a few probes", calls)
	}
	w.sandbox.ClearFaults()
	if job := w.finish(t, id); job.Outcome != store.OutcomeSucceeded {
		t.Errorf("after the account is well again: %s, %+v", job.Outcome, job.Counts)
	}
	for _, r := range w.results(t, id) {
		if r.Attempts != 1 {
			t.Fatalf("line %d took %d attempts; a refused account costs none", r.Line, r.Attempts)
		}
	}
	w.wantGranted(t, changes)
}

func TestRestartInTheMiddle(t *testing.T) {
	t.Parallel()
	users := ids("u", 100)
	w := setup(t, quickbitest.Options{Users: users, QAResources: ids("r", 40)})
	stop := w.work(t, func(o *tasks.Options) { o.Rate = func(access.Action) float64 { return 15 } }) // 40 calls take it over two seconds

	changes := grants(users, ids("r", 40)) // 40 calls
	id := w.submit(t, changes)
	testenv.Eventually(t, "some tasks are done", func() bool { return w.job(t, id).Tasks.Done >= 5 })
	stop()
	if job := w.job(t, id); job.Counts.Pending == 0 {
		t.Fatal("the job ended before the restart")
	}
	w.work(t)
	if job := w.finish(t, id); job.Outcome != store.OutcomeSucceeded || job.Calls.Sent != 40 {
		t.Errorf("%s with %d calls; want success with 40, none sent twice", job.Outcome, job.Calls.Sent)
	}
	w.wantGranted(t, changes)
}

func TestCancelInTheMiddle(t *testing.T) {
	t.Parallel()
	users := ids("u", 100)
	w := setup(t, quickbitest.Options{Users: users, QAResources: ids("r", 40), Latency: quickbitest.Duration(50 * time.Millisecond)})
	w.work(t, func(o *tasks.Options) { o.Concurrency = 2 })

	id := w.submit(t, grants(users, ids("r", 40)))
	testenv.Eventually(t, "some tasks are done", func() bool { return w.job(t, id).Tasks.Done >= 3 })
	if _, err := w.store.Cancel(t.Context(), store.OfJob(id), store.Order{Actor: "tester"}); err != nil {
		t.Fatalf("Cancel: %v", err)
	}
	job := w.finish(t, id)
	if job.Status != store.JobCanceled || job.Counts.Canceled == 0 || job.Counts.Failed > 0 {
		t.Errorf("job is %s with %+v", job.Status, job.Counts)
	}
	var done []access.Change
	for _, r := range w.results(t, id) {
		if r.Status == store.Succeeded {
			done = append(done, r.Change)
		}
	}
	w.wantGranted(t, done)
}

func TestForgetfulRedisCostsTimeAndNoRows(t *testing.T) {
	t.Parallel()
	users := ids("u", 100)
	w := setup(t, quickbitest.Options{Users: users, QAResources: ids("r", 30), Latency: quickbitest.Duration(50 * time.Millisecond)})
	w.work(t, func(o *tasks.Options) { o.Concurrency = 2 })

	changes := grants(users, ids("r", 30))
	id := w.submit(t, changes)
	testenv.Eventually(t, "some tasks are done", func() bool { return w.job(t, id).Tasks.Done >= 3 })
	if err := w.redis.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if job := w.finish(t, id); job.Outcome != store.OutcomeSucceeded || job.Calls.Sent != 30 {
		t.Errorf("%s with %d calls; want success with 30, none sent twice", job.Outcome, job.Calls.Sent)
	}
	w.wantGranted(t, changes)
}

func TestTaskThatRedisClingsToComesBack(t *testing.T) {
	t.Parallel()
	w := setup(t, quickbitest.Options{Users: ids("u", 2), QAResources: ids("r", 1)})
	id := w.submit(t, grants(ids("u", 2), ids("r", 1)))
	// The hash is lost, the id stays in the list: whoever pops it finds nothing,
	// and it is in nobody's hands for ever after.
	key := fmt.Sprintf("asynq:{smartqauthorize:normal}:t:%d-1@0", w.number(t, id))
	if n, err := w.redis.Del(t.Context(), key).Result(); n != 1 || err != nil {
		t.Fatalf("the task is not where it should be: %d, %v", n, err)
	}
	w.work(t)
	if job := w.finish(t, id); job.Outcome != store.OutcomeSucceeded {
		t.Errorf("%s, %+v", job.Outcome, job.Counts)
	}
}

func TestCancelAfterALostAnswerIsUnknown(t *testing.T) {
	t.Parallel()
	users := ids("u", 2)
	w := setup(t, quickbitest.Options{Users: users, QAResources: ids("r", 1), Faults: []quickbitest.Fault{{Kind: quickbitest.LoseAnswer}}})
	w.work(t, func(o *tasks.Options) { o.Backoff = time.Hour })
	id := w.submit(t, grants(users, ids("r", 1)))
	testenv.Eventually(t, "the call was sent and given back", func() bool { return w.job(t, id).Calls.Sent == 1 && len(w.sandbox.Grants()) == 2 })
	testenv.Eventually(t, "the job can be canceled with its task waiting", func() bool {
		var waiting int
		err := w.sql(t).QueryRow(t.Context(), `SELECT count(*) FROM tasks WHERE state = 'ready' AND unsure`).Scan(&waiting)
		return err == nil && waiting == 1
	})
	if _, err := w.store.Cancel(t.Context(), store.OfJob(id), store.Order{Actor: "tester"}); err != nil {
		t.Fatalf("Cancel: %v", err)
	}
	if job := w.finish(t, id); job.Counts.Unknown != 2 {
		t.Errorf("counts = %+v; what was sent and never answered is unknown", job.Counts)
	}
}

func TestRowThatIsThrottledIsNoFailure(t *testing.T) {
	t.Parallel()
	users := ids("u", 4)
	w := setup(t, quickbitest.Options{Users: users, QAResources: ids("r", 2), Faults: []quickbitest.Fault{
		{Kind: quickbitest.Rows, Times: 1, Message: "Request was denied due to user flow control.", Match: quickbitest.Match{Users: []string{"u2"}}},
		{Kind: quickbitest.Rows, Times: 1, Message: "Internal.System.Error"},
	}})
	w.work(t)
	changes := grants(users, ids("r", 2))
	if job := w.finish(t, w.submit(t, changes)); job.Outcome != store.OutcomeSucceeded {
		t.Errorf("%s, %+v", job.Outcome, job.Counts)
	}
	w.wantGranted(t, changes)
}

func TestSilentWorkersTasksComeBack(t *testing.T) {
	t.Parallel()
	users := ids("u", 3)
	w := setup(t, quickbitest.Options{Users: users, QAResources: ids("r", 1)})
	id := w.submit(t, grants(users, ids("r", 1)))
	// A worker claims, writes its call down and is never heard of again.
	if _, err := w.store.Beat(t.Context(), store.Heartbeat{Worker: "dead", For: time.Second}); err != nil {
		t.Fatalf("Beat: %v", err)
	}
	task, err := w.store.Claim(t.Context(), store.ClaimRequest{TaskRef: store.TaskRef{Job: w.number(t, id), No: 1}, Worker: "dead", Lease: time.Hour})
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	if _, err := w.store.BeginCall(t.Context(), store.NewCall{Claim: task.Claim, Action: task.Action}); err != nil {
		t.Fatalf("BeginCall: %v", err)
	}
	w.work(t, func(o *tasks.Options) { o.Alive, o.CallTimeout, o.Sweep = time.Second, 100*time.Millisecond, time.Hour })
	if job := w.finish(t, id); job.Outcome != store.OutcomeSucceeded {
		t.Errorf("%s, %+v", job.Outcome, job.Counts)
	}
}

func TestDatasetFailuresFindTheirDataset(t *testing.T) {
	t.Parallel()
	users := ids("u", 10)
	w := setup(t, quickbitest.Options{
		Users: users, Datasets: map[string]string{"d1": "q1", "d2": "q2", "d3": "q3"},
		Faults: []quickbitest.Fault{{
			Kind: quickbitest.Rows, Message: "AE0550010002: refused",
			Match: quickbitest.Match{Users: []string{"u4"}, Resources: []string{"d2"}},
		}},
	})
	w.work(t)

	var changes []access.Change
	for _, u := range users {
		for _, d := range ids("d", 3) {
			changes = append(changes, change(access.Grant, u, access.Dataset, d))
		}
	}
	id := w.submit(t, changes)
	job := w.finish(t, id)
	if want := (store.Counts{Total: 30, Succeeded: 29, Failed: 1}); job.Counts != want {
		t.Errorf("counts = %+v, want %+v", job.Counts, want)
	}
	for _, r := range w.results(t, id) {
		if r.Status == store.Failed && (r.Change.Principal.ID != "u4" || r.Change.Resource.ID != "d2") {
			t.Errorf("%s × %s failed, want u4 × d2", r.Change.Principal.ID, r.Change.Resource.ID)
		}
	}
}

func TestRetryIsALinkedJobOfTheRetryableFailures(t *testing.T) {
	t.Parallel()
	users := ids("u", 5)
	w := setup(t, quickbitest.Options{Users: users, QAResources: ids("r", 1), Faults: []quickbitest.Fault{
		{Kind: quickbitest.Refuse, Match: quickbitest.Match{Users: []string{"u3"}}},
		quickbitest.Poison("u5"),
	}})
	w.work(t, func(o *tasks.Options) { o.MaxStrikes = 1 })

	changes := grants(users, ids("r", 1))
	id := w.submit(t, changes)
	if job := w.finish(t, id); job.Counts.Failed != 2 {
		t.Fatalf("counts = %+v, want 2 failed", job.Counts)
	}
	w.sandbox.ClearFaults()
	var stages []tasks.Stage
	last := map[tasks.Stage]tasks.Step{}
	request := tasks.RetryRequest{
		JobID: id, RequestedBy: "tester", Today: access.Date{Year: 2026, Month: time.November, Day: 22},
		Progress: func(stage tasks.Stage, step tasks.Step) {
			if last[stage] = step; len(stages) == 0 || stages[len(stages)-1] != stage {
				stages = append(stages, stage)
			}
		},
	}
	retried, err := w.submitter.Retry(t.Context(), request)
	if err != nil {
		t.Fatalf("Retry: %v", err)
	}
	if want := []tasks.Stage{tasks.StageReading, tasks.StageSplitting, tasks.StageWriting, tasks.StageQueueing}; !slices.Equal(stages, want) {
		t.Errorf("stages %v, want %v", stages, want)
	}
	for _, stage := range stages[:3] {
		if got, want := last[stage], (tasks.Step{Done: 1, Total: 1}); got != want {
			t.Errorf("%s ends with %+v, want %+v", stage, got, want)
		}
	}
	job := w.finish(t, retried.JobID)
	if job.ParentID == nil || *job.ParentID != id || job.Counts.Total != 1 || job.Outcome != store.OutcomeSucceeded {
		t.Errorf("the retry is %+v; want one row, linked to %s, succeeded", job, id)
	}
	if again, err := w.submitter.Retry(t.Context(), request); err != nil || !again.Replayed || again.JobID != retried.JobID {
		t.Errorf("retrying once more = %+v, %v; want the same job", again, err)
	}
	request.Today = access.Date{Year: 2100, Month: time.January, Day: 1}
	if again, err := w.submitter.Retry(t.Context(), request); err != nil || !again.Replayed {
		t.Errorf("retrying once more after the expiry = %+v, %v; want the same job", again, err)
	}
	request.Filter.All = true
	var invalid *tasks.RetryInvalidError
	if _, err := w.submitter.Retry(t.Context(), request); !errors.As(err, &invalid) || len(invalid.Rows) != 2 || invalid.Total != 2 {
		t.Errorf("retrying both after the expiry = %v, want the rows that can no longer be sent", err)
	}
	w.wantGranted(t, changes[:4])
}

func TestRedisHoldsNoIDsAndLittleElse(t *testing.T) {
	t.Parallel()
	w := setup(t, quickbitest.Options{})
	used := func() int64 {
		info, err := w.redis.InfoMap(t.Context(), "memory").Result()
		if err != nil {
			t.Fatal(err)
		}
		var n int64
		if _, err := fmt.Sscan(info["Memory"]["used_memory"], &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	const n = 2000
	var changes []access.Change
	for i := range n { // nobody shares anything: a task each
		changes = append(changes, change(access.Grant, fmt.Sprintf("secret-user-%d", i), access.QAResource, fmt.Sprintf("secret-resource-%d", i)))
	}
	before := used()
	if job := w.job(t, w.submit(t, changes)); job.Tasks.Total != n {
		t.Fatalf("%d tasks, want %d", job.Tasks.Total, n)
	}
	t.Logf("%d bytes a task", (used()-before)/n)
	ctx := context.WithoutCancel(t.Context())
	keys, err := w.redis.Keys(ctx, "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		dump, err := w.redis.Dump(ctx, key).Result()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(key+dump, "secret") {
			t.Fatalf("%s holds an id of a user or resource", key)
		}
	}
}
