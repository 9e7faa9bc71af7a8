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

CREATE INDEX jobs_of_source ON jobs (source, created_at) INCLUDE (revokes);

-- +goose Down
DROP INDEX jobs_of_source;
ALTER TABLE jobs DROP COLUMN revokes;
ALTER TABLE pauses DROP CONSTRAINT pauses_guards_hold_jobs, DROP COLUMN guard; -- what was held stays paused
