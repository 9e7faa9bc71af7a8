//go:build unix

package main

import "context"

// watchMoves has Postgres itself note which program moved which task when, and
// which program wrote which call down, whatever the product's own records say.
// Programs are told apart by a setting of their connections.
const watchMoves = `
CREATE SCHEMA chaos;
CREATE TABLE chaos.moves (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    program        text NOT NULL DEFAULT coalesce(current_setting('chaos.program', true), ''),
    job_id         bigint NOT NULL,
    task_no        integer NOT NULL,
    was            text NOT NULL,
    state          text NOT NULL,
    was_generation integer NOT NULL,
    generation     integer NOT NULL
);
CREATE TABLE chaos.writers (
    call_id bigint PRIMARY KEY,
    program text NOT NULL DEFAULT coalesce(current_setting('chaos.program', true), '')
);
CREATE INDEX ON chaos.moves (job_id, task_no, generation);

CREATE FUNCTION chaos.note_move() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO chaos.moves (job_id, task_no, was, state, was_generation, generation)
    VALUES (NEW.job_id, NEW.no, OLD.state, NEW.state, OLD.generation, NEW.generation);
    RETURN NULL;
END
$$;
CREATE FUNCTION chaos.note_writer() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO chaos.writers (call_id) VALUES (NEW.id);
    RETURN NULL;
END
$$;
CREATE TRIGGER chaos_moves AFTER UPDATE ON tasks FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state OR OLD.generation IS DISTINCT FROM NEW.generation)
    EXECUTE FUNCTION chaos.note_move();
CREATE TRIGGER chaos_writers AFTER INSERT ON calls FOR EACH ROW EXECUTE FUNCTION chaos.note_writer();`

func (r *rig) watch(ctx context.Context) error {
	_, err := r.sql.Exec(ctx, watchMoves)
	return err
}
