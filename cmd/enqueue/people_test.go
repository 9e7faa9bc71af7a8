package main

import (
	"strings"
	"testing"
	"time"

	"github.com/usher-bi/usher/internal/events"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
	"github.com/usher-bi/usher/internal/view"
)

const soundProfiles = `version: "1"
expires_in: 90d
profiles:
  analyst:
    resources:
      - {type: qa_resource, id: sales}
      - {type: workspace, id: room, role: viewer}
`

const (
	joiner = `{"event_id":"e1","type":"joiner","principal":"u1","profile":"analyst","effective_at":"2026-01-01T00:00:00+08:00"}` + "\n"
	leaver = `{"event_id":"e2","type":"leaver","principal":"u1","effective_at":"2026-02-01T00:00:00+08:00"}` + "\n"
	future = `{"event_id":"e3","type":"leaver","principal":"u2","effective_at":"2099-02-01T00:00:00+08:00"}` + "\n"
)

// applyEvents is what a worker does with events that are due.
func (b *bench) applyEvents() {
	b.t.Helper()
	client, err := tasks.OpenRedis(b.t.Context(), b.vars["REDIS_URL"])
	if err != nil {
		b.t.Fatal(err)
	}
	defer client.Close()
	applier := events.NewApplier(b.store, tasks.NewSubmitter(b.store, tasks.NewQueue(client)), events.Options{})
	if err := applier.Round(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

func TestAPersonFromJoiningToLeaving(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.run("profiles").want(t, exitOK).says(t, "No profiles were loaded")
	b.run("person", "u1").want(t, exitOK).says(t, "Nothing is known of u1")
	if o := b.run("profiles", "check", b.file(soundProfiles)).want(t, exitOK); !strings.Contains(o.out, "Version 1 is sound: 1 profile.") {
		t.Errorf("check says %q", o.out)
	}
	b.run("events", b.file(joiner)).want(t, exitRejected).says(t, "line 1, profile: ", "[profile_unknown]")
	b.run("profiles", "load", b.file(soundProfiles), "--reason", "first").want(t, exitOK)
	if o := b.run("profiles", "load", b.file(soundProfiles)).want(t, exitOK); !strings.Contains(o.out, "already") {
		t.Errorf("loading twice says %q", o.out)
	}
	if o := b.run("profiles").want(t, exitOK); !strings.Contains(o.out, "90 days") || !strings.Contains(o.out, "until revoked") || !strings.Contains(o.out, "first") {
		t.Errorf("profiles shows\n%s", o.out)
	}
	if o := b.run("events", b.file(joiner)).want(t, exitOK).says(t, "enqueue person ID"); o.out != "1 event accepted, 0 known already.\n" {
		t.Errorf("events says %q", o.out)
	}
	b.applyEvents()
	b.work(allGood)
	o := b.run("person", "u1").want(t, exitOK)
	for _, text := range []string{"analyst@1", "applied", "qa_resource", "sales", "in_force", "grant succeeded"} {
		if !strings.Contains(o.out, text) {
			t.Errorf("person lacks %q:\n%s", text, o.out)
		}
	}
	b.run("events", b.file(joiner+leaver+future)).want(t, exitOK)
	if open := decode[openDocument](t, b.run("person", "--open", "--json").want(t, exitOK)); len(open.Open) != 1 || open.Open[0].Open || open.Open[0].ID != "e2" {
		t.Errorf("before a worker has seen the leaver, open is %+v", open)
	}
	b.applyEvents()
	if o := b.run("person", "--open").want(t, exitOK); !strings.Contains(o.out, "u1") || strings.Contains(o.out, "u2") {
		t.Errorf("open are\n%s", o.out)
	}
	b.work(refusing(map[string]store.Exception{"u1": {Status: store.Failed, Code: "no_luck", Message: "no", Retryable: true}}))
	b.run("person", "u1").want(t, exitOK).says(t, "Open: ")
	d := decode[personDocument](t, b.run("person", "u1", "--json").want(t, exitOK))
	if !d.Open || len(d.Events) != 2 || d.Events[0].ID != "e2" || len(d.Access) != 2 {
		t.Fatalf("the person is %+v", d)
	}
	if sales := d.Access[0]; sales.State != store.InForce || len(sales.Asked) != 2 || sales.Asked[0].Code != "no_luck" || sales.Asked[1].Ticket != "e1" ||
		sales.ExpiresOn == "" || sales.Asked[0].ExpiresOn != "" || !strings.Contains(sales.Asked[1].Reason, "profiles 1 (sha256 ") {
		t.Errorf("the access is %+v", sales)
	}
	if open := decode[openDocument](t, b.run("person", "--open", "--json").want(t, exitOK)); len(open.Open) != 1 || len(open.Stuck) != 0 {
		t.Errorf("open is %+v", open)
	}
}

func TestPeopleJSONOnEveryPath(t *testing.T) {
	t.Parallel()

	b := setup(t)
	sound := b.file(soundProfiles)
	b.run("profiles", "load", sound).want(t, exitOK)
	b.run("events", b.file(joiner)).want(t, exitOK)
	other := b.file(strings.Replace(soundProfiles, "sales", "stock", 1))
	for _, tt := range []struct {
		args string
		code int
		want string
	}{
		{"events", exitUsage, "usage"},
		{"events " + b.file(joiner) + " --source=", exitUsage, "usage"},
		{"events " + b.file(joiner) + " --requested-by \xd5\xc5", exitUsage, "usage"},
		{"events " + sound + ".missing", exitUsage, "usage"},
		{"events " + sound, exitRejected, "input_rejected"},
		{"events " + b.file(""), exitRejected, "input_rejected"},
		{"events " + b.file(strings.Replace(joiner, "analyst", "boss", 1)), exitKeyReused, "event_id_reused"},
		{"events " + b.file(strings.NewReplacer("analyst", "boss", "e1", "e9").Replace(joiner)), exitRejected, "input_rejected"},
		{"events " + b.file(joiner), exitOK, ""},
		{"events " + b.file(`{"event_id":"w","type":"withdraw","withdraws":"e1"}`), exitOK, ""},
		{"profiles", exitOK, ""},
		{"profiles extra", exitUsage, "usage"},
		{"profiles check", exitUsage, "usage"},
		{"profiles check " + b.file(joiner), exitRejected, "input_rejected"},
		{"profiles check " + sound, exitOK, ""},
		{"profiles load " + other, exitUsage, "version_reused"},
		{"profiles load " + sound + " --requested-by=", exitUsage, "usage"},
		{"profiles load " + sound, exitOK, ""},
		{"person", exitUsage, "usage"},
		{"person u1 u2", exitUsage, "usage"},
		{"person u1 --open", exitUsage, "usage"},
		{"person u1", exitOK, ""},
		{"person \xd5\xc5", exitUsage, "usage"},
		{"person --open", exitOK, ""},
	} {
		o := b.run(append(strings.Fields(tt.args), "--json")...)
		document := decode[errorDocument](t, o)
		if o.code != tt.code || document.Error.Code != tt.want || (tt.want != "") != (document.Error.Message != "") {
			t.Errorf("%s: exit code %d, error %+v; want %d, %q", tt.args, o.code, document.Error, tt.code, tt.want)
		}
		if strings.Contains(o.err, "Next:") {
			t.Errorf("%s: talk for people beside --json:\n%s", tt.args, o.err)
		}
	}
	offline(t).run("profiles", "check", sound).want(t, exitOK)
}

// A leaver that revokes nothing is told of when it is accepted, and listed.
func TestLeaversThatDoNothingAreShown(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.run("profiles", "load", b.file(soundProfiles)).want(t, exitOK)
	b.run("events", b.file(joiner)).want(t, exitOK)
	b.applyEvents()
	late := strings.NewReplacer("2026-02", "2025-12").Replace(leaver)
	nobody := strings.NewReplacer(`"e2"`, `"e4"`, `"u1"`, `"1234567890123456"`).Replace(leaver)
	b.run("events", b.file(late+nobody)).want(t, exitOK).
		says(t, "line 1: e2 is effective before e1, which was applied already, and will revoke nothing").
		says(t, "1 events have a principal of 16 digits, the first on line 2")
	b.applyEvents()
	// A worker closes it once all else that ran then has ended, in whichever database.
	b.tamper(`UPDATE person_events SET open = false, closed_at = now() WHERE event_id = 'e4'`)
	d := decode[openDocument](t, b.run("person", "--open", "--json").want(t, exitOK))
	if len(d.Open)+len(d.Stuck) != 0 || len(d.Idle) != 2 || d.Idle[0].EndedBy != "e1" || !strings.Contains(d.Idle[1].Note, "nothing to revoke") {
		t.Errorf("open is %+v", d)
	}
	for _, args := range [][]string{{"person", "u1"}, {"person", "--open"}} {
		if o := b.run(args...).want(t, exitOK); !strings.Contains(o.out, "nothing was revoked; if the person has left") {
			t.Errorf("%q lacks the superseded leaver:\n%s", args, o.out)
		}
	}
	b.run("events", b.file(strings.NewReplacer(`"e2"`, `"e5"`, "2026-02", "2026-03").Replace(leaver))).want(t, exitOK)
	b.applyEvents()
	if d := decode[openDocument](t, b.run("person", "--open", "--json").want(t, exitOK)); len(d.Idle) != 1 || d.Idle[0].ID != "e4" {
		t.Errorf("once the person has left, idle are %+v", d.Idle)
	}
}

func TestAWithdrawalThatComesTooLateIsSaid(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.run("profiles", "load", b.file(soundProfiles)).want(t, exitOK)
	b.run("events", b.file(joiner)).want(t, exitOK)
	b.applyEvents()
	withdraw := b.file(`{"event_id":"w","type":"withdraw","withdraws":"e1"}`)
	b.run("events", withdraw).want(t, exitOK).says(t, "e1 is applied already and cannot be withdrawn")
	d := decode[view.AcceptedEvents](t, b.run("events", withdraw, "--json").want(t, exitOK))
	if d.Replayed != 1 || d.Accepted != 0 || d.Events[0].Withdrawn != "applied" || d.Events[0].ReceivedAt.Before(time.Unix(0, 0)) {
		t.Errorf("the withdrawal is %+v", d)
	}
}
