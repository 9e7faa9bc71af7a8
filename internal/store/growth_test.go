package store_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/store"
)

// grown fills in a large job that has ended, a large one that runs and has a
// backlog, and many small ones that have ended. It returns the large ones.
//
//nolint:dupword // SQL
const grown = `
WITH job AS (
    INSERT INTO jobs (ulid, source, requested_by, lane, idempotency_key, fingerprint, rows, header, next_task, status, finished_at)
    SELECT '02' || lpad(n::text, 24, '0'), 's' || n % 3, 'w', 'normal', n::text, 'f', CASE WHEN n < 3 THEN 20000 ELSE 1 END, '{action}',
           CASE WHEN n < 3 THEN 20001 ELSE 2 END, CASE n WHEN 2 THEN 'running' ELSE 'completed' END, CASE WHEN n <> 2 THEN now() END
    FROM generate_series(1, 5000) n
    RETURNING id, rows, status
), change AS (
    INSERT INTO changes (job_id, no, task_no, line, row_id, operation, principal_type, principal, resource_type, resource_id, role, reason, ticket)
    SELECT id, n, n, n + 1, '', 'grant', 'user', 'u' || n, 'qa_resource', 'q' || id, '', '', '' FROM job, generate_series(1, rows) n
), task AS (
    INSERT INTO tasks (job_id, no, root_no, first_change, last_change, action, operation, principal_type, principals, resources, role, state, finished_at)
    SELECT id, n, n, n, n, 'SmartqAuthorize', 'grant', 'user', ARRAY['u' || n], ARRAY['qa_resource:q' || id], '',
           CASE WHEN status = 'completed' OR n < 10000 THEN 'done' ELSE 'ready' END, CASE WHEN status = 'completed' OR n < 10000 THEN now() END
    FROM job, generate_series(1, rows) n
), call AS (
    INSERT INTO calls (job_id, task_no, generation, action, cells, worker)
    SELECT id, n, 1, 'SmartqAuthorize', 1, 'w' FROM job, generate_series(1, CASE status WHEN 'completed' THEN rows ELSE 9999 END) n
    RETURNING job_id, id
), waiting AS (
    INSERT INTO backlog (job_id, action, lane, next_no, last_no, turn) SELECT id, 'SmartqAuthorize', 'normal', 10050, 20000, 0 FROM job WHERE status = 'running'
), exception AS (
    INSERT INTO exceptions (job_id, change_no, task_no, status, code, message, retryable)
    SELECT id, n, n, 'failed', 'c', 'm', true FROM job, generate_series(1, rows, 20) n WHERE rows > 1 AND n < 10000
)
SELECT min(id), (SELECT id FROM job WHERE status = 'running') FROM job`

// What is asked often costs the same however many jobs and rows there are: it
// goes by indexes, and to what it wants.
func TestNothingGetsSlowerWithJobsThatHaveEnded(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var ended, running int64
	if err := w.sql.QueryRow(t.Context(), grown).Scan(&ended, &running); err != nil {
		t.Fatal(err)
	}
	w.exec(t, `INSERT INTO answers (job_id, call_id, class, took) SELECT job_id, id, 'ok', '1 s' FROM calls`)
	w.exec(t, `ANALYZE`)
	w.seal(t, w.NewSealer())
	w.exec(t, `ANALYZE sealed_counts`)
	var sealed int64
	if err := w.sql.QueryRow(t.Context(), `SELECT max(upto_no) FROM audit_seals`).Scan(&sealed); err != nil {
		t.Fatal(err)
	}
	list := func(f store.JobFilter) (string, []any) {
		where, args := f.Where()
		return store.ListJobs + where, args
	}
	for _, tt := range []struct {
		name  string
		most  int // pages
		query string
		args  []any
	}{
		{"the counts of a job that has ended", 60, store.CountJobs, []any{[]int64{ended}, sealed}},
		{"the counts of a job that runs", 60, store.CountJobs, []any{[]int64{running}, sealed}},
		{"what is open of a job", 60, store.CountOpen, []any{[]int64{running}}},
		{"what is left", 60, store.WorkLeft, []any{[]int64{running}}},
		{"what is due", 100, store.WaitingSQL, []any{"all", "", int64(0), 0, 1000, -time.Minute}},
		{"how much waits", 60, store.CountWaiting, []any{"all", ""}},
		{"jobs that nobody ended", 60, store.Forsaken, nil},
		{"jobs to end", 60, store.Endable, []any{[]int64{ended, running}}},
		{"lost tasks", 60, store.Reclaim, []any{"w", time.Duration(0), time.Minute, time.Minute}},
		{"silent workers", 60, store.ForgetSilent, []any{"w", time.Duration(0)}},
		{"whose turn it is", 60, store.NextInLine, []any{"SmartqAuthorize", "normal", 25}},
		{"a task to probe with", 60, store.ReadyTask, []any{"SmartqAuthorize"}},
		{"somebody who was served", 60, store.Served, nil},
		{"open jobs of a target", 60, store.OpenJobsOf, []any{"action", "SmartqAuthorize"}},
	} {
		if pages, _, plan := w.touched(t, tt.query, tt.args...); pages > tt.most || strings.Contains(plan, "Seq Scan on changes_2") {
			t.Errorf("%s: %d pages, want at most %d:\n%s", tt.name, pages, tt.most, plan)
		}
	}
	for _, f := range []store.JobFilter{
		{},
		{Source: "s1"},
		{Status: store.JobCompleted},
		{Status: store.JobFailed},
		{Status: store.JobRunning},
		{Status: store.JobPaused},
		{Source: "s1", Status: store.JobCompleted, Before: fmt.Sprintf("02%024d", 2500)},
		{Source: "nobody"},
	} {
		query, args := list(f)
		if pages, rows, plan := w.touched(t, query, args...); pages > 250 || rows > 1500 {
			t.Errorf("a page of %+v looks at %d pages and %d rows:\n%s", f, pages, rows, plan)
		}
	}
	// What is asked of one job reads that job and no other.
	w.exec(t, `BEGIN`)
	w.exec(t, store.ForResults)
	for name, query := range map[string]string{
		"results": fmt.Sprintf(store.Results, store.OfOneJob, "LEFT"), "failed rows": fmt.Sprintf(store.Results, store.OfOneJob, "INNER"),
	} {
		if plan := w.planOf(t, query, ended, []string{"failed"}); strings.Contains(plan, "Seq Scan on changes_2") || strings.Contains(plan, "Seq Scan on tasks_2") {
			t.Errorf("%s are read from beginning to end:\n%s", name, plan)
		}
	}
	w.exec(t, `ROLLBACK`)
	for name, plan := range map[string]string{
		"failures by cause": w.planOf(t, store.Groups, ended, 0), "rows to retry": w.planOf(t, store.RetryRows, ended, true, ""),
	} {
		if strings.Contains(plan, "Seq Scan on changes_2") {
			t.Errorf("for %s the month is read:\n%s", name, plan)
		}
	}
}

// However many months there are, what is asked of jobs reads theirs and no other.
func TestNoMonthIsReadButThatOfTheJobs(t *testing.T) {
	t.Parallel()
	w := setup(t)
	job := w.create(t, grid([]string{"u1", "u2"}, []string{"r1"})).Number
	w.exec(t, store.ForResults)
	for name, plan := range map[string]string{
		"counts":             w.planOf(t, store.CountJobs, []int64{job}, int64(0)),
		"what is open":       w.planOf(t, store.CountOpen, []int64{job}),
		"what is left":       w.planOf(t, store.WorkLeft, []int64{job}),
		"results":            w.planOf(t, fmt.Sprintf(store.Results, store.OfOneJob, "LEFT"), job, []string{}),
		"results of several": w.planOf(t, fmt.Sprintf(store.Results, store.OfJobs, "LEFT"), []int64{job, job + 1}, []string{}),
		"calls":              w.planOf(t, fmt.Sprintf(store.Calls, store.OfOneJob), job),
		"calls of several":   w.planOf(t, fmt.Sprintf(store.Calls, store.OfJobs), []int64{job, job + 1}),
		"failures by cause":  w.planOf(t, store.Groups, job, 0),
		"rows to retry":      w.planOf(t, store.RetryRows, job, true, ""),
		"how many to retry":  w.planOf(t, store.CountRetryRows, job, true, ""),
		"what a person has":  w.planOf(t, fmt.Sprintf(store.GrantedTo, store.OfTheJobs), "UTC", "user", "u1", []int64{job}, []int64{job}, []int{1}),
		"changes to verify":  w.planOf(t, store.ChangesOf, job-1, job),
		"unanswered tasks":   w.planOf(t, store.UnansweredOf, job-1, job),
	} {
		months := map[string]bool{}
		for _, part := range partNames.FindAllStringSubmatch(plan, -1) {
			months[part[1]] = true
		}
		if this := w.suffix(t, job>>36); len(months) != 1 || !months[this] {
			t.Errorf("%s: months %v are read, want %s only:\n%s", name, months, this, plan)
		}
	}
}

// partNames finds the months of partitions in a plan.
var partNames = regexp.MustCompile(`\b[a-z_]+_(\d{4}_\d\d|oldest|default)`)

// planOf is how Postgres would do it.
func (w world) planOf(t *testing.T, query string, args ...any) string {
	t.Helper()
	rows, err := w.sql.Query(t.Context(), `EXPLAIN (COSTS off) `+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// Every table that grows with the jobs is dropped by the month. The others stand
// for the present, or have a row for a job.
func TestWhatGrowsIsPartitioned(t *testing.T) {
	t.Parallel()
	w := setup(t)
	rows, err := w.sql.Query(t.Context(), `
		SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND NOT c.relispartition AND a.attname = 'job_id'`)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	outlive := []string{
		"backlog",        // a row of which goes with its last task
		"granted_before", // which holds what must outlive a month
		"person_events",  // which are of people
	}
	for _, table := range whole {
		if !slices.Contains(outlive, table) {
			t.Errorf("%s has rows of jobs and is not partitioned by them: retention cannot drop them", table)
		}
	}
}

// A new month is laid out as the last one is.
func TestNewMonthsAreLaidOutAlike(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.exec(t, `SELECT make_partitions($1::int)`, w.thisMonth(t)+5)
	for whole, want := range map[string]string{"tasks": "{fillfactor=70,toast_tuple_target=512}", "sealed_counts": "{fillfactor=50}"} {
		rows, err := w.sql.Query(t.Context(), `SELECT c.reloptions::text FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = $1::text::regclass`, whole)
		if err != nil {
			t.Fatal(err)
		}
		options, err := pgx.CollectRows(rows, pgx.RowTo[*string])
		if err != nil || len(options) < 9 {
			t.Fatalf("%d partitions of %s, %v", len(options), whole, err)
		}
		for _, got := range options {
			if got == nil || *got != want {
				t.Errorf("a partition of %s has %v, want %s", whole, got, want)
			}
		}
	}
}
