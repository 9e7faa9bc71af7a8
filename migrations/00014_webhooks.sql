-- +goose Up

-- Whom to tell what becomes of jobs. A secret signs what is sent, so it is kept
-- as it is, until the webhook is removed.
CREATE TABLE webhooks (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name            text NOT NULL,
    url             text NOT NULL,
    source          text NOT NULL DEFAULT '', -- of the jobs; '' for all
    events          text[] NOT NULL,
    secret          bytea NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    created_by      text NOT NULL,
    disabled_at     timestamptz, -- by an answer that says that nobody listens any more
    disabled_reason text NOT NULL DEFAULT '',
    removed_at      timestamptz,
    CONSTRAINT webhooks_events_known CHECK (
        cardinality(events) > 0 AND events <@ ARRAY['job.completed', 'job.failing', 'job.attention']
    ),
    CONSTRAINT webhooks_secret_until_removed CHECK ((secret = '') = (removed_at IS NOT NULL))
);

CREATE UNIQUE INDEX webhooks_named_once ON webhooks (name) WHERE removed_at IS NULL;

-- What is to be sent, was sent, or could not be. It is written once for each
-- webhook, job, event and cause, with the body, so that every attempt says the
-- same under the same id.
CREATE TABLE webhook_deliveries (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook      bigint NOT NULL REFERENCES webhooks,
    job          bigint NOT NULL,
    event        text NOT NULL,
    cause        text NOT NULL DEFAULT '', -- why a job needs attention
    message_id   text NOT NULL UNIQUE DEFAULT 'msg_' || replace(gen_random_uuid()::text, '-', ''),
    body         bytea NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    due_at       timestamptz NOT NULL DEFAULT now(), -- while it is being sent: when nobody believes that any more
    attempts     integer NOT NULL DEFAULT 0,
    last_at      timestamptz, -- of the last answer, or of its lack
    last_status  integer NOT NULL DEFAULT 0, -- 0: no answer came
    last_error   text NOT NULL DEFAULT '',
    delivered_at timestamptz,
    given_up_at  timestamptz,
    CONSTRAINT webhook_deliveries_once UNIQUE (webhook, job, event, cause),
    CONSTRAINT webhook_deliveries_end_once CHECK (delivered_at IS NULL OR given_up_at IS NULL)
);

CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook, due_at) WHERE delivered_at IS NULL AND given_up_at IS NULL;
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (coalesce(delivered_at, given_up_at))
    WHERE delivered_at IS NOT NULL OR given_up_at IS NOT NULL;

-- A job about which some webhook may still have to be told. It is set with the
-- job, and taken back once its end was looked at: jobs commit in any order, and
-- none is missed.
ALTER TABLE jobs ADD COLUMN watched boolean NOT NULL DEFAULT false;
CREATE INDEX jobs_watched_open ON jobs (id) WHERE watched AND finished_at IS NULL;
CREATE INDEX jobs_watched_ended ON jobs (id) WHERE watched AND finished_at IS NOT NULL;

-- +goose Down
DROP INDEX jobs_watched_open, jobs_watched_ended;
ALTER TABLE jobs DROP COLUMN watched;
DROP TABLE webhook_deliveries, webhooks;
