-- +goose Up

-- Who has an account, as it was looked up last. Rows name accounts in place of
-- ids; to forget one costs a call.
CREATE TABLE accounts (
    account      text NOT NULL,
    parent       text NOT NULL, -- the main account of a RAM user; '' where none was named
    user_id      text NOT NULL,
    looked_up_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account, parent)
);

-- +goose Down
DROP TABLE accounts;
