package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/access"
)

// Limit is what an operator said last of the rate of an action. Of two of an
// action the one with the higher version holds.
type Limit struct {
	Action    access.Action
	PerSecond float64 // calls, of all workers together; 0: what the workers are configured with
	Version   int64   // above 0; of all actions, each is used once
	Actor     string
	Reason    string
	SetAt     time.Time
}

// LimitSet is what setting a limit led to.
type LimitSet struct {
	Limit

	Was     float64 // calls a second that an operator had set before; 0 for none
	Changed bool    // else it was so already, and who said so first stands
}

// The clock is in the versions so that they rise also where an older state of
// the database was restored: Redis may know those that were given out since.
const setLimit = `
INSERT INTO limits AS l (action, per_second, version, actor, reason)
SELECT $1, $2, greatest(extract(epoch FROM clock_timestamp())::bigint, (SELECT max(version) + 1 FROM limits)), $3, $4
ON CONFLICT (action) DO UPDATE SET
    per_second = excluded.per_second, version = excluded.version, actor = excluded.actor, reason = excluded.reason, set_at = now()
RETURNING action, per_second, version, actor, reason, set_at`

const limitOf = `SELECT action, per_second, version, actor, reason, set_at FROM limits`

// SetLimit sets how many calls a second all workers together may send of an
// action; 0 takes back what was set before. It tells no worker: they read it.
func (s *Store) SetLimit(ctx context.Context, action access.Action, perSecond float64, o Order) (LimitSet, error) {
	var set LimitSet
	err := s.inTx(ctx, "setting the limit of "+string(action), func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `LOCK TABLE limits IN EXCLUSIVE MODE`); err != nil { // which lets others read
			return err
		}
		before, err := oneLimit(ctx, tx, limitOf+` WHERE action = $1`, action)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		set = LimitSet{Limit: before, Was: before.PerSecond}
		if before.PerSecond == perSecond {
			set.Action = action
			return nil
		}
		if set.Limit, err = oneLimit(ctx, tx, setLimit, action, perSecond, o.Actor, o.Reason); err != nil {
			return err
		}
		set.Changed = true
		event := eventLimitSet
		if perSecond == 0 {
			event = eventLimitReset
		}
		return writeAudit(ctx, tx, AuditEvent{Actor: o.Actor, Event: event, Detail: map[string]any{
			"action": action, "was": set.Was, "per_second": perSecond, "version": set.Version, "reason": o.Reason,
		}})
	})
	return set, err
}

func oneLimit(ctx context.Context, tx pgx.Tx, query string, args ...any) (Limit, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return Limit{}, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Limit])
}

// Limits lists what operators said last of the rates of actions, also where
// they took it back. Actions of which nobody said anything are not among them.
func (s *Store) Limits(ctx context.Context) ([]Limit, error) {
	rows, err := s.pool.Query(ctx, limitOf+` ORDER BY action`)
	if err != nil {
		return nil, outward("listing limits", err)
	}
	limits, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Limit])
	return limits, outward("listing limits", err)
}
