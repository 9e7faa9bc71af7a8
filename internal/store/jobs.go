package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

const selectJobs = `
SELECT j.id, j.ulid, p.ulid, ` + shownStatus + `, j.source, j.requested_by, j.reason, j.lane, j.idempotency_key,
       j.input_sha256, j.input_encoding, j.input_delimiter, j.rows, j.created_at, j.started_at, j.finished_at,
       j.update_role, j.dropped_at, j.next_task - 1 - j.cut_tasks, j.withdrawn_rows
FROM jobs j
LEFT JOIN jobs p ON p.id = j.parent_id
WHERE `

// numberedJob is a job with its number.
type numberedJob struct {
	Job

	number int64
}

// scanJob reads a job of which nothing is counted yet but what was withdrawn,
// and all its tasks.
func scanJob(row pgx.CollectableRow) (j numberedJob, err error) {
	err = row.Scan(&j.number, &j.ID, &j.ParentID, &j.Status, &j.Source, &j.RequestedBy, &j.Reason, &j.Lane, &j.IdempotencyKey,
		&j.Input.SHA256, &j.Input.Encoding, &j.Input.Delimiter, &j.Input.Rows, &j.CreatedAt, &j.StartedAt, &j.FinishedAt,
		&j.UpdateRole, &j.DroppedAt, &j.Tasks.Total, &j.Counts.Canceled)
	return j, err
}

// Job returns one job by its ULID, or [ErrNotFound]. Of a job whose rows were
// dropped nothing can be counted any more: that is a [DroppedError]. What it
// costs depends on what is queued of the job, not on its size.
func (s *Store) Job(ctx context.Context, id string) (Job, error) {
	jobs, err := s.jobs(ctx, "reading job "+id, `j.ulid = $1`, id)
	switch {
	case err != nil:
		return Job{}, err
	case len(jobs) == 0:
		return Job{}, fmt.Errorf("reading job %s: %w", id, ErrNotFound)
	case jobs[0].DroppedAt != nil:
		return Job{}, &DroppedError{JobID: id, At: *jobs[0].DroppedAt}
	}
	return jobs[0], nil
}

// JobFilter narrows a list of jobs. Zero fields do not narrow.
type JobFilter struct {
	Source string
	Status JobStatus
	Before string // ULID: only jobs accepted before that one
	Limit  int    // 0 means 50
}

// where is f as a condition on a job j, with its arguments. It names nothing
// that f does not ask for, so that an index can be chosen for the rest.
func (f JobFilter) where() (condition string, args []any) {
	var and []string
	add := func(format string, arg any) {
		args = append(args, arg)
		and = append(and, fmt.Sprintf(format, len(args)))
	}
	if f.Source != "" {
		add(`j.source = $%d`, f.Source)
	}
	if f.Before != "" {
		add(`j.id < (SELECT id FROM jobs WHERE ulid = $%d)`, f.Before)
	}
	switch f.Status {
	case "":
	case JobPaused:
		and = append(and, `j.status IN ('queued', 'running') AND `+jobPaused)
	case JobQueued, JobRunning:
		add(`j.status = $%d AND NOT `+jobPaused, string(f.Status))
	default:
		add(`j.status = $%d`, string(f.Status))
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 50
	}
	args = append(args, limit)
	return strings.Join(append(and, `true`), ` AND `) + fmt.Sprintf(` ORDER BY j.id DESC LIMIT $%d`, len(args)), args
}

// Jobs lists jobs, the newest first.
func (s *Store) Jobs(ctx context.Context, f JobFilter) ([]Job, error) {
	condition, args := f.where()
	return s.jobs(ctx, "listing jobs", condition, args...)
}

// planned has a statement planned for its arguments, so that Postgres looks at
// no month but those of the jobs that are asked for.
const planned = pgx.QueryExecModeCacheDescribe

// jobs reads jobs and what they come to, all as of one moment.
func (s *Store) jobs(ctx context.Context, what, condition string, args ...any) ([]Job, error) {
	var out []Job
	err := s.inSnapshot(ctx, what, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, selectJobs+condition, append([]any{planned}, args...)...)
		if err != nil {
			return err
		}
		found, err := pgx.CollectRows(rows, scanJob)
		if err != nil {
			return err
		}
		out, err = reckon(ctx, tx, found)
		return err
	})
	return out, err
}

// reckon counts what jobs come to.
func reckon(ctx context.Context, tx pgx.Tx, jobs []numberedJob) ([]Job, error) {
	var there, open []int64
	for _, j := range jobs {
		if j.DroppedAt == nil {
			there = append(there, j.number)
		}
		if !j.Status.Final() {
			open = append(open, j.number)
		}
	}
	counts, err := countsOf(ctx, tx, there)
	if err != nil {
		return nil, err
	}
	waiting, err := openOf(ctx, tx, open)
	if err != nil {
		return nil, err
	}
	out := make([]Job, len(jobs))
	for i, j := range jobs {
		out[i] = j.Job
		out[i].add(counts[j.number], waiting[j.number])
	}
	return out, nil
}

// add adds up what a job comes to. Every row ends in exactly one way, so those
// succeeded that did not end in any other. Of what was dropped nothing is known.
func (j *Job) add(of map[string]int, open openTasks) {
	c := Counts{Total: j.Input.Rows}
	if j.DroppedAt != nil {
		j.Tasks, j.Counts = TaskCounts{}, c
	} else {
		c.Canceled, c.Pending = j.Counts.Canceled, open.rows
		c.Failed, c.Unknown, c.Superseded = of["failed"], of["unknown"], of["superseded"]
		c.NoChange = of["no_change"] + of["repeats"]
		c.Succeeded = c.Total - c.Canceled - c.Pending - c.Failed - c.Unknown - c.Superseded - c.NoChange
		j.Tasks.Done = j.Tasks.Total - open.tasks
		j.Counts, j.Calls = c, CallCounts{Sent: of["calls"] - of[ClassNotSent], Throttled: of["throttled"]}
	}
	j.Outcome = c.Outcome(of["repeats"])
	j.Progress.Ratio = float64(c.Total-c.Pending) / float64(c.Total)
}

// openTasks are the tasks of a job that have not ended, and their rows.
type openTasks struct{ tasks, rows int }
