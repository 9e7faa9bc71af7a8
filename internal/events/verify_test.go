package events_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/usher-bi/usher/internal/store"
)

// sees ends the reads that wait: what Quick BI has are works and, of the type
// workspace, places in one. A room that is not among them ends as no_change.
func (w *world) sees(t *testing.T, works map[string]string) {
	t.Helper()
	for id, typ := range works {
		w.exec(t, `
INSERT INTO shared_works (job_id, task_no, principal, works_id, work_name, work_type, status, third_part_auth, security_level, description,
    workspace_id, workspace_name, owner_id, owner_name, modify_name, directory_id, directory_name, directory_path_id, directory_path_name)
SELECT c.job_id, c.task_no, c.principal, $1, 'called ' || $1, $2, '', '', '', '', '', '', '', '', '', '', '', '', ''
FROM changes c JOIN tasks t ON t.job_id = c.job_id AND t.no = c.task_no
WHERE t.state = 'ready' AND c.operation = 'read' AND (c.resource_type = 'workspace') = ($2 = 'workspace')`, id, typ)
	}
	w.exec(t, `
INSERT INTO exceptions (job_id, change_no, task_no, status, code, message, retryable)
SELECT c.job_id, c.no, c.task_no, 'no_change', 'user_not_in_workspace', 'm', false FROM changes c JOIN tasks t ON t.job_id = c.job_id AND t.no = c.task_no
WHERE t.state = 'ready' AND c.operation = 'read' AND c.resource_type = 'workspace'
  AND NOT EXISTS (SELECT FROM shared_works s WHERE s.job_id = c.job_id AND s.works_id = c.resource_id)`)
	w.end(t, "")
}

// leave has u, who is a lead, leave, and all revokes be done.
func (w *world) leave(t *testing.T) {
	t.Helper()
	w.accept(t, fact("e1", 1, "joiner", "u", "lead"))
	w.round(t)
	w.end(t, "")
	w.accept(t, fact("gone", 2, "leaver", "u"))
	w.round(t)
	w.end(t, "")
}

// finds compares what was found of the leaver: "gone dashboard new".
func (w *world) finds(t *testing.T, findings ...string) {
	t.Helper()
	got := []string{}
	if e := w.event(t, "u", "gone"); e.Found != nil {
		for _, f := range e.Found.Found {
			got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s", f.Finding, f.ResourceType, f.ResourceID)))
		}
		if e.Found.JobID != e.Read.JobID || e.Found.JudgedAt.IsZero() {
			t.Errorf("it was found by %q at %s, want job %q", e.Found.JobID, e.Found.JudgedAt, e.Read.JobID)
		}
	}
	slices.Sort(got)
	want(t, "findings", got, findings)
}

// newest is the job that was submitted last, as [world.changes] tells it.
func (w *world) newest(t *testing.T) (job store.Job, changes []string) {
	t.Helper()
	jobs, err := w.Jobs(t.Context(), store.JobFilter{})
	if err != nil || len(jobs) == 0 {
		t.Fatalf("Jobs: %v, %v", jobs, err)
	}
	return jobs[0], w.changes(t, jobs[0].ID)
}

func TestALeaverIsReadBack(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.leave(t)
	look := func(open bool, reads int, problem string) {
		t.Helper()
		w.soon(t)
		w.round(t)
		if e := w.event(t, "u", "gone"); e.Open != open || e.Reads != reads || !strings.Contains(e.Problem, problem) {
			t.Errorf("open is %t after %d reads, problem %q; want %t, %d, %q", e.Open, e.Reads, e.Problem, open, reads, problem)
		}
	}

	// Asked once, also when who asked did not write it down.
	look(true, 1, " reads what is left at Quick BI")
	first, reads := w.newest(t)
	want(t, "the read", reads, []string{"read *", "read room"})
	if first.Source != "leavers" || first.RequestedBy != "feed" || first.Lane != store.Normal {
		t.Errorf("the read is %+v", first)
	}
	w.exec(t, `UPDATE person_events SET read_job_id = NULL, reads = 0 WHERE event_id = 'gone'`)
	look(true, 1, "reads what is left")
	look(true, 1, "reads what is left")
	if again, _ := w.newest(t); again.ID != first.ID {
		t.Errorf("the read was submitted twice: %s and %s", first.ID, again.ID)
	}

	// What this system granted is revoked again, and nothing else.
	w.sees(t, map[string]string{"new": "PAGE", "by-hand": "REPORT", "room": "workspace"})
	w.exec(t, `UPDATE person_events SET look_at = now(), again_at = now() + interval '1 minute' WHERE open`)
	w.round(t) // too early for another round
	if e := w.event(t, "u", "gone"); !e.Open || e.Rounds != 0 || e.Problem != "still there at Quick BI, though it was revoked: dashboard new, workspace room" {
		t.Errorf("right after the read, the leaver is %+v", e)
	}
	w.finds(t, "answered qa_resource both", "not_granted  by-hand", "still_there dashboard new", "still_there workspace room")
	look(true, 1, "accesses that are being revoked again: 2 (dashboard new, workspace room)")
	job, again := w.newest(t)
	want(t, "revoked again", again, []string{"revoke new", "revoke room"})
	if job.Lane != store.Urgent {
		t.Errorf("it goes by the %s lane", job.Lane)
	}

	// What was seen before the last revoke counts no more.
	w.end(t, "")
	look(true, 2, "reads what is left")
	w.sees(t, map[string]string{"by-hand": "REPORT"})
	look(false, 2, "")
	w.finds(t, "answered qa_resource both", "gone dashboard new", "gone workspace room", "not_granted  by-hand")
	var audited int
	if err := w.sql.QueryRow(t.Context(), `SELECT count(*) FROM audit WHERE event = 'person.read' AND (detail->>'not_granted')::int = 1`).Scan(&audited); err != nil || audited != 2 {
		t.Errorf("%d audit rows, %v; want one a read", audited, err)
	}
}

func TestWhatWasNotToldIsAskedAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.leave(t)
	w.soon(t)
	w.round(t)
	w.end(t, store.Failed, "*", "room")
	w.exec(t, `UPDATE person_events SET look_at = now() WHERE open`)
	w.round(t)
	if e := w.event(t, "u", "gone"); !e.Open || e.Reads != 1 || e.Problem != "Quick BI did not tell whether it is gone: dashboard new, workspace room" {
		t.Errorf("after a read that failed, the leaver is %+v", e)
	}
	w.finds(t, "answered qa_resource both", "unread dashboard new", "unread workspace room")
	w.soon(t)
	w.round(t)
	w.end(t, store.NoChange, "*", "room") // the user is not there any more
	w.closes(t, "u", "gone")
	w.finds(t, "answered qa_resource both", "gone dashboard new", "gone workspace room")
	if e := w.event(t, "u", "gone"); e.Reads != 2 || e.Rounds != 0 {
		t.Errorf("%d reads and %d rounds of revokes, want 2 and 0", e.Reads, e.Rounds)
	}
}

// Where nothing can be read, nothing is asked, and it is said.
func TestALeaverOfSmartQIsVouchedForByAnswers(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.submit(t, granting("k", "r"))
	w.end(t, "")
	w.accept(t, fact("gone", 1, "leaver", "u"))
	w.round(t)
	w.end(t, "")
	w.closes(t, "u", "gone")
	e := w.event(t, "u", "gone")
	if e.Reads != 0 || e.Read != nil || e.Found == nil || e.Found.JobID != "" || len(e.Found.Of(store.FoundAnswered)) != 1 {
		t.Errorf("the leaver is %+v", e)
	}
}
