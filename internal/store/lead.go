package store

import (
	"context"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// leaderLock is the advisory lock of the reconciler; the number has no meaning
// beyond being the same in every worker.
const leaderLock = 7_201_884_415

// lead says how long a leader is believed that is not heard of, and how often it
// is. A process that stands still, with its machine or alone, keeps its
// connections: without this it would lead for as long as it stands.
type lead struct {
	lock          int64
	silence, beat time.Duration
}

const (
	leadSilence = 20 * time.Second
	leadBeat    = 5 * time.Second
)

// AsLeader runs f if no other process is the leader at this moment, and says
// whether it did. The leadership ends with f, or with the connection, or when
// Postgres has heard nothing of the process for 20 seconds: then the context of f
// ends too.
func (s *Store) AsLeader(ctx context.Context, f func(context.Context) error) (led bool, err error) {
	return s.leadFor(ctx, lead{lock: leaderLock, silence: leadSilence, beat: leadBeat}, f)
}

// choresLock is the upper half of the locks of chores; the other is of the name.
const choresLock = 7_201_885

// Alone is [Store.AsLeader] for a chore of that name, beside the leader and the
// other chores.
func (s *Store) Alone(ctx context.Context, chore string, f func(context.Context) error) (did bool, err error) {
	name := fnv.New32a()
	_, _ = name.Write([]byte(chore)) // never fails
	return s.leadFor(ctx, lead{lock: choresLock<<32 | int64(name.Sum32()), silence: leadSilence, beat: leadBeat}, f)
}

func (s *Store) leadFor(ctx context.Context, l lead, f func(context.Context) error) (led bool, err error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return false, outward("taking the lead", err)
	}
	defer conn.Release()
	if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, l.lock).Scan(&led); err != nil || !led {
		return false, outward("taking the lead", err)
	}
	defer letGo(ctx, conn, l.lock)
	if _, err := conn.Exec(ctx, `SELECT set_config('idle_session_timeout', $1, false)`, fmt.Sprintf("%dms", l.silence.Milliseconds())); err != nil {
		return false, outward("taking the lead", err)
	}
	ctx, lose := context.WithCancelCause(ctx)
	var beating sync.WaitGroup
	beating.Go(func() { beatAsLeader(ctx, conn, l.beat, lose) })
	defer beating.Wait()
	defer lose(nil)
	return true, f(ctx)
}

// beatAsLeader lets Postgres hear of the leader until ctx ends, and ends it when
// the connection, and with it the leadership, is lost.
func beatAsLeader(ctx context.Context, conn *pgxpool.Conn, every time.Duration, lose context.CancelCauseFunc) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		beat, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
		_, err := conn.Exec(beat, `SELECT`)
		cancel()
		if err != nil {
			lose(outward("keeping the lead", err))
			return
		}
	}
}

// letGo ends the leadership, with the connection if need be.
func letGo(ctx context.Context, conn *pgxpool.Conn, lock int64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
	defer cancel()
	_, err := conn.Exec(ctx, `SELECT pg_advisory_unlock($1)`, lock)
	if err == nil {
		_, err = conn.Exec(ctx, `RESET idle_session_timeout`)
	}
	if err != nil {
		_ = conn.Conn().Close(ctx) // the lock goes with the session
	}
}
