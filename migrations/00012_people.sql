-- +goose Up

-- What a change is about, in eight bytes: the upper four are of the principal, so
-- that all that one was given stands together in the index.
DROP INDEX changes_of_access;
CREATE OR REPLACE FUNCTION access_key(principal_type text, principal text, resource text) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS 'SELECT (hashtextextended(principal_type || '' '' || principal, 0) & -4294967296) | (hashtextextended(resource, 0) & 4294967295)';

CREATE INDEX changes_of_access ON changes (access_key(principal_type, principal, resource_type || ':' || resource_id), job_id)
    WHERE task_no IS NOT NULL AND operation <> 'read';

-- The least of the keys of a principal's accesses; the greatest is 4294967295 more.
CREATE FUNCTION principal_key(principal_type text, principal text) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS 'SELECT hashtextextended(principal_type || '' '' || principal, 0) & -4294967296';

-- What is accepted together mostly ends together.
CREATE INDEX changes_expiring ON changes USING brin (expires_on) WITH (autosummarize = on);

-- What was in force of the months that retention dropped: one grant an access,
-- written anew with each drop.
CREATE TABLE granted_before (
    job_id         bigint NOT NULL REFERENCES jobs,
    principal_type text NOT NULL,
    principal      text NOT NULL,
    resource_type  text NOT NULL,
    resource_id    text NOT NULL,
    line           integer NOT NULL,
    row_id         text NOT NULL,
    role           text NOT NULL,
    expires_on     date,
    reason         text NOT NULL,
    ticket         text NOT NULL,
    status         text NOT NULL,
    finished_at    timestamptz,
    PRIMARY KEY (principal, principal_type, resource_type, resource_id)
);

CREATE INDEX granted_before_access ON granted_before (access_key(principal_type, principal, resource_type || ':' || resource_id));

-- A file of profiles as it was loaded. The newest is in force; the others say what
-- people were given by them.
CREATE TABLE profile_sets (
    no        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version   text NOT NULL,
    sha256    text NOT NULL,
    content   bytea NOT NULL, -- the file
    profiles  jsonb NOT NULL, -- what was read of it, by name
    actor     text NOT NULL,
    reason    text NOT NULL DEFAULT '',
    loaded_at timestamptz NOT NULL DEFAULT now()
);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON profile_sets
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting();

-- What a feed told of a person, and how far it has come.
CREATE TABLE person_events (
    source       text NOT NULL,
    event_id     text NOT NULL,
    type         text NOT NULL,
    principal    text NOT NULL,
    profile      text NOT NULL,
    effective_at timestamptz,
    withdraws    text NOT NULL,
    fingerprint  text NOT NULL,
    requested_by text NOT NULL,
    received_at  timestamptz NOT NULL DEFAULT now(),
    status       text NOT NULL,
    problem      text NOT NULL DEFAULT '', -- why it is not applied although it is due
    ended_by     text NOT NULL DEFAULT '', -- the event that superseded or withdrew it
    profile_set  bigint REFERENCES profile_sets,
    job_id       bigint REFERENCES jobs,   -- null: nothing had to be done
    applied_xid  xid8, -- the transaction that applied it; older ones may yet write grants it has not seen
    applied_at   timestamptz,
    open         boolean NOT NULL DEFAULT false, -- a revoke of it is not known to be done
    closed_at    timestamptz,
    rounds       integer NOT NULL DEFAULT 0,     -- how often what failed was revoked again
    again_at     timestamptz,                    -- not before then once more
    look_at      timestamptz,
    PRIMARY KEY (source, event_id),
    CONSTRAINT person_events_type_known CHECK (type IN ('joiner', 'mover', 'leaver', 'withdraw')),
    CONSTRAINT person_events_status_known CHECK (status IN ('waiting', 'applying', 'applied', 'superseded', 'withdrawn', 'failed', 'recorded')),
    CONSTRAINT person_events_dated CHECK ((type = 'withdraw') = (effective_at IS NULL) AND (type = 'withdraw') = (status = 'recorded')),
    CONSTRAINT person_events_applied CHECK ((status = 'applied') = (applied_at IS NOT NULL))
);

CREATE INDEX person_events_due ON person_events (look_at) WHERE status IN ('waiting', 'applying');
CREATE INDEX person_events_of ON person_events (principal, effective_at);
CREATE INDEX person_events_open ON person_events (look_at) WHERE open;
CREATE INDEX person_events_withdraws ON person_events (source, withdraws) WHERE type = 'withdraw';

-- +goose Down
DROP TABLE person_events, profile_sets, granted_before;
DROP INDEX changes_expiring, changes_of_access;
DROP FUNCTION principal_key;
CREATE OR REPLACE FUNCTION access_key(principal_type text, principal text, resource text) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS 'SELECT hashtextextended(principal_type || '' '' || principal || '' '' || resource, 0)';
CREATE INDEX changes_of_access ON changes (access_key(principal_type, principal, resource_type || ':' || resource_id), job_id)
    WHERE task_no IS NOT NULL AND operation <> 'read';
