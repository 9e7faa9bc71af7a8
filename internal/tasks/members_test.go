package tasks_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
	"github.com/usher-bi/usher/internal/store"
)

func TestMembersAlreadyThere(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		update bool
		want   map[string]store.Status
		role   int64 // of u2 afterwards
	}{
		{"by default", false, map[string]store.Status{"u1": store.NoChange, "u2": store.Failed, "u3": store.Succeeded, "u4": store.Succeeded}, 26},
		{"with --update-role", true, map[string]store.Status{"u1": store.NoChange, "u2": store.Succeeded, "u3": store.Succeeded, "u4": store.Succeeded}, 30},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := office(ids("u", 4))
			o.Workspaces[1].Members = map[string]int64{"u1": 30, "u2": 26}
			w := setup(t, o)
			w.work(t)

			var changes []access.Change
			for _, user := range ids("u", 4) {
				changes = append(changes, give(access.User, user, place("ws2"), access.RoleViewer))
			}
			sub := submission(changes)
			sub.UpdateRole = tt.update
			out, err := w.submitter.Submit(t.Context(), sub)
			if err != nil {
				t.Fatalf("submitting: %v", err)
			}
			w.finish(t, out.JobID)
			got := map[string]store.Status{}
			for _, r := range w.results(t, out.JobID) {
				got[r.Change.Principal.ID] = r.Status
				if r.Status == store.Failed && (!strings.Contains(r.Message, "developer") || !strings.Contains(r.Message, "viewer")) {
					t.Errorf("the failure does not name both roles: %s", r.Message)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("statuses (-want +got):\n%s", diff)
			}
			for _, m := range w.sandbox.Members() {
				if m.Workspace == "ws2" && m.User == "u2" && m.Roles[0] != tt.role {
					t.Errorf("u2 has role %v, want %d", m.Roles, tt.role)
				}
			}
		})
	}
}

// Whether the call without an answer made the member, nobody can tell.
func TestMembershipAfterALostAnswerIsNotClaimed(t *testing.T) {
	t.Parallel()
	for name, users := range map[string][]string{"alone": ids("u", 1), "together": ids("u", 4)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := office(users)
			o.Faults = []quickbitest.Fault{{Kind: quickbitest.LoseAnswer, Times: 1}}
			w := setup(t, o)
			w.work(t)
			var changes []access.Change
			for _, user := range users {
				changes = append(changes, give(access.User, user, place("ws2"), access.RoleViewer))
			}
			id := w.submit(t, changes)
			if job := w.finish(t, id); job.Counts.NoChange != len(users) || job.Outcome != store.OutcomeSucceeded {
				t.Errorf("%s, %+v; want that all are members by now", job.Outcome, job.Counts)
			}
			for _, r := range w.results(t, id) {
				if !strings.HasSuffix(r.Message, "(an earlier call was never answered, and may have done it)") {
					t.Errorf("line %d: %q", r.Line, r.Message)
				}
			}
			w.wantHeld(t, changes)
		})
	}
}

func TestCustomRoleByName(t *testing.T) {
	t.Parallel()
	w := setup(t, office(ids("u", 2)))
	w.work(t)
	id := w.submit(t, []access.Change{
		give(access.User, "u1", place("ws1"), "Auditor"), give(access.User, "u2", place("ws1"), "Nobody"),
	})
	job := w.finish(t, id)
	if job.Counts.Succeeded != 1 || job.Counts.Failed != 1 {
		t.Errorf("counts = %+v, want one of each", job.Counts)
	}
	if got := w.held(); !slices.Contains(got, "member ws1 u1 [9001]") {
		t.Errorf("access at Quick BI = %v", got)
	}
}

func TestBatchRefusedByTheAccountGoesSingly(t *testing.T) {
	t.Parallel()
	o := office(ids("u", 5))
	o.BatchRefusal = "Access.Forbidden"
	w := setup(t, o)
	w.work(t)
	var changes []access.Change
	for _, user := range ids("u", 5) {
		changes = append(changes, give(access.User, user, place("ws1"), access.RoleAnalyst))
	}
	if job := w.finish(t, w.submit(t, changes)); job.Outcome != store.OutcomeSucceeded {
		t.Errorf("%s, %+v", job.Outcome, job.Counts)
	}
	w.wantHeld(t, changes)
}
