-- +goose Up

-- What an answer returned that must be kept: the id of an authorization.
ALTER TABLE answers ADD COLUMN result text NOT NULL DEFAULT '';

-- Whether members of a workspace whose role differs are given the new one.
ALTER TABLE jobs ADD COLUMN update_role boolean NOT NULL DEFAULT false;

-- A job may also read.
ALTER TABLE changes DROP CONSTRAINT changes_sent_are_sound;
ALTER TABLE changes ADD CONSTRAINT changes_sent_are_sound CHECK (
    task_no IS NULL OR (operation IN ('grant', 'revoke', 'read') AND principal <> '' AND resource_id <> '')
) NOT VALID;

-- What QuerySharesToUserList said a user has, as of when its task was read.
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
);

CREATE INDEX shared_works_of_job ON shared_works (job_id, principal, works_id);

-- What a later look at Quick BI said of a change.
CREATE TABLE verifications (
    job_id      bigint NOT NULL,
    change_no   integer NOT NULL,
    read_job_id bigint NOT NULL,
    verdict     text NOT NULL,
    verified_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, change_no, read_job_id),
    CONSTRAINT verifications_verdict_known CHECK (verdict IN ('verified', 'missing', 'still_there', 'unverifiable'))
);

-- +goose Down
DROP TABLE verifications, shared_works;
ALTER TABLE changes DROP CONSTRAINT changes_sent_are_sound;
ALTER TABLE changes ADD CONSTRAINT changes_sent_are_sound CHECK (
    task_no IS NULL OR (operation IN ('grant', 'revoke') AND principal <> '' AND resource_id <> '')
) NOT VALID;
ALTER TABLE jobs DROP COLUMN update_role;
ALTER TABLE answers DROP COLUMN result;
