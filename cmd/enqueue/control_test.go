package main

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

var byTess = store.Order{Actor: "tess@desk", Reason: "month end"}

// flush empties Redis, so that what is in it afterwards was queued since.
func (b *bench) flush() {
	b.t.Helper()
	client, err := tasks.OpenRedis(b.t.Context(), b.vars["REDIS_URL"])
	if err != nil {
		b.t.Fatal(err)
	}
	defer client.Close()
	if err := client.FlushDB(b.t.Context()).Err(); err != nil {
		b.t.Fatal(err)
	}
}

// prints fails the test unless stdout holds every text.
func (o outcome) prints(t *testing.T, texts ...string) outcome {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(o.out, text) {
			t.Errorf("stdout lacks %q:\n%s", text, o.out)
		}
	}
	return o
}

func TestPauseAndResumeOfAJob(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows)
	b.run("pause", id, "--reason", "wrong file?").want(t, exitOK).
		prints(t, id+" is paused, 3 rows pending").says(t, "Next: enqueue resume "+id)
	b.run("pause", id, "--reason", "again").want(t, exitOK).prints(t, "was paused already", "by tess@desk; 3 rows pending")
	b.work(allGood) // finds nothing that is due
	b.run("status", id).want(t, exitOK).
		prints(t, "paused", "by tess@desk (wrong file?)", "to go on: enqueue resume "+id).says(t, "Next: enqueue resume "+id)
	d := decode[jobDocument](t, b.run("status", id, "--json").want(t, exitOK))
	if d.Status != store.JobPaused || len(d.Paused) != 1 || d.Paused[0].Reason != "wrong file?" || d.Paused[0].Since.IsZero() || d.Counts.Pending != 3 {
		t.Errorf("the document is %+v", d)
	}
	if d := decode[jobDocument](t, b.run("pause", id, "--json").want(t, exitOK)); d.Changed == nil || *d.Changed {
		t.Errorf("pausing again says %+v", d)
	}
	if o := b.run("jobs", "--status", "paused").want(t, exitOK); !strings.Contains(o.out, id) {
		t.Errorf("stdout is %q", o.out)
	}

	b.flush()
	b.run("resume", id).want(t, exitOK).prints(t, "is no longer paused; 2 waiting tasks may be sent").says(t, "Next: enqueue status "+id)
	if content := b.redis(); len(content) == 0 {
		t.Error("nothing was queued")
	}
	b.run("resume", id).want(t, exitOK).prints(t, "was not paused")
	if d := decode[jobDocument](t, b.run("resume", id, "--json").want(t, exitOK)); d.Changed == nil || *d.Changed || d.Paused != nil || d.Status != store.JobQueued {
		t.Errorf("resuming again says %+v", d)
	}
	b.work(allGood)
	b.run("pause", id).want(t, exitUsage).says(t, "has ended already")
	if job := b.job(id); job.Outcome != store.OutcomeSucceeded {
		t.Errorf("the job is %+v", job)
	}
}

func TestPauseOfMoreThanAJob(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args    string
		target  store.Target
		jobs    int // concerned
		subject string
	}{
		{"--source hr", store.Target{Scope: store.ScopeSource, Name: "hr"}, 1, "Source hr"},
		{"--action SmartqAuthorize", store.Target{Scope: store.ScopeAction, Name: "SmartqAuthorize"}, 2, "SmartqAuthorize"},
		{"--all", store.Target{Scope: store.ScopeAll}, 2, "Everything"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()

			b := setup(t)
			id := b.submit(threeRows, "--source", "hr")
			b.submit(threeRows, "--source", "other")
			args := strings.Fields(tt.args)
			b.run(append([]string{"pause"}, args...)...).want(t, exitOK).
				prints(t, tt.subject+" is paused, "+plural(tt.jobs, "open job")+" concerned").says(t, "Next: enqueue resume "+tt.args)
			d := decode[pauseDocument](t, b.run(append([]string{"pause", "--json"}, args...)...).want(t, exitOK))
			if d.Changed || d.Target != tt.target || d.OpenJobs != tt.jobs || len(d.Paused) != 1 || d.Paused[0].Actor != "tess@desk" {
				t.Errorf("the document is %+v", d)
			}
			b.run("status", id).want(t, exitOK).prints(t, tt.subject+" is paused since", "to go on: enqueue resume "+tt.args)
			b.run("jobs").want(t, exitOK).says(t, tt.subject+" is paused since")

			b.flush()
			r := decode[resumeDocument](t, b.run(append([]string{"resume", "--json"}, args...)...).want(t, exitOK))
			if !r.Changed || !r.WasPaused || r.WasStopped || r.Delayed || r.Queued != 2*tt.jobs || r.Paused == nil || r.Target != tt.target {
				t.Errorf("the document is %+v", r)
			}
			b.run(append([]string{"resume"}, args...)...).want(t, exitOK).prints(t, "nothing to resume")
			if job := b.job(id); job.Status != store.JobQueued {
				t.Errorf("the job is %s", job.Status)
			}
		})
	}
}

func TestResumeTellsWhatStaysPaused(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows)
	b.run("pause", id).want(t, exitOK)
	b.run("pause", "--source", "csv").want(t, exitOK)
	b.run("pause", "--all").want(t, exitOK)
	b.run("resume", id).want(t, exitOK).prints(t, "0 waiting tasks", "Everything is paused", "Source csv is paused")
	b.run("resume", "--source", "csv").want(t, exitOK).prints(t, "0 waiting tasks", "Everything is paused")
	b.run("pause", id).want(t, exitOK)
	b.run("resume", "--all").want(t, exitOK).prints(t, "0 waiting tasks", id+" is paused")
	b.run("resume", id).want(t, exitOK).prints(t, "2 waiting tasks")
}

func TestResumeWhileRedisIsAway(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows)
	b.vars["REDIS_URL"] = "redis://127.0.0.1:1/0"
	b.run("pause", id).want(t, exitOK)
	b.run("resume", id).want(t, exitOK).prints(t, "no longer paused", "Redis is away")
	b.run("pause", "--all").want(t, exitOK)
	if d := decode[resumeDocument](t, b.run("resume", "--all", "--json").want(t, exitOK)); !d.Changed || !d.Delayed {
		t.Errorf("the document is %+v", d)
	}
	if job := b.job(id); job.Status != store.JobQueued {
		t.Errorf("the job is %s", job.Status)
	}
	delete(b.vars, "REDIS_URL")
	b.run("resume", id).want(t, exitUsage).says(t, "REDIS_URL")
}

func TestResumeOfAnActionThatIsPausedAndStopped(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.submit(threeRows)
	if _, err := b.store.StopAction(t.Context(), store.Stop{Action: access.SmartqAuthorize, Code: "instance_expired"}, 0); err != nil {
		t.Fatal(err)
	}
	b.run("pause", "--action", "SmartqAuthorize").want(t, exitOK)
	b.run("resume", "--action", "SmartqAuthorize").want(t, exitOK).
		prints(t, "SmartqAuthorize is no longer paused", "sends one call of SmartqAuthorize at once")
}

func TestCancelOfMoreThanAJobAsksFirst(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--source", "csv"}, {"--action", "SmartqAuthorize"}, {"--all"}} {
		t.Run(args[0], func(t *testing.T) {
			t.Parallel()

			b := setup(t)
			id := b.submit(threeRows)
			command := append([]string{"cancel"}, args...)
			confirmed := slices.Concat(command, []string{"--yes", "--reason", "wrong feed"})
			b.run(command...).want(t, exitGuard).
				says(t, "nothing was done", "3 rows of 1 job; 1 revoke among them, whose access stays", strings.Join(command, " ")+" --yes")
			d := decode[cancelDocument](t, b.run(append(command, "--json")...).want(t, exitGuard))
			want := store.Withdrawal{Jobs: 1, Rows: 3, Revokes: 1}
			if d.Withdraw == nil || *d.Withdraw != want || d.Done != nil || d.Changed || d.Error == nil {
				t.Errorf("the document is %+v", d)
			}
			if job := b.job(id); job.Counts.Pending != 3 {
				t.Fatalf("without --yes the job is %+v", job)
			}

			b.run("pause", "--all").want(t, exitOK) // does not keep it from being canceled
			b.run(confirmed...).want(t, exitOK).prints(t, "is canceled", "3 rows of 1 job")
			d = decode[cancelDocument](t, b.run(append(confirmed, "--json")...).want(t, exitOK))
			if d.Done == nil || d.Changed || d.Done.Rows != 0 {
				t.Errorf("canceling again says %+v", d)
			}
			b.run(command...).want(t, exitOK).prints(t, "nothing to withdraw")
			if job := b.job(id); job.Counts.Canceled != 3 || !job.Status.Final() {
				t.Errorf("the job is %+v", job)
			}
		})
	}
}

func TestWaitTellsOnceThatTheJobIsPaused(t *testing.T) {
	t.Parallel()

	b := setup(t)
	ticks := 0
	b.tick = func() {
		if ticks++; ticks == 1 {
			if _, err := b.store.Pause(context.WithoutCancel(t.Context()), store.Target{Scope: store.ScopeSource, Name: "csv"}, byTess); err != nil {
				t.Error(err)
			}
		}
	}
	o := b.run("csv", b.file(threeRows), "--wait=5s").want(t, exitWaitOver).says(t, "the job is paused, and goes on when it is resumed")
	if n := strings.Count(o.err, "Source csv is paused since"); n != 1 || !strings.Contains(o.err, "by tess@desk (month end)") {
		t.Errorf("%d times it is said by whom and why:\n%s", n, o.err)
	}
	id := strings.TrimSpace(o.out)
	ticks = 0
	b.tick = func() {
		if ticks++; ticks == 2 {
			b.run("resume", "--source", "csv").want(t, exitOK)
			b.work(allGood)
		}
	}
	b.run("status", id, "--watch").want(t, exitOK).says(t, "Source csv is paused since")
}

func TestSubmissionOfWhatIsPausedSaysSo(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.run("pause", "--source", "hr feed").want(t, exitOK).prints(t, "Source hr feed is paused, 0 open jobs")
	b.run("csv", b.file(threeRows), "--source", "hr feed").want(t, exitOK).says(t, "enqueue resume --source 'hr feed'")
	d := decode[jobDocument](t, b.run("csv", b.file(threeRows), "--source", "hr feed", "--json").want(t, exitOK))
	if d.Status != store.JobPaused || len(d.Paused) != 1 {
		t.Errorf("the document is %+v", d)
	}
}
