package store_test

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/store"
)

// partition is the table that a row of a partitioned one is in.
func (w world) partition(t *testing.T, whole string, job int64) string {
	t.Helper()
	var part string
	if err := w.sql.QueryRow(t.Context(), `SELECT tableoid::regclass::text FROM `+whole+` WHERE job_id = $1 LIMIT 1`, job).Scan(&part); err != nil {
		t.Fatalf("%s of job %d: %v", whole, job, err)
	}
	return part
}

func (w world) suffix(t *testing.T, month int64) string {
	t.Helper()
	return fmt.Sprintf("%04d_%02d", month/12, month%12+1)
}

func (w world) thisMonth(t *testing.T) (month int64) {
	t.Helper()
	if err := w.sql.QueryRow(t.Context(), `SELECT month_of(clock_timestamp())`).Scan(&month); err != nil {
		t.Fatal(err)
	}
	return month
}

func TestRowsLieInTheMonthOfTheirJob(t *testing.T) {
	t.Parallel()
	w := setup(t)
	now := w.thisMonth(t)

	created := w.create(t, grid([]string{"u1"}, []string{"r1"}))
	w.finish(t, store.TaskRef{Job: created.Number, No: 1})
	if created.Number>>36 != now {
		t.Errorf("job %d is of month %d, want %d", created.Number, created.Number>>36, now)
	}
	for _, whole := range []string{"changes", "tasks", "calls", "answers", "audit"} {
		if got, want := w.partition(t, whole, created.Number), whole+"_"+w.suffix(t, now); got != want {
			t.Errorf("row of %s is in %s, want %s", whole, got, want)
		}
	}
	var made int
	if err := w.sql.QueryRow(t.Context(), `SELECT make_partitions()`).Scan(&made); err != nil || made != 0 {
		t.Errorf("made %d partitions, %v; all were there", made, err)
	}
	if err := w.sql.QueryRow(t.Context(), `SELECT make_partitions($1)`, now+2).Scan(&made); err != nil || made != 2*10 {
		t.Errorf("made %d partitions, %v; want two months of ten tables", made, err)
	}
}

// Numbers rise when the clock goes back, and a month that nobody has prepared
// for is no reason to refuse a submission.
func TestSubmissionsWhenNobodyMadeTheirMonth(t *testing.T) {
	t.Parallel()
	w := setup(t)
	later := w.thisMonth(t) + 40
	w.exec(t, `SELECT setval('job_no', $1::bigint << 36)`, later) // a clock was far ahead

	var mu sync.Mutex
	var numbers []int64
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			job := grid([]string{"u1"}, []string{"r1"})
			job.IdempotencyKey = strconv.Itoa(i)
			created, err := w.CreateJob(t.Context(), job.job())
			if err != nil {
				t.Errorf("CreateJob: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			numbers = append(numbers, created.Number)
		})
	}
	group.Wait()
	slices.Sort(numbers)
	if numbers = slices.Compact(numbers); len(numbers) != 8 || numbers[0]>>36 != later || numbers[7]>>36 != later {
		t.Fatalf("numbers %v, want eight of month %d", numbers, later)
	}
	if got, want := w.partition(t, "changes", numbers[0]), "changes_"+w.suffix(t, later); got != want {
		t.Errorf("rows are in %s, want %s", got, want)
	}
	w.finish(t, store.TaskRef{Job: numbers[7], No: 1}) // the older ones are superseded

	w.exec(t, `INSERT INTO audit (at, actor, event) VALUES (now() + interval '9 years', 'x', 'x'), ('2001-01-01', 'x', 'x')`)
	w.exec(t, `SELECT make_partitions(month_of(now() + interval '9 years'))`) // and the month stays where its row is
	w.seal(t, w.NewSealer())
	if report := w.verify(t, store.AuditQuery{}); !report.Intact || report.Rows != 8+2+1+2 {
		t.Errorf("report = %+v", report)
	}
}

// Who reads the audit for hours does not keep others from what they need of it.
func TestPartitionsAreMadeBesideReaders(t *testing.T) {
	t.Parallel()
	w := setup(t)
	reader, err := w.sql.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Exec(t.Context(), `SELECT count(*) FROM audit`); err != nil {
		t.Fatal(err)
	}
	beside := setupBeside(t, w)
	var made int
	if err := beside.QueryRow(t.Context(), `SELECT make_partitions(month_of(clock_timestamp()) + 4)`).Scan(&made); err != nil || made != 4*9 {
		t.Errorf("made %d partitions, %v; want those that no reader holds up", made, err)
	}
	if err := reader.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := beside.QueryRow(t.Context(), `SELECT make_partitions(month_of(clock_timestamp()) + 4)`).Scan(&made); err != nil || made != 4 {
		t.Errorf("made %d partitions, %v; want the four that were left", made, err)
	}
}

// A partition that was made since is protected like the first ones.
func TestNewPartitionsAreAppendOnly(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.exec(t, `SELECT make_partitions($1::int)`, w.thisMonth(t)+3)
	rows, err := w.sql.Query(t.Context(), `
SELECT c.oid::regclass::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
WHERE p.relkind = 'p' AND p.relname IN ('changes', 'exceptions', 'settlements', 'calls', 'answers', 'audit')`)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(parts) != 6*8+1 {
		t.Fatalf("%d partitions, %v, want seven months, the oldest, and a default", len(parts), err)
	}
	for _, part := range parts {
		for _, statement := range []string{"DELETE FROM " + part, "TRUNCATE " + part} {
			if _, err := w.sql.Exec(t.Context(), statement); err == nil {
				t.Errorf("%s was carried out", statement)
			}
		}
	}
}
