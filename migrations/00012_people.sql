-- +goose Up

-- Who a change is about, in eight bytes: equal for equal principals, and rarely
-- for others.
CREATE FUNCTION principal_key(principal_type text, principal text) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS 'SELECT hashtextextended(principal_type || '' '' || principal, 0)';

CREATE INDEX changes_of_principal ON changes (principal_key(principal_type, principal))
    WHERE task_no IS NOT NULL AND operation <> 'read';

-- Few days, many rows: equal keys take little room and are appended.
CREATE INDEX changes_expiring ON changes (expires_on)
    WHERE task_no IS NOT NULL AND operation <> 'read' AND expires_on IS NOT NULL;

-- +goose Down
DROP INDEX changes_expiring, changes_of_principal;
DROP FUNCTION principal_key;
