package store_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sync/errgroup"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

func (w world) setLimit(t *testing.T, action access.Action, perSecond float64) store.LimitSet {
	t.Helper()
	set, err := w.SetLimit(t.Context(), action, perSecond, store.Order{Actor: "ops", Reason: "quota"})
	if err != nil {
		t.Fatalf("SetLimit(%s, %v): %v", action, perSecond, err)
	}
	return set
}

func TestLimitsAreSetAndTakenBack(t *testing.T) {
	t.Parallel()
	w := setup(t)

	if set := w.setLimit(t, access.SmartqAuthorize, 0); set.Changed || set.Version != 0 {
		t.Errorf("taking back what nobody set: %+v", set)
	}
	first := w.setLimit(t, access.SmartqAuthorize, 20)
	other := w.setLimit(t, access.AddShareReport, 5)
	second := w.setLimit(t, access.SmartqAuthorize, 12.5)
	same := w.setLimit(t, access.SmartqAuthorize, 12.5)
	gone := w.setLimit(t, access.SmartqAuthorize, 0)
	if !first.Changed || first.Was != 0 || second.Was != 20 || gone.Was != 12.5 || gone.PerSecond != 0 {
		t.Errorf("set %+v, then %+v, then %+v", first, second, gone)
	}
	if same.Changed || same.Version != second.Version || !same.SetAt.Equal(second.SetAt) {
		t.Errorf("the same once more: %+v after %+v", same, second)
	}
	if versions := []int64{first.Version, other.Version, second.Version, gone.Version}; !slices.IsSorted(versions) || len(slices.Compact(versions)) != 4 {
		t.Errorf("versions %d do not rise", versions)
	}

	limits, err := w.Limits(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []store.Limit{
		{Action: access.AddShareReport, PerSecond: 5, Version: other.Version, Actor: "ops", Reason: "quota"},
		{Action: access.SmartqAuthorize, Version: gone.Version, Actor: "ops", Reason: "quota"},
	}
	if diff := cmp.Diff(want, limits, cmpopts.IgnoreFields(store.Limit{}, "SetAt")); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}

	rows, err := w.sql.Query(t.Context(), `SELECT event || ' ' || (detail ->> 'was') || ' ' || (detail ->> 'per_second') || ' ' || (detail ->> 'reason')
FROM audit WHERE detail ->> 'action' = 'SmartqAuthorize' AND actor = 'ops' ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	var audited []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		audited = append(audited, line)
	}
	if diff := cmp.Diff([]string{"limit.set 0 20 quota", "limit.set 20 12.5 quota", "limit.reset 12.5 0 quota"}, audited); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
}

func TestLimitsSetAtOnceHaveTheirOwnVersions(t *testing.T) {
	t.Parallel()
	w := setup(t)

	var group errgroup.Group
	versions := make([]int64, 8)
	for i := range versions {
		group.Go(func() error {
			set, err := w.SetLimit(t.Context(), access.Actions()[i%2], float64(i+1), store.Order{Actor: "ops"})
			versions[i] = set.Version
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(versions)
	limits, err := w.Limits(t.Context())
	if err != nil || len(slices.Compact(slices.Clone(versions))) != len(versions) || len(limits) != 2 {
		t.Fatalf("versions %d, limits %+v, %v", versions, limits, err)
	}
	if last := max(limits[0].Version, limits[1].Version); last != versions[len(versions)-1] {
		t.Errorf("the highest version is %d, and none of it stands: %+v", versions[len(versions)-1], limits)
	}
}

// What an older state of the database does not know, Redis may.
func TestLimitVersionsRiseAfterARestore(t *testing.T) {
	t.Parallel()
	w := setup(t)

	before := w.setLimit(t, access.SmartqAuthorize, 20)
	w.exec(t, `DELETE FROM limits`)
	if after := w.setLimit(t, access.SmartqAuthorize, 30); after.Version < before.Version {
		t.Errorf("version %d follows %d", after.Version, before.Version)
	}
	w.exec(t, `UPDATE limits SET version = version + 1000000`) // by a clock that was ahead
	ahead := w.setLimit(t, access.SmartqAuthorize, 40)
	if again := w.setLimit(t, access.SmartqAuthorize, 50); again.Version <= ahead.Version {
		t.Errorf("version %d follows %d", again.Version, ahead.Version)
	}
}

func TestLimitsAreRates(t *testing.T) {
	t.Parallel()
	w := setup(t)

	if _, err := w.SetLimit(t.Context(), access.SmartqAuthorize, -1, store.Order{Actor: "ops"}); err == nil {
		t.Error("a negative limit was accepted")
	}
}

func TestLimitsCanBeSetByThePrograms(t *testing.T) {
	t.Parallel()
	w := setup(t)

	conn := w.limited(t)
	for _, sql := range []string{
		`LOCK TABLE limits IN EXCLUSIVE MODE`,
		`INSERT INTO limits (action, per_second, version, actor) VALUES ('a', 1, 1, 'x')`,
		`UPDATE limits SET per_second = 2`,
	} {
		if _, err := conn.Exec(context.WithoutCancel(t.Context()), "BEGIN; "+sql+"; COMMIT"); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if _, err := conn.Exec(t.Context(), `DELETE FROM limits`); !lacksRight(err) {
		t.Errorf("deleting limits: %v, want it refused", err)
	}
}
