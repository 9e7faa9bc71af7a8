-- +goose Up

-- What of a job's action was never handed to Redis: its tasks from next_no to
-- last_no. Tasks are handed out in turns, a job's next one when its turn is the
-- smallest of its lane; so nothing is written per task, and a row goes with its
-- last one.
CREATE TABLE backlog (
    job_id  bigint NOT NULL,
    action  text NOT NULL,
    lane    text NOT NULL,
    next_no integer NOT NULL,
    last_no integer NOT NULL,
    turn    bigint NOT NULL, -- rises by one with each task
    PRIMARY KEY (job_id, action),
    CONSTRAINT backlog_holds_something CHECK (next_no BETWEEN 1 AND last_no),
    CONSTRAINT backlog_lane_known CHECK (lane IN ('urgent', 'normal', 'bulk'))
) WITH (fillfactor = 50);

CREATE INDEX backlog_turns ON backlog (action, lane, turn, job_id);

-- How far the turns of a lane have come. Who joins it, or was paused meanwhile,
-- begins here, and so owes nothing and is owed nothing.
CREATE TABLE backlog_lanes (
    action text NOT NULL,
    lane   text NOT NULL,
    turn   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (action, lane)
) WITH (fillfactor = 50);

-- +goose Down
DROP TABLE backlog_lanes, backlog;
