package testenv

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hibiken/asynq"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

const countTables = `SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'`

func TestPostgresIsMigratedAndPrivate(t *testing.T) {
	t.Parallel()

	for i := range 8 { // at once, as tests do
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()

			conn := connect(t, Postgres(t))
			if got := count(t, conn, countTables); got < 2 {
				t.Errorf("%d tables, want those of the schema", got)
			}
			if _, err := conn.Exec(t.Context(), "CREATE TABLE mine ()"); err != nil {
				t.Errorf("another test's table is here: %v", err)
			}
		})
	}
}

func TestEmptyPostgres(t *testing.T) {
	t.Parallel()

	if got := count(t, connect(t, EmptyPostgres(t)), countTables); got != 0 {
		t.Errorf("%d tables, want none", got)
	}
}

func TestPostgresIsDropped(t *testing.T) { //nolint:tparallel // what follows the subtest judges its end
	t.Parallel()

	witness := connect(t, EmptyPostgres(t))
	var name string
	t.Run("borrow", func(t *testing.T) {
		conn, err := pgx.Connect(t.Context(), Postgres(t))
		if err != nil {
			t.Fatal(err)
		}
		name = conn.Config().Database // and left open, as a careless test does
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
	})
	if got := count(t, witness, "SELECT count(*) FROM pg_database WHERE datname = $1", name); got != 0 {
		t.Errorf("database %s outlived its test", name)
	}
}

func TestRedisIsPrivateAndEmptied(t *testing.T) { //nolint:tparallel // what follows the subtest judges its end
	t.Parallel()

	var borrowed string
	t.Run("borrow", func(t *testing.T) {
		borrowed = Redis(t)
		one, two := redisClient(t, borrowed), redisClient(t, Redis(t))
		if err := one.Set(t.Context(), "mine", 1, 0).Err(); err != nil {
			t.Fatal(err)
		}
		if n, err := two.Exists(t.Context(), "mine").Result(); n != 0 || err != nil {
			t.Errorf("key of another test: %d, %v", n, err)
		}
	})
	if n, err := redisClient(t, borrowed).DBSize(t.Context()).Result(); n != 0 || err != nil {
		t.Errorf("%d keys outlived their test, %v", n, err)
	}
}

func TestBuild(t *testing.T) {
	t.Parallel()

	const hello = "./internal/testenv/testdata/hello"
	path := Build(t, hello)
	if again := Build(t, hello); again != path {
		t.Errorf("built twice: %s and %s", path, again)
	}
	out, err := exec.CommandContext(t.Context(), path).CombinedOutput() //nolint:gosec // just built
	if string(out) != "hello\n" || err != nil {
		t.Errorf("the program says %q, %v", out, err)
	}
	if said := fatal(t, func(tb testing.TB) { tb.Helper(); Build(tb, "./nowhere") }); !strings.Contains(said, "nowhere") {
		t.Errorf("building what is not there: %q", said)
	}
}

func TestMainIsRequired(t *testing.T) {
	t.Parallel()

	var e environment
	if said := fatal(t, e.requireMain); !strings.Contains(said, "testenv.Main(m)") {
		t.Errorf("without Main: %q, want what to write", said)
	}
}

func TestPoll(t *testing.T) {
	t.Parallel()

	calls := 0
	Eventually(t, "third call", func() bool { calls++; return calls == 3 })
	if diff := cmp.Diff(3, calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if poll(time.Nanosecond, func() bool { return false }) {
		t.Error("poll of what never happens succeeded")
	}
}

func TestLoggerOutlivesItsTest(t *testing.T) { //nolint:tparallel // what follows the subtest judges its end
	t.Parallel()

	tb := &recorder{TB: t}
	t.Run("short", func(t *testing.T) {
		tb.TB = t
		log := Logger(tb)
		log.Info().Msg("early")
		t.Cleanup(func() { log.Info().Msg("during clean-up") })
	})
	late := &tbWriter{tb: tb}
	late.close()
	if _, err := late.Write([]byte("late")); err != nil {
		t.Error(err)
	}
	if got := strings.Join(tb.said, ""); strings.Count(got, "\n") != 2 || strings.Contains(got, "late") {
		t.Errorf("logged %q, want two lines", got)
	}
}

// recorder is a test whose words and failures are caught.
type recorder struct {
	testing.TB

	said []string
}

func (r *recorder) Logf(format string, args ...any) {
	r.said = append(r.said, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatal(args ...any) {
	r.said = append(r.said, fmt.Sprint(args...))
	runtime.Goexit()
}

// fatal returns what f says when it fails the test it is given.
func fatal(t *testing.T, f func(testing.TB)) string {
	t.Helper()
	r := &recorder{TB: t}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f(r)
	}()
	<-ended
	return strings.Join(r.said, "")
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func count(t *testing.T, conn *pgx.Conn, sql string, args ...any) int {
	t.Helper()
	var n int
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func redisClient(t *testing.T, url string) redis.UniversalClient {
	t.Helper()
	opt, err := asynq.ParseRedisURI(url)
	if err != nil {
		t.Fatal(err)
	}
	client, ok := opt.MakeRedisClient().(redis.UniversalClient)
	if !ok {
		t.Fatal("asynq made another client")
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}
