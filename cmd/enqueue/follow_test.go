package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

func TestWaitFollowsToTheEnd(t *testing.T) {
	t.Parallel()

	for name, tt := range map[string]struct {
		refused map[string]store.Exception
		code    int
		status  string
		next    string
	}{
		"all succeed":  {code: exitOK, status: "completed, succeeded", next: "-o results.csv"},
		"some fail":    {refused: map[string]store.Exception{"user-1": gone}, code: exitRowsFailed, status: "completed, partial", next: "enqueue failures"},
		"some can try": {refused: map[string]store.Exception{"user-1": broken}, code: exitRowsFailed, status: "completed, partial", next: "enqueue retry"},
		"all fail": {
			refused: map[string]store.Exception{"user-1": gone, "user-2": gone, "user-3": broken},
			code:    exitRowsFailed, status: "completed, failed", next: "enqueue results",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := setup(t)
			b.tick = func() { b.work(refusing(tt.refused)) }
			o := b.run("csv", b.file(threeRows), "--wait").want(t, tt.code).says(t, tt.status, tt.next)
			if id := strings.TrimSpace(o.out); len(id) != 26 {
				t.Errorf("stdout is %q, want the job's id alone", o.out)
			}
		})
	}
}

func TestWaitPrintsTheJobAsItEnded(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.tick = func() { b.work(refusing(map[string]store.Exception{"user-2": gone})) }
	job := decode[jobDocument](t, b.run("csv", b.file(threeRows), "--wait", "--json").want(t, exitRowsFailed))
	want := store.Counts{Total: 3, Succeeded: 2, Failed: 1}
	if job.Status != store.JobCompleted || job.Outcome != store.OutcomePartial || job.Counts != want || job.Error != nil {
		t.Errorf("the job is %+v", job)
	}
}

func TestWaitEndsAfterItsTime(t *testing.T) {
	t.Parallel()

	b := setup(t)
	start := b.now
	o := b.run("csv", b.file(threeRows), "--wait=5s").want(t, exitWaitOver).says(t, "The wait of 5s is over; the job goes on.", "--watch")
	if waited := b.now.Sub(start); waited != 5*time.Second {
		t.Errorf("waited %s, want 5s", waited)
	}
	job := decode[jobDocument](t, b.run("csv", b.file(threeRows), "--wait=5s", "--json").want(t, exitWaitOver))
	if job.Error == nil || job.Error.Code != "wait_over" || job.ID != strings.TrimSpace(o.out) {
		t.Errorf("the document is %+v", job)
	}
	if got := b.job(job.ID).Status; got != store.JobQueued {
		t.Errorf("the job is %s, want it to go on", got)
	}
}

func TestInterruptedWaitLetsTheJobGoOn(t *testing.T) {
	t.Parallel()

	for _, args := range [][]string{{"--wait"}, {"--wait", "--json"}} {
		b := setup(t)
		ctx, cancel := context.WithCancel(t.Context())
		b.tick = cancel
		o := b.runCtx(ctx, append([]string{"csv", b.file(threeRows)}, args...)...).want(t, exitInterrupted)
		jobs, err := b.store.Jobs(t.Context(), store.JobFilter{})
		if err != nil || len(jobs) != 1 || jobs[0].Status != store.JobQueued {
			t.Fatalf("jobs are %+v, %v", jobs, err)
		}
		if len(args) == 1 {
			o.says(t, "Interrupted; the job goes on.", "Next: enqueue status "+jobs[0].ID+" --watch")
		} else if got := decode[jobDocument](t, o); got.ID != jobs[0].ID || got.Error.Code != "interrupted" {
			t.Errorf("the document is %+v", got)
		}
	}
}

func TestWatchFollowsLikeWait(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows)
	b.tick = func() { b.work(refusing(map[string]store.Exception{"user-1": gone})) }
	o := b.run("status", id, "--watch").want(t, exitRowsFailed)
	if !strings.Contains(o.out, "completed, partial") || !strings.Contains(o.out, "3: 2 succeeded, 1 failed") {
		t.Errorf("stdout is\n%s", o.out)
	}
	b.run("status", id).want(t, exitOK)
}

func TestWatchEndsWithACanceledJob(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows)
	b.tick = func() {
		if _, err := b.store.Cancel(t.Context(), store.OfJob(id), store.Order{Actor: "somebody"}); err != nil {
			t.Error(err)
		}
	}
	b.run("status", id, "--watch").want(t, exitJobFailed)
}

func TestProgressIsPlainLinesWithoutATerminal(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.vars["NO_COLOR"] = "1"
	o := b.run("csv", b.file(threeRows), "--wait=35s").want(t, exitWaitOver)
	if n := strings.Count(o.err, "queued: 0 of 3 rows (0%), no worker has taken it yet"); n != 3 {
		t.Errorf("%d lines of progress in 35 s, want 3:\n%s", n, o.err)
	}
	if strings.ContainsAny(o.err, "\r\x1b") {
		t.Errorf("stderr holds control characters: %q", o.err)
	}
}

func TestProgressIsABarOnATerminal(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.tty = true
	b.tick = func() { b.work(allGood) }
	o := b.run("csv", b.file(threeRows), "--wait").want(t, exitOK)
	if !strings.Contains(o.err, "\r") || !strings.Contains(o.err, "0/3") {
		t.Errorf("stderr shows no bar: %q", o.err)
	}
	if strings.Contains(o.err, "\x1b[3") || strings.Contains(o.out, "\r") {
		t.Errorf("colour on stderr or a bar on stdout: %q, %q", o.err, o.out)
	}
}

func TestStatusTellsWhatHoldsAJobUp(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows)
	stop := store.Stop{
		Action: "SmartqAuthorize", Code: "smartq_not_purchased", APICode: "RobotNl2sql.Module.NotPurchase",
		Message: "not purchased\x1b[2J", RequestID: "req-1",
	}
	if _, err := b.store.StopAction(t.Context(), stop, time.Minute); err != nil {
		t.Fatal(err)
	}
	o := b.run("status", id).want(t, exitOK)
	for _, part := range []string{"queued", "no worker has taken it yet", "SmartqAuthorize is stopped", "RobotNl2sql.Module.NotPurchase", "Buy the Smart Q module"} {
		if !strings.Contains(o.out, part) {
			t.Errorf("stdout lacks %q:\n%s", part, o.out)
		}
	}
	if !strings.Contains(o.out, "or at once on: enqueue resume --action SmartqAuthorize") || strings.Contains(o.out, "购买") {
		t.Errorf("stdout is\n%s", o.out)
	}
	if strings.Contains(o.out, "\x1b") {
		t.Error("an escape sequence of the message reached the terminal")
	}
	job := decode[jobDocument](t, b.run("status", id, "--json").want(t, exitOK))
	if len(job.Stopped) != 1 || job.Stopped[0].Code != stop.Code || job.Stopped[0].Hint == "" || job.Stopped[0].HintZH == "" {
		t.Errorf("stopped actions are %+v", job.Stopped)
	}
	for _, tt := range []struct {
		name, value string
		chinese     bool
	}{{"LANG", "zh_CN.UTF-8", true}, {"LC_ALL", "C", false}, {"LC_ALL", "zh_TW", true}, {"LC_ALL", "", true}} {
		b.vars[tt.name] = tt.value
		o := b.run("status", id).want(t, exitOK)
		if got := strings.Contains(o.out, "Buy the Smart Q module") && strings.Contains(o.out, "请为组织购买"); got != tt.chinese {
			t.Errorf("%s=%s: a Chinese hint beside the English one: %t\n%s", tt.name, tt.value, got, o.out)
		}
	}
}

// A Ctrl-C that comes right after the commit must not hide the job.
func TestInterruptedSubmissionNamesItsJob(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errOut strings.Builder
	a := &app{env: env{Stdout: &out, Stderr: &errOut}}
	code := a.conclude(a.accepted(ctx, tasks.Lookout{Store: b.store, Rate: func(access.Action) float64 { return 50 }}, accepted{Submitted: tasks.Submitted{JobID: id, Delayed: true}}))
	if code != exitInterrupted || out.String() != id+"\n" {
		t.Errorf("exit code %d, stdout %q; want %d and the id", code, out.String(), exitInterrupted)
	}
	outcome{err: errOut.String()}.says(t, "a worker queues the rest", "Next: enqueue status "+id)
}
