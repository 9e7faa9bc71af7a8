-- +goose Up

-- Month by month: what belongs to a job lies in the partition of the month in
-- which the job was accepted, and the audit in that of its own time, so that
-- retention drops whole tables and rewrites no row.

-- +goose StatementBegin
CREATE FUNCTION month_of(at timestamptz) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (extract(year FROM at AT TIME ZONE 'UTC') * 12 + extract(month FROM at AT TIME ZONE 'UTC') - 1)::integer
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION month_start(month integer) RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT make_timestamptz(month / 12, month % 12 + 1, 1, 0, 0, 0, 'UTC')
$$;
-- +goose StatementEnd

-- A table is created and then attached, not created as a partition: that takes
-- no lock which readers or writers of the others would have to wait for. The
-- statement triggers of the whole do not reach its parts, so each has its own.
-- +goose StatementBegin
CREATE FUNCTION make_partition(whole text, part text, bounds text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)%s', part, whole, CASE whole WHEN 'tasks' THEN ' WITH (fillfactor = 70)' ELSE '' END);
    IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = whole::regclass AND tgname = 'append_only') THEN
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting()', part);
    END IF;
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I %s', whole, part, bounds);
END
$$;
-- +goose StatementEnd

-- make_partitions makes what is missing of four months, by default of the
-- current one and the three after it, and returns how many tables it made. It
-- runs with the rights of the owner, so that the programs need not have them.
-- Months before the first are in the oldest partition, or were dropped.
-- +goose StatementBegin
CREATE FUNCTION make_partitions(first integer DEFAULT month_of(clock_timestamp())) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    made     integer := 0;
    oldest   text;
    suffix   text;
    whole    text;
    patience text := current_setting('lock_timeout');
BEGIN
    PERFORM pg_advisory_xact_lock(7201884416);
    SELECT min(substr(c.relname, 7)) INTO oldest
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'audit'::regclass AND c.relname ~ '^audit_\d';
    FOR month IN first .. first + 3 LOOP
        suffix := to_char(month_start(month) AT TIME ZONE 'UTC', 'YYYY_MM');
        CONTINUE WHEN suffix < oldest;
        FOREACH whole IN ARRAY ARRAY['changes', 'tasks', 'exceptions', 'settlements', 'calls', 'answers', 'shared_works', 'verifications'] LOOP
            IF to_regclass(whole || '_' || suffix) IS NULL THEN
                PERFORM make_partition(whole, whole || '_' || suffix,
                    format('FOR VALUES FROM (%s) TO (%s)', month::bigint << 36, (month + 1)::bigint << 36));
                made := made + 1;
            END IF;
        END LOOP;
        IF to_regclass('audit_' || suffix) IS NULL THEN
            BEGIN
                PERFORM set_config('lock_timeout', '2s', true);
                PERFORM make_partition('audit', 'audit_' || suffix,
                    format('FOR VALUES FROM (%L) TO (%L)', month_start(month), month_start(month + 1)));
                PERFORM set_config('lock_timeout', patience, true);
                made := made + 1;
            EXCEPTION
                WHEN check_violation THEN NULL; -- audit_default holds rows of this month, and keeps it
                WHEN lock_not_available THEN NULL; -- somebody reads audit_default; another round makes it
            END;
        END IF;
    END LOOP;
    RETURN made;
END
$$;
-- +goose StatementEnd

-- A job's number carries its month: month << 36 | a number that goes on and on.
-- It rises whatever the clock does, because the sequence itself is moved to the
-- new month and never back.
CREATE SEQUENCE job_no;

-- +goose StatementBegin
CREATE FUNCTION next_job_id() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    month bigint := month_of(clock_timestamp());
    id    bigint := nextval('job_no');
BEGIN
    IF id >> 36 < month THEN
        PERFORM pg_advisory_xact_lock(7201884417);
        id := nextval('job_no');
        IF id >> 36 < month THEN
            id := setval('job_no', (month << 36) | (id & ((1::bigint << 36) - 1)));
        END IF;
    END IF;
    IF to_regclass('changes_' || to_char(month_start((id >> 36)::integer) AT TIME ZONE 'UTC', 'YYYY_MM')) IS NULL THEN
        PERFORM make_partitions((id >> 36)::integer); -- for once nobody has made them ahead
    END IF;
    RETURN id;
END
$$;
-- +goose StatementEnd

SELECT setval('job_no', greatest((SELECT max(id) FROM jobs), 1));
ALTER TABLE jobs ALTER COLUMN id DROP IDENTITY;
ALTER TABLE jobs ALTER COLUMN id SET DEFAULT next_job_id();
ALTER SEQUENCE job_no OWNED BY jobs.id;

-- When retention dropped the rows of a job. The job itself stays, for its key.
ALTER TABLE jobs ADD COLUMN dropped_at timestamptz;

CREATE TEMPORARY TABLE old_changes       ON COMMIT DROP AS TABLE changes;
CREATE TEMPORARY TABLE old_tasks         ON COMMIT DROP AS TABLE tasks;
CREATE TEMPORARY TABLE old_exceptions    ON COMMIT DROP AS TABLE exceptions;
CREATE TEMPORARY TABLE old_calls         ON COMMIT DROP AS TABLE calls;
CREATE TEMPORARY TABLE old_answers       ON COMMIT DROP AS TABLE answers;
CREATE TEMPORARY TABLE old_audit         ON COMMIT DROP AS TABLE audit;
CREATE TEMPORARY TABLE old_shared_works  ON COMMIT DROP AS TABLE shared_works;
CREATE TEMPORARY TABLE old_verifications ON COMMIT DROP AS TABLE verifications;
DROP VIEW failures;
DROP TABLE changes, tasks, exceptions, calls, answers, audit, shared_works, verifications;

-- One sequence numbers every row of the audited tables, so that one number says
-- how far all of them are sealed.
CREATE SEQUENCE audit_no;
SELECT setval('audit_no', greatest((SELECT max(id) FROM old_calls), (SELECT max(id) FROM old_audit), 1));

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
        task_no IS NULL OR (operation IN ('grant', 'revoke', 'read') AND principal <> '' AND resource_id <> '')
    )
) PARTITION BY RANGE (job_id);

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
) PARTITION BY RANGE (job_id);

CREATE INDEX tasks_open ON tasks (job_id, no) WHERE state IN ('ready', 'running');
CREATE INDEX tasks_split_off ON tasks (job_id, root_no) WHERE no <> root_no;

CREATE TABLE exceptions (
    no          bigint NOT NULL DEFAULT nextval('audit_no'),
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
) PARTITION BY RANGE (job_id);

-- A settlement says how an exception of unknown outcome was settled later, by a
-- look at Quick BI.
CREATE TABLE settlements (
    no          bigint NOT NULL DEFAULT nextval('audit_no'),
    job_id      bigint NOT NULL,
    change_no   integer NOT NULL,
    status      text NOT NULL,
    code        text NOT NULL,
    message     text NOT NULL,
    retryable   boolean NOT NULL,
    read_job_id bigint NOT NULL, -- what was seen, and when
    at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, change_no),
    CONSTRAINT settlements_status_known CHECK (status IN ('succeeded', 'failed'))
) PARTITION BY RANGE (job_id);

CREATE TABLE calls (
    id         bigint NOT NULL DEFAULT nextval('audit_no'),
    job_id     bigint NOT NULL,
    task_no    integer NOT NULL,
    generation integer NOT NULL,
    action     text NOT NULL,
    cells      integer NOT NULL,
    worker     text NOT NULL,
    sent_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (job_id, id)
) PARTITION BY RANGE (job_id);

CREATE INDEX calls_of_job ON calls (job_id, task_no);

CREATE TABLE answers (
    no          bigint NOT NULL DEFAULT nextval('audit_no'),
    job_id      bigint NOT NULL,
    call_id     bigint NOT NULL,
    class       text NOT NULL,              -- what the answer means
    http_status integer NOT NULL DEFAULT 0, -- 0: no answer came
    api_code    text NOT NULL DEFAULT '',
    message     text NOT NULL DEFAULT '',
    request_id  text NOT NULL DEFAULT '',
    result      text NOT NULL DEFAULT '',   -- what it returned that must be kept: the id of an authorization
    took        interval NOT NULL,
    answered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (job_id, call_id)
) PARTITION BY RANGE (job_id);

CREATE TABLE audit (
    id      bigint NOT NULL DEFAULT nextval('audit_no'),
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor   text NOT NULL,
    event   text NOT NULL,
    job_id  bigint,
    task_no integer,
    detail  jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (at, id)
) PARTITION BY RANGE (at);

CREATE INDEX audit_of_job ON audit (job_id) WHERE job_id IS NOT NULL;

CREATE TABLE shared_works (
    job_id              bigint NOT NULL,
    task_no             integer NOT NULL,
    principal           text NOT NULL,
    works_id            text NOT NULL,
    work_name           text NOT NULL,
    work_type           text NOT NULL,
    status              text NOT NULL,
    third_part_auth     text NOT NULL,
    security_level      text NOT NULL,
    description         text NOT NULL,
    workspace_id        text NOT NULL,
    workspace_name      text NOT NULL,
    owner_id            text NOT NULL,
    owner_name          text NOT NULL,
    modify_name         text NOT NULL,
    create_time         timestamptz,
    modify_time         timestamptz,
    directory_id        text NOT NULL,
    directory_name      text NOT NULL,
    directory_path_id   text NOT NULL,
    directory_path_name text NOT NULL,
    read_at             timestamptz NOT NULL DEFAULT now()
) PARTITION BY RANGE (job_id);

CREATE INDEX shared_works_of_job ON shared_works (job_id, principal, works_id);

CREATE TABLE verifications (
    job_id      bigint NOT NULL,
    change_no   integer NOT NULL,
    read_job_id bigint NOT NULL,
    verdict     text NOT NULL,
    verified_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, change_no, read_job_id),
    CONSTRAINT verifications_verdict_known CHECK (verdict IN ('verified', 'missing', 'still_there', 'unverifiable'))
) PARTITION BY RANGE (job_id);

-- Rows are appended in the order of their numbers, so that a few bytes for many
-- pages are index enough to seal and to verify.
CREATE INDEX exceptions_no ON exceptions USING brin (no) WITH (autosummarize = on);
CREATE INDEX settlements_no ON settlements USING brin (no) WITH (autosummarize = on);
CREATE INDEX calls_no ON calls USING brin (id, sent_at) WITH (autosummarize = on);
CREATE INDEX answers_no ON answers USING brin (no) WITH (autosummarize = on);
CREATE INDEX audit_id ON audit USING brin (id) WITH (autosummarize = on);

-- A seal covers every audited row with a number above after_no, up to upto_no,
-- and the seal before it. What is hashed how: internal/store/seal.go.
CREATE TABLE audit_seals (
    no        bigint PRIMARY KEY,
    sealed_at timestamptz NOT NULL,
    after_no  bigint NOT NULL,
    upto_no   bigint NOT NULL,
    entries   text NOT NULL, -- JSON, hashed as it is written
    prev      bytea NOT NULL,
    hash      bytea NOT NULL
);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON changes
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON exceptions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON settlements
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON calls
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON answers
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting();

-- The oldest partition holds what was there before, and whatever a clock that
-- was set back would put before the first month. Audit rows of a month that
-- nobody has made a partition for must be accepted, too.
-- +goose StatementBegin
DO $$
DECLARE
    whole text;
    name  text;
    first integer := month_of(clock_timestamp());
BEGIN
    FOREACH whole IN ARRAY ARRAY['changes', 'tasks', 'exceptions', 'settlements', 'calls', 'answers', 'shared_works', 'verifications'] LOOP
        PERFORM make_partition(whole, whole || '_oldest', format('FOR VALUES FROM (MINVALUE) TO (%s)', first::bigint << 36));
    END LOOP;
    PERFORM make_partition('audit', 'audit_oldest', format('FOR VALUES FROM (MINVALUE) TO (%L)', month_start(first)));
    PERFORM make_partition('audit', 'audit_default', 'DEFAULT');
    PERFORM make_partitions(first);

    FOREACH name IN ARRAY ARRAY['make_partition(text, text, text)', 'make_partitions(integer)', 'next_job_id()'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', name, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', name);
    END LOOP;
END
$$;
-- +goose StatementEnd

INSERT INTO changes TABLE old_changes;
INSERT INTO tasks (job_id, no, root_no, first_change, last_change, action, operation, principal_type, principals, resources, role,
                   expires_on, state, generation, attempts, strikes, unsure, due_at, claimed_by, claimed_until, request_id, finished_at)
SELECT job_id, no, root_no, first_change, last_change, action, operation, principal_type, principals, resources, role,
       expires_on, state, generation, attempts, strikes, unsure, due_at, claimed_by, claimed_until, request_id, finished_at
FROM old_tasks;
INSERT INTO exceptions (job_id, change_no, task_no, status, code, message, retryable, api_code, request_id, recorded_at)
SELECT job_id, change_no, task_no, status, code, message, retryable, api_code, request_id, recorded_at
FROM old_exceptions ORDER BY recorded_at, job_id, change_no;
INSERT INTO calls (id, job_id, task_no, generation, action, cells, worker, sent_at)
SELECT id, job_id, task_no, generation, action, cells, worker, sent_at FROM old_calls ORDER BY id;
INSERT INTO answers (job_id, call_id, class, http_status, api_code, message, request_id, result, took, answered_at)
SELECT c.job_id, a.call_id, a.class, a.http_status, a.api_code, a.message, a.request_id, a.result, a.took, a.answered_at
FROM old_answers a JOIN old_calls c ON c.id = a.call_id ORDER BY a.call_id;
INSERT INTO audit (id, at, actor, event, job_id, task_no, detail)
SELECT id, at, actor, event, job_id, task_no, detail FROM old_audit ORDER BY id;
INSERT INTO shared_works TABLE old_shared_works;
INSERT INTO verifications TABLE old_verifications;

-- What became of the changes that did not simply succeed, as it is known by now.
CREATE VIEW outcomes AS
SELECT e.job_id, e.change_no, e.task_no, coalesce(s.status, e.status) AS status, coalesce(s.code, e.code) AS code,
       coalesce(s.message, e.message) AS message, coalesce(s.retryable, e.retryable) AS retryable,
       e.api_code, e.request_id, e.recorded_at
FROM exceptions e
LEFT JOIN settlements s ON s.job_id = e.job_id AND s.change_no = e.change_no
WHERE s.status IS DISTINCT FROM 'succeeded';

-- Every failure in words an auditor can read.
CREATE VIEW failures AS
SELECT j.ulid AS job, j.source, j.requested_by, c.line, c.row_id, c.operation, c.principal_type, c.principal,
       c.resource_type, c.resource_id, c.role, c.expires_on, c.ticket,
       e.status, e.code, e.message, e.retryable, e.api_code, e.request_id, e.recorded_at
FROM outcomes e
JOIN jobs j ON j.id = e.job_id
JOIN changes c ON c.job_id = e.job_id AND c.no = e.change_no
WHERE e.status IN ('failed', 'unknown');

-- +goose Down
-- +goose StatementBegin
DO $$ BEGIN RAISE EXCEPTION 'the audit is sealed from here on: there is no way back'; END $$;
-- +goose StatementEnd
