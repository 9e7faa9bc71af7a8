package store

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/usher-bi/usher/migrations"
)

// Migrate brings the database to the version of this program, under an
// advisory lock, so that several may call it at once. A database that is there
// already is left alone.
func Migrate(ctx context.Context, databaseURL string) error {
	pool, err := parseURL(databaseURL)
	if err != nil {
		return fmt.Errorf("reading the database URL: %w", err)
	}
	cfg := pool.ConnConfig
	cfg.ConnectTimeout = connectTimeout
	db := stdlib.OpenDB(*cfg)
	defer db.Close()
	if err := db.PingContext(ctx); err != nil {
		return outward("connecting", err)
	}
	provider, err := newProvider(db)
	if err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return outward("migrating", err)
	}
	return nil
}

func newProvider(db *sql.DB) (*goose.Provider, error) {
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 120)) // every second, for two minutes
	if err != nil {
		return nil, fmt.Errorf("preparing the migration lock: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS, goose.WithSessionLocker(locker))
	if err != nil {
		return nil, fmt.Errorf("preparing migrations: %w", err)
	}
	return provider, nil
}

const schemaVersion = `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`

// SchemaVersion returns the number of the newest migration that the database
// holds.
func (s *Store) SchemaVersion(ctx context.Context) (int, error) {
	var at int
	err := s.pool.QueryRow(ctx, schemaVersion).Scan(&at)
	return at, outward("reading the schema version", err)
}

// CheckSchema returns [ErrSchema] unless the database holds at least the
// migrations that this program was built with. A newer database is fine: a
// rolling deploy migrates first.
func (s *Store) CheckSchema(ctx context.Context) error {
	at, err := s.SchemaVersion(ctx)
	if err != nil {
		return err
	}
	newest, err := newestMigration()
	if err != nil {
		return err
	}
	if int64(at) < newest {
		return fmt.Errorf("%w (it is at %d, this version needs %d)", ErrSchema, at, newest)
	}
	return nil
}

// newestMigration returns the highest number of a migration of this program.
func newestMigration() (newest int64, err error) {
	files, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		return 0, fmt.Errorf("listing migrations: %w", err)
	}
	for _, name := range files {
		n, err := goose.NumericComponent(name)
		if err != nil {
			return 0, fmt.Errorf("listing migrations: %w", err)
		}
		newest = max(newest, n)
	}
	return newest, nil
}
