package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

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
