package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/people"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/testenv"
	"github.com/usher-bi/usher/migrations"
)

// sealed is the migration from which on there is no way back.
const sealed = 3

// Each migration after the sealed audit is taken down, put up and taken down
// again, with rows in all tables: each time the database has the shape that it had
// before, and nothing is lost that the older version knows.
func TestMigrationsGoDownAndUpAgain(t *testing.T) {
	t.Parallel()
	ctx, url := t.Context(), testenv.EmptyPostgres(t)
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS)
	if err != nil {
		t.Fatal(err)
	}
	versions, shapes := []int64{}, map[int64][]string{}
	for _, source := range provider.ListSources() {
		if source.Version < sealed {
			continue
		}
		if _, err := provider.UpTo(ctx, source.Version); err != nil {
			t.Fatal(err)
		}
		versions = append(versions, source.Version)
		shapes[source.Version] = shape(t, db)
	}
	kept := filled(t, url)
	for i := len(versions) - 1; i > 0; i-- {
		for _, step := range []struct {
			name string
			move func(context.Context, int64) ([]*goose.MigrationResult, error)
			to   int64
		}{{"down", provider.DownTo, versions[i-1]}, {"up", provider.UpTo, versions[i]}, {"down again", provider.DownTo, versions[i-1]}} {
			if _, err := step.move(ctx, step.to); err != nil {
				t.Fatalf("%s to %d: %v", step.name, step.to, err)
			}
			if diff := cmp.Diff(shapes[step.to], shape(t, db)); diff != "" {
				t.Errorf("%s to %d it is not as it was (-want +got):\n%s", step.name, step.to, diff)
			}
		}
	}
	if _, err := provider.Up(ctx); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(ctx, url, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	w := world{Store: s}
	if diff := cmp.Diff(store.Counts{Total: 2, Succeeded: 1, Failed: 1}, w.counts(t, kept)); diff != "" {
		t.Errorf("the job (-want +got):\n%s", diff)
	}
	// The audit tells that tokens, webhooks, schedules and events were lost.
	if report, err := w.VerifyAudit(ctx, store.AuditQuery{}); err != nil || report.Jobs != 2 || report.Found != 4 {
		t.Errorf("the audit: %+v, %v", report, err)
	}
}

// filled puts a little into the tables of the newest version, and returns the job
// that is done.
func filled(t *testing.T, url string) (done string) {
	t.Helper()
	ctx := t.Context()
	s, err := store.Open(ctx, url, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w := world{Store: s, sql: connect(t, url)}
	w.beat(t, "w")
	job := w.create(t, grid([]string{"u1", "u2"}, []string{"r"}))
	w.finish(t, store.TaskRef{Job: job.Number, No: 1}, store.CellException{
		Principal: "u2", Resource: qa("r"), Exception: store.Exception{Status: store.Failed, Code: "c", Message: "m"},
	})
	held := grid([]string{"u3"}, []string{"r"})
	held.IdempotencyKey, held.Fingerprint = "held", "held"
	held.Guards.Objections = []store.Objection{{Guard: store.GuardStale, Message: "old"}}
	w.accept(t, held)
	by := store.Order{Actor: "ann", Reason: "test"}
	for what, err := range map[string]error{
		"token":   w.AddToken(ctx, store.Token{Name: "t", Source: "hr", Operations: []access.Operation{access.Grant}, LaneMost: store.Normal}, store.TokenHash{1}, by),
		"webhook": w.AddWebhook(ctx, store.Webhook{Name: "w", URL: "https://example.com", Events: store.WebhookEvents()}, store.WebhookKey("key"), by),
		"schedule": w.AddSchedule(ctx, store.Schedule{
			Name: "s", Kind: store.FileSchedule, Path: "x.csv", CompleteBy: store.CompleteByDone, Cron: "0 2 * * *", Timezone: "UTC",
			CatchUp: store.CatchUpOnce, Overlap: store.OverlapSkip, Lane: store.Bulk, Source: "s", RequestedBy: "ann",
		}),
		"account": w.KeepAccounts(ctx, map[store.Account]store.AccountOwner{{Name: "alice"}: {UserID: "u1"}}),
	} {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	if _, err := w.RunSchedule(ctx, "s", by); err != nil {
		t.Fatal(err)
	}
	event := people.Event{ID: "e", Type: people.Leaver, Principal: "u1", EffectiveAt: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
	if _, err := w.AcceptEvents(ctx, store.EventsRequest{Source: "hr", RequestedBy: "ann", Events: []people.Line{{Event: event, No: 1}}}); err != nil {
		t.Fatal(err)
	}
	w.exec(t, `UPDATE workers SET alive_until = now()`) // some migrations want none
	return job.ID
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// shapeOf lists what a schema consists of, but for partitions.
const shapeOf = `
WITH whole AS (
    SELECT c.oid, c.relname, c.relkind, c.reloptions FROM pg_class c
    WHERE c.relnamespace = current_schema()::regnamespace AND NOT c.relispartition AND c.relkind IN ('r', 'p', 'v', 'S')
)
SELECT format('%s %s %s', relkind, relname, reloptions) FROM whole
UNION ALL
SELECT format('column %s.%s %s %s %s %s', w.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attstorage, pg_get_expr(d.adbin, d.adrelid))
FROM whole w JOIN pg_attribute a ON a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped LEFT JOIN pg_attrdef d ON d.adrelid = w.oid AND d.adnum = a.attnum
WHERE w.relkind <> 'S'
UNION ALL
SELECT format('constraint %s on %s: %s', x.conname, w.relname, pg_get_constraintdef(x.oid)) FROM whole w JOIN pg_constraint x ON x.conrelid = w.oid
UNION ALL
SELECT pg_get_indexdef(x.indexrelid) FROM whole w JOIN pg_index x ON x.indrelid = w.oid
UNION ALL
SELECT pg_get_triggerdef(x.oid) FROM whole w JOIN pg_trigger x ON x.tgrelid = w.oid WHERE NOT x.tgisinternal
UNION ALL
SELECT format('view %s: %s', relname, pg_get_viewdef(oid)) FROM whole WHERE relkind = 'v'
UNION ALL
SELECT format('function %s(%s) %s %s %s', proname, pg_get_function_identity_arguments(oid), provolatile, proconfig, md5(prosrc))
FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
ORDER BY 1`

func shape(t *testing.T, db *sql.DB) (lines []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), shapeOf)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if err := rows.Err(); err != nil || len(lines) == 0 {
		t.Fatal(fmt.Errorf("%d lines: %w", len(lines), err))
	}
	return lines
}
