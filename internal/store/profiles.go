package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/people"
)

// ErrVersionReused means that profiles of the same version and with other content
// were loaded before.
var ErrVersionReused = errors.New("that version of the profiles was loaded with other content")

// ProfileSet is a file of profiles as it was loaded.
type ProfileSet struct {
	people.Profiles

	No       int64
	Actor    string
	Reason   string
	LoadedAt time.Time
}

// NewProfiles is a file of profiles to load.
type NewProfiles struct {
	*people.Profiles

	Content []byte // the file
}

const selectProfiles = `SELECT no, version, sha256, profiles, actor, reason, loaded_at FROM profile_sets`

func scanProfiles(row pgx.CollectableRow) (p ProfileSet, err error) {
	err = row.Scan(&p.No, &p.Version, &p.SHA256, &p.Profiles.Profiles, &p.Actor, &p.Reason, &p.LoadedAt)
	return p, err
}

// One load at a time. Locking the table is beyond the rights of the programs. The
// number has no meaning beyond being the same in every program.
const lockProfiles = `SELECT pg_advisory_xact_lock(7201884422)`

// LoadProfiles puts profiles in force. Those that are in force already change
// nothing. A version stands for one content: [ErrVersionReused] otherwise. Going
// back to an earlier file is loading it again.
func (s *Store) LoadProfiles(ctx context.Context, n NewProfiles, o Order) (set ProfileSet, changed bool, err error) {
	err = s.inTx(ctx, "loading profiles", func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockProfiles); err != nil {
			return err
		}
		set, err = newestProfiles(ctx, tx)
		switch {
		case err == nil && set.Version == n.Version && set.SHA256 == n.SHA256:
			changed = false
			return nil
		case err != nil && !errors.Is(err, pgx.ErrNoRows):
			return err
		}
		var other bool
		err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM profile_sets WHERE version = $1 AND sha256 <> $2)`, n.Version, n.SHA256).Scan(&other)
		if err != nil {
			return err
		}
		if other {
			return fmt.Errorf("version %q: %w", n.Version, ErrVersionReused)
		}
		changed = true
		set = ProfileSet{Profiles: *n.Profiles, Actor: o.Actor, Reason: o.Reason}
		err = tx.QueryRow(ctx, `INSERT INTO profile_sets (version, sha256, content, profiles, actor, reason) VALUES ($1, $2, $3, $4, $5, $6) RETURNING no, loaded_at`,
			n.Version, n.SHA256, n.Content, n.Profiles.Profiles, o.Actor, o.Reason).Scan(&set.No, &set.LoadedAt)
		if err != nil {
			return err
		}
		return writeAudit(ctx, tx, AuditEvent{Actor: o.Actor, Event: eventProfilesLoaded, Detail: map[string]any{
			"no": set.No, "version": n.Version, "sha256": n.SHA256, "profiles": len(n.Profiles.Profiles), "reason": o.Reason,
		}})
	})
	return set, changed, err
}

func newestProfiles(ctx context.Context, db queryer) (ProfileSet, error) {
	rows, err := db.Query(ctx, selectProfiles+` ORDER BY no DESC LIMIT 1`)
	if err != nil {
		return ProfileSet{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanProfiles)
}

// Profiles returns the profiles in force, or [ErrNotFound].
func (s *Store) Profiles(ctx context.Context) (ProfileSet, error) {
	set, err := newestProfiles(ctx, s.pool)
	return set, outward("reading the profiles", err)
}

// ProfilesOf returns the profiles that were loaded under a number.
func (s *Store) ProfilesOf(ctx context.Context, no int64) (ProfileSet, error) {
	rows, err := s.pool.Query(ctx, selectProfiles+` WHERE no = $1`, no)
	if err != nil {
		return ProfileSet{}, outward("reading profiles", err)
	}
	set, err := pgx.CollectExactlyOneRow(rows, scanProfiles)
	return set, outward("reading profiles", err)
}

// ProfileHistory lists what was loaded, the newest first.
func (s *Store) ProfileHistory(ctx context.Context) ([]ProfileSet, error) {
	rows, err := s.pool.Query(ctx, selectProfiles+` ORDER BY no DESC`)
	if err != nil {
		return nil, outward("listing profiles", err)
	}
	sets, err := pgx.CollectRows(rows, scanProfiles)
	return sets, outward("listing profiles", err)
}
