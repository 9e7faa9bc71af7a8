// Package store keeps jobs, changes, tasks, calls, exceptions and the audit in
// Postgres. It is the only place with SQL, and Postgres is the only truth: what
// Redis holds can be rebuilt from here.
//
// All times are Postgres's own, so that workers whose clocks disagree still
// agree on what is due and whose claim has ended. Driver errors stop here:
// callers see [ErrNotFound], [ErrStale], [ErrUnavailable] and their like.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// What callers can act on.
var (
	// ErrNotFound means that no row has that id.
	ErrNotFound = errors.New("not found")

	// ErrStale means that the claim or the generation in hand is no longer the
	// current one: somebody else has the task, or it has ended. Nothing was
	// written.
	ErrStale = errors.New("claim is no longer current")

	// ErrUnavailable means that Postgres could not be asked. Nothing is known of
	// what a write led to.
	ErrUnavailable = errors.New("postgres is unavailable")

	// ErrSchema means that the database is not at the version of this program.
	ErrSchema = errors.New("database schema is not the one of this version; run: worker migrate")
)

// Store speaks to one database. It is safe for concurrent use.
type Store struct {
	pool  *pgxpool.Pool
	vital *pgxpool.Pool // one connection, for saying that a worker lives: it must not queue behind the work
	hot   *pgxpool.Pool // for what is asked for each task; see hotSession

	// What a worker asks for each task.
	claims  together[ClaimRequest, *claimed]
	begins  together[NewCall, *beginning]
	endings together[finishing, bool]
	finals  together[int64, bool]

	arrivals arrivals // small jobs
}

// Options adjusts a Store. The zero value works.
type Options struct {
	MaxConns int32         // 0 means pgx's default; nine more are for what is asked for each task, and for beats
	Silence  time.Duration // of Postgres in the middle of a statement, after which it counts as away; 0 means none is too long
}

// New returns a Store of databaseURL. It connects to nothing until it is used.
// The error never holds the URL's password.
func New(ctx context.Context, databaseURL string, o Options) (*Store, error) {
	cfg, err := parseURL(databaseURL)
	if err != nil {
		return nil, fmt.Errorf("reading the database URL: %w", err)
	}
	if o.MaxConns > 0 {
		cfg.MaxConns = o.MaxConns
	}
	if o.Silence > 0 {
		cfg.ConnConfig.DialFunc = impatiently(cfg.ConnConfig.DialFunc, o.Silence)
	}
	cfg.ConnConfig.ConnectTimeout = connectTimeout
	cfg.ConnConfig.RuntimeParams["timezone"] = "UTC"
	cfg.ConnConfig.RuntimeParams["application_name"] = "usher"
	cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, session)
		return err
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, outward("connecting", err)
	}
	s := &Store{pool: pool}
	if s.vital, err = s.beside(ctx, 1, session); err == nil {
		s.hot, err = s.beside(ctx, hotConns, hotSession)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	s.claims.do, s.begins.do, s.endings.do, s.finals.do = s.claim, s.begin, s.finishPlainly, s.endable
	s.arrivals.accept = s.accept
	return s, nil
}

// session has Postgres end, within a minute, what a process has left behind that
// it can no longer hear: locks of rows and the leadership. And it has it compile
// nothing: the statements are short, and their costs, which are guessed from what
// the largest jobs hold, would have it spend a second on compiling one. These are
// no startup parameters because poolers refuse those that they do not know.
const session = `
SELECT set_config('jit', 'off', false),
       set_config('idle_in_transaction_session_timeout', '60s', false), set_config('tcp_keepalives_idle', '15', false),
       set_config('tcp_keepalives_interval', '5', false), set_config('tcp_keepalives_count', '3', false)`

// hotSession is for the statements of each task. They name rows by keys, so one
// plan does for all arguments, and it goes by indexes: what a new month will hold
// is unknown when it is made, and reading all of a table looks cheap then.
const hotSession = session + `,
       set_config('plan_cache_mode', 'force_generic_plan', false), set_config('enable_seqscan', 'off', false),
       set_config('enable_hashjoin', 'off', false), set_config('enable_mergejoin', 'off', false)`

// hotConns is enough for the groups of requests that are under way at once: of
// each of the four kinds it is one, or up to three where one takes long.
const hotConns = 8

// beside returns a pool to the same database with connections of its own, which
// begin with a statement.
func (s *Store) beside(ctx context.Context, conns int32, begin string) (*pgxpool.Pool, error) {
	cfg := s.pool.Config()
	cfg.MinConns, cfg.MinIdleConns, cfg.MaxConns = 0, 0, conns
	cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, begin)
		return err
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	return pool, outward("connecting", err)
}

// pools are all that there are.
func (s *Store) pools() []*pgxpool.Pool {
	return slices.DeleteFunc([]*pgxpool.Pool{s.hot, s.vital, s.pool}, func(p *pgxpool.Pool) bool { return p == nil })
}

// Open is [New], and asks Postgres once, so that a wrong address shows here and
// not at the first job. maxConns of 0 means pgx's default.
func Open(ctx context.Context, databaseURL string, maxConns int32) (*Store, error) {
	s, err := New(ctx, databaseURL, Options{MaxConns: maxConns})
	if err != nil {
		return nil, err
	}
	if err := s.Ping(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// connectTimeout bounds one attempt to reach Postgres: a person waits for it.
const connectTimeout = 5 * time.Second

// Close waits for connections in use and closes them all.
func (s *Store) Close() {
	for _, p := range s.pools() {
		p.Close()
	}
}

// Reset drops the connections that are not in use, and those that are once they
// no longer are. After an outage none may lead anywhere.
func (s *Store) Reset() {
	for _, p := range s.pools() {
		p.Reset()
	}
}

// Ping asks Postgres for an answer.
func (s *Store) Ping(ctx context.Context) error {
	return outward("asking for an answer", s.pool.Ping(ctx))
}

// inTx runs f in one transaction, named what in errors. Where Postgres has it
// give way to another transaction, it is run again.
func (s *Store) inTx(ctx context.Context, what string, f func(pgx.Tx) error) error {
	return outward(what, again(func() error { return pgx.BeginFunc(ctx, s.pool, f) }))
}

// again does f once more, and then once more, when Postgres rolled it back for
// the sake of another transaction: a deadlock, for one.
func again(f func() error) error {
	var err error
	for range 3 {
		err = f()
		if refused, ok := errors.AsType[*pgconn.PgError](err); !ok || !strings.HasPrefix(refused.Code, "40") {
			return err
		}
	}
	return err
}

// outward says what a step failed at in terms of this package, so that no
// caller has to know pgx. It keeps nil.
func outward(what string, err error) error {
	var refused *pgconn.PgError
	var dial *pgconn.ConnectError
	var network net.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", what, err)
	case errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	case errors.As(err, &refused) && refused.Code == "42P01": // undefined_table
		return fmt.Errorf("%s: %w", what, ErrSchema)
	case errors.As(err, &refused) && !away(refused.Code):
		return fmt.Errorf("%s: %w", what, err)
	case errors.As(err, &refused), errors.As(err, &dial), errors.As(err, &network),
		pgconn.SafeToRetry(err), errors.Is(err, net.ErrClosed), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF): // the server left in the middle of an answer
		return fmt.Errorf("%s: %w: %w", what, ErrUnavailable, err)
	default:
		return fmt.Errorf("%s: %w", what, err)
	}
}

// refused reports whether Postgres answered, and said no.
func refused(err error) bool {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return ok && !away(refused.Code)
}

// away reports whether a SQLSTATE says that the server is starting, stopping,
// full or cut off, or gave way to another transaction, rather than that the
// statement was wrong.
func away(code string) bool {
	switch code[:2] {
	case "57", "08", "53", "40": // operator intervention, connection exception, insufficient resources, transaction rollback
		return true
	default:
		return false
	}
}
