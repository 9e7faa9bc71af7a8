package schedule

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/submit"
)

// give submits rows as a source and has them carried out.
func (w *world) give(source, csv string, refused ...string) {
	w.t.Helper()
	batch, err := intake.ReadCSV(strings.NewReader(csv), intake.Options{})
	if err != nil || len(batch.Errors) > 0 {
		w.t.Fatal(err, batch.Errors)
	}
	_, err = w.submitter.Submit(w.t.Context(), submit.Submission(batch, submit.Request{Source: source, RequestedBy: "tess", Lane: store.Normal}))
	if err != nil {
		w.t.Fatal(err)
	}
	w.work(refused...)
}

// each is a file of grants with an expiry each, "user-1 2099-12-31".
func each(grants ...string) string {
	var out strings.Builder
	out.WriteString(rows("grant"))
	for _, g := range grants {
		user, expiry, _ := strings.Cut(g, " ")
		fmt.Fprintf(&out, "grant,%s,qa_resource,res,%s\n", user, expiry)
	}
	return out.String()
}

func TestDesired(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := nightly(store.DesiredSchedule, "people.csv")
	s.Guards = store.Guards{MaxRevokes: 5, MaxRevokeShare: 0.5}
	w.add(s)
	w.give("hr-nightly", each("keep 2099-12-31", "leave 2099-12-31", "extend 2099-06-30", "twice 2099-12-31"))
	w.give("hr-nightly", each("refused 2099-12-31"), "refused")
	w.give("it", each("others 2099-12-31", "twice 2099-12-31", "differs 2099-06-30", "wanted 2099-12-31"))
	w.give("hr-nightly", rows("grant", "gone"))
	w.give("hr-nightly", rows("revoke", "gone"))

	night := func(csv string) []string {
		t.Helper()
		w.nextNight()
		w.deliver("people.csv", csv)
		w.round()
		sent := w.work()
		w.round()
		return sent
	}
	got := night(each("keep 2099-12-31", "extend 2099-12-31", "refused 2099-12-31", "new 2099-12-31", "differs 2099-12-31", "wanted 2099-12-31", "past 2020-01-01"))
	want := []string{
		"grant differs qa_resource:res 2099-12-31", "grant extend qa_resource:res 2099-12-31", "grant new qa_resource:res 2099-12-31",
		"grant refused qa_resource:res 2099-12-31", "revoke leave qa_resource:res ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("the difference (-want +got):\n%s\n%+v", diff, w.last())
	}
	same := each("differs 2099-12-31", "keep 2099-12-31", "extend 2099-12-31", "refused 2099-12-31", "new 2099-12-31", "wanted 2099-12-31")
	if sent := night(same); len(sent) > 0 || w.last().State != store.RunNothing {
		t.Errorf("nothing has changed, but %q was sent: %+v", sent, w.last())
	}
	if got := w.files(); !strings.HasPrefix(strings.Join(got, " "), "done/") || len(got) != 3 {
		t.Errorf("the files are %q", got)
	}
	// "wanted" was never granted by the schedule, so it is not taken away.
	got = night(each("keep 2099-12-31", "extend 2099-12-31", "refused 2099-12-31", "new 2099-12-31"))
	if diff := cmp.Diff([]string{"revoke differs qa_resource:res "}, got); diff != "" {
		t.Errorf("the difference (-want +got):\n%s", diff)
	}
	jobs := len(w.jobs())
	for _, night := range []struct {
		give  []string
		guard string
	}{{users(1, 20), ""}, {users(1, 10), store.GuardRevokes}} {
		w.nextNight()
		w.deliver("people.csv", rows("grant", night.give...))
		w.round()
		jobs++
		if all := w.jobs(); len(all) != jobs || w.guard(all[0].ID) != night.guard {
			t.Errorf("%d jobs, held by %q, want %q", len(all), w.guard(all[0].ID), night.guard)
		}
		w.work()
	}
}

// Who was there before this system came keeps what they have.
func TestDesiredRevokesOnlyWhatItGranted(t *testing.T) {
	t.Parallel()
	grant := func(status store.Status, source string) store.Asked {
		return store.Asked{Operation: access.Grant, Status: status, Source: source}
	}
	revoke := store.Asked{Operation: access.Revoke, Status: store.Succeeded, Source: "s"}
	for _, tt := range []struct {
		name  string
		asked []store.Asked // the newest first
		want  bool
	}{
		{"granted", []store.Asked{grant(store.Succeeded, "s")}, true},
		{"nobody knows", []store.Asked{grant(store.Unknown, "s")}, true},
		{"found there", []store.Asked{grant(store.NoChange, "s")}, false},
		{"granted, and found there", []store.Asked{grant(store.NoChange, "s"), grant(store.Succeeded, "s")}, true},
		{"granted, revoked, and found there", []store.Asked{grant(store.NoChange, "s"), revoke, grant(store.Succeeded, "s")}, false},
		{"refused", []store.Asked{grant(store.Failed, "s")}, false},
		{"another's", []store.Asked{grant(store.Succeeded, "t")}, false},
		{"another's since", []store.Asked{grant(store.Succeeded, "t"), grant(store.Succeeded, "s")}, false},
		{"its own since", []store.Asked{grant(store.Succeeded, "s"), grant(store.Succeeded, "t")}, true},
		{"another's that was refused", []store.Asked{grant(store.Failed, "t"), grant(store.Succeeded, "s")}, true},
		{"another's that was withdrawn", []store.Asked{grant(store.Canceled, "t"), grant(store.Succeeded, "s")}, true},
	} {
		if got := grantedBy(store.Granted{Asked: tt.asked}, "s"); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestRenewals(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := nightly(store.RenewSchedule, "")
	s.RenewDays = 3
	w.add(s)
	today := access.DateOf(w.now.UTC())
	on := func(days int) string { return today.AddDays(days).String() }
	w.give("hr-nightly", each("later "+on(5), "lately "+on(2), "soon "+on(1)))
	w.give("it", each("others "+on(2)))
	w.give("hr-nightly", each("gone "+on(2)))
	w.give("hr-nightly", rows("revoke", "gone"))
	w.give("it", each("lately "+on(200)), "lately") // nothing came of it
	w.give("hr-nightly", each("left "+on(2)))
	w.give("hr-nightly", rows("revoke", "left"), "left") // it fails, and is not to be undone

	w.nextNight() // the day after at the latest
	w.round()
	night := access.DateOf(w.now)
	want := []string{"grant lately qa_resource:res " + night.AddDays(2).String()}
	if gap := int(night.Time().Sub(today.Time()).Hours() / 24); gap == 0 {
		want = nil // each would end on the day on which it ends
	} else {
		want = append(want, "grant soon qa_resource:res "+night.AddDays(1).String())
	}
	if diff := cmp.Diff(want, w.work()); diff != "" {
		t.Errorf("renewed (-want +got):\n%s", diff)
	}
	w.round()
	if last := w.last(); last.State != store.RunDone && want != nil {
		t.Errorf("the night is %+v", last)
	}
}

func TestRenewalsForAsLongAsTheScheduleSays(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := nightly(store.RenewSchedule, "")
	s.RenewDays, s.ExpiryDays = 3, 90
	w.add(s)
	today := access.DateOf(w.now.UTC())
	w.give("hr-nightly", each("soon "+today.AddDays(2).String(), "later "+today.AddDays(40).String()))
	w.nextNight()
	w.round()
	want := []string{"grant soon qa_resource:res " + access.DateOf(w.now).AddDays(90).String()}
	if diff := cmp.Diff(want, w.work()); diff != "" {
		t.Errorf("renewed (-want +got):\n%s", diff)
	}
	w.round()
	w.nextNight()
	w.round()
	if last := w.last(); last.State != store.RunNothing {
		t.Errorf("the night after is %+v", last)
	}
}
