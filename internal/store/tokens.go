package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/access"
)

// ErrTokenExists means that a token of that name is there, or was.
var ErrTokenExists = errors.New("a token of that name exists, or did; names are not used twice")

// Token says who may use the HTTP intake, and for what. Its JSON is API.
type Token struct {
	Name       string             `json:"name"`
	Source     string             `json:"source"`  // whose jobs it submits and sees
	Operations []access.Operation `json:"actions"` // that its rows may ask for
	LaneMost   Lane               `json:"lane_max"`
	CreatedAt  time.Time          `json:"created_at"`
	CreatedBy  string             `json:"created_by"`
	LastUsedAt *time.Time         `json:"last_used_at"` // to the minute; nil: never
	RevokedAt  *time.Time         `json:"revoked_at"`   // nil: it is in force
	RevokedBy  *string            `json:"revoked_by"`
}

// TokenHash is the SHA-256 of a token's text.
type TokenHash [32]byte

const insertToken = `
INSERT INTO tokens (name, hash, source, operations, lane_most, created_by) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (name) DO NOTHING`

// AddToken keeps a token of which hash is the hash. Name, Source, Operations and
// LaneMost of t count. A name that was used before returns [ErrTokenExists].
func (s *Store) AddToken(ctx context.Context, t Token, hash TokenHash, by Order) error {
	return s.inTx(ctx, "adding the token "+t.Name, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, insertToken, t.Name, hash[:], t.Source, t.Operations, t.LaneMost, by.Actor)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return ErrTokenExists
		}
		return writeAudit(ctx, tx, AuditEvent{Actor: by.Actor, Event: eventTokenAdded, Detail: map[string]any{
			"token": t.Name, "source": t.Source, "actions": t.Operations, "lane_max": t.LaneMost, "reason": by.Reason,
			"fingerprint": fingerprint(hash),
		}})
	})
}

// fingerprint tells tokens apart in the audit, and helps nobody to use one.
func fingerprint(hash TokenHash) string {
	sum := sha256.Sum256(hash[:])
	return hex.EncodeToString(sum[:])
}

// RevokeToken ends a token at once and for good, and reports whether that is
// new. A name that was never used returns [ErrNotFound].
func (s *Store) RevokeToken(ctx context.Context, name string, by Order) (changed bool, err error) {
	err = s.inTx(ctx, "revoking the token "+name, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE tokens SET revoked_at = now(), revoked_by = $2 WHERE name = $1 AND revoked_at IS NULL`, name, by.Actor)
		if err != nil {
			return err
		}
		if changed = tag.RowsAffected() == 1; !changed {
			return tx.QueryRow(ctx, `SELECT name FROM tokens WHERE name = $1`, name).Scan(&name)
		}
		return writeAudit(ctx, tx, AuditEvent{Actor: by.Actor, Event: eventTokenRevoked, Detail: map[string]any{"token": name, "reason": by.Reason}})
	})
	return changed && err == nil, err
}

//nolint:gosec // it holds no credential
const selectTokens = `
SELECT name, source, operations, lane_most, created_at, created_by, last_used_at, revoked_at, revoked_by FROM tokens`

// Tokens lists all tokens by name, those that were revoked too.
func (s *Store) Tokens(ctx context.Context) ([]Token, error) {
	rows, err := s.pool.Query(ctx, selectTokens+` ORDER BY name`)
	if err != nil {
		return nil, outward("listing tokens", err)
	}
	tokens, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Token])
	return tokens, outward("listing tokens", err)
}

const (
	//nolint:gosec // likewise
	tokenOfHash = `
SELECT name, source, operations, lane_most, hash, last_used_at IS NULL OR last_used_at < now() - interval '1 minute'
FROM tokens WHERE hash = $1 AND revoked_at IS NULL`

	noteUse = `
UPDATE tokens SET last_used_at = now()
WHERE name = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')`
)

// TokenOf returns the token in force with that hash, without when and by whom it
// was made, or [ErrNotFound], and the hash that is kept. It notes once a minute
// that the token was used.
func (s *Store) TokenOf(ctx context.Context, hash TokenHash) (Token, TokenHash, error) {
	var (
		t      Token
		kept   []byte
		unsaid bool
	)
	err := s.pool.QueryRow(ctx, tokenOfHash, hash[:]).Scan(&t.Name, &t.Source, &t.Operations, &t.LaneMost, &kept, &unsaid)
	if err == nil && unsaid {
		_, err = s.pool.Exec(ctx, noteUse, t.Name)
	}
	if err != nil {
		return Token{}, TokenHash{}, outward("looking up a token", err)
	}
	return t, TokenHash(kept), nil
}

// SourceOf returns the source of a job, whether its rows were dropped or not, or
// [ErrNotFound].
func (s *Store) SourceOf(ctx context.Context, id string) (source string, err error) {
	err = s.pool.QueryRow(ctx, `SELECT source FROM jobs WHERE ulid = $1`, id).Scan(&source)
	return source, outward("reading the source of job "+id, err)
}

// Backlog counts the tasks that were never handed out, of all jobs. It takes a
// row for each job that has some.
func (s *Store) Backlog(ctx context.Context) (tasks int, err error) {
	err = s.pool.QueryRow(ctx, `SELECT coalesce(sum(last_no - next_no + 1), 0) FROM backlog`).Scan(&tasks)
	return tasks, outward("counting the backlog", err)
}
