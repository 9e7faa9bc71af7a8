package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/people"
	"github.com/usher-bi/usher/internal/store"
)

func leaver(id, user string) people.Line {
	return people.Line{Event: people.Event{ID: id, Type: people.Leaver, Principal: user, EffectiveAt: time.Date(2026, 11, 1, 8, 0, 0, 123_456_000, time.UTC)}}
}

// eventful is a world in which everything was done that the audit is to tell of
// besides jobs, some of it twice.
func eventful(t *testing.T) world {
	t.Helper()
	w := setup(t)
	ctx, by := t.Context(), store.Order{Actor: "ann", Reason: "because"}
	do := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	token := func(name string, hash byte) error {
		return w.AddToken(ctx, store.Token{Name: name, Source: "hr", Operations: []access.Operation{access.Grant}, LaneMost: store.Normal}, store.TokenHash{hash}, by)
	}
	do("token", token("feed", 1))
	do("token", token("old", 2))
	_, err := w.RevokeToken(ctx, "old", by)
	do("revoking", err)
	hook := store.Webhook{Name: "pager", URL: "https://example.com", Source: "hr", Events: store.WebhookEvents()}
	schedule := store.Schedule{
		Name: "nightly", Kind: store.FileSchedule, Path: "x.xlsx", Sheet: "All", SkipInvalid: true, CompleteBy: store.CompleteByDone, FileWithin: 90 * time.Minute,
		Cron: "0 2 * * *", Timezone: "UTC", CatchUp: store.CatchUpOnce, Overlap: store.OverlapSkip, Lane: store.Bulk, Source: "s", RequestedBy: "ann", Reason: "HR",
		Guards: store.Guards{MaxRevokes: 500, MaxRevokeShare: 0.2, MaxRevokesPerDay: 1000, MaxShrink: 1.0 / 3},
	}
	for range 2 {
		do("webhook", w.AddWebhook(ctx, hook, store.WebhookKey("key"), by))
		do("schedule", w.AddSchedule(ctx, schedule))
		do("removing", w.RemoveWebhook(ctx, "pager", by))
		_, err = w.PauseSchedule(ctx, "nightly", by)
		do("pausing", err)
		_, err = w.RemoveSchedule(ctx, "nightly", by)
		do("removing", err)
	}
	do("webhook", w.AddWebhook(ctx, hook, store.WebhookKey("key"), by))
	schedule.Guards = store.Guards{}
	do("schedule", w.AddSchedule(ctx, schedule))
	_, err = w.RunSchedule(ctx, "nightly", by)
	do("running", err)
	file := []byte("version: 1\nexpires_in: 1d\nprofiles:\n  p:\n    resources:\n      - {type: qa_resource, id: r}\n")
	profiles, err := people.ParseProfiles(file)
	do("profiles", err)
	_, _, err = w.LoadProfiles(ctx, store.NewProfiles{Profiles: profiles, Content: file}, by)
	do("loading", err)
	withdraw := people.Line{Event: people.Event{ID: "w", Type: people.Withdraw, Withdraws: "z"}}
	for _, events := range [][]people.Line{{leaver("b", "u1"), leaver("a", "u2"), withdraw}, {leaver("b", "u1"), leaver("c", "u1")}, {leaver("c", "u1")}} {
		_, err = w.AcceptEvents(ctx, store.EventsRequest{Source: "hr", RequestedBy: "feed", Events: events})
		do("events", err)
	}
	held := grid([]string{"u3"}, []string{"r"})
	held.Guards.Objections = []store.Objection{{Guard: store.GuardStale, Message: "old"}}
	job := w.create(t, held)
	if _, err = w.Release(ctx, job.ID, by); err == nil {
		w.finish(t, store.TaskRef{Job: job.Number, No: 1})
	}
	do("releasing", err)
	return w
}

// What an auditor asks of tokens, schedules, webhooks, profiles, releases and HR
// events is in the audit, and rows that are not as it says are found.
func TestRecordsAreHeldAgainstTheAudit(t *testing.T) {
	t.Parallel()
	w := eventful(t)
	rows, err := w.sql.Query(t.Context(), `SELECT DISTINCT event FROM audit ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	var acts []string
	for rows.Next() {
		var act string
		if err := rows.Scan(&act); err != nil {
			t.Fatal(err)
		}
		acts = append(acts, act)
	}
	want := []string{
		"job.finished", "job.held", "job.released", "job.submitted", "people.accepted", "profiles.loaded", "schedule.added", "schedule.paused", "schedule.removed", "schedule.run",
		"token.added", "token.revoked", "webhook.added", "webhook.removed",
	}
	if diff := cmp.Diff(want, acts); diff != "" {
		t.Errorf("the audit tells of (-want +got):\n%s", diff)
	}
	if report := w.verify(t, store.AuditQuery{}); !report.Intact || report.Records != 13 { // 2 tokens, 3 webhooks, 3 schedules, profiles, 4 events
		t.Fatalf("%d records, and it finds %+v", report.Records, report.Findings)
	}
	if report := w.verify(t, store.AuditQuery{From: time.Now().Add(time.Hour)}); !report.Intact || report.Records != 0 {
		t.Errorf("of a later time %d records, and it finds %+v", report.Records, report.Findings)
	}
	const another = `INSERT INTO person_events (source, event_id, type, principal, profile, effective_at, withdraws, fingerprint, requested_by, status, batch)
		SELECT source, 'x', type, 'u9', profile, effective_at, withdraws, fingerprint, requested_by, status, `
	for _, tt := range []struct{ name, sql, want string }{
		{"a token nobody made", `INSERT INTO tokens (name, hash, source, operations, lane_most, created_by) SELECT 'x', sha256('x'), source, operations, lane_most, created_by FROM tokens WHERE name = 'feed'`, "tokens x"},
		{"a token with other rights", `UPDATE tokens SET operations = '{grant,revoke}' WHERE name = 'feed'`, "tokens feed"},
		{"a token with another secret", `UPDATE tokens SET hash = sha256('x') WHERE name = 'feed'`, "tokens feed"},
		{"a token that is in force again", `UPDATE tokens SET revoked_at = NULL, revoked_by = NULL WHERE name = 'old'`, "tokens old"},
		{"a token that is gone", `DELETE FROM tokens WHERE name = 'feed'`, "tokens feed"},
		{"a webhook that tells another", `UPDATE webhooks SET url = 'https://example.org' WHERE removed_at IS NULL`, "webhooks pager"},
		{"a webhook that is back", `UPDATE webhooks SET removed_at = NULL, secret = 'x', name = 'pager2' WHERE id = 1`, "webhooks pager,webhooks pager2"},
		{"a schedule of another file", `UPDATE schedules SET path = 'y.csv' WHERE removed_at IS NULL`, "schedules nightly"},
		{"a schedule without a guard", `UPDATE schedules SET max_shrink = 1 WHERE id = 1`, "schedules nightly"},
		{"a schedule that nobody paused", `UPDATE schedules SET paused_at = now(), paused_by = 'x' WHERE removed_at IS NULL`, "schedules nightly"},
		{"profiles that nobody loaded", `INSERT INTO profile_sets (version, sha256, content, profiles, actor) SELECT '2', sha256, content, profiles, actor FROM profile_sets`, "profile_sets 2"},
		{"an event of somebody else", `UPDATE person_events SET principal = 'u9' WHERE event_id = 'a'`, "person_events BATCH"},
		{"an event more", another + `batch FROM person_events WHERE event_id = 'a'`, "person_events BATCH"},
		{"an event without a batch", another + `'' FROM person_events WHERE event_id = 'a'`, "person_events hr"},
		{"an event of an unknown batch", another + `'x' FROM person_events WHERE event_id = 'a'`, "person_events x"},
		{"an event that is gone", `DELETE FROM person_events WHERE event_id = 'c'`, "person_events BATCH"},
		{"a release that nobody ordered", `UPDATE audit SET event = 'x' WHERE event = 'job.released'`, "pauses JOB"},
	} {
		if found := w.tampered(t, tt.sql); found != tt.want {
			t.Errorf("%s: found %q, want %q", tt.name, found, tt.want)
		}
	}
}

// tampered says what is found unrecorded after a statement of somebody who may do
// anything. It is taken back.
func (w world) tampered(t *testing.T, sql string) string {
	t.Helper()
	tx, err := w.sql.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	for _, statement := range []string{`SET LOCAL session_replication_role = replica`, sql} { // so that no trigger refuses it
		if _, err := tx.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	report, err := store.VerifyAuditIn(t.Context(), tx)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, f := range report.Findings {
		switch {
		case f.Kind != store.Unrecorded:
			continue
		case f.Table == "pauses":
			f.Name = "JOB"
		case len(f.Name) == 26:
			f.Name = "BATCH"
		}
		found = append(found, fmt.Sprint(f.Table, " ", f.Name))
	}
	return strings.Join(slices.Compact(found), ",")
}
