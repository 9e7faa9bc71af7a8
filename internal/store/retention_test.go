package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/store"
)

// halfAYearAgo makes of a new database one that was migrated seven months ago.
const halfAYearAgo = `
DO $$
DECLARE
    whole text;
    now   bigint := month_of(clock_timestamp());
BEGIN
    FOREACH whole IN ARRAY ARRAY['changes', 'tasks', 'exceptions', 'settlements', 'calls', 'answers', 'shared_works', 'verifications', 'sealed_counts'] LOOP
        EXECUTE format('DROP TABLE %I', whole || '_oldest');
        PERFORM make_partition(whole, whole || '_oldest', format('FOR VALUES FROM (MINVALUE) TO (%s)', (now - 7) << 36));
        FOR month IN now - 7 .. now - 1 LOOP
            PERFORM make_partition(whole, whole || '_' || to_char(month_start(month::integer) AT TIME ZONE 'UTC', 'YYYY_MM'),
                format('FOR VALUES FROM (%s) TO (%s)', month::bigint << 36, (month + 1)::bigint << 36));
        END LOOP;
    END LOOP;
    DROP TABLE audit_oldest;
    PERFORM make_partition('audit', 'audit_oldest', format('FOR VALUES FROM (MINVALUE) TO (%L)', month_start(now::integer - 7)));
    FOR month IN now - 7 .. now - 1 LOOP
        PERFORM make_partition('audit', 'audit_' || to_char(month_start(month::integer) AT TIME ZONE 'UTC', 'YYYY_MM'),
            format('FOR VALUES FROM (%L) TO (%L)', month_start(month::integer), month_start(month::integer + 1)));
    END LOOP;
END
$$`

// aged is a database with a job of six months ago, sealed, and one of today.
func aged(t *testing.T) (w world, old store.Created) {
	t.Helper()
	w = setup(t)
	w.exec(t, halfAYearAgo)
	w.exec(t, `SET session_replication_role = replica`)
	old = w.create(t, grid([]string{"u1", "u2"}, []string{"r1"}))
	w.finish(t, store.TaskRef{Job: old.Number, No: 1}, store.CellException{
		Principal: "u1", Resource: qa("r1"), Exception: store.Exception{Status: store.Failed, Code: "c"},
	})
	for _, table := range []string{"changes", "tasks", "exceptions", "calls", "answers"} {
		w.exec(t, `UPDATE `+table+` SET job_id = job_id - (6::bigint << 36)`)
	}
	w.exec(t, `UPDATE jobs SET id = id - (6::bigint << 36)`)
	w.exec(t, `UPDATE audit SET at = at - interval '6 months', job_id = job_id - (6::bigint << 36), detail = detail - 'changes_sha256'`)
	old.Number -= 6 << 36
	return w, old
}

// agedRuns adds a schedule with runs of half a year ago and one of today.
func (w world) agedRuns(t *testing.T) {
	t.Helper()
	err := w.AddSchedule(t.Context(), store.Schedule{
		Name: "n", Kind: store.FileSchedule, Path: "a.csv", CompleteBy: store.CompleteByDone, Cron: "0 2 * * *", Timezone: "UTC",
		CatchUp: store.CatchUpOnce, Overlap: store.OverlapSkip, Lane: store.Bulk, Source: "hr", RequestedBy: "ann",
	})
	if err != nil {
		t.Fatal(err)
	}
	w.exec(t, `
INSERT INTO schedule_runs (schedule_id, slot, state, why, ended_at)
SELECT s.id, now() - interval '6 months' - x.hours * interval '1 hour', x.state, x.why, CASE x.state WHEN 'open' THEN NULL ELSE now() END
FROM schedules s, (VALUES (4, 'nothing', 'old'), (3, 'open', 'open'), (2, 'nothing', 'the measure'), (1, 'missing', 'missing')) AS x (hours, state, why);
INSERT INTO schedule_runs (schedule_id, slot, state, why, ended_at) SELECT id, now(), 'missing', 'young', now() FROM schedules;
INSERT INTO schedule_inputs (schedule_id, slot, no, file, sha256, state, filed)
SELECT schedule_id, slot, 1, 'a.csv', 'x', 'nothing', true FROM schedule_runs WHERE state = 'nothing'`)
}

func monthsAgo(n int) string {
	now := time.Now().UTC()
	return time.Date(now.Year(), now.Month()-time.Month(n), 1, 0, 0, 0, 0, time.UTC).Format("2006-01")
}

func TestRetention(t *testing.T) {
	t.Parallel()
	w, old := aged(t)
	w.agedRuns(t)
	sealer := w.NewSealer()

	if _, err := w.DropMonths(t.Context(), store.DropRequest{Before: monthsAgo(5), Actor: "archivist"}); !errors.Is(err, store.ErrRetention) {
		t.Fatalf("rows that are not sealed: %v, want ErrRetention", err)
	}
	head := w.seal(t, sealer)
	for _, young := range []string{monthsAgo(2), monthsAgo(0), "2026-13", "soon"} {
		if _, err := w.PlanRetention(t.Context(), young); !errors.Is(err, store.ErrRetention) {
			t.Errorf("before %s: %v, want ErrRetention", young, err)
		}
	}
	next := grid([]string{"u3"}, []string{"r1"})
	next.IdempotencyKey = "next"
	young := w.create(t, next)

	plan, err := w.PlanRetention(t.Context(), monthsAgo(5))
	if err != nil {
		t.Fatalf("PlanRetention: %v", err)
	}
	rows := map[string]int64{
		"changes": 2, "tasks": 1, "exceptions": 1, "settlements": 0, "calls": 1, "answers": 1, "shared_works": 0, "verifications": 0, "audit": 2,
		"sealed_counts": 2, "schedule_runs": 2,
	}
	if diff := cmp.Diff(rows, plan.Rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if plan.Jobs != 1 || plan.Head != head.Checkpoint() || len(plan.Tables) != 10*3 { // oldest and two months each
		t.Errorf("plan = %+v, want 1 job, 30 tables, %+v", plan, head.Checkpoint())
	}
	if done, err := w.DropMonths(t.Context(), store.DropRequest{Before: monthsAgo(5), Actor: "archivist"}); err != nil || !cmp.Equal(done, plan) {
		t.Fatalf("DropMonths = %+v, %v, want what was planned", done, err)
	}

	var kept []string
	if err := w.sql.QueryRow(t.Context(), `SELECT array_agg(r.why || coalesce(i.file, '-') ORDER BY r.slot) FROM schedule_runs r LEFT JOIN schedule_inputs i USING (schedule_id, slot)`).Scan(&kept); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"open-", "the measurea.csv", "young-"}, kept); diff != "" {
		t.Errorf("runs of schedules that are left (-want +got):\n%s", diff)
	}
	for what, err := range map[string]error{
		"Job": second(w.Job(t.Context(), old.ID)), "Header": second(w.Header(t.Context(), old.ID)),
		"FailureGroups": second(w.FailureGroups(t.Context(), old.ID, 0)),
	} {
		if dropped, ok := errors.AsType[*store.DroppedError](err); !ok || dropped.JobID != old.ID {
			t.Errorf("%s of a job whose rows are gone: %v, want DroppedError", what, err)
		}
	}
	if got := w.counts(t, young.ID); got.Pending != 1 {
		t.Errorf("the young job has %+v", got)
	}
	if created := w.create(t, grid([]string{"u1", "u2"}, []string{"r1"})); !created.Replayed || created.ID != old.ID {
		t.Errorf("the key of a dropped job is free again: %+v", created)
	}
	if again, err := w.PlanRetention(t.Context(), monthsAgo(5)); err != nil || len(again.Tables) != 0 {
		t.Errorf("a second time there are %d tables, %v", len(again.Tables), err)
	}

	w.seal(t, sealer)
	report := w.verify(t, store.AuditQuery{Checkpoint: &plan.Head})
	if !report.Intact || report.DroppedBefore != monthsAgo(5) || report.DroppedRows != 5 || report.Unsealed != 0 {
		t.Errorf("report = %+v, want it intact over 5 dropped rows", report)
	}
	w.exec(t, `DELETE FROM audit WHERE event = 'audit.dropped'`) // and nobody says why they are gone
	if report := w.verify(t, store.AuditQuery{}); report.Intact {
		t.Error("rows of a month that nobody says was dropped are missed by nobody")
	}
}

func TestRetentionKeepsOpenJobs(t *testing.T) {
	t.Parallel()
	w, _ := aged(t)
	w.seal(t, w.NewSealer())
	w.exec(t, `UPDATE jobs SET status = 'running', finished_at = NULL`)
	if _, err := w.DropMonths(t.Context(), store.DropRequest{Before: monthsAgo(5), Actor: "archivist"}); !errors.Is(err, store.ErrRetention) {
		t.Errorf("DropMonths of an open job = %v, want ErrRetention", err)
	}
}

func second[T any](_ T, err error) error { return err }
