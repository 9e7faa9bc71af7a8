package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Seal is one link of the chain over the audit. It covers every row of the
// audited tables whose number lies above After and not above Upto, and the seal
// before it.
//
// Hash is SHA-256 over Prev and this text: No, the time, After, Upto and
// Entries, each in its own line but for the last, which ends the text. The time
// is in UTC as PostgreSQL writes it in JSON: 2026-11-22T04:12:00.123456.
type Seal struct {
	No       int64
	SealedAt time.Time
	After    int64
	Upto     int64
	Entries  string // JSON: rows and their SHA-256 by table and month
	Prev     []byte // Hash of the seal before; empty for the first
	Hash     []byte

	sealedAt string // as hashed
}

func (s Seal) sum() []byte {
	h := sha256.New()
	_, _ = h.Write(s.Prev) // a hash never fails
	_, _ = fmt.Fprintf(h, "%d\n%s\n%d\n%d\n%s", s.No, s.sealedAt, s.After, s.Upto, s.Entries)
	return h.Sum(nil)
}

// HashedTime is the time as it was hashed.
func (s Seal) HashedTime() string { return s.sealedAt }

// Checkpoint names a seal in a form to be kept elsewhere.
func (s Seal) Checkpoint() Checkpoint { return Checkpoint{No: s.No, Hash: hex.EncodeToString(s.Hash)} }

// Checkpoint names a seal and what it hashes to. Whoever keeps one elsewhere can
// tell later that the chain up to it was not written anew.
type Checkpoint struct {
	No   int64  `json:"no"`
	Hash string `json:"hash"` // hexadecimal
}

// MakePartitions makes the partitions of this month and the next three, as far
// as they are missing.
func (s *Store) MakePartitions(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, `SELECT make_partitions()`)
	return outward("making partitions", err)
}

// Sealer seals the audit, one round after the other. It is not safe for
// concurrent use, and only the leader may use it.
type Sealer struct {
	store   *Store
	server  string   // of which the rest is known
	final   int64    // every row up to it is there for good, or never will be
	seen    int64    // 0, or a number that is final once all of running have ended
	running []string // virtual transaction ids
}

// NewSealer returns a sealer that knows nothing yet of running transactions.
func (s *Store) NewSealer() *Sealer { return &Sealer{store: s} }

// Seal seals what has become final since the last seal, and reports whether
// that was anything.
//
// Rows are numbered when they are written and seen when they are committed, in
// another order. A number is final once every transaction has ended that was
// writing when it was read: these hold a lock on the table from before they
// took a number until they end.
func (s *Sealer) Seal(ctx context.Context) (Seal, bool, error) {
	if err := s.look(ctx); err != nil {
		return Seal{}, false, outward("looking for running transactions", err)
	}
	var seal Seal
	var sealed bool
	err := s.store.inTx(ctx, "sealing the audit", func(tx pgx.Tx) (err error) {
		var server string
		if err := tx.QueryRow(ctx, `SELECT `+thisServer).Scan(&server); err != nil || server != s.server {
			return err // another one by now: the next round looks at it anew
		}
		seal, sealed, err = sealUpto(ctx, tx, s.final)
		return err
	})
	return seal, sealed, err
}

const runningWriters = `
SELECT DISTINCT virtualtransaction FROM pg_locks
WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND relation = ANY ($1::regclass[]::oid[])`

// thisServer changes whenever another server takes over, which may lack the last
// writes of the one before: it was started at another time, or stood by until now.
const thisServer = `concat(pg_postmaster_start_time(), pg_is_in_recovery())`

// look finds out which number is final. The number has to be read before the
// transactions, and from the same server.
func (s *Sealer) look(ctx context.Context) error {
	tables := make([]string, len(auditedTables))
	for i, t := range auditedTables {
		tables[i] = t.name
	}
	var (
		batch   pgx.Batch
		last    int64
		server  string
		running []string
	)
	batch.Queue(`SELECT last_value, ` + thisServer + ` FROM audit_no`).QueryRow(func(row pgx.Row) error { return row.Scan(&last, &server) })
	batch.Queue(runningWriters, tables).Query(func(rows pgx.Rows) (err error) {
		running, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err := s.store.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return err
	}
	if server != s.server || last < max(s.final, s.seen) {
		*s = Sealer{store: s.store, server: server}
	}
	if s.seen > 0 && !slices.ContainsFunc(s.running, func(id string) bool { return slices.Contains(running, id) }) {
		s.final, s.seen = s.seen, 0
	}
	if len(running) == 0 {
		s.final, s.seen = last, 0
	} else if s.seen == 0 {
		s.seen, s.running = last, running
	}
	return nil
}

// sealSpan is how many numbers one seal covers at most, so that a round with
// much to catch up on stays short.
const sealSpan = 200_000

const lastSeal = selectSeals + ` ORDER BY no DESC LIMIT 1`

const insertSeal = `
INSERT INTO audit_seals (no, sealed_at, after_no, upto_no, entries, prev, hash)
VALUES ($1, $2::text::timestamp AT TIME ZONE 'UTC', $3, $4, $5, $6, $7)`

// sealUpto writes the next seal if there is a row for it.
func sealUpto(ctx context.Context, tx pgx.Tx, final int64) (Seal, bool, error) {
	last, err := sealAt(ctx, tx, lastSeal)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return Seal{}, false, err
	}
	next := Seal{No: last.No + 1, After: last.Upto, Upto: last.Upto, Prev: last.Hash}
	var entries []entry
	for len(entries) == 0 {
		if next.Upto >= final {
			return Seal{}, false, nil
		}
		next.Upto = min(final, next.Upto+sealSpan)
		if entries, err = tallied(ctx, tx, span{next.After, next.Upto}); err != nil {
			return Seal{}, false, err
		}
	}
	text, err := json.Marshal(entries)
	if err != nil {
		return Seal{}, false, err
	}
	next.Entries = string(text)
	err = tx.QueryRow(ctx, `SELECT n, to_jsonb(n AT TIME ZONE 'UTC') #>> '{}' FROM clock_timestamp() n`).Scan(&next.SealedAt, &next.sealedAt)
	if err != nil {
		return Seal{}, false, err
	}
	next.Hash = next.sum()
	_, err = tx.Exec(ctx, insertSeal, next.No, next.sealedAt, next.After, next.Upto, next.Entries, append([]byte{}, next.Prev...), next.Hash)
	if err != nil {
		return Seal{}, false, err
	}
	err = countSealed(ctx, tx, span{next.After, next.Upto})
	return next, err == nil, err
}

func tallied(ctx context.Context, q queryer, s span) ([]entry, error) {
	sums := tallies{}
	for _, t := range auditedTables {
		if err := t.rows(ctx, q, s, func(r auditedRow) error { sums.add(t.name, r); return nil }); err != nil {
			return nil, fmt.Errorf("reading %s: %w", t.name, err)
		}
	}
	return sums.entries(), nil
}

const selectSeals = `
SELECT no, CASE WHEN isfinite(sealed_at) THEN sealed_at ELSE 'epoch' END, to_jsonb(sealed_at AT TIME ZONE 'UTC') #>> '{}',
       after_no, upto_no, entries, prev, hash FROM audit_seals`

func sealAt(ctx context.Context, q queryer, sql string, args ...any) (Seal, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return Seal{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanSeal)
}

func scanSeal(row pgx.CollectableRow) (s Seal, err error) {
	err = row.Scan(&s.No, &s.SealedAt, &s.sealedAt, &s.After, &s.Upto, &s.Entries, &s.Prev, &s.Hash)
	return s, err
}
