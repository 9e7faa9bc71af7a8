package schedule

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/usher-bi/usher/internal/store"
)

// After a good night, what the next one finds is held, or not even picked up,
// and nothing is sent of it.
func TestGuardsOfANightlyFile(t *testing.T) {
	t.Parallel()
	full := rows("grant", users(1, 12)...)
	yesterday := rows("grant", users(101, 112)...)
	for _, tt := range []struct {
		name    string
		kind    store.ScheduleKind
		by      store.CompleteBy
		deliver func(w *world)
		state   store.RunState // of the night
		guard   string         // that holds its job; "" where there is none
		why     string         // part of what is said
	}{
		{"a good one", "", "", func(w *world) { w.deliver("people.csv", full) }, store.RunOpen, "", ""},
		{"none", "", "", func(*world) {}, store.RunMissing, "", "people.csv is not there"},
		{"half-written: not marked", "", "", func(w *world) { w.write("people.csv", full[:150]) }, store.RunMissing, "", "there is no people.csv.done"},
		{"half-written: an older mark", "", "", func(w *world) {
			w.now = w.now.Add(-time.Hour)
			w.write("people.csv.done", "")
			w.now = w.now.Add(time.Hour)
			w.write("people.csv", full[:150])
		}, store.RunMissing, "", "it was written after people.csv.done"},
		{"half-written: not renamed", "", store.CompleteByRename, func(w *world) { w.write("people.csv.part", full[:150]) }, store.RunMissing, "", "people.csv is not there"},
		{"half-written: cut off in a row", "", "", func(w *world) { w.deliver("people.csv", full[:len(full)-30]) }, store.RunRejected, "", "1 of its 12 rows are invalid"},
		{"half-written: cut off between rows", "", "", func(w *world) { w.deliver("people.csv", rows("grant", users(1, 7)...)) }, store.RunOpen, store.GuardShrink, ""},
		{"empty", "", "", func(w *world) { w.deliver("people.csv", "") }, store.RunRejected, "", "the file is empty"},
		{"accounts that nobody looks up", "", "", func(w *world) { w.deliver("people.csv", rows("grant", "account:alice")) }, store.RunRejected, "", "rows name accounts"},
		{"only a header", "", "", func(w *world) { w.deliver("people.csv", rows("grant")) }, store.RunRejected, "", "has no rows"},
		{"yesterday's, by its content", "", "", func(w *world) { w.deliver("people.csv", yesterday) }, store.RunOpen, store.GuardStale, ""},
		{"yesterday's, by its time", "", "", func(w *world) {
			now := w.now
			w.now = now.Add(-26 * time.Hour)
			w.write("people.csv", full)
			w.now = now
			w.write("people.csv.done", "")
		}, store.RunOpen, store.GuardStale, ""},
		{"yesterday's, renamed", store.FolderSchedule, "", func(w *world) { w.deliver("again.csv", yesterday) }, store.RunOpen, store.GuardStale, ""},
		{"renamed", "", "", func(w *world) { w.deliver("people-new.csv", full) }, store.RunMissing, "", "people.csv is not there"},
		{"too many leavers", "", "", func(w *world) {
			w.deliver("people.csv", rows("revoke", users(1, 6)...)+strings.TrimPrefix(rows("grant", users(7, 12)...), rows("grant")))
		}, store.RunOpen, store.GuardRevokes, ""},
		{"a cut list of who should have what", store.DesiredSchedule, "", func(w *world) { w.deliver("people.csv", rows("grant", users(101, 107)...)) }, store.RunOpen, store.GuardShrink, ""},
		{"an empty list of who should have what", store.DesiredSchedule, "", func(w *world) { w.deliver("people.csv", rows("grant")) }, store.RunRejected, "", "has no rows"},
		{"an empty folder", store.FolderSchedule, "", func(*world) {}, store.RunNothing, "", "there is no file in ."},
		{"other people in the list", store.DesiredSchedule, "", func(w *world) { w.deliver("people.csv", rows("grant", users(7, 18)...)) }, store.RunOpen, store.GuardRevokes, ""},
		{"a command in the list", store.DesiredSchedule, "", func(w *world) { w.deliver("people.csv", rows("revoke", users(101, 112)...)) }, store.RunRejected, "", "holds grants only"},
		{"no list", store.DesiredSchedule, "", func(*world) {}, store.RunMissing, "", "is not there"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			s := nightly(store.FileSchedule, "people.csv")
			if tt.kind != "" {
				s.Kind = tt.kind
			}
			if tt.kind == store.FolderSchedule {
				s.Path = "."
			}
			if tt.by != "" {
				s.CompleteBy = tt.by
			}
			w.add(s)
			w.nextNight()
			w.deliver("people.csv", yesterday)
			w.round()
			if sent := w.work(); len(sent) != 12 {
				t.Fatalf("the good night sent %q, %+v", sent, w.last())
			}
			w.round()
			if last := w.last(); last.State != store.RunDone {
				t.Fatalf("the good night ends as %+v", last)
			}

			w.nextNight()
			tt.deliver(w)
			w.round()
			last := w.last()
			jobs := w.jobs()
			if last.State != tt.state || len(last.Inputs) > 0 && last.Inputs[0].Job != "" && len(jobs) != 2 {
				t.Fatalf("the night is %+v, and there are %d jobs; want %s", last, len(jobs), tt.state)
			}
			guard := w.guard(jobs[0].ID)
			if guard != tt.guard || !strings.Contains(last.Why, tt.why) {
				t.Errorf("held by %q, want %q; the run says %q, want %q", guard, tt.guard, last.Why, tt.why)
			}
			if tt.name == "a good one" {
				return
			}
			if sent := w.work(); len(sent) > 0 {
				t.Errorf("sent %q", sent)
			}
			if tt.guard == "" {
				return
			}
			if released, err := w.Release(t.Context(), jobs[0].ID, somebody); !released || err != nil {
				t.Fatal(released, err)
			}
			if sent := w.work(); len(sent) == 0 {
				t.Error("nothing is sent of the released job")
			}
			w.round()
			if last := w.last(); last.State != store.RunDone {
				t.Errorf("released and done, the night is %+v", last)
			}
		})
	}
}

// Whoever removes a schedule and adds it again changes how it runs, and not what a
// guard compares with.
func TestAScheduleThatIsAddedAgainKeepsItsMeasure(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := nightly(store.FileSchedule, "people.csv")
	w.add(s)
	w.nextNight()
	w.deliver("people.csv", rows("grant", users(1, 12)...))
	w.round()
	w.work()
	w.round()
	if removed, err := w.RemoveSchedule(t.Context(), s.Name, somebody); !removed || err != nil {
		t.Fatal(removed, err)
	}
	s.Lane, s.Path = store.Normal, "hr/people.csv"
	w.add(s)
	w.nextNight()
	w.deliver("hr/people.csv", rows("grant", users(1, 7)...))
	w.round()
	if last := w.last(); last.State != store.RunOpen || w.guard(last.Inputs[0].Job) != store.GuardShrink {
		t.Errorf("a file of seven rows after one of twelve: %+v", last)
	}
}

// What is wrong with a file is told beside it and in Postgres; the log has a code.
func TestTheLogHoldsNoCellOfAFile(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.add(nightly(store.FolderSchedule, "in"))
	var log strings.Builder
	w.runner = NewRunner(w.Store, w.submitter, Options{Inbox: w.inbox, Log: zerolog.New(&log)})
	for _, tt := range []struct{ code, content string }{
		{"missing_column", "revoke,u150,qa_resource,secret\n"},
		{"invalid_id", rows("grant", "u151 u152")},
	} {
		w.nextNight()
		w.deliver("in/a.csv", tt.content)
		w.round()
		if last := w.last(); last.State != store.RunRejected || last.Why == "" {
			t.Errorf("%s: the night is %+v", tt.code, last)
		}
		if !strings.Contains(log.String(), `"code":"`+tt.code+`"`) {
			t.Errorf("no code %s in the log: %s", tt.code, log.String())
		}
	}
	for _, cell := range []string{"u15", "secret", "revoke"} {
		if strings.Contains(log.String(), cell) {
			t.Errorf("%q is in the log: %s", cell, log.String())
		}
	}
}

// A file that was complete, and is being written anew before it can be taken.
func TestAFileIsJudgedAgainWhenItIsTaken(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(w *world)
		state  store.RunState
	}{
		{"left alone", func(*world) {}, store.RunOpen},
		{"written anew", func(w *world) {
			w.now = w.now.Add(time.Second)
			w.write("in/a.csv", rows("grant", "user-1", "user-3"))
			if err := os.Remove(filepath.Join(w.dir, "in/a.csv.done")); err != nil {
				w.t.Fatal(err)
			}
		}, store.RunRejected},
		{"of the same time", func(w *world) { w.write("in/a.csv", rows("grant", "user-1")) }, store.RunRejected},
		{"its mark is gone", func(w *world) {
			if err := os.Remove(filepath.Join(w.dir, "in/a.csv.done")); err != nil {
				w.t.Fatal(err)
			}
		}, store.RunRejected},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			w.add(nightly(store.FolderSchedule, "in"))
			w.nextNight()
			w.deliver("in/a.csv", rows("grant", "user-1", "user-2"))
			w.write("in/working", "in the way of the folder")
			if err := w.runner.round(t.Context(), w.now); err == nil {
				t.Fatal("the file was taken past what is in the way")
			}
			tt.change(w)
			if err := os.Remove(filepath.Join(w.dir, "in/working")); err != nil {
				t.Fatal(err)
			}
			w.round()
			last := w.last()
			if last.State != tt.state || len(w.jobs()) != len(last.Inputs) && tt.state == store.RunOpen {
				t.Fatalf("the night is %+v", last)
			}
			if tt.state == store.RunOpen {
				return
			}
			if last.Inputs[0].Why != "a.csv: it was changed after it was found to be complete" {
				t.Errorf("the run says %q", last.Inputs[0].Why)
			}
			w.nextNight()
			w.deliver("in/a.csv", rows("grant", "user-1", "user-3"))
			w.round()
			if last := w.last(); last.State != store.RunOpen {
				t.Errorf("once it is complete, the night is %+v", last)
			}
		})
	}
}

func TestFilesAreFiledWithTheirResults(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := nightly(store.FolderSchedule, "in")
	w.add(s)
	w.nextNight()
	w.deliver("in/a.csv", rows("grant", "user-1", "user-2"))
	w.deliver("in/b.csv", rows("grant", "user-3", "user-4"))
	w.deliver("in/c.csv", "what,is,this\n1,2,3\n")
	w.write("in/d.csv", rows("grant", "user-5"))
	w.deliver("in/.hidden.csv", rows("grant", "user-6"))
	w.deliver("in/e.xml", rows("grant", "user-7"))
	w.round()
	slot := w.last().Slot.Format("20060102T150405Z") + "-nightly-"
	want := []string{
		"in/.hidden.csv", "in/.hidden.csv.done", "in/d.csv", "in/e.xml", "in/e.xml.done",
		"in/errors/" + slot + "c.csv", "in/errors/" + slot + "c.csv.errors.csv", "in/working/" + slot + "a.csv", "in/working/" + slot + "b.csv",
	}
	if diff := cmp.Diff(want, w.files()); diff != "" {
		t.Fatalf("picked up (-want +got):\n%s", diff)
	}
	w.work("user-3")
	w.round()
	w.round()
	want = []string{
		"in/.hidden.csv", "in/.hidden.csv.done", "in/d.csv",
		"in/done/" + slot + "a.csv", "in/done/" + slot + "a.csv.results.csv", "in/e.xml", "in/e.xml.done",
		"in/errors/" + slot + "b.csv", "in/errors/" + slot + "b.csv.results.csv", "in/errors/" + slot + "c.csv", "in/errors/" + slot + "c.csv.errors.csv",
	}
	if diff := cmp.Diff(want, w.files()); diff != "" {
		t.Fatalf("filed (-want +got):\n%s", diff)
	}
	results, err := os.ReadFile(filepath.Join(w.dir, "in/errors", slot+"b.csv.results.csv"))
	if err != nil || !strings.Contains(string(results), "user-3,qa_resource,res,2099-12-31,2,failed,user_not_in_organization") ||
		!strings.Contains(string(results), "user-4,qa_resource,res,2099-12-31,3,succeeded") {
		t.Errorf("results: %v\n%s", err, results)
	}
	if last := w.last(); last.State != store.RunRejected {
		t.Errorf("the night is %+v", last)
	}
}

// Whatever it dies in the middle of, a run submits a file once, and files it.
func TestACrashSubmitsNothingTwice(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		die  func(w *world, run store.OpenRun) // in the state after the file was written down
	}{
		{"before it is moved", func(*world, store.OpenRun) {}},
		{"after it is moved", func(w *world, run store.OpenRun) {
			if err := (&work{Runner: w.runner, run: run}).inbox().take(store.RunInput{File: "people.csv"}); err != nil {
				w.t.Fatal(err)
			}
		}},
		{"after it is submitted", func(w *world, _ store.OpenRun) {
			r := w.newRunner()
			r.submitter = dying{w.submitter}
			if err := r.round(w.t.Context(), w.now); !errors.Is(err, errDied) {
				w.t.Fatal(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			s := w.add(nightly(store.FileSchedule, "in/people.csv"))
			w.nextNight()
			w.deliver("in/people.csv", rows("grant", users(1, 3)...))
			ctx := t.Context()
			if _, err := w.runner.plan(ctx, w.now); err != nil {
				t.Fatal(err)
			}
			open, err := w.OpenRuns(ctx)
			if err != nil || len(open) != 1 {
				t.Fatal(open, err)
			}
			if err := w.StartRun(ctx, open[0].RunRef, w.now, []store.RunInput{{File: "people.csv"}}); err != nil {
				t.Fatal(err)
			}
			if err := w.StartRun(ctx, open[0].RunRef, w.now, nil); !errors.Is(err, store.ErrStale) {
				t.Fatalf("it is started twice: %v", err)
			}
			tt.die(w, open[0])
			w.deliver("in/people.csv", rows("grant", users(7, 8)...)) // which another night is to find
			if tt.name == "before it is moved" {
				w.deliver("in/people.csv", rows("grant", users(1, 3)...))
			}
			w.runner = w.newRunner()
			w.round()
			w.round()
			if jobs := w.jobs(); len(jobs) != 1 || jobs[0].Counts.Total != 3 {
				t.Fatalf("jobs: %+v", jobs)
			}
			if sent := w.work(); len(sent) != 3 {
				t.Fatalf("sent %q", sent)
			}
			w.round()
			runs, err := w.Runs(ctx, s.ID, 10)
			if err != nil || len(runs) != 1 || runs[0].State != store.RunDone || !runs[0].Inputs[0].Filed {
				t.Fatalf("%+v, %v", runs, err)
			}
		})
	}
}

func TestOverlap(t *testing.T) {
	t.Parallel()
	for overlap, want := range map[store.Overlap]store.RunState{store.OverlapSkip: store.RunSkipped, store.OverlapQueue: store.RunDue} {
		w := setup(t)
		s := nightly(store.FileSchedule, "people.csv")
		s.Overlap, s.Guards = overlap, store.Guards{}
		w.add(s)
		for i := range 2 {
			w.nextNight()
			w.deliver("people.csv", rows("grant", users(i*10, i*10+5)...))
			w.round()
		}
		if last := w.last(); last.State != want {
			t.Fatalf("%s: the second night is %+v", overlap, last)
		}
		w.work()
		w.round()
		if overlap == store.OverlapQueue {
			if sent := w.work(); len(sent) != 6 {
				t.Errorf("what was queued sent %q", sent)
			}
		}
	}
}

// A file that comes late is waited for, but not beyond the next slot.
func TestAFileMayComeLate(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := nightly(store.FileSchedule, "people.csv")
	s.FileWithin = 48 * time.Hour
	w.add(s)
	w.nextNight()
	w.round()
	if last := w.last(); last.State != store.RunDue {
		t.Fatalf("without a file the night is %+v", last)
	}
	first := w.last()
	w.nextNight()
	w.round()
	if runs, err := w.Runs(t.Context(), first.Schedule, 2); err != nil || runs[1].State != store.RunMissing || runs[0].State != store.RunDue {
		t.Fatalf("%+v, %v", runs, err)
	}
	w.now = w.now.Add(time.Hour)
	w.deliver("people.csv", rows("grant", "user-1"))
	w.round()
	if sent := w.work(); len(sent) != 1 {
		t.Errorf("sent %q", sent)
	}
}

// A schedule names what is in the inbox, whatever links lie there.
func TestNothingOutsideTheInboxIsRead(t *testing.T) {
	t.Parallel()
	w := setup(t)
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "people.csv"), []byte(rows("grant", "user-1")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(w.dir, "in")); err != nil {
		t.Fatal(err)
	}
	s := nightly(store.FileSchedule, "in/people.csv")
	s.CompleteBy = store.CompleteByRename
	w.add(s)
	w.nextNight()
	if err := w.runner.round(t.Context(), w.now); err == nil {
		t.Error("what lies outside was looked at")
	}
	if len(w.jobs()) > 0 {
		t.Error("and submitted")
	}
}
