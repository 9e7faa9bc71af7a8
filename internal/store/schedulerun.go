package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// RunState says where a run of a schedule stands.
type RunState string

// The life of a run.
const (
	RunDue      RunState = "due"      // decided on, nothing is picked up yet
	RunRunning  RunState = "running"  // what it picked up is being submitted
	RunOpen     RunState = "open"     // its jobs have not all ended, or been filed
	RunDone     RunState = "done"     // they have
	RunNothing  RunState = "nothing"  // there was nothing to change
	RunRejected RunState = "rejected" // some input could not be submitted
	RunMissing  RunState = "missing"  // no complete file was there in time
	RunMissed   RunState = "missed"   // nobody was there for the slot
	RunSkipped  RunState = "skipped"  // jobs of the run before were open
)

// RunRef names a run.
type RunRef struct {
	Schedule int64
	Slot     time.Time
}

// Run is one slot that came. Its JSON is API.
type Run struct {
	RunRef `json:"-"`

	Slot      time.Time  `json:"slot"`
	Manual    bool       `json:"manual"` // a person asked for it
	Missed    int        `json:"missed"` // slots before it that were passed over
	State     RunState   `json:"state"`
	Succeeded bool       `json:"succeeded"` // it has ended, and every row of its jobs succeeded or was so already
	Why       string     `json:"why"`
	StartedAt *time.Time `json:"started_at"`
	EndedAt   *time.Time `json:"ended_at"`
	Inputs    []RunInput `json:"inputs"`
}

// InputState says where an input of a run stands.
type InputState string

// The life of an input.
const (
	InputPicked    InputState = "picked"    // written down; perhaps moved, perhaps submitted
	InputSubmitted InputState = "submitted" // it is a job
	InputRejected  InputState = "rejected"  // it cannot be one
	InputNothing   InputState = "nothing"   // it asks for no change
)

// RunInput is what a run picked up, and what became of it. Its JSON is API.
type RunInput struct {
	No         int        `json:"-"`
	File       string     `json:"file,omitempty"` // its name, without its folder
	ModifiedAt *time.Time `json:"modified_at,omitempty"`
	Size       *int64     `json:"-"` // in bytes, as it was when it was judged to be complete; nil for not known
	SHA256     string     `json:"sha256,omitempty"`
	Rows       int        `json:"rows"`
	State      InputState `json:"state"`
	Why        string     `json:"why"`
	Job        string     `json:"job_id"`    // ULID; "" for none
	Filed      bool       `json:"filed"`     // it has ended, and its file lies where it belongs
	Succeeded  bool       `json:"succeeded"` // it is filed, and every row of its job succeeded or was so already
}

// Decision is what was decided about the slots of a schedule up to one.
type Decision struct {
	Schedule    int64
	From, Until time.Time // the newest slot that was decided on before, and is now
	State       RunState  // of the newest slot; "" if there is none to write down
	Missed      int
	At          time.Time
}

const (
	movePlan = `
UPDATE schedules SET planned_until = $3
WHERE id = $1 AND planned_until = $2 AND removed_at IS NULL AND paused_at IS NULL`

	// A slot that was missed because a clock was wrong may come again.
	insertRun = `
INSERT INTO schedule_runs (schedule_id, slot, missed, state, ended_at)
VALUES ($1, $2, $3, $4, CASE WHEN $4 <> 'due' THEN $5::timestamptz END)
ON CONFLICT (schedule_id, slot) DO UPDATE SET state = 'due', ended_at = NULL
WHERE schedule_runs.state = 'missed' AND excluded.state = 'due'`
)

// Decide writes a decision down, unless somebody decided meanwhile, and reports
// whether a run is due by it that was not before.
func (s *Store) Decide(ctx context.Context, d Decision) (isDue bool, err error) {
	err = s.inTx(ctx, "deciding on a slot", func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, movePlan, d.Schedule, d.From, d.Until)
		if err != nil || tag.RowsAffected() == 0 || d.State == "" {
			return err
		}
		tag, err = tx.Exec(ctx, insertRun, d.Schedule, d.Until, d.Missed, d.State, d.At)
		isDue = tag.RowsAffected() == 1 && d.State == RunDue
		return err
	})
	return isDue && err == nil, err
}

const selectRuns = `
SELECT schedule_id, slot, manual, missed, state, succeeded, why, started_at, ended_at FROM schedule_runs `

func scanRun(row pgx.CollectableRow) (r Run, err error) {
	err = row.Scan(&r.Schedule, &r.Slot, &r.Manual, &r.Missed, &r.State, &r.Succeeded, &r.Why, &r.StartedAt, &r.EndedAt)
	r.Slot = r.Slot.UTC()
	r.RunRef.Slot = r.Slot
	return r, err
}

// OpenRun is a run that has not ended, with its schedule.
type OpenRun struct {
	Run

	Of Schedule
}

// OpenRuns lists the runs that have not ended, the oldest first, also those of
// schedules that were removed.
func (s *Store) OpenRuns(ctx context.Context) ([]OpenRun, error) {
	runs, err := s.runs(ctx, selectRuns+`WHERE state IN ('due', 'running', 'open') ORDER BY slot, schedule_id`)
	if err != nil || len(runs) == 0 {
		return nil, err
	}
	ids := make([]int64, len(runs))
	for i, r := range runs {
		ids[i] = r.Schedule
	}
	list, err := s.schedules(ctx, ` WHERE id = ANY ($1)`, ids)
	if err != nil {
		return nil, err
	}
	of := map[int64]Schedule{}
	for _, schedule := range list {
		of[schedule.ID] = schedule
	}
	open := make([]OpenRun, len(runs))
	for i, r := range runs {
		open[i] = OpenRun{Run: r, Of: of[r.Schedule]}
	}
	return open, nil
}

// Runs lists the newest runs of a schedule, at most so many.
func (s *Store) Runs(ctx context.Context, schedule int64, most int) ([]Run, error) {
	return s.runs(ctx, selectRuns+`WHERE schedule_id = $1 ORDER BY slot DESC LIMIT $2`, schedule, most)
}

// LastRuns returns the newest run of each schedule that has one.
func (s *Store) LastRuns(ctx context.Context) (map[int64]Run, error) {
	runs, err := s.runs(ctx, `
SELECT r.schedule_id, r.slot, r.manual, r.missed, r.state, r.succeeded, r.why, r.started_at, r.ended_at
FROM schedules s CROSS JOIN LATERAL (
    SELECT r.schedule_id, r.slot, r.manual, r.missed, r.state, r.succeeded, r.why, r.started_at, r.ended_at
    FROM schedule_runs r WHERE r.schedule_id = s.id ORDER BY r.slot DESC LIMIT 1
) r
WHERE s.removed_at IS NULL`)
	last := map[int64]Run{}
	for _, r := range runs {
		last[r.Schedule] = r
	}
	return last, err
}

const inputsOf = `
SELECT i.schedule_id, i.slot, i.no, i.file, i.modified_at, i.size, i.sha256, i.rows, i.state, i.why, i.job, i.filed, i.succeeded
FROM schedule_inputs i JOIN unnest($1::bigint[], $2::timestamptz[]) AS x (schedule_id, slot) USING (schedule_id, slot)
ORDER BY i.no`

func (s *Store) runs(ctx context.Context, query string, args ...any) ([]Run, error) {
	const what = "listing runs"
	rows, err := s.pool.Query(ctx, query, args...)
	if err != nil {
		return nil, outward(what, err)
	}
	runs, err := pgx.CollectRows(rows, scanRun)
	if err != nil {
		return nil, outward(what, err)
	}
	at, ids, slots := map[RunRef]int{}, make([]int64, len(runs)), make([]time.Time, len(runs))
	for i, r := range runs {
		at[r.RunRef], ids[i], slots[i] = i, r.Schedule, r.Slot
		runs[i].Inputs = []RunInput{}
	}
	rows, err = s.pool.Query(ctx, inputsOf, ids, slots)
	if err != nil {
		return nil, outward(what, err)
	}
	var ref RunRef
	var in RunInput
	_, err = pgx.ForEachRow(rows, []any{
		&ref.Schedule, &ref.Slot, &in.No, &in.File, &in.ModifiedAt, &in.Size, &in.SHA256, &in.Rows, &in.State, &in.Why, &in.Job, &in.Filed, &in.Succeeded,
	}, func() error {
		ref.Slot = ref.Slot.UTC()
		i := at[ref]
		runs[i].Inputs = append(runs[i].Inputs, in)
		return nil
	})
	return runs, outward(what, err)
}

const (
	startRun = `
UPDATE schedule_runs SET state = 'running', started_at = $3, why = '' WHERE schedule_id = $1 AND slot = $2 AND state = 'due'`

	insertInput = `INSERT INTO schedule_inputs (schedule_id, slot, no, file, modified_at, size) VALUES ($1, $2, $3, $4, $5, $6)`
)

// StartRun writes down what a due run picks up, before anything of it is
// touched. A run that is not due any more is [ErrStale].
func (s *Store) StartRun(ctx context.Context, ref RunRef, at time.Time, inputs []RunInput) error {
	return s.inTx(ctx, "starting a run", func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, startRun, ref.Schedule, ref.Slot, at)
		if err == nil && tag.RowsAffected() == 0 {
			err = ErrStale
		}
		for i, in := range inputs {
			if err == nil {
				_, err = tx.Exec(ctx, insertInput, ref.Schedule, ref.Slot, i+1, in.File, in.ModifiedAt, in.Size)
			}
		}
		return err
	})
}

const setInput = `
UPDATE schedule_inputs SET sha256 = $4, rows = $5, state = $6, why = $7, job = $8, filed = $9, succeeded = $10
WHERE schedule_id = $1 AND slot = $2 AND no = $3`

// SetInput writes down what became of an input.
func (s *Store) SetInput(ctx context.Context, ref RunRef, in RunInput) error {
	_, err := s.pool.Exec(ctx, setInput, ref.Schedule, ref.Slot, in.No, in.SHA256, in.Rows, in.State, in.Why, in.Job, in.Filed, in.Succeeded)
	return outward("writing an input down", err)
}

// RunChange is what becomes of a run.
type RunChange struct {
	State RunState
	Why   string
	At    time.Time // of its end, if State is an end

	Succeeded bool // see [Run]
}

const setRun = `
UPDATE schedule_runs SET state = $3, why = $4, succeeded = $6, ended_at = CASE WHEN $3 NOT IN ('due', 'running', 'open') THEN $5::timestamptz END
WHERE schedule_id = $1 AND slot = $2 AND state IN ('due', 'running', 'open')`

// SetRun moves a run that has not ended.
func (s *Store) SetRun(ctx context.Context, ref RunRef, c RunChange) error {
	_, err := s.pool.Exec(ctx, setRun, ref.Schedule, ref.Slot, c.State, c.Why, c.At, c.Succeeded)
	return outward("writing a run down", err)
}

// RunJob says where a job of a run stands.
type RunJob struct {
	ID      string
	Status  JobStatus
	Guard   string // which holds it; "" for none
	Dropped bool   // retention has dropped its rows
}

const runJob = `
SELECT j.ulid, j.status, coalesce((SELECT p.guard FROM pauses p WHERE p.scope = 'job' AND p.name = j.ulid), ''), j.dropped_at IS NOT NULL
FROM jobs j WHERE `

// RunJob says where a job stands. It costs little, however large the job is.
func (s *Store) RunJob(ctx context.Context, id string) (RunJob, error) {
	return s.runJob(ctx, `j.ulid = $1`, id)
}

// JobOfKey finds the job that a source submitted under a key, or [ErrNotFound].
func (s *Store) JobOfKey(ctx context.Context, source, key string) (RunJob, error) {
	return s.runJob(ctx, `j.source = $1 AND j.idempotency_key = $2`, source, key)
}

func (s *Store) runJob(ctx context.Context, where string, args ...any) (j RunJob, err error) {
	err = s.pool.QueryRow(ctx, runJob+where, args...).Scan(&j.ID, &j.Status, &j.Guard, &j.Dropped)
	return j, outward("reading where a job stands", err)
}

// The inputs that say what the next of a schedule should be like: those that led to a
// job which no guard holds and nobody canceled, or to nothing. A schedule that was
// removed and added again under its name is measured by what it was.
const (
	soundInputs = `
FROM schedule_inputs i JOIN schedule_runs r USING (schedule_id, slot)
LEFT JOIN jobs j ON j.ulid = i.job
WHERE i.sha256 <> ''
  AND (i.state = 'nothing' OR i.state = 'submitted' AND j.status NOT IN ('canceling', 'canceled')
       AND NOT EXISTS (SELECT FROM pauses p WHERE p.scope = 'job' AND p.name = j.ulid AND p.guard <> ''))`

	soundInput = soundInputs + `
  AND i.slot < $2 AND i.schedule_id IN (SELECT o.id FROM schedules s JOIN schedules o USING (name, kind) WHERE s.id = $1)`
)

// Before is the input that one is measured by.
type Before struct {
	RunInput

	StartedAt time.Time // of its run
}

// InputBefore returns the newest sound input of a schedule before a slot, or
// [ErrNotFound].
func (s *Store) InputBefore(ctx context.Context, ref RunRef) (b Before, err error) {
	err = s.pool.QueryRow(ctx, `SELECT i.file, i.sha256, i.rows, i.job, r.started_at `+soundInput+` ORDER BY i.slot DESC, i.no DESC LIMIT 1`, ref.Schedule, ref.Slot).
		Scan(&b.File, &b.SHA256, &b.Rows, &b.Job, &b.StartedAt)
	return b, outward("reading the input before", err)
}

// SameInputBefore returns the file of an earlier sound input with that content;
// "" if there is none.
func (s *Store) SameInputBefore(ctx context.Context, ref RunRef, sha256 string) (file string, err error) {
	err = s.pool.QueryRow(ctx, `SELECT i.file `+soundInput+` AND i.sha256 = $3 ORDER BY i.slot DESC LIMIT 1`, ref.Schedule, ref.Slot, sha256).Scan(&file)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return file, outward("looking for the same input", err)
}
