package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrRetention means that months must not be dropped, or not yet.
var ErrRetention = errors.New("cannot drop these months")

// DroppedError says that a job's rows were dropped by retention.
type DroppedError struct {
	JobID string
	At    time.Time
}

// Error names the job and the day.
func (e *DroppedError) Error() string {
	return fmt.Sprintf("the rows of job %s were dropped by retention on %s", e.JobID, e.At.UTC().Format(time.DateOnly))
}

// keptMonths is how many whole months before the current one retention never
// touches.
const keptMonths = 3

// Retention is what of a database lies before a month. Its JSON is API.
type Retention struct {
	Before string           `json:"before"` // YYYY-MM
	Tables []DroppedTable   `json:"tables"`
	Rows   map[string]int64 `json:"rows"` // by table; of schedule_runs those that go with their inputs
	Jobs   int64            `json:"jobs"` // that have rows there
	Head   Checkpoint       `json:"head"` // of the chain that covers them
	Upto   int64            `json:"upto_no"`
}

// DroppedTable is one partition.
type DroppedTable struct {
	Name string `json:"name"`
	Of   string `json:"of"`
	Rows int64  `json:"rows"`
}

// month tells from the name of a partition which month it holds, or that it
// holds whatever comes before all months.
func (t DroppedTable) month() (own month, oldest, ok bool) {
	suffix := strings.TrimPrefix(t.Name, t.Of+"_")
	own, err := parseMonth(strings.ReplaceAll(suffix, "_", "-"))
	return own, suffix == "oldest", err == nil
}

// PlanRetention counts what dropping the months before a month (YYYY-MM) would
// take. [ErrRetention] says what forbids it: the month is too young, a job in
// those months is open, or rows in them are not sealed yet.
func (s *Store) PlanRetention(ctx context.Context, before string) (Retention, error) {
	var plan Retention
	err := s.inSnapshot(ctx, "looking at old months", func(tx pgx.Tx) (err error) {
		plan, err = planRetention(ctx, tx, before)
		return err
	})
	return plan, err
}

// DropRequest asks for the months before one to be dropped.
type DropRequest struct {
	Before string // YYYY-MM
	Actor  string
}

// DropMonths drops what [Store.PlanRetention] counts, marks the jobs, and
// writes the audit of it, in one transaction. It must be called as the owner of
// the tables. It waits a few seconds for others to let go of them, and then
// returns an error.
func (s *Store) DropMonths(ctx context.Context, r DropRequest) (Retention, error) {
	var plan Retention
	err := s.inTx(ctx, "dropping old months", func(tx pgx.Tx) (err error) {
		if _, err := tx.Exec(ctx, `SET LOCAL lock_timeout = '10s'`); err != nil {
			return err
		}
		// The same lock as make_partitions: nobody adds a partition meanwhile.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(7201884416)`); err != nil {
			return err
		}
		if plan, err = planRetention(ctx, tx, r.Before); err != nil {
			return err
		}
		m, err := parseMonth(r.Before)
		if err != nil {
			return err
		}
		if err := keepGranted(ctx, tx, m); err != nil {
			return err
		}
		for _, t := range plan.Tables {
			if _, err := tx.Exec(ctx, "DROP TABLE "+quoted(t.Name)); err != nil {
				return fmt.Errorf("dropping %s: %w", t.Name, err)
			}
		}
		if _, err := tx.Exec(ctx, `UPDATE jobs SET dropped_at = now() WHERE id < $1 AND dropped_at IS NULL`, m.firstJob()); err != nil {
			return err
		}
		for _, table := range []string{"schedule_inputs", "schedule_runs"} {
			if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE (schedule_id, slot) IN (`+oldRuns+`)`, int(m)); err != nil {
				return fmt.Errorf("dropping runs of schedules: %w", err)
			}
		}
		return writeAudit(ctx, tx, AuditEvent{Actor: r.Actor, Event: EventDropped, Detail: map[string]any{
			"before": r.Before, "tables": plan.Tables, "rows": plan.Rows, "jobs": plan.Jobs, "head": plan.Head, "upto_no": plan.Upto,
		}})
	})
	return plan, err
}

// firstJob is the smallest number that a job of the month can have.
func (m month) firstJob() int64 { return int64(m) << 36 }

// oldRuns are the runs of schedules before a month that have ended, but for the newest
// of each schedule that the next is measured by.
const oldRuns = `
SELECT o.schedule_id, o.slot FROM schedule_runs o
WHERE o.slot < month_start($1::integer) AND o.ended_at IS NOT NULL AND (o.schedule_id, o.slot) NOT IN (
    SELECT DISTINCT ON (i.schedule_id) i.schedule_id, i.slot ` + soundInputs + ` ORDER BY i.schedule_id, i.slot DESC
)`

const partitions = `
SELECT c.relname, p.relname
FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid
JOIN pg_class p ON p.oid = i.inhparent
WHERE p.relnamespace = current_schema()::regnamespace AND p.relkind = 'p'
ORDER BY p.relname, c.relname`

func planRetention(ctx context.Context, tx pgx.Tx, before string) (Retention, error) {
	plan := Retention{Before: before, Tables: []DroppedTable{}, Rows: map[string]int64{}}
	m, err := parseMonth(before)
	if err != nil {
		return plan, fmt.Errorf("%w: %w", ErrRetention, err)
	}
	if err := mayDrop(ctx, tx, m); err != nil {
		return plan, err
	}
	seal, err := sealAt(ctx, tx, lastSeal)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return plan, err
	}
	plan.Head, plan.Upto = seal.Checkpoint(), seal.Upto
	if plan.Tables, err = tablesBefore(ctx, tx, m); err != nil {
		return plan, err
	}
	for i, t := range plan.Tables {
		var rows, unsealed int64
		fresh := "$1::bigint IS NULL"
		for _, a := range auditedTables {
			if a.name == t.Of {
				fresh = a.no + " > $1"
			}
		}
		err := tx.QueryRow(ctx, fmt.Sprintf(`SELECT count(*), count(*) FILTER (WHERE %s) FROM %s`, fresh, quoted(t.Name)), seal.Upto).
			Scan(&rows, &unsealed)
		if err != nil {
			return plan, fmt.Errorf("counting %s: %w", t.Name, err)
		}
		if unsealed > 0 {
			return plan, fmt.Errorf("%w: %d rows of %s are not sealed yet; a worker seals them in its next rounds (WORKER_SWEEP)", ErrRetention, unsealed, t.Name)
		}
		plan.Tables[i].Rows = rows
		plan.Rows[t.Of] += rows
	}
	var runs int64
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM (`+oldRuns+`) old`, int(m)).Scan(&runs); err != nil {
		return plan, fmt.Errorf("counting runs of schedules: %w", err)
	}
	plan.Rows["schedule_runs"] = runs
	err = tx.QueryRow(ctx, `SELECT count(*) FROM jobs WHERE id < $1 AND dropped_at IS NULL`, m.firstJob()).Scan(&plan.Jobs)
	return plan, err
}

// mayDrop refuses months that are too young or have an open job.
func mayDrop(ctx context.Context, tx pgx.Tx, before month) error {
	var now month
	var open int
	err := tx.QueryRow(ctx, `
SELECT month_of(clock_timestamp()), (SELECT count(*) FROM jobs WHERE id < $1 AND status NOT IN ('completed', 'canceled', 'failed'))`,
		before.firstJob()).Scan(&now, &open)
	switch {
	case err != nil:
		return err
	case before > now-keptMonths:
		return fmt.Errorf("%w: the current month and the %d before it stay; the latest to give is %s", ErrRetention, keptMonths, now-keptMonths)
	case open > 0:
		return fmt.Errorf("%w: %d jobs that were accepted before %s have not ended", ErrRetention, open, before)
	default:
		return nil
	}
}

// tablesBefore lists the partitions that hold months before m and no other, as
// their names tell. The oldest ends where the first with a name of its own begins.
func tablesBefore(ctx context.Context, tx pgx.Tx, m month) ([]DroppedTable, error) {
	rows, err := tx.Query(ctx, partitions)
	if err != nil {
		return nil, err
	}
	var out, oldest []DroppedTable
	var t DroppedTable
	first := month(math.MaxInt)
	_, err = pgx.ForEachRow(rows, []any{&t.Name, &t.Of}, func() error {
		own, isOldest, isMonth := t.month()
		switch {
		case isOldest:
			oldest = append(oldest, t)
		case isMonth:
			first = min(first, own)
			if own < m {
				out = append(out, t)
			}
		}
		return nil
	})
	if first <= m {
		out = append(oldest, out...)
	}
	return out, err
}
