package people_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/people"
)

func problems(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	rejected, ok := errors.AsType[*people.RejectedError](err)
	if !ok {
		t.Fatalf("want a rejection: %v", err)
	}
	var out []string
	for _, p := range rejected.Problems {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%d %s %s", p.Line, p.Field, p.Code)))
		if p.Message == "" {
			t.Errorf("%s: no word of what to do", p.Code)
		}
	}
	return out
}

func TestReadEvents(t *testing.T) {
	t.Parallel()
	const at = `"effective_at":"2026-12-01T00:00:00.1234567+08:00"`
	got, err := people.ReadEvents(strings.NewReader("\ufeff" + `{"event_id":"1","type":"joiner","principal":"u","profile":"p",` + at + "}\r\n\n" +
		`{"type":"leaver","principal":"u",` + at + `,"event_id":"2","profile":""}` + "\n" +
		`{"event_id":"3","type":"withdraw","withdraws":"1"}`))
	if err != nil {
		t.Fatal(err)
	}
	when := time.Date(2026, time.November, 30, 16, 0, 0, 123456000, time.UTC)
	want := []people.Line{
		{No: 1, Event: people.Event{ID: "1", Type: people.Joiner, Principal: "u", Profile: "p", EffectiveAt: when}},
		{No: 3, Event: people.Event{ID: "2", Type: people.Leaver, Principal: "u", EffectiveAt: when}},
		{No: 4, Event: people.Event{ID: "3", Type: people.Withdraw, Withdraws: "1"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}

	const leaver = `{"event_id":"1","type":"leaver","principal":"u",`
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", "\n \n", []string{"1  no_events"}},
		{"no object", `["joiner"]`, []string{"1  malformed_json"}},
		{"half of one", leaver, []string{"1  malformed_json"}},
		{"two of them", leaver + at + `} {}`, []string{"1  malformed_json"}},
		{"a number", `{"event_id":1}`, []string{"1  malformed_json"}},
		{"an object inside", `{"event_id":{}}`, []string{"1  malformed_json"}},
		{"not UTF-8", leaver + "\"x\":\"\xff\"}", []string{"1  malformed_json"}},
		{"a field twice", leaver + `"principal":"v",` + at + `}`, []string{"1 principal repeated_field"}},
		{"another case", `{"Event_ID":"1","type":"leaver","principal":"u",` + at + `}`, []string{"1 event_id missing_value", "1 Event_ID unknown_field"}},
		{"no type", `{"event_id":"1"}`, []string{"1 type missing_value"}},
		{"another type", `{"event_id":"1","type":"quitter"}`, []string{"1 type unknown_event_type"}},
		{"a joiner of nothing", "\n" + `{"event_id":"1","type":"joiner"}`, []string{"2 profile missing_value", "2 principal missing_value", "2 effective_at missing_value"}},
		{"a leaver with a profile", leaver + `"profile":"p",` + at + `}`, []string{"1 profile value_not_allowed"}},
		{"a withdrawal of nothing", `{"event_id":"1","type":"withdraw",` + at + `}`, []string{"1 withdraws missing_value", "1 effective_at value_not_allowed"}},
		{"half a character", `{"event_id":"1","type":"leaver","principal":"u\ud800x",` + at + `}`, []string{"1 principal malformed_json"}},
		{"a lost character", `{"event_id":"1","type":"leaver","principal":"u\ufffdx",` + at + `}`, []string{"1 principal malformed_json"}},
		{"half a name", `{"event_id":"1","type":"leaver","principal\udc00":"u",` + at + `}`, []string{"1  malformed_json"}},
		{"no zone", leaver + `"effective_at":"2026-12-01T00:00:00"}`, []string{"1 effective_at missing_zone"}},
		{"a day", leaver + `"effective_at":"2026-12-01"}`, []string{"1 effective_at missing_zone"}},
		{"no such day", leaver + `"effective_at":"2026-02-30T00:00:00Z"}`, []string{"1 effective_at invalid_time"}},
		{"an id in pieces", `{"event_id":"a b","type":"leaver","principal":"7.39E+10",` + at + `}`, []string{"1 event_id invalid_event_id", "1 principal excel_mangled_id"}},
		{"a line without an end", leaver + `"x":"` + strings.Repeat("x", 70_000) + `"}`, []string{"1  line_too_long"}},
	} {
		_, err := people.ReadEvents(strings.NewReader(tt.text))
		if diff := cmp.Diff(tt.want, problems(t, err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// What is told of events at fault is bounded, however many and however long.
func TestProblemsOfEventsAreBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 60_000)
	for name, text := range map[string]string{
		"id": `{"event_id":"` + long + `","type":"joiner","principal":"` + long + `","profile":"` + long + `","effective_at":"` + long + `"}`, "type": `{"event_id":"1","type":"` + long + `"}`,
		"field": `{"event_id":"1","type":"leaver","` + long + `":"x"}`, "value": `{"` + long + `":1}`, "twice": `{"` + long[:1000] + `":"","` + long[:1000] + `":""}`,
	} {
		_, err := people.ReadEvents(strings.NewReader(text))
		rejected, ok := errors.AsType[*people.RejectedError](err)
		if !ok {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, p := range rejected.Problems {
			if len(p.Field)+len(p.Message) > 400 {
				t.Errorf("%s: a problem of %d bytes is told: %.100s", name, len(p.Field)+len(p.Message), p.Message)
			}
		}
	}
	var many strings.Builder
	many.WriteString(`{"event_id":"1","type":"leaver"`)
	for i := range 5000 {
		fmt.Fprintf(&many, `,"f%d":""`, i)
	}
	_, err := people.ReadEvents(strings.NewReader(many.String() + "}\n" + strings.Repeat("{}\n", 20_000)))
	rejected, ok := errors.AsType[*people.RejectedError](err)
	if !ok || rejected.Entries != 20_001 || len(rejected.Problems) != 10_000 || len(rejected.Problems)+rejected.Omitted != 1+2*20_000 {
		t.Errorf("of %d events %d problems are listed, %d omitted", rejected.Entries, len(rejected.Problems), rejected.Omitted)
	}
}

func FuzzReadEvents(f *testing.F) {
	f.Add(`{"event_id":"1","type":"joiner","principal":"u","profile":"p","effective_at":"2026-12-01T00:00:00+08:00"}`)
	f.Add(`{"event_id":"3","type":"withdraw","withdraws":"1"}`)
	f.Fuzz(func(t *testing.T, text string) {
		lines, err := people.ReadEvents(strings.NewReader(text))
		if _, ok := errors.AsType[*people.RejectedError](err); err != nil && !ok {
			t.Errorf("%v is no rejection", err)
		}
		for _, l := range lines {
			if l.ID == "" || l.Type != people.Withdraw && l.EffectiveAt.IsZero() && l.EffectiveAt.Year() != 1 {
				t.Errorf("an event was read as %+v", l)
			}
		}
	})
}

const sound = `
version: 7
expires_in: 365d
profiles:
  finance-analyst:
    description: Closes the books
    expires_in: 90d
    resources:
      - {type: qa_resource, id: 0123}
      - {type: dashboard, id: 97f7, role: view_export, expires_in: 30d}
      - {type: cube, id: c, role: edit}
      - {type: workspace, id: 95296e95-ca89, role: 财务审核}
  guest:
    resources: [{type: share, id: s, role: view}]
`

func TestParseProfiles(t *testing.T) {
	t.Parallel()
	got, err := people.ParseProfiles([]byte(sound))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]people.Profile{
		"finance-analyst": {Description: "Closes the books", Entries: []people.Entry{
			{Type: access.QAResource, ID: "0123", Days: 90},
			{Type: access.Dashboard, ID: "97f7", Role: "view_export", Days: 30},
			{Type: access.Cube, ID: "c", Role: "edit"},
			{Type: access.Membership, ID: "95296e95-ca89", Role: "财务审核"},
		}},
		"guest": {Entries: []people.Entry{{Type: access.Share, ID: "s", Role: "view", Days: 365}}},
	}
	if diff := cmp.Diff(want, got.Profiles); diff != "" || got.Version != "7" || len(got.SHA256) != 64 {
		t.Errorf("version %q, sha256 %q, profiles (-want +got):\n%s", got.Version, got.SHA256, diff)
	}

	one := func(entry string) string {
		return "version: 1\nprofiles:\n  p:\n    resources:\n      - " + entry + "\n"
	}
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", "", []string{"1  no_profiles"}},
		{"no YAML", "version: 1\nprofiles: {\n", []string{"3  malformed_yaml"}},
		{"a list", "- 1", []string{"1  wrong_kind"}},
		{"no version", "profiles: {p: {resources: [{type: workspace, id: w, role: viewer}]}}", []string{"1 version missing_value"}},
		{"no profiles", "version: 1", []string{"1 profiles no_profiles"}},
		{"an unknown field", sound + "owner: me\n", []string{"15 owner unknown_field"}},
		{"a profile twice", sound + "  guest:\n    resources: []\n", []string{"15 guest repeated_name"}},
		{"a profile of nothing", "version: 1\nprofiles:\n  p:\n    resources: []\n  q: {}\n  r:\n", []string{"4 resources no_resources", "5 resources no_resources", "6  wrong_kind"}},
		{"a resource twice", one("{type: cube, id: c, role: edit}\n      - {type: cube, id: c, role: edit}"), []string{"6 resources repeated_resource"}},
		{"an unknown type", one("{type: folder, id: c}"), []string{"5 type unknown_resource_type"}},
		{"an unknown role", one("{type: dashboard, id: c, role: boss, expires_in: 1d}"), []string{"5 role unknown_role"}},
		{"a role where there is none", one("{type: dataset, id: c, role: view, expires_in: 1d}"), []string{"5 role role_not_allowed"}},
		{"no id", one("{type: dataset, id: ~, expires_in: 1d}"), []string{"5 id missing_value"}},
		{"a number for an id", one("{type: dataset, id: 7.39E+10, expires_in: 1d}"), []string{"5 id excel_mangled_id"}},
		{"no expiry", one("{type: qa_theme, id: c}"), []string{"5 expires_in missing_expires_in"}},
		{"an expiry of what lasts", one("{type: workspace, id: c, role: viewer, expires_in: 1d}"), []string{"5 expires_in expiry_not_allowed"}},
		{"days of no kind", one("{type: dataset, id: c, expires_in: 1y}"), []string{"5 expires_in invalid_expires_in"}},
		{"no days", one("{type: dataset, id: c, expires_in: 0d}"), []string{"5 expires_in invalid_expires_in"}},
		{"an alias", "version: 1\nprofiles:\n  p: &p\n    resources: [{type: workspace, id: w, role: viewer}]\n  q: *p\n", []string{"5 q aliases_not_allowed"}},
		{"two at once", one("{type: folder}\n      - {id: x, colour: red}"), []string{"5 type unknown_resource_type", "5 id missing_value", "6 colour unknown_field", "6 type missing_value"}},
	} {
		_, err := people.ParseProfiles([]byte(tt.text))
		if diff := cmp.Diff(tt.want, problems(t, err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func FuzzParseProfiles(f *testing.F) {
	f.Add(sound)
	f.Add("a: &a [*a]\nversion: 1")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := people.ParseProfiles([]byte(text))
		if _, ok := errors.AsType[*people.RejectedError](err); err != nil && !ok {
			t.Errorf("%v is no rejection", err)
		}
		if err != nil {
			return
		}
		for name, profile := range p.Profiles {
			for _, e := range profile.Entries {
				if found := e.Grant("u", access.Date{Year: 2026, Month: 1, Day: 1}).Problems(access.Date{Year: 2026, Month: 1, Day: 1}); found != nil {
					t.Errorf("profile %q holds %+v: %+v", name, e, found)
				}
			}
		}
	})
}

// After a move the person has what the new profile gives, and of the old one
// nothing else; nothing is asked for twice, and nothing that is right already.
func TestAMoveLeadsToTheNewProfile(t *testing.T) {
	t.Parallel()
	entry := rapid.Custom(func(t *rapid.T) people.Entry {
		return people.Entry{Type: access.Membership, ID: rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "id"), Role: rapid.SampledFrom([]string{"viewer", "admin"}).Draw(t, "role")}
	})
	profile := rapid.SliceOfNDistinct(entry, 0, 4, func(e people.Entry) string { return e.ID })
	rapid.Check(t, func(t *rapid.T) {
		from, to := profile.Draw(t, "old"), profile.Draw(t, "new")
		lost := rapid.SliceOf(rapid.SampledFrom([]string{"a", "b", "c", "d"})).Draw(t, "lost")
		has := map[string]string{}
		for _, e := range from {
			if !slices.Contains(lost, e.ID) {
				has[e.ID] = e.Role
			}
		}
		m := people.Move{User: "u", Old: from, New: to, Held: func(r access.Resource) (access.Date, bool) { return access.Date{}, has[r.ID] != "" }}
		seen := map[string]bool{}
		for _, c := range m.Changes(access.Date{}) {
			switch id := c.Resource.ID; {
			case seen[id]:
				t.Fatalf("%s is changed twice", id)
			case c.Operation == access.Grant && has[id] == c.Terms.Role:
				t.Fatalf("%s is granted, and was there", id)
			case c.Operation == access.Grant:
				has[id] = c.Terms.Role
			default:
				delete(has, id)
			}
			seen[c.Resource.ID] = true
		}
		want := map[string]string{}
		for _, e := range to {
			want[e.ID] = e.Role
		}
		if diff := cmp.Diff(want, has); diff != "" {
			t.Fatalf("in the end (-want +got):\n%s", diff)
		}
	})
}

// What both profiles give is granted again where the new one gives it for longer.
func TestAMoveKeepsNoEarlierEnd(t *testing.T) {
	t.Parallel()
	today := access.Date{Year: 2026, Month: time.December, Day: 1}
	for _, tt := range []struct {
		ends string // of what is held; "" for never
		days int    // of the new profile
		want bool   // granted again
	}{{"2026-12-31", 365, true}, {"2026-12-31", 31, true}, {"2026-12-31", 30, false}, {"2026-12-31", 29, false}, {"", 365, false}, {"2026-12-31", 0, true}} {
		of := func(days int) []people.Entry { return []people.Entry{{Type: access.QAResource, ID: "q", Days: days}} }
		m := people.Move{User: "u", Old: of(30), New: of(tt.days), Held: func(access.Resource) (ends access.Date, held bool) {
			if tt.ends != "" {
				ends = access.DateOf(moment(t, tt.ends))
			}
			return ends, true
		}}
		if got := len(m.Changes(today)) > 0; got != tt.want {
			t.Errorf("held until %q, and given for %d days: granted again %t, want %t", tt.ends, tt.days, got, tt.want)
		}
	}
}

func moment(t *testing.T, day string) time.Time {
	t.Helper()
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestGrantsEndAfterTheirDays(t *testing.T) {
	t.Parallel()
	today := access.Date{Year: 2026, Month: time.December, Day: 31}
	e := people.Entry{Type: access.QAResource, ID: "q", Days: 1}
	if got := e.Grant("u", today).Terms.ExpiresOn.String(); got != "2027-01-01" {
		t.Errorf("a grant of one day on %s ends on %s", today, got)
	}
}
