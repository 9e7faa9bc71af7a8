package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/store"
)

// audited is a world with something in every audited table and three seals.
func audited(t *testing.T) (world, store.Created) {
	t.Helper()
	w := setup(t)
	sealer := w.NewSealer()
	job := grid([]string{"u1", "u2"}, []string{"r1"})
	job.Changes[0].Cells = []string{"grant", ""}
	created := w.create(t, job)
	w.seal(t, sealer)
	w.finish(t, store.TaskRef{Job: created.Number, No: 1}, store.CellException{
		Principal: "u1", Resource: qa("r1"), Exception: store.Exception{Status: store.Unknown, Code: "outcome_unknown"},
	})
	w.exec(t, `INSERT INTO settlements (job_id, change_no, status, code, message, retryable, read_job_id) VALUES ($1, 1, 'failed', 'not_applied', '', true, 1)`, created.Number)
	w.seal(t, sealer)
	other := grid([]string{"u3"}, []string{"r1"})
	other.IdempotencyKey = "other"
	w.create(t, other)
	w.seal(t, sealer)
	return w, created
}

func (w world) seal(t *testing.T, s *store.Sealer) store.Seal {
	t.Helper()
	seal, sealed, err := s.Seal(t.Context())
	if err != nil || !sealed {
		t.Fatalf("Seal = %t, %v, want a seal", sealed, err)
	}
	return seal
}

func (w world) exec(tb testing.TB, sql string, args ...any) {
	tb.Helper()
	if _, err := w.sql.Exec(tb.Context(), sql, args...); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
}

func (w world) verify(t *testing.T, q store.AuditQuery) store.AuditReport {
	t.Helper()
	report, err := w.VerifyAudit(t.Context(), q)
	if err != nil {
		t.Fatalf("VerifyAudit: %v", err)
	}
	return report
}

func TestIntactAudit(t *testing.T) {
	t.Parallel()
	w, _ := audited(t)

	w.exec(t, `SET datestyle = 'German, DMY'; SET timezone = 'Asia/Shanghai'`)
	late := grid([]string{"u4"}, []string{"r1"})
	late.IdempotencyKey = "late"
	w.create(t, late)
	got := w.verify(t, store.AuditQuery{})
	if got.Head == nil || len(got.Head.Hash) != 64 {
		t.Fatalf("head = %v", got.Head)
	}
	want := store.AuditReport{
		Intact: true, Seals: 3, SealsChecked: 3, Rows: 7, Jobs: 3, Changes: 4, Unsealed: 1, Head: got.Head, Findings: []store.Finding{},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if again := w.verify(t, store.AuditQuery{Checkpoint: got.Head}); !again.Intact {
		t.Errorf("the chain does not hold its own head: %+v", again.Findings)
	}
	if later := w.verify(t, store.AuditQuery{From: time.Now().Add(time.Hour)}); !later.Intact || later.SealsChecked != 0 || later.Seals != 3 {
		t.Errorf("a check of the future reads %d of %d seals", later.SealsChecked, later.Seals)
	}
}

func TestSealWaitsForRunningTransactions(t *testing.T) {
	t.Parallel()
	w := setup(t)
	sealer := w.NewSealer()

	slow, err := w.sql.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := slow.Exec(t.Context(), `INSERT INTO audit (actor, event) VALUES ('slow', 'x')`); err != nil {
		t.Fatal(err)
	}
	w.create(t, grid([]string{"u1"}, []string{"r1"})) // a higher number, committed first
	for range 3 {
		if seal, sealed, err := sealer.Seal(t.Context()); sealed || err != nil {
			t.Fatalf("sealed up to %d, %v, while a lower number was still to come", seal.Upto, err)
		}
	}
	if err := slow.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.seal(t, sealer)
	if _, sealed, err := sealer.Seal(t.Context()); sealed || err != nil {
		t.Errorf("an idle round sealed again: %t, %v", sealed, err)
	}
	if got := w.verify(t, store.AuditQuery{}); !got.Intact || got.Rows != 2 || got.Unsealed != 0 {
		t.Errorf("report %+v, want both rows sealed", got)
	}
}

// A later transaction does not hold up what an earlier round has seen.
func TestSealIsNotHeldUpForEver(t *testing.T) {
	t.Parallel()
	w := setup(t)
	sealer := w.NewSealer()

	hold := func(conn *pgx.Conn) pgx.Tx {
		tx, err := conn.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), `INSERT INTO audit (actor, event) VALUES ('slow', 'x')`); err != nil {
			t.Fatal(err)
		}
		return tx
	}
	first := hold(w.sql)
	if _, sealed, err := sealer.Seal(t.Context()); sealed || err != nil {
		t.Fatalf("Seal = %t, %v", sealed, err)
	}
	second := hold(setupBeside(t, w))
	if err := first.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if seal := w.seal(t, sealer); seal.No != 1 {
		t.Errorf("seal %d, want the first", seal.No)
	}
	if err := second.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.seal(t, sealer)
	if got := w.verify(t, store.AuditQuery{}); !got.Intact || got.Rows != 2 {
		t.Errorf("report %+v, want both rows sealed", got)
	}
}

func setupBeside(t *testing.T, w world) *pgx.Conn {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), w.sql.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return conn
}

func TestForgeriesAreFound(t *testing.T) { //nolint:tparallel // the forgeries share one database
	t.Parallel()
	type forgery struct {
		name, sql string
		want      []string // kind table
	}
	forgeries := []forgery{
		{"job", `UPDATE jobs SET requested_by = 'somebody else' WHERE id = $1`, []string{"job_changed jobs"}},
		{"accepted earlier", `UPDATE jobs SET created_at = created_at - interval '1 day' WHERE id = $1`, []string{"job_changed jobs"}},
		{"vanished job", `DELETE FROM jobs WHERE id = $1`, []string{"job_changed jobs"}},
		{"deleted change", `DELETE FROM changes WHERE job_id = $1 AND no = 1`, []string{"rows_missing changes"}},
		{"all changes", `DELETE FROM changes WHERE job_id = $1`, []string{"rows_missing changes"}},
		{"no end", `UPDATE changes SET expires_on = 'infinity' WHERE job_id = $1 AND no = 1`, []string{"rows_changed changes"}},
		{"no cells", `UPDATE changes SET cells = NULL WHERE job_id = $1 AND no = 1`, []string{"rows_changed changes"}},
		{"shifted cells", `UPDATE changes SET cells = '{"grant,0:"}' WHERE job_id = $1 AND no = 1`, []string{"rows_changed changes"}},
		{"added change", `INSERT INTO changes (job_id, no, line, row_id, operation, principal_type, principal, resource_type, resource_id, role, reason, ticket)
			VALUES ($1, 9, 9, 'r', 'grant', 'user', 'eve', 'qa_resource', 'r', '', '', '')`, []string{"rows_inserted changes"}},
		{"changes of no job", `INSERT INTO changes (job_id, no, line, row_id, operation, principal_type, principal, resource_type, resource_id, role, reason, ticket)
			VALUES ($1::bigint - 1, 9, 9, 'r', 'grant', 'user', 'eve', 'qa_resource', 'r', '', '', '')`, []string{"rows_inserted changes"}},
		{"row below all numbers", `INSERT INTO audit (id, actor, event, job_id) VALUES (-5, 'eve', 'x', $1)`, []string{"rows_inserted audit"}},
		{"row ahead of all numbers", `INSERT INTO audit (id, actor, event, job_id) VALUES (1 << 40, 'eve', 'x', $1)`, []string{"rows_inserted audit"}},
		{"seal gone", `DELETE FROM audit_seals WHERE no = 2 AND $1::bigint > 0`, []string{"seal_missing audit_seals"}},
		{"first seal gone", `DELETE FROM audit_seals WHERE no = 1 AND $1::bigint > 0`, []string{"seal_missing audit_seals"}},
		{"seal with other entries", `UPDATE audit_seals SET entries = replace(entries, '"rows":1', '"rows":2') WHERE no = 2 AND $1::bigint > 0`, []string{"seal_changed audit_seals"}},
		{"seal that holds no JSON", `UPDATE audit_seals SET entries = '', sealed_at = 'infinity' WHERE no = 2 AND $1::bigint > 0`, []string{"seal_changed audit_seals"}},
		{"rewritten seal", `UPDATE audit_seals SET sealed_at = '2026-01-01Z', hash = sha256(prev || convert_to(
			format(E'%s\n%s\n%s\n%s\n%s', no, '2026-01-01T00:00:00', after_no, upto_no, entries), 'UTF8')) WHERE no = 2 AND $1::bigint > 0`, []string{"link_broken audit_seals"}},
		{"drop of months to come", dropped("9999-12") + hiding, []string{"drop_untrue audit", "rows_missing changes"}},
		{"drop of months that are there", dropped(monthsAgo(6)) + hiding, []string{"drop_untrue audit", "rows_missing changes"}},
		{"drop of no month", dropped("2026-13") + hiding, []string{"drop_untrue audit", "rows_missing changes"}},
		{"job marked as dropped", `WITH marked AS (UPDATE jobs SET dropped_at = now()) ` + hiding, []string{"rows_missing changes"}},
		{"outcome of what was never sent", `UPDATE tasks SET state = 'done', finished_at = now(), request_id = 'REQ' WHERE job_id <> $1`, []string{"outcome_unanswered tasks"}},
		{"outcome by another answer", `UPDATE tasks SET request_id = 'OTHER' WHERE job_id = $1`, []string{"outcome_unanswered tasks"}},
		{"outcome of more than was sent", `UPDATE tasks SET principals = principals || '{eve}' WHERE job_id = $1`, []string{"outcome_unanswered tasks"}},
		{
			"part of what was not carried out", `WITH cut AS (
			UPDATE tasks SET state = 'split', finished_at = now(), request_id = 'REQ' WHERE job_id <> $1 RETURNING *)
			INSERT INTO tasks (job_id, no, root_no, first_change, last_change, action, operation, principal_type, principals, resources, role, state, request_id, finished_at)
			SELECT job_id, 9, no, first_change, last_change, action, operation, principal_type, principals, resources, role, 'done', 'REQ', now() FROM cut`,
			[]string{"outcome_unanswered tasks"},
		},
	}
	columns := map[string][]string{
		"audit":       {"at = at + interval '1 us'", "actor = 'x'", "event = 'x'", "job_id = NULL", "task_no = 7", `detail = '{"source": "x"}'`},
		"calls":       {"task_no = 7", "generation = 7", "action = 'x'", "cells = 7", "worker = 'x'", "sent_at = 'infinity'"},
		"answers":     {"call_id = 7", "class = 'x'", "http_status = 7", "api_code = 'x'", "message = 'x'", "request_id = 'x'", "result = 'x'", "took = '7 s'", "answered_at = 'epoch'"},
		"exceptions":  {"change_no = 2", "task_no = NULL", "status = 'failed'", "code = 'x'", "message = 'x'", "retryable = NOT retryable", "api_code = 'x'", "request_id = 'x'", "recorded_at = 'epoch'"},
		"settlements": {"change_no = 2", "status = 'succeeded'", "code = 'x'", "message = 'x'", "retryable = NOT retryable", "read_job_id = 7", "at = 'epoch'"},
		"changes": {
			"task_no = NULL", "line = 99", "row_id = 'x'", "operation = 'revoke'", "principal_type = 'x'", "principal = 'x'", "resource_type = 'x'",
			"resource_id = 'x'", "role = 'x'", "expires_on = NULL", "reason = 'x'", "ticket = 'x'", "cells = '{x}'",
		},
	}
	for table, set := range columns {
		where := " WHERE job_id = $1"
		if table == "changes" {
			where += " AND no = 2"
		}
		for _, cell := range set {
			forgeries = append(forgeries, forgery{table + " " + cell, "UPDATE " + table + " SET " + cell + where, []string{"rows_changed " + table}})
		}
		if table != "changes" {
			forgeries = append(forgeries, forgery{"deleted from " + table, "DELETE FROM " + table + where, []string{"rows_missing " + table}})
		}
	}
	for table, insert := range map[string]string{
		"audit":       `INSERT INTO audit (id, actor, event) SELECT id, 'eve', 'x' FROM audit WHERE job_id = $1 AND event = 'job.finished'`,
		"calls":       `INSERT INTO calls (id, job_id, task_no, generation, action, cells, worker) SELECT id + 1, job_id, 1, 1, 'x', 1, 'x' FROM calls WHERE job_id = $1`,
		"answers":     `INSERT INTO answers (no, job_id, call_id, class, took) SELECT no, job_id, 99, 'ok', '1 s' FROM answers WHERE job_id = $1`,
		"exceptions":  `INSERT INTO exceptions (no, job_id, change_no, status, code, message, retryable) SELECT no, job_id, 99, 'failed', '', '', true FROM exceptions WHERE job_id = $1`,
		"settlements": `INSERT INTO settlements (no, job_id, change_no, status, code, message, retryable, read_job_id) SELECT no, job_id, 99, 'failed', '', '', true, 1 FROM settlements WHERE job_id = $1`,
	} {
		forgeries = append(forgeries, forgery{"inserted into " + table, insert, []string{"rows_inserted " + table}})
	}

	w, created := audited(t)
	w.exec(t, `SET session_replication_role = replica`) // as a superuser who hides his traces: no trigger fires
	for _, table := range forgeable {
		w.exec(t, fmt.Sprintf(`CREATE TEMP TABLE kept_%[1]s AS TABLE %[1]s`, table))
	}
	for _, f := range forgeries { //nolint:paralleltest // likewise
		t.Run(f.name, func(t *testing.T) {
			report := w.forge(t, f.sql, created.Number)
			var got []string
			for _, finding := range report.Findings {
				got = append(got, string(finding.Kind)+" "+finding.Table)
			}
			if slices.ContainsFunc([]string{"audit", "calls", "answers", "exceptions"}, func(table string) bool { return strings.Contains(f.name, table) }) {
				got = got[:min(1, len(got))] // it shows where it is used, too
			}
			if diff := cmp.Diff(f.want, got); diff != "" || report.Intact {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
	if after := w.verify(t, store.AuditQuery{}); !after.Intact {
		t.Fatalf("the forgeries outlived their test: %+v", after.Findings)
	}
}

// hiding deletes what a job asked for, and dropped claims before it that
// retention did.
const hiding = `DELETE FROM changes WHERE job_id = $1`

func dropped(before string) string {
	return `WITH claim AS (INSERT INTO audit (actor, event, detail) VALUES ('eve', 'audit.dropped', '{"before": "` + before + `", "tables": [{}]}')) `
}

var forgeable = []string{"jobs", "tasks", "changes", "calls", "answers", "exceptions", "settlements", "audit", "audit_seals"}

// forge changes the database, verifies, and puts it back as it was kept.
func (w world) forge(t *testing.T, forgery string, job int64) store.AuditReport {
	t.Helper()
	defer func() {
		for _, table := range forgeable {
			var columns string // without those that are generated
			err := w.sql.QueryRow(t.Context(), `
SELECT string_agg(attname, ', ') FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''`, table).Scan(&columns)
			if err != nil {
				t.Fatal(err)
			}
			w.exec(t, fmt.Sprintf(`DELETE FROM %[1]s; INSERT INTO %[1]s (%[2]s) SELECT %[2]s FROM kept_%[1]s`, table, columns))
		}
	}()
	w.exec(t, forgery, job)
	return w.verify(t, store.AuditQuery{})
}

// A server that took over may lack the last writes of the one before it, and
// gives out their numbers again.
func TestSealerForgetsAServerThatIsGone(t *testing.T) {
	t.Parallel()
	w, _ := audited(t)
	sealer := w.NewSealer()
	w.exec(t, `INSERT INTO audit (actor, event) VALUES ('x', 'lost')`)
	w.exec(t, `SELECT setval('audit_no', (SELECT last_value FROM audit_no) + 50)`)
	w.seal(t, sealer)
	w.exec(t, `SELECT setval('audit_no', (SELECT last_value FROM audit_no) - 50)`)
	w.exec(t, `SET session_replication_role = replica`)
	w.exec(t, `DELETE FROM audit WHERE event = 'lost'`)
	w.exec(t, `DELETE FROM audit_seals WHERE no = (SELECT max(no) FROM audit_seals)`)

	slow, err := setupBeside(t, w).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := slow.Exec(t.Context(), `INSERT INTO audit (actor, event) VALUES ('slow', 'x')`); err != nil {
		t.Fatal(err)
	}
	w.exec(t, `INSERT INTO audit (actor, event) VALUES ('quick', 'x')`)
	if seal, sealed, err := sealer.Seal(t.Context()); sealed || err != nil {
		t.Fatalf("sealed up to %d, %v, while a lower number was still to come", seal.Upto, err)
	}
	if err := slow.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.exec(t, `INSERT INTO audit (actor, event) VALUES ('late', 'x')`)
	w.seal(t, sealer)
	if got := w.verify(t, store.AuditQuery{}); !got.Intact || got.Unsealed != 0 {
		t.Errorf("report %+v, want every row sealed", got)
	}
}

// Who rewrites the whole chain is found by a checkpoint that was kept elsewhere.
func TestCheckpoint(t *testing.T) {
	t.Parallel()
	w, _ := audited(t)

	kept := w.verify(t, store.AuditQuery{}).Head
	w.exec(t, `SET session_replication_role = replica`)
	w.exec(t, `DELETE FROM audit_seals`)
	w.exec(t, `UPDATE calls SET worker = 'eve'`)
	w.seal(t, w.NewSealer())
	if got := w.verify(t, store.AuditQuery{}); !got.Intact {
		t.Fatalf("a chain that was written anew is a chain: %+v", got.Findings)
	}
	got := w.verify(t, store.AuditQuery{Checkpoint: kept})
	if got.Intact || len(got.Findings) != 1 || got.Findings[0].Kind != store.CheckpointGone {
		t.Errorf("findings = %+v, want the checkpoint missing", got.Findings)
	}
	if c, err := store.ParseCheckpoint(fmt.Sprintf("%d:%s", kept.No, strings.ToUpper(kept.Hash))); err != nil || c != *kept {
		t.Errorf("ParseCheckpoint = %v, %v", c, err)
	}
	for _, bad := range []string{"", "1", "1:", "1:abc", "x:" + kept.Hash, "0:" + kept.Hash} {
		if _, err := store.ParseCheckpoint(bad); err == nil {
			t.Errorf("ParseCheckpoint(%q) took it", bad)
		}
	}
}
