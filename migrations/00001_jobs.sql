-- +goose Up

-- A job is one submission. Its id is the order of acceptance; people and
-- programs know it by its ulid.
CREATE TABLE jobs (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ulid            text COLLATE "C" NOT NULL UNIQUE,
    parent_id       bigint REFERENCES jobs,
    source          text NOT NULL,
    requested_by    text NOT NULL,
    reason          text NOT NULL DEFAULT '',
    lane            text NOT NULL,
    idempotency_key text NOT NULL,
    fingerprint     text NOT NULL,
    rows            integer NOT NULL,
    header          text[] NOT NULL,
    input_sha256    text NOT NULL DEFAULT '',
    input_encoding  text NOT NULL DEFAULT '',
    input_delimiter text NOT NULL DEFAULT '',
    next_task       integer NOT NULL,
    status          text NOT NULL DEFAULT 'queued',
    created_at      timestamptz NOT NULL DEFAULT now(),
    started_at      timestamptz,
    finished_at     timestamptz,
    CONSTRAINT jobs_submitted_once UNIQUE (source, idempotency_key),
    CONSTRAINT jobs_rows_exist CHECK (rows > 0),
    CONSTRAINT jobs_ulid_form CHECK (ulid ~ '^[0-9A-HJKMNP-TV-Z]{26}$'),
    CONSTRAINT jobs_lane_known CHECK (lane IN ('urgent', 'normal', 'bulk')),
    CONSTRAINT jobs_status_known CHECK (status IN ('queued', 'running', 'canceling', 'completed', 'canceled', 'failed')),
    CONSTRAINT jobs_finished_iff_final CHECK ((finished_at IS NOT NULL) = (status IN ('completed', 'canceled', 'failed')))
);

CREATE INDEX jobs_open ON jobs (id) WHERE status IN ('queued', 'running', 'canceling');

-- A change is one row of the input, numbered in the order of its tasks. It is
-- written once and never updated: what became of it follows from its task and
-- from its row in exceptions. There is no foreign key, because a job and its
-- rows are written in one transaction and a check per row would double its time.
CREATE TABLE changes (
    job_id         bigint NOT NULL,
    no             integer NOT NULL,
    task_no        integer,          -- null: never sent (invalid or a duplicate)
    line           integer NOT NULL, -- in the file, as an editor counts
    row_id         text NOT NULL,
    operation      text NOT NULL,
    principal_type text NOT NULL,
    principal      text NOT NULL,
    resource_type  text NOT NULL,
    resource_id    text NOT NULL,
    role           text NOT NULL,
    expires_on     date,
    reason         text NOT NULL,
    ticket         text NOT NULL,
    cells          text[],           -- null: rebuilt exactly from the columns above
    PRIMARY KEY (job_id, no),
    CONSTRAINT changes_sent_are_sound CHECK (
        task_no IS NULL OR (operation IN ('grant', 'revoke') AND principal <> '' AND resource_id <> '')
    )
);

-- A task is the content of one API call: principals × resources. The tasks of
-- a job that are not split cover each sent change exactly once.
CREATE TABLE tasks (
    job_id         bigint NOT NULL,
    no             integer NOT NULL,
    root_no        integer NOT NULL, -- the planned task these cells came from; itself unless split off
    first_change   integer NOT NULL, -- changes of the root are numbered from here
    last_change    integer NOT NULL, -- to here, without a gap
    action         text NOT NULL,
    operation      text NOT NULL,
    principal_type text NOT NULL,
    principals     text[] NOT NULL,
    resources      text[] NOT NULL,  -- type:id
    role           text NOT NULL,
    expires_on     date,
    cells          integer NOT NULL GENERATED ALWAYS AS (cardinality(principals) * cardinality(resources)) STORED,
    state          text NOT NULL DEFAULT 'ready',
    generation     integer NOT NULL DEFAULT 0, -- raised by every claim and every hand-back: the fence
    attempts       integer NOT NULL DEFAULT 0, -- calls that carried these cells, throttled ones aside
    strikes        integer NOT NULL DEFAULT 0, -- calls in a row that a repeat may cure
    unsure         boolean NOT NULL DEFAULT false, -- a call was sent and nobody knows what became of it
    due_at         timestamptz NOT NULL DEFAULT now(),
    claimed_by     text,
    claimed_until  timestamptz,
    request_id     text NOT NULL DEFAULT '',
    finished_at    timestamptz,
    PRIMARY KEY (job_id, no),
    CONSTRAINT tasks_fit CHECK (cardinality(principals) * cardinality(resources) BETWEEN 1 AND 100),
    CONSTRAINT tasks_state_known CHECK (state IN ('ready', 'running', 'done', 'split', 'canceled')),
    CONSTRAINT tasks_claimed_iff_running CHECK (
        (state = 'running') = (claimed_by IS NOT NULL) AND (state = 'running') = (claimed_until IS NOT NULL)
    ),
    CONSTRAINT tasks_finished_iff_final CHECK ((finished_at IS NOT NULL) = (state IN ('done', 'split', 'canceled')))
) WITH (fillfactor = 70);

CREATE INDEX tasks_open ON tasks (job_id, no) WHERE state IN ('ready', 'running');
CREATE INDEX tasks_split_off ON tasks (job_id, root_no) WHERE no <> root_no;

-- An exception is a change that did not simply succeed.
CREATE TABLE exceptions (
    job_id      bigint NOT NULL,
    change_no   integer NOT NULL,
    task_no     integer,               -- null: settled at submission
    status      text NOT NULL,
    code        text NOT NULL,         -- ours, stable
    message     text NOT NULL,
    retryable   boolean NOT NULL,
    api_code    text NOT NULL DEFAULT '',
    request_id  text NOT NULL DEFAULT '',
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, change_no),
    CONSTRAINT exceptions_status_known CHECK (status IN ('failed', 'unknown', 'no_change', 'superseded'))
);

-- A call is written down before it is sent; its answer, if one comes, is a row
-- of its own, so that neither is ever updated.
CREATE TABLE calls (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id     bigint NOT NULL,
    task_no    integer NOT NULL,
    generation integer NOT NULL,
    action     text NOT NULL,
    cells      integer NOT NULL,
    worker     text NOT NULL,
    sent_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX calls_of_job ON calls (job_id, task_no);

CREATE TABLE answers (
    call_id     bigint PRIMARY KEY,
    class       text NOT NULL,              -- what the answer means
    http_status integer NOT NULL DEFAULT 0, -- 0: no answer came
    api_code    text NOT NULL DEFAULT '',
    message     text NOT NULL DEFAULT '',
    request_id  text NOT NULL DEFAULT '',
    took        interval NOT NULL,
    answered_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE audit (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor   text NOT NULL,
    event   text NOT NULL,
    job_id  bigint,
    task_no integer,
    detail  jsonb NOT NULL DEFAULT '{}'
);

CREATE INDEX audit_of_job ON audit (job_id) WHERE job_id IS NOT NULL;

-- An action that Quick BI refuses for the whole account is stopped for every
-- worker, until a probe succeeds.
CREATE TABLE action_stops (
    action        text PRIMARY KEY,
    stopped_at    timestamptz NOT NULL DEFAULT now(),
    code          text NOT NULL,
    api_code      text NOT NULL,
    message       text NOT NULL,
    request_id    text NOT NULL,
    probes        integer NOT NULL DEFAULT 0,
    next_probe_at timestamptz NOT NULL
);

-- Every failure in words an auditor can read.
CREATE VIEW failures AS
SELECT j.ulid AS job, j.source, j.requested_by, c.line, c.row_id, c.operation, c.principal_type, c.principal,
       c.resource_type, c.resource_id, c.role, c.expires_on, c.ticket,
       e.status, e.code, e.message, e.retryable, e.api_code, e.request_id, e.recorded_at
FROM exceptions e
JOIN jobs j ON j.id = e.job_id
JOIN changes c ON c.job_id = e.job_id AND c.no = e.change_no
WHERE e.status IN ('failed', 'unknown');

-- +goose StatementBegin
CREATE FUNCTION refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;
-- +goose StatementEnd

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON calls
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON answers
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting();

-- +goose Down
DROP VIEW failures;
DROP TABLE action_stops, audit, answers, calls, exceptions, tasks, changes, jobs;
DROP FUNCTION refuse_rewriting();
