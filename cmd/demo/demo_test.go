//go:build unix

package main

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var today = access.Date{Year: 2026, Month: time.November, Day: 22}

func written(t *testing.T, rows []row) string {
	t.Helper()
	var file bytes.Buffer
	if err := writeRows(&file, rows); err != nil {
		t.Fatal(err)
	}
	return file.String()
}

func TestScenarioIsTheSameEveryTime(t *testing.T) {
	t.Parallel()

	a, b := newScenario(today), newScenario(today)
	if diff := cmp.Diff(written(t, a.request), written(t, b.request)); diff != "" {
		t.Errorf("requests of one day differ (-first +second):\n%s", diff)
	}
	if diff := cmp.Diff(written(t, a.before), written(t, b.before)); diff != "" {
		t.Errorf("first jobs of one day differ (-first +second):\n%s", diff)
	}
	pairs := func(s *scenario) (out []access.Pair) {
		for _, r := range s.request {
			out = append(out, r.change.Pair())
		}
		return out
	}
	if diff := cmp.Diff(pairs(a), pairs(newScenario(today.AddDays(40)))); diff != "" {
		t.Errorf("another day asks for other pairs (-today +later):\n%s", diff)
	}
}

func TestScenarioIsOfTheSizeThatIsPromised(t *testing.T) {
	t.Parallel()

	s := newScenario(today)
	if n := len(s.request); n < 2800 || n > 3200 {
		t.Errorf("%d changes, want about 3,000", n)
	}
	if n := len(s.people); n < 300 || n > 400 {
		t.Errorf("%d people, want 300 to 400", n)
	}
	rows := map[outcome]int{}
	expiries := map[access.Date]bool{}
	for _, r := range s.request {
		rows[s.outcomeOf(r.change)]++
		expiries[r.change.Terms.ExpiresOn] = true
	}
	for _, o := range []outcome{
		{succeeded, ""},
		{noChange, ""},
		{failed, "user_not_in_organization"},
		{failed, "user_lacks_permission"},
		{failed, "resource_not_exist"},
	} {
		if rows[o] < 5 {
			t.Errorf("%d rows end as %s, want some", rows[o], o)
		}
	}
	if tally := s.tally(); tally.revoked < 10 {
		t.Errorf("%d pairs are taken away, want some", tally.revoked)
	}
	if len(expiries) < 6 {
		t.Errorf("%d expiry days, want several", len(expiries))
	}
	if got := slices.Compact(slices.Sorted(slices.Values(s.left))); len(got) != 12 || slices.Contains(got, s.unlucky) || slices.Contains(got, s.seatless) {
		t.Errorf("%d people have left, want 12 others than those in trouble", len(got))
	}
}

// The product must find nothing wrong with the files, and the sandbox nothing
// with the world.
func TestFilesAreSound(t *testing.T) {
	t.Parallel()

	s := newScenario(today)
	for name, rows := range map[string][]row{"request": s.request, "before": s.before} {
		batch, err := intake.ReadCSV(strings.NewReader(written(t, rows)), intake.Options{Today: today})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if batch.Len() != len(rows) || len(batch.Errors) > 0 {
			t.Errorf("%s: %d of %d rows are sound: %v", name, batch.Len(), len(rows), batch.Errors)
		}
		for i, r := range batch.Rows() {
			if diff := cmp.Diff(rows[i].change, r.Change); diff != "" || r.DuplicateOf != 0 || r.RowID != rows[i].id {
				t.Errorf("%s: row %s is read as %s, repeat of line %d (-want +got):\n%s", name, rows[i].id, r.RowID, r.DuplicateOf, diff)
			}
		}
	}
	var file bytes.Buffer
	if err := s.organization().writeTo(&file); err != nil {
		t.Fatal(err)
	}
	world, err := quickbitest.ReadWorld(&file)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range s.request {
		if here := slices.Contains(world.Users, r.change.Principal.ID); here == slices.Contains(s.left, r.change.Principal.ID) {
			t.Errorf("user of row %s is in the organization: %t", r.id, here)
		}
	}
}

// Datasets are granted as Q&A resources: if one of those could be asked for by
// itself too, it would be open what must be there in the end.
func TestDatasetsShareNoResource(t *testing.T) {
	t.Parallel()

	o := newScenario(today).organization()
	behind := slices.Sorted(maps.Values(o.Datasets))
	if n := len(slices.Compact(slices.Clone(behind))); n != len(behind) {
		t.Errorf("%d datasets stand for %d resources", len(behind), n)
	}
	for _, id := range o.QAResources {
		if slices.Contains(behind, id) {
			t.Errorf("resource %s can be granted by two names", id)
		}
	}
}

func TestWantedStateFollowsTheFilesInOrder(t *testing.T) {
	t.Parallel()

	ann, bob := person{id: "ann"}, person{id: "bob"}
	orders, rates := asset{qa, "orders"}, asset{dataset, "exchange rates"}
	until := today.AddDays(90)
	s := &scenario{today: today, asked: map[access.Pair]bool{}, left: []string{"bob"}}
	for _, a := range []asset{orders, rates, archive} {
		s.give(ann, a)
	}
	s.ask(ann, wish{operation: access.Grant, asset: rates, until: until})
	s.ask(ann, wish{operation: access.Revoke, asset: orders})
	s.ask(bob, wish{operation: access.Grant, asset: orders, until: until})
	s.ask(ann, wish{operation: access.Grant, asset: deleted, until: until})
	want := lasting{
		{"ann", qa, rates.behind()}:        until.String(),
		{"ann", qa, archive.resource().ID}: today.AddDays(30).String(),
	}
	if diff := cmp.Diff(want, s.wanted()); diff != "" {
		t.Errorf("wanted state (-want +got):\n%s", diff)
	}
}
