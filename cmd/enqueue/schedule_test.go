package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/store"
)

func TestSchedules(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.vars["QUICKBI_TIMEZONE"] = "Europe/Berlin"
	b.run("schedule", "list").want(t, exitOK).says(t, "no schedules")
	o := b.run("schedule", "add", "leavers", "--cron", "0 2 * * *", "--file", "hr/../hr/leavers.csv", "--max-revokes", "50", "--requested-by", "ann").want(t, exitOK)
	for _, text := range []string{"file hr/leavers.csv", "0 2 * * * in Europe/Berlin", "more than 50 revokes; more than 1,000 revokes in 24 hours; more than 33.33% fewer rows", "source leavers, requested by ann, lane bulk"} {
		if !strings.Contains(o.out, text) {
			t.Errorf("add does not say %q:\n%s", text, o.out)
		}
	}
	b.run("schedule", "add", "leavers", "--cron", "0 3 * * *", "--file", "x.csv").want(t, exitUsage).says(t, "exists")
	b.run("schedule", "add", "renewals", "--cron", "0 3 * * *", "--timezone", "Asia/Shanghai", "--renew-within", "3d", "--source", "hr", "--expires-in", "90d").want(t, exitOK)

	if o := b.run("schedule", "list").want(t, exitOK); strings.Count(o.out, "\n") != 3 || !strings.Contains(o.out, "renew what ends within 3d") {
		t.Errorf("list says\n%s", o.out)
	}
	if o := b.run("schedule", "next", "leavers", "--count", "2").want(t, exitOK); strings.Count(o.out, "02:00 CE") != 2 {
		t.Errorf("next says\n%s", o.out)
	}
	next := decode[slotsDocument](t, b.run("schedule", "next", "renewals", "--json").want(t, exitOK))
	if len(next.Slots) != 5 || next.Slots[0].UTC().Hour() != 19 || next.Slots[1].Sub(next.Slots[0]) != 24*time.Hour {
		t.Errorf("the slots of renewals are %v", next.Slots)
	}
	pause := decode[scheduleView](t, b.run("schedule", "pause", "leavers", "--reason", "moving", "--json").want(t, exitOK))
	if pause.PausedAt == nil || pause.Next != nil || !*pause.Changed || pause.PauseReason != "moving" {
		t.Errorf("paused, it is %+v", pause)
	}
	if o := b.run("schedule", "pause", "leavers").want(t, exitOK); !strings.Contains(o.out, "was paused already") {
		t.Errorf("pause says\n%s", o.out)
	}
	b.run("schedule", "next", "leavers").want(t, exitOK).says(t, "leavers is paused")
	b.run("schedule", "resume", "leavers").want(t, exitOK)
	b.run("schedule", "run", "leavers").want(t, exitOK).says(t, "schedule show leavers")
	shown := decode[scheduleView](t, b.run("schedule", "show", "leavers", "--json").want(t, exitOK))
	if len(shown.Runs) != 1 || !shown.Runs[0].Manual || shown.Runs[0].State != store.RunDue || shown.Next == nil {
		t.Errorf("asked for, it is %+v", shown)
	}
	if o := b.run("schedule", "show", "leavers").want(t, exitOK); !strings.Contains(o.out, "(asked for)") {
		t.Errorf("show says\n%s", o.out)
	}
	b.run("schedule", "remove", "leavers").want(t, exitOK)
	b.run("schedule", "show", "leavers").want(t, exitUsage).says(t, "no such schedule", "enqueue schedule list")
	open, err := b.store.OpenRuns(t.Context())
	if err != nil || len(open) > 0 {
		t.Errorf("removed, %v are open, %v", open, err)
	}
	b.run("schedule", "add", "leavers", "--cron", "0 2 * * *", "--file", "hr/leavers.csv").want(t, exitOK)
}

func TestSchedulesOfWorkbooks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	add := func(args ...string) outcome {
		return b.run(append([]string{"schedule", "add", "books", "--cron", "0 2 * * *", "--source", "hr"}, args...)...)
	}
	add("--desired", "hr/access.xlsx", "--skip-invalid").want(t, exitUsage).says(t, "would revoke what the bad rows of a full list ask for")
	add("--renew-within", "3d", "--sheet", "All").want(t, exitUsage).says(t, "--renew-within reads none")
	add("--renew-within", "3d", "--skip-invalid").want(t, exitUsage).says(t, "--renew-within reads none")
	o := add("--folder", "hr/in", "--sheet", "Leavers", "--skip-invalid").want(t, exitOK)
	for _, text := range []string{"sheet     Leavers", "bad rows  are recorded as failures"} {
		if !strings.Contains(o.out, text) {
			t.Errorf("add does not say %q:\n%s", text, o.out)
		}
	}
	if shown := decode[scheduleView](t, b.run("schedule", "show", "books", "--json").want(t, exitOK)); shown.Sheet != "Leavers" || !shown.SkipInvalid {
		t.Errorf("kept is %+v", shown)
	}
}

func TestPathsOfSchedulesStayInTheInbox(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for path, says := range map[string]string{
		"/etc/passwd": "below WORKER_INBOX", "../x.csv": "below WORKER_INBOX", "a/../../x.csv": "below WORKER_INBOX", "in/done/x.csv": "where files are put",
	} {
		b.run("schedule", "add", "x", "--cron", "0 2 * * *", "--file", path).want(t, exitUsage).says(t, says)
	}
	var names []string
	all, err := b.store.Schedules(t.Context())
	for _, s := range all {
		names = append(names, s.Name)
	}
	if diff := cmp.Diff([]string(nil), names); diff != "" || err != nil {
		t.Errorf("schedules (-want +got):\n%s%v", diff, err)
	}
}
