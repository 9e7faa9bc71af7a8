-- +goose Up

-- A retry takes the place of the job it retries in the order between jobs; any
-- other job ranks by its own id.
ALTER TABLE jobs ADD COLUMN ranks_as bigint;

-- Until then a call that was sent and never answered may still take effect at
-- Quick BI; of a job: the latest of its tasks.
ALTER TABLE jobs ADD COLUMN late_until timestamptz;
ALTER TABLE tasks ADD COLUMN late_until timestamptz;

-- Carried out while an older call for the same access was in flight: to be
-- carried out once more when that call has ended.
ALTER TABLE tasks ADD COLUMN overtook boolean NOT NULL DEFAULT false;

CREATE INDEX jobs_late ON jobs (late_until) WHERE late_until IS NOT NULL;
CREATE INDEX tasks_late ON tasks (job_id, late_until) WHERE late_until IS NOT NULL;
CREATE INDEX tasks_running ON tasks (job_id) WHERE state = 'running';

-- What a change is about, in eight bytes: equal for equal accesses, and rarely
-- for others.
CREATE FUNCTION access_key(principal_type text, principal text, resource text) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS 'SELECT hashtextextended(principal_type || '' '' || principal || '' '' || resource, 0)';

CREATE INDEX changes_of_access ON changes (access_key(principal_type, principal, resource_type || ':' || resource_id), job_id)
    WHERE task_no IS NOT NULL AND operation <> 'read';

-- +goose Down
DROP INDEX changes_of_access;
DROP FUNCTION access_key;
DROP INDEX tasks_running, tasks_late, jobs_late;
ALTER TABLE tasks DROP COLUMN overtook, DROP COLUMN late_until;
ALTER TABLE jobs DROP COLUMN late_until, DROP COLUMN ranks_as;
