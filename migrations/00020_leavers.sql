-- +goose Up

-- A job that was being written while a leaver was applied is found when it is
-- accepted, so no transaction has to be waited for.
ALTER TABLE person_events
    DROP COLUMN applied_xid,
    ADD COLUMN read_job_id bigint REFERENCES jobs,        -- what Quick BI has of the person after the revokes
    ADD COLUMN reads       integer NOT NULL DEFAULT 0,    -- how often it was asked for that
    ADD COLUMN found       jsonb;                         -- what it said last

CREATE INDEX person_events_left ON person_events (applied_at) WHERE type = 'leaver' AND status = 'applied';

-- An account that nobody has, or several users, is remembered as well.
ALTER TABLE accounts
    ADD COLUMN code   text NOT NULL DEFAULT '', -- of the error of rows that name it
    ADD COLUMN reason text NOT NULL DEFAULT '',
    ADD CONSTRAINT accounts_of_somebody_or_not CHECK ((user_id = '') = (code <> ''));

CREATE INDEX accounts_of_nobody ON accounts (looked_up_at) WHERE code <> '';

-- +goose Down
DELETE FROM accounts WHERE code <> '';
ALTER TABLE accounts DROP COLUMN code, DROP COLUMN reason; -- and with them the constraint and the index
ALTER TABLE person_events
    DROP COLUMN read_job_id, DROP COLUMN reads, DROP COLUMN found, ADD COLUMN applied_xid xid8;
DROP INDEX person_events_left;
