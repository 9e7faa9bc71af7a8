package events_test

import (
	"context"
	"strings"
	"testing"

	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
	"github.com/usher-bi/usher/internal/testenv"
)

func TestALeaverLosesEverything(t *testing.T) {
	t.Parallel()
	w := setup(t)

	grant := func(key string, resources ...string) (job string) {
		t.Helper()
		return w.submit(t, granting(key, resources...))
	}
	grant("granted", "granted")
	w.end(t, "")
	refused := grant("refused", "refused")
	w.end(t, "failed", "refused")
	grant("lost", "lost")
	w.end(t, "unknown", "lost")
	grant("queued", "queued")

	w.accept(t, fact("gone", 1, "leaver", "u"))
	w.round(t)
	leaver := w.event(t, "u", "gone")
	want(t, "a leaver's job", w.changes(t, leaver.JobID), []string{"revoke granted", "revoke lost", "revoke queued", "revoke refused"})
	if job, err := w.Job(t.Context(), leaver.JobID); err != nil || job.Lane != store.Urgent {
		t.Errorf("the leaver's job goes by the %s lane, %v", job.Lane, err)
	}
	retried, err := w.submits.Retry(t.Context(), tasks.RetryRequest{JobID: refused, RequestedBy: "n"})
	if err != nil {
		t.Fatalf("Retry: %v", err)
	}
	if got := w.wanted(t, "u"); len(got) > 0 {
		t.Errorf("after the retry %s, a leaver is to have %q", retried.JobID, got)
	}
	open := func(wantOpen bool, problem string) {
		t.Helper()
		w.soon(t)
		w.round(t)
		e := w.event(t, "u", "gone")
		listed, err := w.OpenEvents(t.Context())
		if err != nil || e.Open != wantOpen || (len(listed) > 0) != wantOpen || (e.ClosedAt == nil) != wantOpen || !strings.Contains(e.Problem, problem) {
			t.Errorf("open is %t, closed at %v, %d are listed, problem %q, %v; want %t, %q", e.Open, e.ClosedAt, len(listed), e.Problem, err, wantOpen, problem)
		}
	}
	open(true, "")
	w.end(t, "failed", "lost")
	open(true, "accesses that are being revoked again: 1")
	if e := w.event(t, "u", "gone"); e.Rounds != 1 {
		t.Errorf("%d rounds, want 1", e.Rounds)
	}
	open(true, "") // the second round has not ended
	w.end(t, "failed", "lost")
	w.round(t) // it is not time for a third one
	if e := w.event(t, "u", "gone"); e.Rounds != 1 {
		t.Errorf("%d rounds right after the first one, want 1", e.Rounds)
	}
	open(true, "revoked again")
	w.end(t, "no_change", "lost")
	grant("again", "granted")
	open(true, "accesses that were granted again after it: 1")
	want(t, "what is wanted", w.wanted(t, "u"), []string{"granted"})
	w.accept(t, fact("back", 2, "joiner", "u", "guest")) // then it is nobody's fault
	w.round(t)
	w.closes(t, "u", "gone")
	open(false, "")
	want(t, "what is wanted", w.wanted(t, "u"), []string{"granted", "lobby"})
}

func TestALeaverOfNothingIsDoneAtOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.accept(t, fact("gone", 1, "leaver", "u"))
	w.round(t)
	if e := w.event(t, "u", "gone"); e.Status != store.EventApplied || e.JobID != "" {
		t.Errorf("the leaver is %+v", e)
	}
	w.closes(t, "u", "gone")
}

// An import that began before a leaver's event and comes to write after it: the event
// saw nothing of it, and was closed long before.
func TestALeaverLosesWhatWasAboutToBeWritten(t *testing.T) {
	t.Parallel()
	w := setup(t)
	beside := w.connect(t)
	for _, sql := range []string{`BEGIN`, `LOCK TABLE jobs IN SHARE MODE`} { // who has begun cannot write
		if _, err := beside.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	written := make(chan error)
	go func() {
		_, err := w.submits.Submit(context.Background(), granting("late", "late"))
		written <- err
	}()
	testenv.Eventually(t, "the import waits for the table", func() bool {
		var waiting bool
		err := w.sql.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'jobs'::regclass AND NOT granted)`).Scan(&waiting)
		return err == nil && waiting
	})
	w.accept(t, fact("gone", 1, "leaver", "u"))
	w.round(t)
	w.round(t)
	if e := w.event(t, "u", "gone"); e.Status != store.EventApplied || e.JobID != "" || e.Open {
		t.Errorf("while the import is about to be written, the leaver is %+v", e)
	}
	if _, err := beside.Exec(t.Context(), `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	w.round(t)
	if e := w.event(t, "u", "gone"); e.Rounds != 1 || !e.Open {
		t.Errorf("after the import, the leaver is %+v", e)
	}
	want(t, "what is wanted", w.wanted(t, "u"), []string{})
	w.end(t, "")
	w.closes(t, "u", "gone")
}

// A leaver who is applied after an import has looked for such people, and before it
// is accepted.
func TestAJobSeesALeaverWhoIsAppliedMeanwhile(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.accept(t, fact("gone", 1, "leaver", "u"))
	key := store.EventKey{Source: "hr", ID: "gone"}
	if begun, err := w.BeginEvent(t.Context(), key, 0); !begun || err != nil {
		t.Fatalf("BeginEvent = %t, %v", begun, err)
	}
	gate := w.connect(t)
	for _, sql := range []string{`BEGIN`, `SELECT pg_advisory_xact_lock_shared(7201884418)`} { // a call is being written down
		if _, err := gate.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan error)
	for i, f := range []func() error{
		func() error {
			return w.EventApplied(context.Background(), store.AppliedEvent{EventKey: key, Actor: "w"})
		},
		func() error {
			_, err := w.submits.Submit(context.Background(), granting("k", "late"))
			return err
		},
	} {
		go func() { ended <- f() }()
		testenv.Eventually(t, "it waits at the gate", func() bool {
			var waiting int
			err := w.sql.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`).Scan(&waiting)
			return err == nil && waiting == i+1
		})
	}
	if _, err := gate.Exec(t.Context(), `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if e := w.event(t, "u", "gone"); !e.Open {
		t.Errorf("the leaver is %+v", e)
	}
}

// Who looks after a leaver and has not seen the newest job does not close the event.
func TestALeaverIsNotClosedPastAJobThatIsAccepted(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.accept(t, fact("gone", 1, "leaver", "u"))
	due, err := w.DueEvents(t.Context(), 10)
	if err != nil || len(due) != 1 {
		t.Fatalf("due are %+v, %v", due, err)
	}
	w.round(t)
	closed := w.event(t, "u", "gone")
	if closed.Open {
		t.Fatalf("the leaver is %+v", closed)
	}
	w.exec(t, `UPDATE person_events SET open = true, closed_at = NULL, look_at = now()`)
	seen := w.event(t, "u", "gone")
	w.submit(t, granting("again", "again"))
	if err := w.CloseEvent(t.Context(), seen, "w"); err != nil {
		t.Fatal(err)
	}
	w.round(t)
	if e := w.event(t, "u", "gone"); !e.Open || !strings.Contains(e.Problem, "accesses that were granted again after it: 1 (qa_resource again)") {
		t.Errorf("after the job, the leaver is %+v", e)
	}
	want(t, "what is wanted", w.wanted(t, "u"), []string{"again"}) // it was asked for later
}

// What is granted to somebody who left opens the event again, for a person to see.
func TestAGrantOpensAClosedLeaver(t *testing.T) {
	t.Parallel()
	w := setup(t)
	open := func(user, id string) bool { return w.event(t, user, id).Open }
	w.accept(t, fact("gone", 1, "leaver", "u"), fact("other", 1, "leaver", "v"), fact("back", 1, "leaver", "x"), fact("again", 2, "joiner", "x", "guest"))
	for range 2 {
		w.soon(t)
		w.round(t)
	}
	w.exec(t, `UPDATE person_events SET applied_at = applied_at - interval '1 hour' WHERE type = 'leaver'`)
	grants := granting("spreadsheet", "lobby", "other")
	rows, isList := grants.Rows.(tasks.RowList)
	if !isList {
		t.Fatalf("the rows are %T", grants.Rows)
	}
	rows = append(rows, rows[0])
	rows[2].Change.Principal.ID, rows[2].Line = "x", 3
	grants.Rows, grants.Input.Rows = rows, 3
	w.submit(t, grants)
	if !open("u", "gone") || open("v", "other") || open("x", "back") {
		t.Errorf("open are: who was granted something %t, who was not %t, who came back %t", open("u", "gone"), open("v", "other"), open("x", "back"))
	}
	var audited int
	if err := w.sql.QueryRow(t.Context(), `SELECT count(*) FROM audit WHERE event = 'person.reopened' AND actor = 'n' AND job_id IS NOT NULL`).Scan(&audited); err != nil || audited != 1 {
		t.Errorf("%d audit rows, %v; want one", audited, err)
	}
}
