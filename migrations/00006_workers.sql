-- +goose Up

-- A worker process that lives says so every few seconds. Of one that is silent
-- everything it had claimed is taken back.
CREATE TABLE workers (
    name          text PRIMARY KEY, -- of one life of one process
    started_at    timestamptz NOT NULL DEFAULT now(),
    beating_since timestamptz NOT NULL DEFAULT now(), -- without a gap
    alive_until   timestamptz NOT NULL
) WITH (fillfactor = 50);

-- By which whoever claimed a task, and never heard that it got it, knows its
-- own claim again.
ALTER TABLE tasks ADD COLUMN claim_token bigint;

-- +goose Down
ALTER TABLE tasks DROP COLUMN claim_token;
DROP TABLE workers;
