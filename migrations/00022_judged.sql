-- +goose Up

-- How large a file was when it was judged to be complete; null from before that was
-- kept.
ALTER TABLE schedule_inputs ADD COLUMN size bigint;

-- +goose Down
ALTER TABLE schedule_inputs DROP COLUMN size;
