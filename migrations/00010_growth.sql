-- +goose Up

-- Workers of before do not keep what jobs are counted from.
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM workers WHERE alive_until > now()) THEN
        RAISE EXCEPTION 'workers of the version before are running: stop them first, and run this again'
            USING HINT = 'Send them SIGTERM, or docker compose stop worker. One that was killed counts as living for WORKER_ALIVE.';
    END IF;
END
$$;
-- +goose StatementEnd

-- A new partition is laid out like the newest one that is there, so that what is
-- set for one table holds for its months to come.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION make_partition(whole text, part text, bounds text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)%s', part, whole, coalesce((
        SELECT format(' WITH (%s)', array_to_string(c.reloptions, ', '))
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = whole::regclass AND c.reloptions IS NOT NULL
        ORDER BY c.oid DESC LIMIT 1), ''));
    IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = whole::regclass AND tgname = 'append_only') THEN
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting()', part);
    END IF;
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I %s', whole, part, bounds);
END
$$;
-- +goose StatementEnd

-- As before, but for every table that is partitioned by the number of a job,
-- those of later migrations included.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION make_partitions(first integer DEFAULT month_of(clock_timestamp())) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER AS $$
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
        FOR whole IN
            SELECT c.relname FROM pg_class c
            JOIN pg_partitioned_table p ON p.partrelid = c.oid
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0]
            WHERE c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'audit'::regclass) AND a.attname = 'job_id'
            ORDER BY c.relname
        LOOP
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
    IF made > 0 THEN -- of the months that are over, whoever seals is to read nothing any more
        PERFORM brin_summarize_new_values(x.indexrelid)
        FROM pg_index x
        JOIN pg_class c ON c.oid = x.indrelid
        JOIN pg_class b ON b.oid = x.indexrelid
        WHERE c.relispartition AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'audit'::regclass)
          AND b.relam = (SELECT oid FROM pg_am WHERE amname = 'brin')
          AND c.relname ~ '_\d{4}_\d\d$' AND right(c.relname, 7) < to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY_MM');
    END IF;
    RETURN made;
END
$$;
-- +goose StatementEnd

-- What is counted of a job: a row for each call, for each answer that counts,
-- for each exception, and for what a settlement made of one. All of them are
-- numbered as they are written, and none ever changes.
CREATE VIEW counted AS
SELECT job_id, id AS no, 'calls' AS what, 1 AS n FROM calls
UNION ALL
SELECT job_id, no, class, 1 FROM answers WHERE class IN ('throttled', 'not_sent')
UNION ALL
SELECT job_id, no, CASE code WHEN 'duplicate_row' THEN 'repeats' ELSE status END, 1 FROM exceptions
UNION ALL
SELECT job_id, no, 'unknown', -1 FROM settlements
UNION ALL
SELECT job_id, no, 'failed', 1 FROM settlements WHERE status = 'failed';

-- The sums of what the audit has sealed of it: of all numbers up to that of the
-- last seal, written with that seal. What a job comes to is this and what is
-- counted above that number.
CREATE TABLE sealed_counts (
    job_id bigint NOT NULL,
    what   text NOT NULL,
    n      bigint NOT NULL,
    PRIMARY KEY (job_id, what)
) PARTITION BY RANGE (job_id);

-- +goose StatementBegin
DO $$
DECLARE
    part record;
BEGIN
    FOR part IN
        SELECT replace(c.relname, 'tasks_', 'sealed_counts_') AS name, pg_get_expr(c.relpartbound, c.oid) AS bounds
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'tasks'::regclass
    LOOP
        PERFORM make_partition('sealed_counts', part.name, part.bounds);
        EXECUTE format('ALTER TABLE %I SET (fillfactor = 50)', part.name);
    END LOOP;
    EXECUTE format('ALTER FUNCTION make_partition(text, text, text) SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION make_partitions(integer) SET search_path = %I, pg_temp', current_schema());
END
$$;
-- +goose StatementEnd

INSERT INTO sealed_counts (job_id, what, n)
SELECT job_id, what, sum(n) FROM counted WHERE no <= (SELECT max(upto_no) FROM audit_seals) GROUP BY job_id, what;

CREATE INDEX answers_counted ON answers (job_id, no) WHERE class IN ('throttled', 'not_sent');

-- What of a job's tasks no longer stands for itself: how many were cut, and how
-- many of its rows were withdrawn. Each is added up by the statement that cuts or
-- withdraws.
ALTER TABLE jobs ADD COLUMN cut_tasks integer NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN withdrawn_rows integer NOT NULL DEFAULT 0;
UPDATE jobs j SET cut_tasks = t.cut, withdrawn_rows = t.withdrawn
FROM (
    SELECT job_id, count(*) FILTER (WHERE state = 'split') AS cut, coalesce(sum(cells) FILTER (WHERE state = 'canceled'), 0) AS withdrawn
    FROM tasks WHERE state IN ('split', 'canceled') GROUP BY job_id
) t
WHERE j.id = t.job_id;

-- A task that was claimed while the backlog still had it: what is in the backlog
-- waits, but for these.
ALTER TABLE tasks ADD COLUMN early boolean NOT NULL DEFAULT false;
UPDATE tasks t SET early = true
FROM backlog b
WHERE t.job_id = b.job_id AND t.no BETWEEN b.next_no AND b.last_no AND (t.state <> 'ready' OR t.generation > 0);
CREATE INDEX tasks_early ON tasks (job_id, no) WHERE early;

-- What a task carries lies beside it once it is long, so that many tasks share a
-- page: each change of one is logged with its page after a checkpoint.
ALTER TABLE tasks ALTER COLUMN principals SET STORAGE EXTERNAL, ALTER COLUMN resources SET STORAGE EXTERNAL;
-- +goose StatementBegin
DO $$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'tasks'::regclass LOOP
        EXECUTE format('ALTER TABLE %s SET (toast_tuple_target = 512)', part);
    END LOOP;
END
$$;
-- +goose StatementEnd

-- Lists of jobs go by these, the newest first. An update of a job finds room
-- beside it.
CREATE INDEX jobs_of_source ON jobs (source, id);
CREATE INDEX jobs_of_status ON jobs (status, id);
ALTER TABLE jobs SET (fillfactor = 50);

-- +goose Down
ALTER TABLE tasks ALTER COLUMN principals SET STORAGE EXTENDED, ALTER COLUMN resources SET STORAGE EXTENDED;
ALTER TABLE jobs RESET (fillfactor);
DROP INDEX jobs_of_status, jobs_of_source, tasks_early, answers_counted;
ALTER TABLE tasks DROP COLUMN early;
ALTER TABLE jobs DROP COLUMN withdrawn_rows, DROP COLUMN cut_tasks;
DROP TABLE sealed_counts;
DROP VIEW counted;

-- New partitions are laid out as they were before.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION make_partition(whole text, part text, bounds text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)%s', part, whole, CASE whole WHEN 'tasks' THEN ' WITH (fillfactor = 70)' ELSE '' END);
    IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = whole::regclass AND tgname = 'append_only') THEN
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting()', part);
    END IF;
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I %s', whole, part, bounds);
END
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION make_partitions(first integer DEFAULT month_of(clock_timestamp())) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER AS $$
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
-- +goose StatementBegin
DO $$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'tasks'::regclass LOOP
        EXECUTE format('ALTER TABLE %s RESET (toast_tuple_target)', part);
    END LOOP;
    EXECUTE format('ALTER FUNCTION make_partition(text, text, text) SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION make_partitions(integer) SET search_path = %I, pg_temp', current_schema());
END
$$;
-- +goose StatementEnd
