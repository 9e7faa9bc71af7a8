-- +goose Up

-- The sheet of a workbook to read; '' for the first that is not hidden. Bad rows are
-- passed over on demand, but never those of a full list: what such a row asks for
-- would be taken away.
ALTER TABLE schedules
    ADD COLUMN sheet text NOT NULL DEFAULT '',
    ADD COLUMN skip_invalid boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT schedules_sheet_of_files CHECK (sheet = '' OR kind <> 'renew'),
    ADD CONSTRAINT schedules_skip_rows_of_files CHECK (NOT skip_invalid OR kind IN ('file', 'folder'));

-- Whether every row succeeded, or was so already. What ended before this was kept
-- is taken to have.
ALTER TABLE schedule_inputs ADD COLUMN succeeded boolean NOT NULL DEFAULT false;
ALTER TABLE schedule_runs ADD COLUMN succeeded boolean NOT NULL DEFAULT false;
UPDATE schedule_inputs SET succeeded = true WHERE filed AND state IN ('submitted', 'nothing');
UPDATE schedule_runs SET succeeded = true WHERE state IN ('done', 'nothing');
CREATE INDEX schedule_runs_succeeded ON schedule_runs (schedule_id, slot) WHERE succeeded;

-- Who is to leave, by when.
CREATE INDEX person_events_leaving ON person_events (effective_at) WHERE type = 'leaver' AND status IN ('waiting', 'applying');

-- What was accepted together, under the name that the audit has for it; '' from
-- before there was one.
ALTER TABLE person_events ADD COLUMN batch text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE person_events DROP COLUMN batch;
DROP INDEX person_events_leaving, schedule_runs_succeeded;
ALTER TABLE schedule_runs DROP COLUMN succeeded;
ALTER TABLE schedule_inputs DROP COLUMN succeeded;
ALTER TABLE schedules
    DROP CONSTRAINT schedules_skip_rows_of_files, DROP CONSTRAINT schedules_sheet_of_files,
    DROP COLUMN skip_invalid, DROP COLUMN sheet;
