package tasks_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

func TestReadAndVerify(t *testing.T) {
	t.Parallel()
	users := ids("u", 5)
	w := setup(t, office(users))
	w.work(t)
	var changes []access.Change
	for _, user := range users {
		changes = append(changes, give(access.User, user, work(access.Dashboard), access.RoleView))
	}
	changes = append(changes, give(access.Group, "g1", work(access.Dashboard), access.RoleView))
	id := w.submit(t, changes)
	w.finish(t, id)

	verify := func() store.Verification {
		t.Helper()
		readers, err := w.submitter.VerifyUsers(t.Context(), id)
		if err != nil || len(readers) != len(users) {
			t.Fatalf("VerifyUsers = %v, %v", readers, err)
		}
		read, err := w.submitter.Read(t.Context(), tasks.ReadRequest{Users: readers, Source: "verify", RequestedBy: "tester", Lane: store.Normal, ParentID: id})
		if err != nil {
			t.Fatalf("Read: %v", err)
		}
		if job := w.finish(t, read.JobID); job.Outcome != store.OutcomeSucceeded {
			t.Fatalf("reading: %s, %+v", job.Outcome, job.Counts)
		}
		v, err := w.store.Verify(t.Context(), store.VerifyRequest{JobID: id, ReadJobID: read.JobID, Actor: "tester"})
		if err != nil {
			t.Fatalf("Verify: %v", err)
		}
		return v
	}
	if diff := cmp.Diff(store.Verification{Verified: 5, Unverifiable: 1}, verify()); diff != "" {
		t.Errorf("right after the grants (-want +got):\n%s", diff)
	}
	w.finish(t, w.submit(t, revokes(changes[:2])))
	if got := verify(); got.Missing != 2 || got.Verified != 3 {
		t.Errorf("after two were taken back: %+v", got)
	}
}

func TestReadTakesEveryFieldDown(t *testing.T) {
	t.Parallel()
	o := office(ids("u", 2))
	o.Works[0].Owner, o.Works[0].OwnerName, o.Works[0].ModifierName, o.Works[0].Description = "u2", "owner@x", "modifier@x", "what it is"
	o.Works[0].CreatedAt, o.Works[0].ModifiedAt = 1530078690000, 1530078690001
	o.Works[0].Directory = &quickbitest.Directory{ID: "dir", Name: "Directory", PathID: "a/dir", PathName: "A/Directory"}
	w := setup(t, o)
	w.work(t)
	w.finish(t, w.submit(t, []access.Change{give(access.User, "u1", work(access.Dashboard), access.RoleView)}))
	read, err := w.submitter.Read(t.Context(), tasks.ReadRequest{Users: []string{"u1", "u2", "u1"}, Source: "s", RequestedBy: "t", Lane: store.Normal})
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	job := w.finish(t, read.JobID)
	if want := (store.Counts{Total: 3, Succeeded: 2, NoChange: 1}); job.Counts != want {
		t.Errorf("counts = %+v, want %+v", job.Counts, want)
	}
	var works []store.SharedWork
	if err := w.store.SharedWorks(t.Context(), read.JobID, func(s store.SharedWork) error {
		works = append(works, s)
		return nil
	}); err != nil {
		t.Fatalf("SharedWorks: %v", err)
	}
	if len(works) != 1 {
		t.Fatalf("%d works, want 1", len(works))
	}
	got := works[0]
	if got.ReadAt.IsZero() || got.CreateTime == nil || got.CreateTime.UnixMilli() != 1530078690000 || got.ModifyTime == nil {
		t.Errorf("times = %+v", got)
	}
	got.ReadAt, got.CreateTime, got.ModifyTime = time.Time{}, nil, nil
	want := store.SharedWork{
		UserID: "u1", WorksID: "w-dashboard", WorkName: "w-dashboard", WorkType: "PAGE", Status: "1", ThirdPartAuthFlag: "0", SecurityLevel: "0",
		Description: "what it is", WorkspaceID: "ws1", WorkspaceName: "ws1", OwnerID: "u2", OwnerName: "owner@x", ModifyName: "modifier@x",
		DirectoryID: "dir", DirectoryName: "Directory", DirectoryPathID: "a/dir", DirectoryPathName: "A/Directory",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("work (-want +got):\n%s", diff)
	}
}

// What is left of somebody is read with one call for all works and one a workspace;
// whoever or whatever is gone is an answer.
func TestReadRemains(t *testing.T) {
	t.Parallel()
	w := setup(t, office(ids("u", 3)))
	w.work(t)
	w.finish(t, w.submit(t, []access.Change{
		give(access.User, "u1", work(access.Dashboard), access.RoleView), give(access.User, "u1", place("ws1"), "Auditor"),
		give(access.User, "u2", work(access.Dashboard), access.RoleView),
	}))
	w.sandbox.RemoveUsers("u2")
	w.sandbox.RemoveWorkspaces("ws2")
	remains := func(user string, rooms ...string) []string {
		t.Helper()
		read, err := w.submitter.ReadRemains(t.Context(), tasks.RemainsRequest{
			User: user, Works: true, Workspaces: rooms, Source: "s", RequestedBy: "t", Reason: "r", Ticket: "k", Key: user, Fingerprint: user,
		})
		if err != nil {
			t.Fatalf("ReadRemains: %v", err)
		}
		if job := w.finish(t, read.JobID); job.Outcome != store.OutcomeSucceeded {
			t.Errorf("reading %s: %s, %+v", user, job.Outcome, job.Counts)
		}
		var out []string
		for _, r := range w.results(t, read.JobID) {
			out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Change.Resource, r.Status, r.Code)))
		}
		if err := w.store.SharedWorks(t.Context(), read.JobID, func(s store.SharedWork) error {
			out = append(out, fmt.Sprintf("%s %s called %s", s.WorkType, s.WorksID, s.WorkName))
			return nil
		}); err != nil {
			t.Fatalf("SharedWorks: %v", err)
		}
		return out
	}
	for user, want := range map[string][]string{
		"u1": {
			"remains:* succeeded", "workspace:ws1 succeeded", "workspace:ws2 no_change workspace_not_exist",
			"PAGE w-dashboard called w-dashboard", "workspace ws1 called Auditor (role 9001)",
		},
		"u2": {"remains:* no_change user_not_in_organization", "workspace:ws1 no_change user_not_in_organization", "workspace:ws2 no_change workspace_not_exist"},
		"u3": {"remains:* succeeded", "workspace:ws1 no_change user_not_in_workspace", "workspace:ws2 no_change workspace_not_exist"},
	} {
		if diff := cmp.Diff(want, remains(user, "ws1", "ws2")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", user, diff)
		}
	}
	// An endpoint without the look-up leaves the queue of reads alone.
	if err := w.sandbox.AddFaults(quickbitest.Fault{Kind: quickbitest.Refuse, Code: "InvalidAction.NotFound", Message: "no such", Action: "QueryUserRoleInfoInWorkspace"}); err != nil {
		t.Fatal(err)
	}
	read, err := w.submitter.ReadRemains(t.Context(), tasks.RemainsRequest{User: "u3", Workspaces: []string{"ws1"}, Source: "s", RequestedBy: "t", Key: "k", Fingerprint: "f"})
	if err != nil {
		t.Fatal(err)
	}
	w.finish(t, read.JobID)
	stops, err := w.store.Stops(t.Context())
	if got := w.results(t, read.JobID)[0]; got.Status != store.Failed || got.Code != tasks.CodeNotOffered || err != nil || len(stops) != 0 {
		t.Errorf("without the look-up: %s %s, stops %+v, %v", got.Status, got.Code, stops, err)
	}
}
