//go:build unix

package testenv

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/usher-bi/usher/internal/devstack"
	"github.com/usher-bi/usher/internal/store"
)

const template = "migrated"

// Postgres returns the URL of a database that belongs to tb alone and holds
// the schema of this version, without rows. It is dropped when tb ends, whoever
// is still connected to it.
func Postgres(tb testing.TB) string {
	tb.Helper()
	return shared.postgres.lend(tb, func(ctx context.Context, stack *devstack.Stack, name string) error {
		if err := shared.postgres.template(stack); err != nil {
			return err
		}
		return stack.CloneDatabase(ctx, devstack.Clone{Template: template, Name: name})
	})
}

// EmptyPostgres is like [Postgres], but nothing was migrated.
func EmptyPostgres(tb testing.TB) string {
	tb.Helper()
	return shared.postgres.lend(tb, func(ctx context.Context, stack *devstack.Stack, name string) error {
		return stack.CreateDatabase(ctx, name)
	})
}

type postgresLender struct {
	server   lazyStack
	lent     atomic.Int64
	template func(*devstack.Stack) error
}

func newPostgresLender() *postgresLender {
	var (
		once sync.Once
		err  error
	)
	return &postgresLender{
		server: lazyStack{options: devstack.Options{NoRedis: true}},
		template: func(stack *devstack.Stack) error {
			once.Do(func() { err = makeTemplate(context.Background(), stack) })
			return err
		},
	}
}

// makeTemplate migrates once what every test gets a copy of.
func makeTemplate(ctx context.Context, stack *devstack.Stack) error {
	if err := stack.CreateDatabase(ctx, template); err != nil {
		return err
	}
	if err := store.Migrate(ctx, stack.DatabaseURL(template)); err != nil {
		return fmt.Errorf("migrating the template: %w", err)
	}
	return stack.SealDatabase(ctx, template)
}

// lend has create make a database for tb.
func (l *postgresLender) lend(tb testing.TB, create func(context.Context, *devstack.Stack, string) error) string {
	tb.Helper()
	shared.requireMain(tb)
	stack, err := l.server.start()
	if err != nil {
		tb.Fatal(err)
	}
	name := fmt.Sprintf("test_%d", l.lent.Add(1))
	if err := create(tb.Context(), stack, name); err != nil {
		tb.Fatal(err)
	}
	cleanup(tb, func(ctx context.Context) error { return stack.DropDatabase(ctx, name) })
	return stack.DatabaseURL(name)
}

// Redis returns the URL of a logical database that belongs to tb alone:
// redis-socket://PATH?db=N. It is emptied when tb ends. Publish and subscribe
// know no databases, so channels are shared by all tests of the binary.
func Redis(tb testing.TB) string {
	tb.Helper()
	shared.requireMain(tb)
	l := shared.redis
	stack, err := l.server.start()
	if err != nil {
		tb.Fatal(err)
	}
	var db int
	select {
	case db = <-l.free:
	default:
		tb.Fatalf("all %d logical databases of Redis are lent out", devstack.RedisDatabases)
	}
	cleanup(tb, func(ctx context.Context) error {
		if err := stack.FlushRedis(ctx, db); err != nil {
			return err // and db is not lent again
		}
		l.free <- db
		return nil
	})
	return stack.RedisURL(db)
}

type redisLender struct {
	server lazyStack
	free   chan int // the numbers of databases that nobody has
}

func newRedisLender() *redisLender {
	l := &redisLender{
		server: lazyStack{options: devstack.Options{NoPostgres: true}},
		free:   make(chan int, devstack.RedisDatabases),
	}
	for db := range devstack.RedisDatabases {
		l.free <- db
	}
	return l
}
