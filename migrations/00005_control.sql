-- +goose Up

-- What an operator has paused: nothing of it is sent until the row is gone.
CREATE TABLE pauses (
    scope  text NOT NULL,
    name   text NOT NULL, -- a job's ulid, a source or an action; empty for everything
    at     timestamptz NOT NULL DEFAULT now(),
    actor  text NOT NULL,
    reason text NOT NULL DEFAULT '',
    PRIMARY KEY (scope, name),
    CONSTRAINT pauses_scope_known CHECK (scope IN ('job', 'source', 'action', 'all')),
    CONSTRAINT pauses_named_unless_all CHECK ((scope = 'all') = (name = ''))
);

-- A task that was canceled while a worker had it: it ends when it comes back.
ALTER TABLE tasks ADD COLUMN withdrawn boolean NOT NULL DEFAULT false;
UPDATE tasks t SET withdrawn = true
FROM jobs j
WHERE j.status = 'canceling' AND t.job_id = j.id AND t.state IN ('ready', 'running');

CREATE INDEX tasks_withdrawn ON tasks (job_id) WHERE withdrawn AND state = 'ready';

-- +goose Down
DROP INDEX tasks_withdrawn;
ALTER TABLE tasks DROP COLUMN withdrawn;
DROP TABLE pauses;
