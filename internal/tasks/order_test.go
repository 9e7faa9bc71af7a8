package tasks_test

import (
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

// submitIn submits changes in a lane.
func (w *world) submitIn(t *testing.T, lane store.Lane, changes []access.Change) string {
	t.Helper()
	sub := submission(changes)
	sub.Lane = lane
	out, err := w.submitter.Submit(t.Context(), sub)
	if err != nil {
		t.Fatalf("submitting: %v", err)
	}
	return out.JobID
}

// arrived counts the calls that reached Quick BI with a user in them.
func (w *world) arrived(user string) int {
	n := 0
	for _, c := range w.sandbox.Calls() {
		if slices.Contains(strings.Split(c.Params["UserIds"], ","), user) {
			n++
		}
	}
	return n
}

func TestARevokeWithdrawsQueuedGrants(t *testing.T) {
	t.Parallel()
	users, resources := ids("u", 30), ids("r", 3)
	w := setup(t, quickbitest.Options{Users: users, QAResources: resources})

	granted := grants(users, resources)
	bulk := w.submitIn(t, store.Bulk, granted)
	leavers := grants(users[:7], resources)
	urgent := w.submitIn(t, store.Urgent, revokes(leavers))
	w.work(t)

	if job, want := w.finish(t, bulk), (store.Counts{Total: 90, Superseded: 21, Succeeded: 69}); job.Counts != want {
		t.Errorf("the grants ended as %+v, want %+v", job.Counts, want)
	}
	if job := w.finish(t, urgent); job.Outcome != store.OutcomeSucceeded {
		t.Errorf("the revokes ended as %+v", job.Counts)
	}
	w.wantGranted(t, grants(users[7:], resources))
	for _, u := range users[:7] {
		if n := w.arrived(u); n != 1 {
			t.Errorf("%s was in %d calls, want the revoke alone", u, n)
		}
	}
	for _, r := range w.results(t, bulk) {
		if r.Status == store.Superseded && (r.Code != "superseded" || r.Attempts != 0 || r.Message != "a newer change of the same access was accepted with job "+urgent) {
			t.Errorf("line %d: %s, %d attempts, %q", r.Line, r.Code, r.Attempts, r.Message)
		}
	}
	if n := len(w.sandbox.Calls()); n != 2 {
		t.Errorf("%d calls, want one for the grants that are left and one for the revokes", n)
	}
}

// What is in flight when it is overtaken is followed by the newer change.
func TestANewerChangeFollowsWhatWasInFlight(t *testing.T) {
	t.Parallel()
	work := func(op access.Operation) access.Change {
		c := change(op, "u1", access.Dashboard, "w1")
		if op == access.Grant {
			c.Terms.Role = access.RoleView
		}
		return c
	}
	for _, tt := range []struct {
		name         string
		older, newer access.Change
		slow         string // the action of the older change
		held         int    // grants at the end
		sent         int    // calls of the newer change
	}{
		{"revoke after grant", change(access.Grant, "u1", access.QAResource, "r1"), change(access.Revoke, "u1", access.QAResource, "r1"), "SmartqAuthorize", 0, 2},
		{"grant after revoke", change(access.Revoke, "u1", access.QAResource, "r1"), change(access.Grant, "u1", access.QAResource, "r1"), "SmartqAuthorize", 1, 1},
		{"revoke of a work after its grant", work(access.Grant), work(access.Revoke), "AddWorksAuthorization", 0, 2},
		{"grant of a work after its revoke", work(access.Revoke), work(access.Grant), "DeleteAuthorizationByUserId", 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, quickbitest.Options{
				Users: []string{"u1"}, QAResources: []string{"r1"}, Works: []quickbitest.Work{{ID: "w1", Type: "dashboard"}},
				Faults: []quickbitest.Fault{{Kind: quickbitest.Delay, Action: tt.slow, Delay: quickbitest.Duration(1500 * time.Millisecond), Times: 1}},
			})
			w.work(t)
			older := w.submitIn(t, store.Bulk, []access.Change{tt.older})
			testenv.Eventually(t, "the older call is in flight", func() bool { return len(w.sandbox.Calls()) == 1 })
			newer := w.submitIn(t, store.Urgent, []access.Change{tt.newer})

			for _, id := range []string{newer, older} {
				if job := w.finish(t, id); job.Outcome != store.OutcomeSucceeded {
					t.Errorf("job ended as %s, %+v", job.Outcome, job.Counts)
				}
			}
			if held := len(w.sandbox.Grants()) + len(w.sandbox.Authorizations()); held != tt.held {
				t.Errorf("%d grants are held at the end, want %d", held, tt.held)
			}
			if n := w.job(t, newer).Calls.Sent; n != tt.sent {
				t.Errorf("the newer change was sent %d times, want %d", n, tt.sent)
			}
		})
	}
}

// A grant whose caller has given up on it may still be carried out, after the
// revoke that overtook it.
func TestALateGrantIsRevokedOnceMore(t *testing.T) {
	t.Parallel()
	w := setup(t, quickbitest.Options{
		Users: ids("u", 2), QAResources: []string{"r1"},
		Faults: []quickbitest.Fault{{Kind: quickbitest.Delay, Late: true, Delay: quickbitest.Duration(2 * time.Second), Times: 1}},
	})
	w.work(t, func(o *tasks.Options) {
		o.CallTimeout, o.LateFor, o.Backoff = 300*time.Millisecond, 4*time.Second, time.Hour
	})
	grant := w.submit(t, grants(ids("u", 2), []string{"r1"}))
	sql := w.sql(t)
	testenv.Eventually(t, "the worker has given up on the call", func() bool {
		var n int
		if err := sql.QueryRow(t.Context(), `SELECT count(*) FROM tasks WHERE late_until > now()`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n == 1
	})
	revoke := w.submitIn(t, store.Urgent, revokes(grants([]string{"u1"}, []string{"r1"})))
	testenv.Eventually(t, "the revoke is carried out for the first time", func() bool { return len(w.sandbox.Calls()) == 2 })
	if job := w.job(t, revoke); job.Counts.Pending != 1 {
		t.Errorf("the revoke is settled while the grant may still come: %+v", job.Counts)
	}
	if job := w.finish(t, revoke); job.Outcome != store.OutcomeSucceeded || job.Calls.Sent != 2 {
		t.Errorf("the revoke ended as %+v after %d calls, want 2", job.Counts, job.Calls.Sent)
	}
	w.wantGranted(t, grants([]string{"u2"}, []string{"r1"}))
	if _, err := w.store.Cancel(t.Context(), store.OfJob(grant), store.Order{Actor: "tester"}); err != nil {
		t.Fatal(err)
	}
}

func TestARetryUndoesNoNewerRevoke(t *testing.T) {
	t.Parallel()
	users := ids("u", 3)
	w := setup(t, quickbitest.Options{
		Users: users, QAResources: []string{"r1"},
		Faults: []quickbitest.Fault{{Kind: quickbitest.Rows, Message: "OAuth.User.Right.Error", Times: 1}},
	})
	w.work(t)
	parent := w.submit(t, grants(users, []string{"r1"}))
	if job := w.finish(t, parent); job.Counts.Failed != 3 {
		t.Fatalf("the grants ended as %+v, want all failed", job.Counts)
	}
	w.finish(t, w.submit(t, revokes(grants(users[:1], []string{"r1"}))))

	out, err := w.submitter.Retry(t.Context(), tasks.RetryRequest{
		JobID: parent, RequestedBy: "tester", Filter: store.RetryFilter{All: true}, Today: access.Date{Year: 2026, Month: time.November, Day: 22},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(store.Counts{Total: 3, Succeeded: 2, Superseded: 1}, w.finish(t, out.JobID).Counts); diff != "" {
		t.Errorf("the retry (-want +got):\n%s", diff)
	}
	w.wantGranted(t, grants(users[1:], []string{"r1"}))
}

// Two jobs of opposite intent over the same pairs, in different lanes, with
// several workers.
func TestOppositeJobsEndAsTheNewerAsks(t *testing.T) {
	t.Parallel()
	users, resources := ids("u", 60), ids("r", 10)
	w := setup(t, quickbitest.Options{
		Users: users, QAResources: resources, Latency: quickbitest.Duration(20 * time.Millisecond),
		Faults: []quickbitest.Fault{{Kind: quickbitest.LoseAnswer, Every: 5}},
	})
	for range 3 {
		w.work(t, func(o *tasks.Options) { o.LateFor = time.Second })
	}
	all := grants(users, resources)
	jobs := []string{w.submitIn(t, store.Bulk, all)}
	for i := 0; i < len(users); i += 20 {
		jobs = append(jobs, w.submitIn(t, store.Urgent, revokes(grants(users[i:i+10], resources))))
	}
	back := grants(users[:5], resources)
	jobs = append(jobs, w.submitIn(t, store.Normal, back))
	for _, id := range jobs {
		if job := w.finish(t, id); job.Counts.Failed+job.Counts.Unknown > 0 {
			t.Errorf("job ended as %+v", job.Counts)
		}
	}
	want := slices.Clone(back)
	for i := 10; i < len(users); i += 20 {
		want = append(want, grants(users[i:i+10], resources)...)
	}
	w.wantGranted(t, want)
}

// A worker that was held up between writing a call down and sending it does not
// send it: somebody else may have sent a newer one since.
func TestACallIsSentAtOnceOrNotAtAll(t *testing.T) {
	t.Parallel()
	w := setup(t, quickbitest.Options{Users: ids("u", 1), QAResources: []string{"r1"}})
	const lateFor = 2 * time.Second
	id := w.submit(t, grants(ids("u", 1), []string{"r1"}))
	sql := w.sql(t)
	if _, err := sql.Exec(t.Context(), `SELECT pg_advisory_lock(7201884418)`); err != nil { // holds BeginCall up
		t.Fatal(err)
	}
	waiting := func(n int) func() bool {
		return func() bool {
			var got int
			if err := sql.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
				AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`).Scan(&got); err != nil {
				t.Fatal(err)
			}
			return got == n
		}
	}
	w.work(t, func(o *tasks.Options) { o.LateFor = lateFor })
	testenv.Eventually(t, "the call waits to be written down", waiting(1))
	held := time.Now()
	testenv.Eventually(t, "it has waited for too long", func() bool { return time.Since(held) > lateFor/4 })
	if _, err := sql.Exec(t.Context(), `SELECT pg_advisory_unlock(7201884418)`); err != nil {
		t.Fatal(err)
	}
	if job := w.finish(t, id); job.Outcome != store.OutcomeSucceeded || job.Calls.Sent != 1 {
		t.Errorf("the job ended as %+v after %d calls, want 1", job.Counts, job.Calls.Sent)
	}
	var not int
	if err := sql.QueryRow(t.Context(), `SELECT count(*) FROM answers WHERE class = 'not_sent'`).Scan(&not); err != nil || not != 1 {
		t.Errorf("%d calls are recorded as not sent, want 1 (%v)", not, err)
	}
	if n := len(w.sandbox.Calls()); n != 1 {
		t.Errorf("%d calls arrived, want that which was sent in time", n)
	}
}

// A share on new terms whose call never arrived is not taken for the old one,
// and of a work that cannot be told from the old one nothing is claimed.
func TestALostGrantOnNewTermsIsNotTakenForTheOldOne(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		typ      access.ResourceType
		action   string
		resource string
		want     store.Counts
		calls    int // that would have given it
	}{
		{access.Share, "AddShareReport", "w1", store.Counts{Total: 1, Succeeded: 1}, 3},
		{access.Dashboard, "AddWorksAuthorization", "w1", store.Counts{Total: 1, Unknown: 1}, 2},
	} {
		t.Run(string(tt.typ), func(t *testing.T) {
			t.Parallel()
			w := setup(t, quickbitest.Options{Users: []string{"u1"}, Works: []quickbitest.Work{{ID: tt.resource, Type: "dashboard"}}})
			w.work(t, func(o *tasks.Options) { o.LateFor = 400 * time.Millisecond })
			older := change(access.Grant, "u1", tt.typ, tt.resource)
			older.Terms.Role = access.RoleView
			if job := w.finish(t, w.submit(t, []access.Change{older})); job.Outcome != store.OutcomeSucceeded {
				t.Fatalf("the older grant ended as %+v", job.Counts)
			}
			if err := w.sandbox.AddFaults(quickbitest.Fault{Kind: quickbitest.Drop, Action: tt.action, Times: 1}); err != nil {
				t.Fatal(err)
			}
			newer := older
			newer.Terms.ExpiresOn.Year--
			if job := w.finish(t, w.submit(t, []access.Change{newer})); job.Counts != tt.want {
				t.Errorf("the newer grant ended as %+v, want %+v", job.Counts, tt.want)
			}
			calls := 0
			for _, c := range w.sandbox.Calls() {
				if c.Action == tt.action {
					calls++
				}
			}
			if calls != tt.calls {
				t.Errorf("%d calls of %s, want %d", calls, tt.action, tt.calls)
			}
		})
	}
}
