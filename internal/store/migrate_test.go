package store_test

import (
	"database/sql"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/migrations"
)

// earlier is a database as migration 2 left it, with two jobs in it.
const earlier = `
INSERT INTO jobs (ulid, source, requested_by, lane, idempotency_key, fingerprint, rows, header, next_task, status, finished_at)
VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FAV', 's', 'w', 'normal', 'a', 'f', 3, '{action}', 2, 'completed', now()),
       ('01ARZ3NDEKTSV4RRFFQ69G5FAW', 's', 'w', 'normal', 'b', 'f', 1, '{action}', 2, 'queued', NULL);
INSERT INTO changes (job_id, no, task_no, line, row_id, operation, principal_type, principal, resource_type, resource_id, role, expires_on, reason, ticket)
SELECT 1, no, 1, no + 1, 'r' || no, 'grant', 'user', 'u' || no, 'qa_resource', 'q', '', date '2099-12-31', '', '' FROM generate_series(1, 3) no
UNION ALL SELECT 2, 1, 1, 2, 'r1', 'grant', 'user', 'u1', 'qa_resource', 'q', '', '2099-12-31', '', '';
INSERT INTO tasks (job_id, no, root_no, first_change, last_change, action, operation, principal_type, principals, resources, role, expires_on, state, finished_at)
VALUES (1, 1, 1, 1, 3, 'SmartqAuthorize', 'grant', 'user', '{u1,u2,u3}', '{qa_resource:q}', '', '2099-12-31', 'done', now()),
       (2, 1, 1, 1, 1, 'SmartqAuthorize', 'grant', 'user', '{u1}', '{qa_resource:q}', '', '2099-12-31', 'ready', NULL);
INSERT INTO exceptions (job_id, change_no, task_no, status, code, message, retryable) VALUES (1, 2, 1, 'failed', 'c', 'm', false);
INSERT INTO calls (job_id, task_no, generation, action, cells, worker) VALUES (1, 1, 1, 'SmartqAuthorize', 3, 'w');
INSERT INTO answers (call_id, class, took) VALUES (1, 'partial', '1 second');
INSERT INTO audit (actor, event, job_id) VALUES ('w', 'job.submitted', 1), ('w', 'job.submitted', 2);
INSERT INTO verifications (job_id, change_no, read_job_id, verdict) VALUES (1, 1, 2, 'verified')`

func TestMigrationKeepsWhatWasThere(t *testing.T) {
	t.Parallel()
	w := migratedFrom(t, 2, earlier)
	w.beat(t, "w")
	if diff := cmp.Diff(store.Counts{Total: 3, Succeeded: 2, Failed: 1}, w.counts(t, "01ARZ3NDEKTSV4RRFFQ69G5FAV")); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if job, err := w.Job(t.Context(), "01ARZ3NDEKTSV4RRFFQ69G5FAV"); job.Calls.Sent != 1 || err != nil {
		t.Errorf("%d calls, %v; want 1", job.Calls.Sent, err)
	}
	due, err := w.DueTasks(t.Context(), -time.Minute, store.TaskRef{}, 10)
	if err != nil || len(due) != 1 || due[0].Job != 2 {
		t.Fatalf("DueTasks = %v, %v, want that of job 2", due, err)
	}
	w.finish(t, due[0].TaskRef)
	created := w.create(t, grid([]string{"u9"}, []string{"r1"}))
	w.finish(t, store.TaskRef{Job: created.Number, No: 1})
	if now := time.Now().UTC(); created.Number>>36 < int64(now.Year()*12+int(now.Month())-2) {
		t.Errorf("job number %d does not carry its month", created.Number)
	}
	var alone int
	err = w.sql.QueryRow(t.Context(), `SELECT count(*) FROM pg_class WHERE relname ~ '^(changes|calls|audit)_oldest$'`).Scan(&alone)
	if err != nil || alone != 3 {
		t.Errorf("%d oldest partitions, %v, want 3", alone, err)
	}
}

// finish has a task claimed, called and ended without exceptions.
func (w world) finish(t *testing.T, ref store.TaskRef, exceptions ...store.CellException) {
	t.Helper()
	task := w.claim(t, ref, 0)
	answer := store.Answer{Call: w.begin(t, task.Claim), Class: "ok", HTTPStatus: 200, RequestID: "REQ", Took: time.Second}
	if err := w.Finish(t.Context(), task.Claim, answer, store.Ending{Exceptions: exceptions}); err != nil {
		t.Fatalf("Finish: %v", err)
	}
	if err := w.Finalize(t.Context(), ref.Job); err != nil {
		t.Fatalf("Finalize: %v", err)
	}
}

func migrateTo(t *testing.T, url string, version int64) {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
}
