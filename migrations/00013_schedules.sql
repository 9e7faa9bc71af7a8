-- +goose Up

-- Why a guard holds a job: the guard's code. '' where a person paused it. What a
-- guard holds is released, not resumed.
ALTER TABLE pauses ADD COLUMN guard text NOT NULL DEFAULT '';
ALTER TABLE pauses ADD CONSTRAINT pauses_guards_hold_jobs CHECK (guard = '' OR scope = 'job');

-- How many rows of a job take access away and are sent, so that those of a day
-- are added up without a look at its tasks.
ALTER TABLE jobs ADD COLUMN revokes integer NOT NULL DEFAULT 0;
UPDATE jobs j SET revokes = t.cells
FROM (
    SELECT t.job_id, sum(t.cells)::integer AS cells
    FROM tasks t JOIN jobs j ON j.id = t.job_id
    WHERE j.created_at > now() - interval '1 day' AND t.operation = 'revoke' AND t.no = t.root_no
    GROUP BY t.job_id
) t
WHERE j.id = t.job_id;

CREATE INDEX jobs_by_source_and_time ON jobs (source, created_at) INCLUDE (revokes);

-- What is to happen when. A file is named below the folder that workers are
-- given, never by its place on their machine.
CREATE TABLE schedules (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          text NOT NULL,
    kind          text NOT NULL,
    path          text NOT NULL DEFAULT '',
    complete_by   text NOT NULL DEFAULT 'done',
    file_within   interval NOT NULL DEFAULT '0', -- of the slot; then it is missing
    renew_days    integer NOT NULL DEFAULT 0,    -- what ends within
    expiry_days   integer NOT NULL DEFAULT 0,    -- of grants that name no expiry
    cron          text NOT NULL,
    timezone      text NOT NULL,
    catch_up      text NOT NULL,
    overlap       text NOT NULL,
    lane          text NOT NULL,
    source        text NOT NULL,
    requested_by  text NOT NULL,
    reason        text NOT NULL DEFAULT '',
    max_revokes         integer NOT NULL DEFAULT 0,
    max_revoke_share    double precision NOT NULL DEFAULT 0,
    max_revokes_per_day integer NOT NULL DEFAULT 0,
    max_shrink          double precision NOT NULL DEFAULT 0,
    allow_stale         boolean NOT NULL DEFAULT false,
    planned_until timestamptz NOT NULL DEFAULT now(), -- the newest slot that was decided on
    created_at    timestamptz NOT NULL DEFAULT now(),
    paused_at     timestamptz,
    paused_by     text NOT NULL DEFAULT '',
    pause_reason  text NOT NULL DEFAULT '',
    removed_at    timestamptz,
    CONSTRAINT schedules_kind_known CHECK (kind IN ('file', 'folder', 'desired', 'renew')),
    CONSTRAINT schedules_path_iff_file CHECK ((path = '') = (kind = 'renew')),
    CONSTRAINT schedules_complete_by_known CHECK (complete_by IN ('done', 'rename')),
    CONSTRAINT schedules_catch_up_known CHECK (catch_up IN ('once', 'none')),
    CONSTRAINT schedules_overlap_known CHECK (overlap IN ('skip', 'queue')),
    CONSTRAINT schedules_lane_known CHECK (lane IN ('urgent', 'normal', 'bulk'))
);

CREATE UNIQUE INDEX schedules_named_once ON schedules (name) WHERE removed_at IS NULL;

-- A slot that came: whoever writes its row decides on it, and nobody else does.
CREATE TABLE schedule_runs (
    schedule_id bigint NOT NULL REFERENCES schedules,
    slot        timestamptz NOT NULL,
    manual      boolean NOT NULL DEFAULT false, -- a person asked for it
    missed      integer NOT NULL DEFAULT 0,     -- slots before it that were passed over
    state       text NOT NULL,
    why         text NOT NULL DEFAULT '',
    started_at  timestamptz,
    ended_at    timestamptz,
    PRIMARY KEY (schedule_id, slot),
    CONSTRAINT schedule_runs_state_known CHECK (
        state IN ('due', 'running', 'open', 'done', 'rejected', 'missing', 'missed', 'skipped', 'nothing')
    ),
    CONSTRAINT schedule_runs_ended_iff_final CHECK ((ended_at IS NULL) = (state IN ('due', 'running', 'open')))
);

CREATE INDEX schedule_runs_open ON schedule_runs (slot) WHERE state IN ('due', 'running', 'open');

-- What a run picked up: a file, or what it found itself, and the job that it
-- became. A file is written down here before it is touched.
CREATE TABLE schedule_inputs (
    schedule_id bigint NOT NULL,
    slot        timestamptz NOT NULL,
    no          integer NOT NULL,
    file        text NOT NULL DEFAULT '', -- its name, without its folder
    modified_at timestamptz,
    sha256      text NOT NULL DEFAULT '',
    rows        integer NOT NULL DEFAULT 0,
    state       text NOT NULL DEFAULT 'picked',
    why         text NOT NULL DEFAULT '',
    job         text NOT NULL DEFAULT '', -- ULID
    filed       boolean NOT NULL DEFAULT false, -- it has ended, and its file lies where it belongs
    PRIMARY KEY (schedule_id, slot, no),
    FOREIGN KEY (schedule_id, slot) REFERENCES schedule_runs,
    CONSTRAINT schedule_inputs_state_known CHECK (state IN ('picked', 'submitted', 'rejected', 'nothing'))
);

-- +goose Down
DROP TABLE schedule_inputs, schedule_runs, schedules;
DROP INDEX jobs_by_source_and_time;
ALTER TABLE jobs DROP COLUMN revokes;
ALTER TABLE pauses DROP CONSTRAINT pauses_guards_hold_jobs, DROP COLUMN guard; -- what was held stays paused
