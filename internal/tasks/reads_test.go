package tasks_test

import (
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
