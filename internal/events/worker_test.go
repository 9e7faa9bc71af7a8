package events_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/events"
	"github.com/usher-bi/usher/internal/quickbi"
	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
	"github.com/usher-bi/usher/internal/testenv"
)

// Workers apply events by themselves, each once, and a leaver's revoke that fails
// is carried out when Quick BI lets it.
func TestWorkersApplyEvents(t *testing.T) {
	t.Parallel()
	w := setup(t)
	client, err := tasks.OpenRedis(t.Context(), testenv.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	submits := tasks.NewSubmitter(w.Store, tasks.NewQueue(client))
	sandbox := httptest.NewServer(quickbitest.New(&quickbitest.Options{
		Users: []string{"u"}, QAResources: []string{"both", "old", "lobby", "queued"}, Workspaces: []quickbitest.Workspace{{ID: "room"}},
	}))
	t.Cleanup(sandbox.Close)
	ended := make(chan error)
	ctx, stop := context.WithCancel(context.Background())
	for _, name := range []string{"one", "two"} {
		qbi, err := quickbi.New(sandbox.URL, quickbi.StaticCredentials(quickbi.Credentials{
			AccessKeyID: quickbitest.DefaultAccessKeyID, AccessKeySecret: quickbitest.DefaultAccessKeySecret,
		}), quickbi.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(qbi.CloseIdleConnections)
		o := tasks.Options{Name: name, Rate: func(access.Action) float64 { return 1000 }, Sweep: 200 * time.Millisecond}
		chore := events.NewApplier(w.Store, submits, events.Options{Name: name}).Chore()
		chore.Every = 50 * time.Millisecond
		o.Chores = []tasks.Chore{chore}
		worker := tasks.NewWorker(w.Store, client, qbi, zerolog.Nop(), o)
		go func() { ended <- worker.Run(ctx) }()
	}
	t.Cleanup(func() {
		stop()
		for range 2 {
			if err := <-ended; err != nil {
				t.Errorf("worker: %v", err)
			}
		}
	})

	w.accept(t, fact("e1", 1, "joiner", "u", "guest"), fact("e2", 2, "mover", "u", "analyst"))
	state := func(resource string) (state store.AccessState) {
		f := store.GrantedFilter{Principal: access.Principal{Type: access.User, ID: "u"}}
		if err := w.Granted(t.Context(), f, func(g store.Granted) error {
			if g.Resource.ID == resource {
				state = g.State
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return state
	}
	testenv.Eventually(t, "the profile is granted", func() bool { return state("both") == store.InForce && state("lobby") == store.Gone })
	held := store.Target{Scope: store.ScopeSource, Name: "nightly"}
	if _, err := w.Pause(t.Context(), held, store.Order{Actor: "ops"}); err != nil {
		t.Fatal(err)
	}
	queued := w.submit(t, granting("queued", "queued"))
	w.accept(t, fact("e3", 3, "leaver", "u"))
	testenv.Eventually(t, "the leaver is closed", func() bool {
		w.soon(t)
		return w.event(t, "u", "e3").ClosedAt != nil
	})
	if _, err := w.Resume(t.Context(), held, store.Order{Actor: "ops"}); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "the grant that was queued ends", func() bool {
		job, err := w.Job(t.Context(), queued)
		return err == nil && job.Status.Final()
	})
	if job, err := w.Job(t.Context(), queued); err != nil || job.Counts.Superseded != 1 || job.Calls.Sent != 0 {
		t.Errorf("the grant that was queued ended as %+v after %+v, %v", job.Counts, job.Calls, err)
	}
	if state("both") != store.Gone || state("old") != store.Gone {
		t.Errorf("a leaver still has: both %s, old %s", state("both"), state("old"))
	}
	if jobs, err := w.Jobs(t.Context(), store.JobFilter{}); err != nil || len(jobs) != 5 {
		t.Errorf("%d jobs, %v; want one an event, the one that was held, and one that reads what is left", len(jobs), err)
	}
	found := []string{}
	for _, f := range w.event(t, "u", "e3").Found.Found {
		if f.ResourceID == "lobby" {
			continue // the mover may have come before it was granted
		}
		found = append(found, fmt.Sprintf("%s %s %s", f.Finding, f.ResourceID, f.Detail))
	}
	slices.Sort(found)
	want(t, "read back", found, []string{
		"answered both Quick BI has no list of it", "answered old Quick BI has no list of it", "gone room user_not_in_workspace",
	})
}
