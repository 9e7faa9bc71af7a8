package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// ErrRole means that a role cannot be given the rights of the programs.
var ErrRole = errors.New("not a role to run the programs as")

const whoIs = `
SELECT current_user, r.rolsuper, pg_has_role(r.oid, (SELECT relowner FROM pg_class WHERE oid = 'audit'::regclass), 'MEMBER')
FROM pg_roles r WHERE r.rolname = $1`

const relations = `
SELECT c.relname, c.relkind = 'v', c.relkind = 'S', EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'append_only')
FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'S') AND NOT c.relispartition
ORDER BY c.relname`

// relation is a table, view or sequence of the schema.
type relation struct {
	name               string
	isView, isSequence bool
	appendOnly         bool
}

// rights are what worker and enqueue need of r. Partitions need none of their
// own, and without any cannot be reached beside the table that they are part of.
func (r relation) rights() string {
	switch {
	case r.name == "job_no": // moved by next_job_id alone
		return ""
	case r.isSequence:
		return "USAGE, SELECT ON SEQUENCE"
	case r.isView, r.name == "goose_db_version", r.name == "granted_before":
		return "SELECT ON"
	case r.appendOnly, r.name == "shared_works", r.name == "verifications":
		return "SELECT, INSERT ON"
	case slices.Contains([]string{
		"jobs", "tasks", "sealed_counts", "limits", "person_events", "tokens", "schedules", "schedule_runs", "schedule_inputs", "webhooks",
	}, r.name):
		return "SELECT, INSERT, UPDATE ON"
	default: // what stands for the present only
		return "SELECT, INSERT, UPDATE, DELETE ON"
	}
}

// GrantRole gives role what worker and enqueue need, and takes from it what
// else it may do with the tables: above all, to change or delete rows of the
// append-only ones. It must be called as the owner of the tables. A role that
// is not there, or is above such rules, is [ErrRole].
func (s *Store) GrantRole(ctx context.Context, role string) error {
	return s.inTx(ctx, "granting rights", func(tx pgx.Tx) error {
		var me string
		var isSuper, isOwner bool
		switch err := tx.QueryRow(ctx, whoIs, role).Scan(&me, &isSuper, &isOwner); {
		case errors.Is(err, pgx.ErrNoRows):
			return fmt.Errorf("%w: there is no role %q; create it first: CREATE ROLE %s LOGIN", ErrRole, role, quoted(role))
		case err != nil:
			return err
		case isSuper, isOwner, role == me:
			return fmt.Errorf("%w: %q is a superuser or owns the tables, so no right can be kept from it", ErrRole, role)
		}
		rows, err := tx.Query(ctx, relations)
		if err != nil {
			return err
		}
		found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r relation, err error) {
			err = row.Scan(&r.name, &r.isView, &r.isSequence, &r.appendOnly)
			return r, err
		})
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, grants(role, found))
		return err
	})
}

// grants writes the statements that leave role with the rights on found.
func grants(role string, found []relation) string {
	var sql strings.Builder
	to := quoted(role)
	// The schema is the one that the tables are in, whatever it is called.
	fmt.Fprintf(&sql, `
DO $do$ BEGIN
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %%I FROM %%I', current_schema(), %[1]s);
    EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA %%I FROM %%I', current_schema(), %[1]s);
    EXECUTE format('REVOKE ALL ON SCHEMA %%I FROM %%I', current_schema(), %[1]s);
    EXECUTE format('GRANT USAGE ON SCHEMA %%I TO %%I', current_schema(), %[1]s);
END $do$;
GRANT EXECUTE ON FUNCTION make_partitions(integer), next_job_id() TO %[2]s;
`, literal(role), to)
	for _, r := range found {
		if rights := r.rights(); rights != "" {
			fmt.Fprintf(&sql, "GRANT %s %s TO %s;\n", rights, quoted(r.name), to)
		}
	}
	return sql.String()
}

func quoted(name string) string { return pgx.Identifier{name}.Sanitize() }

// literal quotes a text for SQL that takes no parameters.
func literal(s string) string {
	return "E'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

const mayRewrite = `
SELECT CASE
    WHEN (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN 'is a superuser'
    WHEN bool_or(pg_has_role(c.relowner, 'USAGE')) THEN 'owns its tables'
    WHEN bool_or(has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE')) THEN 'may change or delete its rows'
    ELSE '' END
FROM pg_class c JOIN pg_trigger t ON t.tgrelid = c.oid WHERE t.tgname = 'append_only'`

// MayRewriteAudit says why the role of s could rewrite the audit; "" if it
// could not.
func (s *Store) MayRewriteAudit(ctx context.Context) (why string, err error) {
	err = s.pool.QueryRow(ctx, mayRewrite).Scan(&why)
	return why, outward("reading the rights of the role", err)
}
