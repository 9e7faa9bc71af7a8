package schedule

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/slots"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

var errDied = errors.New("died")

func TestDecide(t *testing.T) {
	t.Parallel()
	calendar, err := slots.Parse("0 2 * * *", "UTC")
	if err != nil {
		t.Fatal(err)
	}
	at := func(day, hour, minute int) time.Time { return time.Date(2026, 11, day, hour, minute, 0, 0, time.UTC) }
	for _, tt := range []struct {
		name    string
		catchUp store.CatchUp
		now     time.Time
		want    *store.Decision // nil where there is none
	}{
		{"before the slot", store.CatchUpNone, at(22, 1, 59), nil},
		{"at the slot", store.CatchUpNone, at(22, 2, 0), &store.Decision{Until: at(22, 2, 0), State: store.RunDue}},
		{"a little late", store.CatchUpNone, at(22, 2, 4), &store.Decision{Until: at(22, 2, 0), State: store.RunDue}},
		{"too late", store.CatchUpNone, at(22, 3, 0), &store.Decision{Until: at(22, 2, 0), State: store.RunMissed}},
		{"too late, caught up", store.CatchUpOnce, at(22, 3, 0), &store.Decision{Until: at(22, 2, 0), State: store.RunDue}},
		{"days later", store.CatchUpOnce, at(25, 3, 0), &store.Decision{Until: at(25, 2, 0), State: store.RunDue, Missed: 3}},
		{"days later, on time", store.CatchUpNone, at(25, 2, 0), &store.Decision{Until: at(25, 2, 0), State: store.RunDue, Missed: 3}},
		{"days later, none", store.CatchUpNone, at(25, 3, 0), &store.Decision{Until: at(25, 2, 0), State: store.RunMissed, Missed: 3}},
		{"the clock was set back", store.CatchUpOnce, at(20, 1, 0), &store.Decision{Until: at(20, 1, 0)}},
	} {
		s := store.Schedule{ID: 7, CatchUp: tt.catchUp, PlannedUntil: at(21, 2, 0)}
		got, ok := decide(s, calendar, tt.now)
		if ok != (tt.want != nil) {
			t.Errorf("%s: %+v, %v", tt.name, got, ok)
			continue
		}
		if tt.want == nil {
			continue
		}
		tt.want.Schedule, tt.want.From, tt.want.At = 7, s.PlannedUntil, tt.now
		if diff := cmp.Diff(*tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		s.PausedAt = &tt.now
		if _, ok := decide(s, calendar, tt.now); ok {
			t.Errorf("%s: decided on though it is paused", tt.name)
		}
	}
}

// Three processes run what is due side by side: one job for each slot.
func TestOneJobASlot(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := nightly(store.FolderSchedule, "in")
	s.Cron, s.Overlap = "* * * * *", store.OverlapQueue
	w.add(s)
	const slotsRun = 12
	for i := range slotsRun {
		w.now = w.now.Add(time.Minute)
		w.deliver("in/people.csv", rows("grant", users(i*10, i*10+5)...))
		var all sync.WaitGroup
		for range 3 {
			r := w.newRunner()
			all.Go(func() {
				for range 2 {
					if _, err := w.Alone(t.Context(), "schedules", func(ctx context.Context) error { return r.round(ctx, w.now) }); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if sent := w.work(); len(sent) != 6 {
			t.Fatalf("slot %d sent %d rows", i, len(sent))
		}
	}
	if jobs := w.jobs(); len(jobs) != slotsRun {
		t.Errorf("%d jobs for %d slots", len(jobs), slotsRun)
	}
}

// A schedule that nobody can make sense of is told of, and the others run.
func TestOneBadScheduleStopsNoOther(t *testing.T) {
	t.Parallel()
	w := setup(t)
	bad, good := nightly(store.RenewSchedule, ""), nightly(store.RenewSchedule, "")
	bad.Name, bad.Cron = "a-bad-one", "never"
	w.add(bad)
	w.add(good)
	w.nextNight()
	due, err := w.runner.plan(t.Context(), w.now)
	if due != 1 || err == nil || !strings.Contains(err.Error(), "schedule a-bad-one: ") {
		t.Errorf("%d slots are due, %v; want 1, and to hear of the bad one", due, err)
	}
}

// slow is a submitter that takes its time: it says that it began, and waits.
type slow struct {
	Submitter

	began, goOn chan struct{}
}

func (s slow) Submit(ctx context.Context, sub tasks.Submission) (tasks.Submitted, error) {
	close(s.began)
	<-s.goOn
	return s.Submitter.Submit(ctx, sub)
}

func TestALongRunDelaysNoDecision(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.add(nightly(store.FileSchedule, "people.csv"))
	w.nextNight()
	w.deliver("people.csv", rows("grant", users(1, 2)...))
	r := w.newRunner()
	takes := slow{Submitter: r.submitter, began: make(chan struct{}), goOn: make(chan struct{})}
	r.submitter = takes
	chores := r.Chores()
	alone := func(chore int, now time.Time, do func(context.Context, time.Time) error) bool {
		did, err := w.Alone(t.Context(), chores[chore].Name, func(ctx context.Context) error { return do(ctx, now) })
		if err != nil {
			t.Errorf("%s: %v", chores[chore].Name, err)
		}
		return did
	}
	due := 0
	plan := func(ctx context.Context, now time.Time) (err error) {
		due, err = r.plan(ctx, now)
		return err
	}
	if !alone(0, w.now, plan) || due != 1 {
		t.Fatalf("%d slots are due, want 1", due)
	}
	var run sync.WaitGroup
	now := w.now
	run.Go(func() { alone(1, now, r.carryOut) })
	<-takes.began
	w.nextNight()
	if !alone(0, w.now, plan) || due != 1 {
		t.Errorf("nobody decides on slots while a run takes its time, or %d are due", due)
	}
	close(takes.goOn)
	run.Wait()
}
