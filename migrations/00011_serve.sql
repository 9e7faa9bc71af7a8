-- +goose Up

-- Who may use the HTTP intake. A token itself is nowhere: 256 random bits need
-- no slow hash. A name is never used twice, so that the audit stays clear.
CREATE TABLE tokens (
    name         text PRIMARY KEY,
    hash         bytea NOT NULL UNIQUE, -- SHA-256
    source       text NOT NULL,         -- whose jobs it submits and sees
    operations   text[] NOT NULL,       -- that its rows may ask for
    lane_most    text NOT NULL,         -- the most urgent lane for them
    created_at   timestamptz NOT NULL DEFAULT now(),
    created_by   text NOT NULL,
    revoked_at   timestamptz,
    revoked_by   text,
    last_used_at timestamptz, -- within a minute, so that it is written once a minute
    CONSTRAINT tokens_hash_length CHECK (octet_length(hash) = 32),
    CONSTRAINT tokens_operations_known CHECK (cardinality(operations) > 0 AND operations <@ ARRAY['grant', 'revoke']),
    CONSTRAINT tokens_lane_known CHECK (lane_most IN ('urgent', 'normal', 'bulk')),
    CONSTRAINT tokens_revoked_by_somebody CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);

-- +goose Down
DROP TABLE tokens;
