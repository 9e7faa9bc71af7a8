package store_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/people"
	"github.com/usher-bi/usher/internal/store"
)

// limited makes a role with the rights of the programs, and connects as it.
func (w world) limited(t *testing.T) *pgx.Conn {
	t.Helper()
	cfg := w.sql.Config().Copy()
	cfg.User = `app "` + cfg.Database + `'\` // a name to quote
	w.exec(t, "CREATE ROLE "+pgx.Identifier{cfg.User}.Sanitize()+" LOGIN")
	if err := w.GrantRole(t.Context(), cfg.User); err != nil {
		t.Fatalf("GrantRole: %v", err)
	}
	conn, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		_ = conn.Close(ctx)
		_, _ = w.sql.Exec(ctx, "DROP OWNED BY "+pgx.Identifier{cfg.User}.Sanitize()+"; DROP ROLE "+pgx.Identifier{cfg.User}.Sanitize())
	})
	return conn
}

// openLimited opens the store as such a role, too.
func (w world) openLimited(t *testing.T) (*pgx.Conn, *store.Store) {
	t.Helper()
	conn := w.limited(t)
	as, err := url.Parse(w.sql.Config().ConnString())
	if err != nil {
		t.Fatal(err)
	}
	as.User = url.User(conn.Config().User)
	s, err := store.Open(t.Context(), as.String(), 4)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(s.Close)
	return conn, s
}

func TestAuditCannotBeRewrittenByThePrograms(t *testing.T) {
	t.Parallel()
	w, created := audited(t)
	conn := w.limited(t)

	var month string
	if err := conn.QueryRow(t.Context(), `SELECT to_char(month_start(($1::bigint >> 36)::integer) AT TIME ZONE 'UTC', 'YYYY_MM')`, created.Number).Scan(&month); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"changes", "exceptions", "settlements", "calls", "answers", "audit", "audit_seals"} {
		for _, statement := range []string{
			"DELETE FROM %s", "TRUNCATE %s", "UPDATE %s SET no = no", "DROP TABLE %s", "ALTER TABLE %s DISABLE TRIGGER ALL",
			"DELETE FROM %s_" + month, "TRUNCATE %s_" + month, "INSERT INTO %[1]s_" + month + " TABLE %[1]s",
		} {
			sql := fmt.Sprintf(statement, table)
			if i := strings.Index(sql, "%!"); i >= 0 {
				sql = sql[:i]
			}
			if table == "calls" || table == "audit" {
				sql = strings.ReplaceAll(sql, "no = no", "id = id")
			}
			if table == "audit_seals" && strings.Contains(sql, month) {
				continue
			}
			if _, err := conn.Exec(t.Context(), sql); !lacksRight(err) {
				t.Errorf("%s as the role of the programs: %v, want it refused for lack of rights", sql, err)
			}
			if strings.HasPrefix(sql, "DROP") || strings.HasPrefix(sql, "ALTER") || strings.HasPrefix(sql, "INSERT") {
				continue
			}
			if _, err := w.sql.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "append-only") {
				t.Errorf("%s as the owner: %v, want it refused by the trigger", sql, err)
			}
		}
	}
	for _, sql := range []string{"SELECT setval('audit_no', 1)", "SELECT nextval('job_no')", "DELETE FROM jobs", "DELETE FROM tasks", "UPDATE goose_db_version SET version_id = 1"} {
		if _, err := conn.Exec(t.Context(), sql); !lacksRight(err) {
			t.Errorf("%s: %v, want it refused", sql, err)
		}
	}
	if _, err := conn.Exec(t.Context(), "SELECT make_partitions()"); err != nil {
		t.Errorf("making partitions: %v", err)
	}
}

func TestPeopleAndSchedulesAreWithinTheRightsOfThePrograms(t *testing.T) {
	t.Parallel()
	w := setup(t)
	conn, s := w.openLimited(t)
	ctx, by := t.Context(), store.Order{Actor: "ann"}

	const text = "version: \"1\"\nprofiles: {guest: {resources: [{type: workspace, id: w, role: viewer}]}}\n"
	p, err := people.ParseProfiles([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if _, changed, err := s.LoadProfiles(ctx, store.NewProfiles{Profiles: p, Content: []byte(text)}, by); !changed || err != nil {
		t.Errorf("LoadProfiles = %t, %v", changed, err)
	}
	left := people.Event{ID: "e1", Type: people.Leaver, Principal: "u", EffectiveAt: time.Unix(0, 0)}
	back := people.Event{ID: "e2", Type: people.Withdraw, Withdraws: "e0"}
	if _, err := s.AcceptEvents(ctx, store.EventsRequest{Source: "hr", RequestedBy: "ann", Events: []people.Line{{Event: left, No: 1}, {Event: back, No: 2}}}); err != nil {
		t.Errorf("AcceptEvents: %v", err)
	}
	due, err := s.DueEvents(ctx, 10)
	if err != nil || len(due) != 1 {
		t.Fatalf("DueEvents = %+v, %v", due, err)
	}
	key := due[0].Key()
	if begun, err := s.BeginEvent(ctx, key, 0); !begun || err != nil {
		t.Errorf("BeginEvent = %t, %v", begun, err)
	}
	allowed := map[string]error{
		"EventApplied": s.EventApplied(ctx, store.AppliedEvent{EventKey: key, Open: true, Actor: "ann"}),
		"RoundDone":    s.RoundDone(ctx, due[0], time.Minute),
		"RemainsFound": s.RemainsFound(ctx, due[0], &store.Remains{}, "ann"),
		"CloseEvent":   s.CloseEvent(ctx, store.PersonEvent{Source: key.Source}, "ann"),
		"Granted":      s.Granted(ctx, store.GrantedFilter{}, func(store.Granted) error { return nil }),
		"AddSchedule": s.AddSchedule(ctx, store.Schedule{
			Name: "n", Kind: store.RenewSchedule, RenewDays: 1, CompleteBy: store.CompleteByDone, Cron: "0 2 * * *", Timezone: "UTC",
			CatchUp: store.CatchUpOnce, Overlap: store.OverlapSkip, Lane: store.Bulk, Source: "n", RequestedBy: "ann",
		}),
	}
	sched, err := s.Schedule(ctx, "n")
	if err != nil {
		t.Fatalf("Schedule: %v", err)
	}
	slot := sched.PlannedUntil.Add(time.Hour)
	ref := store.RunRef{Schedule: sched.ID, Slot: slot}
	_, allowed["Decide"] = s.Decide(ctx, store.Decision{Schedule: sched.ID, From: sched.PlannedUntil, Until: slot, At: slot, State: store.RunDue})
	allowed["StartRun"] = s.StartRun(ctx, ref, slot, []store.RunInput{{}})
	allowed["SetInput"] = s.SetInput(ctx, ref, store.RunInput{No: 1, State: store.InputNothing})
	allowed["SetRun"] = s.SetRun(ctx, ref, store.RunChange{State: store.RunNothing, At: slot})
	for what, err := range allowed {
		if err != nil {
			t.Errorf("%s as the role of the programs: %v", what, err)
		}
	}
	for _, sql := range []string{
		"UPDATE profile_sets SET version = '2'", "DELETE FROM person_events", "DELETE FROM granted_before", "DELETE FROM tokens",
		"DELETE FROM sealed_counts", "DELETE FROM schedules", "DELETE FROM schedule_runs", "DELETE FROM schedule_inputs",
	} {
		if _, err := conn.Exec(ctx, sql); !lacksRight(err) {
			t.Errorf("%s: %v, want it refused", sql, err)
		}
	}
}

func TestRolesThatNothingCanBeKeptFrom(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, role := range []string{"nobody there", w.sql.Config().User} {
		if err := w.GrantRole(t.Context(), role); !errors.Is(err, store.ErrRole) {
			t.Errorf("GrantRole(%q) = %v, want ErrRole", role, err)
		}
	}
	if why, err := w.MayRewriteAudit(t.Context()); why != "is a superuser" || err != nil {
		t.Errorf("MayRewriteAudit of a superuser = %q, %v", why, err)
	}
}

// lacksRight reports whether Postgres refused for want of a right, not a trigger
// of ours.
func lacksRight(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "permission denied") || strings.Contains(err.Error(), "must be owner"))
}
