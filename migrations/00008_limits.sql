-- +goose Up

-- What operators set: calls a second of an action, of all workers together. 0
-- means what the workers are configured with. No row is ever deleted, so that no
-- version is used twice.
CREATE TABLE limits (
    action     text PRIMARY KEY,
    per_second double precision NOT NULL,
    version    bigint NOT NULL UNIQUE, -- the higher one holds
    actor      text NOT NULL,
    reason     text NOT NULL DEFAULT '',
    set_at     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT limits_are_rates CHECK (per_second >= 0 AND per_second < 'infinity'),
    CONSTRAINT limits_version_positive CHECK (version > 0)
);

-- +goose Down
DROP TABLE limits;
