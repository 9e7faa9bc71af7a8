package events_test

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/events"
	"github.com/usher-bi/usher/internal/people"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestAMoverGetsTheDifference(t *testing.T) {
	t.Parallel()
	w := setup(t)

	w.accept(t, fact("e1", 1, "joiner", "u", "analyst"))
	w.round(t)
	joined := w.event(t, "u", "e1")
	want(t, "a joiner's job", w.changes(t, joined.JobID), []string{"grant both", "grant old", "grant room viewer"})
	w.end(t, "")

	w.load(t, strings.Replace(profiles, `version: "1"`, `version: "2"`, 1)+`      - {type: qa_resource, id: cellar}
`)
	w.accept(t, fact("e2", 2, "mover", "u", "lead"))
	w.round(t)
	moved := w.event(t, "u", "e2")
	want(t, "a mover's job", w.changes(t, moved.JobID), []string{"grant both", "grant new view", "grant room admin", "revoke old"}) // both ends later
	if moved.Status != store.EventApplied || moved.Version != "2" || joined.Version != "1" || !moved.Open || joined.Open {
		t.Errorf("the joiner is %+v, the mover %+v", joined, moved)
	}
	w.end(t, "failed", "new")

	// What both give, and is not there, is granted once more.
	w.accept(t, fact("e3", 3, "mover", "u", "lead"), fact("e4", 4, "mover", "u", "guest"))
	w.round(t)
	want(t, "the same profile again", w.changes(t, w.event(t, "u", "e3").JobID), []string{"grant new view"})
	want(t, "the next profile", w.changes(t, w.event(t, "u", "e4").JobID),
		[]string{"grant cellar", "grant lobby", "revoke both", "revoke new", "revoke room"})
	job, err := w.Job(t.Context(), moved.JobID)
	if err != nil || job.Source != "hr" || job.RequestedBy != "feed" || job.Lane != store.Normal || !strings.Contains(job.Reason, "profile lead of profiles 2 (sha256 ") {
		t.Errorf("the mover's job is %+v, %v", job, err)
	}
}

// The old profile is what it was when it was applied, not what it is called now.
func TestAMoverLosesWhatTheOldProfileWas(t *testing.T) {
	t.Parallel()
	w := setup(t)

	w.accept(t, fact("e1", 1, "joiner", "u", "analyst"))
	w.round(t)
	w.load(t, strings.NewReplacer(`version: "1"`, `version: "2"`, "id: old", "id: renamed").Replace(profiles))
	w.accept(t, fact("e2", 2, "mover", "u", "guest"))
	w.round(t)
	want(t, "a mover's job", w.changes(t, w.event(t, "u", "e2").JobID), []string{"grant lobby", "revoke both", "revoke old", "revoke room"})
}

func TestEventsWaitAndAreWithdrawn(t *testing.T) {
	t.Parallel()
	w := setup(t)
	future := func(id, user string) string {
		return strings.Replace(fact(id, 0, "joiner", user, "guest"), "2026-01", "2099-01", 1)
	}
	status := func(user, id string, want store.EventStatus) {
		t.Helper()
		if e := w.event(t, user, id); e.Status != want || (e.JobID != "") != (want == store.EventApplied) {
			t.Errorf("%s is %s with job %q, want %s", id, e.Status, e.JobID, want)
		}
	}
	withdraw := func(id, of string) store.AcceptedEvent {
		return w.accept(t, fmt.Sprintf(`{"event_id":%q,"type":"withdraw","withdraws":%q}`, id, of))[0]
	}
	w.accept(t, future("e1", "u1"), future("e2", "u2"), fact("e4", 1, "joiner", "u4", "guest"))
	w.round(t)
	status("u1", "e1", store.EventWaiting)
	if got := withdraw("w1", "e1"); got.EndedBy != string(store.EventWithdrawn) {
		t.Errorf("the withdrawal is %+v", got)
	}
	if got := withdraw("w3", "e3"); got.EndedBy != "" { // it comes before what it takes back
		t.Errorf("the withdrawal is %+v", got)
	}
	if got := withdraw("w4", "e4"); got.EndedBy != string(store.EventApplied) {
		t.Errorf("the withdrawal is %+v", got)
	}
	w.accept(t, future("e3", "u3"))
	w.soon(t)
	w.round(t)
	status("u1", "e1", store.EventWithdrawn)
	status("u2", "e2", store.EventApplied)
	status("u3", "e3", store.EventWithdrawn)
	status("u4", "e4", store.EventApplied)
}

// A correction is an event of its own. What was wrong and is not effective yet makes
// no call; what was applied already is put right by the difference.
func TestCorrections(t *testing.T) {
	t.Parallel()
	w := setup(t)
	tomorrow := func(id, what, user string, profile ...string) string {
		return strings.Replace(fact(id, 0, append([]string{what, user}, profile...)...), "2026-01", "2099-01", 1)
	}
	withdraw := func(id, of string) string {
		return fmt.Sprintf(`{"event_id":%q,"type":"withdraw","withdraws":%q}`, id, of)
	}

	// Somebody leaves tomorrow, and then does not.
	w.accept(t, fact("a1", 1, "joiner", "a", "guest"), tomorrow("a2", "leaver", "a"))
	w.round(t)
	w.end(t, "")
	w.accept(t, withdraw("a3", "a2"))
	w.soon(t)
	w.round(t)
	want(t, "who stays has", w.wanted(t, "a"), []string{"lobby"})

	// The wrong profile for tomorrow, and in its place the right one.
	w.accept(t, tomorrow("b1", "joiner", "b", "lead"))
	w.accept(t, withdraw("b2", "b1"), tomorrow("b3", "joiner", "b", "guest"))
	w.soon(t)
	w.round(t)
	want(t, "the right profile", w.wanted(t, "b"), []string{"lobby"})

	// The wrong profile was applied; the right one counts from a minute later.
	w.accept(t, fact("c1", 1, "joiner", "c", "analyst"))
	w.round(t)
	w.end(t, "")
	w.accept(t, fact("c2", 2, "mover", "c", "guest"))
	w.round(t)
	want(t, "the difference", w.changes(t, w.event(t, "c", "c2").JobID), []string{"grant lobby", "revoke both", "revoke old", "revoke room"})

	// Somebody left by mistake, and is back.
	w.accept(t, fact("d1", 1, "joiner", "d", "guest"))
	w.round(t)
	w.end(t, "")
	w.accept(t, fact("d2", 2, "leaver", "d"))
	w.round(t)
	w.accept(t, fact("d3", 3, "joiner", "d", "guest"))
	w.round(t)
	w.end(t, "")
	w.closes(t, "d", "d2")
	want(t, "who is back has", w.wanted(t, "d"), []string{"lobby"})
	if e := w.event(t, "d", "d2"); e.Open || e.Reads != 0 {
		t.Errorf("the leaver who came back is %+v", e)
	}
	jobs, err := w.Jobs(t.Context(), store.JobFilter{})
	keys := []string{}
	for _, j := range jobs {
		keys = append(keys, j.IdempotencyKey)
	}
	slices.Sort(keys)
	want(t, "what came of events", keys, []string{"event:a1", "event:b3", "event:c1", "event:c2", "event:d1", "event:d2", "event:d3"})
	if err != nil {
		t.Error(err)
	}
}

func TestAnEventIsAppliedOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.accept(t, fact("e1", 1, "joiner", "u", "guest"))
	w.round(t)
	before := w.event(t, "u", "e1")
	for range 2 { // a worker died before it wrote down that the job was submitted
		w.exec(t, `UPDATE person_events SET status = 'applying', applied_at = NULL, job_id = NULL, open = false, look_at = now()`)
		w.end(t, "") // what is planned now would be another job
		w.round(t)
		if e := w.event(t, "u", "e1"); e.JobID != before.JobID || e.Status != store.EventApplied {
			t.Errorf("applied again, the event is %+v, before %+v", e, before)
		}
	}
	if again := w.accept(t, fact("e1", 1, "joiner", "u", "guest"))[0]; !again.Replayed || again.JobID != before.JobID {
		t.Errorf("the same event again is %+v", again)
	}
	w.round(t)
	if jobs, err := w.Jobs(t.Context(), store.JobFilter{}); err != nil || len(jobs) != 1 {
		t.Errorf("%d jobs, %v; want 1", len(jobs), err)
	}
}

func TestAnEventThatCannotBeAppliedIsShown(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.accept(t, fact("e1", 1, "joiner", "u1", "guest"), fact("e2", 1, "joiner", "u2", "lead"), fact("e3", 2, "leaver", "u1"))
	w.load(t, strings.NewReplacer(`version: "1"`, `version: "2"`, "guest:", "visitor:").Replace(profiles))
	sub := tasks.Submission{Source: "hr", Key: "event:e2", Fingerprint: "f", RequestedBy: "x", Lane: store.Bulk, Header: []string{"a"}, Input: store.Input{Rows: 1}, Rows: tasks.RowList{{Row: store.Row{
		Line: 1, RowID: "1", Change: access.Change{Operation: access.Revoke, Principal: access.Principal{Type: access.User, ID: "x"}, Resource: access.Resource{Type: access.QAResource, ID: "x"}},
	}}}}
	if _, err := w.submits.Submit(t.Context(), sub); err != nil {
		t.Fatal(err)
	}
	w.round(t)
	stuck, err := w.StuckEvents(t.Context())
	if err != nil || len(stuck) != 2 || !strings.Contains(stuck[0].Problem, `no profile "guest"`) || stuck[1].Status != store.EventFailed {
		t.Errorf("stuck are %+v, %v", stuck, err)
	}
	if e := w.event(t, "u1", "e3"); e.Status != store.EventApplied {
		t.Errorf("the leaver waits behind a joiner without a profile: %+v", e)
	}
	w.load(t, strings.Replace(profiles, `version: "1"`, `version: "3"`, 1))
	w.soon(t)
	w.round(t)
	if e := w.event(t, "u1", "e1"); e.Status != store.EventSuperseded || e.EndedBy != "e3" {
		t.Errorf("the joiner before the leaver is %+v", e)
	}
}

func TestWhatFailsForOneHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.accept(t, fact("e1", 1, "joiner", "u1", "guest"))
	w.exec(t, `
CREATE FUNCTION refuse_e1() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
CREATE TRIGGER refuse_e1 BEFORE INSERT ON jobs FOR EACH ROW WHEN (NEW.idempotency_key = 'event:e1') EXECUTE FUNCTION refuse_e1()`)
	fails := func() {
		t.Helper()
		if err := w.applier.Round(t.Context()); err == nil || !strings.Contains(err.Error(), "event e1: ") {
			t.Errorf("Round = %v, want to hear of e1", err)
		}
	}
	fails()
	w.accept(t, fact("e2", 2, "leaver", "u1"), fact("e3", 3, "joiner", "u2", "guest"))
	fails()
	if due, err := w.DueEvents(t.Context(), 10); err != nil || len(due) != 1 || due[0].ID != "e1" {
		t.Errorf("an event that must wait is due at once: %+v, %v", due, err)
	}
	status := func() []store.EventStatus {
		return []store.EventStatus{w.event(t, "u1", "e1").Status, w.event(t, "u1", "e2").Status, w.event(t, "u2", "e3").Status}
	}
	want(t, "while one fails", status(), []store.EventStatus{store.EventApplying, store.EventWaiting, store.EventApplied})
	w.exec(t, `DROP TRIGGER refuse_e1 ON jobs`)
	w.soon(t)
	w.round(t)
	want(t, "afterwards", status(), []store.EventStatus{store.EventApplied, store.EventApplied, store.EventApplied})
}

// Whoever leaves waits for nobody who came before.
func TestLeaversGoFirst(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.accept(t, fact("e1", 1, "joiner", "u1", "guest"), fact("e2", 2, "joiner", "u2", "guest"), fact("e3", 3, "leaver", "u2"), fact("e4", 4, "joiner", "u2", "guest"))
	due, err := w.DueEvents(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{}
	for _, e := range due {
		ids = append(ids, e.ID)
	}
	want(t, "the order", ids, []string{"e3", "e1", "e2", "e4"})
	w.round(t)
	w.soon(t)
	w.round(t)
	if e := w.event(t, "u2", "e2"); e.Status != store.EventSuperseded {
		t.Errorf("the joiner before the leaver is %s", e.Status)
	}
	want(t, "who came back has", w.wanted(t, "u2"), []string{"lobby"})
}

// Feeds that know days only tell of a mover and a leaver of one moment.
func TestAtOneMomentTheLeaverIsLast(t *testing.T) {
	t.Parallel()
	w := setup(t)
	has := func(user string, what ...string) {
		t.Helper()
		want(t, user+" has", w.wanted(t, user), append([]string{}, what...))
	}
	w.accept(t,
		fact("hr-8", 0, "joiner", "moved", "guest"), fact("hr-9", 9, "mover", "moved", "lead"), fact("hr-10", 9, "leaver", "moved"),
		fact("j-2", 9, "joiner", "joined", "guest"), fact("j-1", 9, "leaver", "joined"),
		fact("l-1", 9, "leaver", "back"), fact("l-2", 10, "joiner", "back", "guest"),
		fact("z-1", 9, "mover", "late", "guest"), fact("c-9", 9, "mover", "corrected", "lead"))
	for range 2 {
		w.round(t)
		w.soon(t)
	}
	w.accept(t, fact("a-1", 9, "leaver", "late"), fact("hr-11", 9, "mover", "moved", "lead"), fact("c-10", 9, "mover", "corrected", "guest"))
	for range 2 {
		w.round(t)
		w.soon(t)
	}
	has("moved")
	has("joined")
	has("back", "lobby")
	has("late")
	has("corrected", "lobby")
	for _, id := range []string{"hr-9", "hr-11"} {
		if e := w.event(t, "moved", id); e.Status != store.EventSuperseded || e.EndedBy != "hr-10" {
			t.Errorf("the mover %s is %s by %q", id, e.Status, e.EndedBy)
		}
	}
}

func TestBadEventsAreRejectedTogether(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.accept(t, fact("e1", 1, "joiner", "u", "guest"))
	accept := func(lines ...string) error {
		_, err := events.Accept(t.Context(), w, events.Document{Body: strings.NewReader(strings.Join(lines, "\n")), Source: "hr", RequestedBy: "feed"})
		return err
	}
	conflict, ok := errors.AsType[*store.EventConflictError](accept(
		fact("new", 1, "leaver", "v"), fact("e1", 2, "joiner", "u", "guest"), fact("p", 1, "mover", "u", "nobody"),
		fact("twice", 1, "leaver", "v"), fact("twice", 1, "leaver", "u")))
	if !ok {
		t.Fatal("want a conflict")
	}
	got := []string{}
	for _, p := range conflict.Problems {
		got = append(got, fmt.Sprintf("%d %s %s", p.Line, p.Field, p.Code))
	}
	want(t, "problems", got, []string{"2 event_id event_id_reused", "3 profile profile_unknown", "5 event_id event_id_reused"})
	if _, ok := errors.AsType[*people.RejectedError](accept("{}")); !ok {
		t.Error("want it rejected")
	}
	if found, err := w.EventsOf(t.Context(), "v"); err != nil || len(found) > 0 {
		t.Errorf("of a rejected document there are %+v, %v", found, err)
	}
}

// Whatever the order in which a person's events come, how often they come, and
// how far the work has got in between: the last one decides in the end.
func TestTheLastEventDecides(t *testing.T) {
	t.Parallel()
	w := setup(t)
	profile := map[string][]string{
		"": {}, "analyst": {"both", "old", "room viewer"}, "lead": {"both", "new view", "room admin"}, "guest": {"lobby"},
	}
	type told struct {
		minutes int
		id      string
		profile string
	}
	person := 0
	rapid.Check(t, func(rt *rapid.T) {
		person++
		user := fmt.Sprintf("user-%d", person)
		var all []told
		for i := range rapid.IntRange(1, 4).Draw(rt, "events") {
			all = append(all, told{
				rapid.IntRange(0, 3).Draw(rt, "minutes"), fmt.Sprintf("%s-%d", user, i),
				rapid.SampledFrom([]string{"", "analyst", "lead", "guest"}).Draw(rt, "profile"),
			})
		}
		sent := rapid.Permutation(all).Draw(rt, "order")
		sent = append(sent, rapid.SliceOfN(rapid.SampledFrom(all), 0, 2).Draw(rt, "repeated")...)
		for _, e := range sent {
			fields := []string{"leaver", user, ""}
			if e.profile != "" {
				fields = []string{"joiner", user, e.profile}
			}
			w.accept(t, fact(e.id, e.minutes, fields...))
			switch rapid.IntRange(0, 3).Draw(rt, "then") {
			case 0:
				w.round(t)
			case 1:
				w.round(t)
				w.end(t, "")
			case 2:
				w.round(t)
				w.end(t, "unknown", "both", "old")
			}
		}
		w.round(t)
		w.soon(t)
		w.round(t)
		last := slices.MaxFunc(all, func(a, b told) int { // at one moment, a leaver
			return cmp.Or(cmp.Compare(a.minutes, b.minutes), -cmp.Compare(min(len(a.profile), 1), min(len(b.profile), 1)), cmp.Compare(a.id, b.id))
		})
		if diff := gocmp.Diff(profile[last.profile], w.wanted(t, user)); diff != "" {
			rt.Fatalf("sent %v: wanted in the end (-want +got):\n%s", sent, diff)
		}
	})
}
