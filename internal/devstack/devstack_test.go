//go:build linux

package devstack_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hibiken/asynq"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/usher-bi/usher/internal/devstack"
)

func TestStartAndStop(t *testing.T) {
	t.Parallel()

	parent := openDir(t)
	stack := start(t, devstack.Options{Dir: parent})
	if got := len(processesIn(t, parent)); got < 2 {
		t.Errorf("%d processes run in %s, want a postgres and a redis", got, parent)
	}
	if got := queryText(t, stack.DatabaseURL("postgres"), "SELECT current_setting('fsync')"); got != "off" {
		t.Errorf("fsync is %s, want off", got)
	}
	if err := stack.Stop(); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if got := processesIn(t, parent); len(got) > 0 {
		t.Errorf("processes left after Stop: %v", got)
	}
	if got := entries(t, parent); len(got) > 0 {
		t.Errorf("files left after Stop: %v", got)
	}
	if err := stack.Stop(); err != nil {
		t.Errorf("second Stop: %v", err)
	}
}

func TestTCP(t *testing.T) {
	t.Parallel()

	stack := start(t, devstack.Options{Dir: openDir(t), TCP: true})
	for _, addr := range []string{stack.PostgresAddr(), stack.RedisAddr()} {
		if host, _, err := net.SplitHostPort(addr); err != nil || host != "127.0.0.1" {
			t.Errorf("address %q is not one of loopback", addr)
		}
	}
	if got := queryText(t, "postgres://postgres@"+stack.PostgresAddr()+"/postgres", "SELECT 'here'"); got != "here" {
		t.Errorf("over TCP, Postgres says %q", got)
	}
	if got := queryText(t, stack.DatabaseURL("postgres"), "SELECT 'here'"); got != "here" {
		t.Errorf("over its socket, Postgres says %q", got)
	}
	client := redis.NewClient(&redis.Options{Addr: stack.RedisAddr()})
	defer client.Close()
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Errorf("over TCP, Redis says %v", err)
	}
	if quiet := start(t, devstack.Options{Dir: openDir(t)}); quiet.PostgresAddr()+quiet.RedisAddr() != "" {
		t.Error("a stack listens on ports that nobody asked for")
	}
}

func TestTwoStacks(t *testing.T) {
	t.Parallel()

	parent := openDir(t)
	one := start(t, devstack.Options{Dir: parent})
	two := start(t, devstack.Options{Dir: parent})

	if err := one.CreateDatabase(t.Context(), "mine"); err != nil {
		t.Fatal(err)
	}
	const find = "SELECT count(*)::text FROM pg_database WHERE datname = 'mine'"
	got := []string{queryText(t, one.DatabaseURL("postgres"), find), queryText(t, two.DatabaseURL("postgres"), find)}
	if diff := cmp.Diff([]string{"1", "0"}, got); diff != "" {
		t.Errorf("databases called mine in each stack (-want +got):\n%s", diff)
	}

	client := redisClient(t, one.RedisURL(999))
	if err := client.Set(t.Context(), "mine", 1, 0).Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := redisClient(t, two.RedisURL(999)).Exists(t.Context(), "mine").Result(); n != 0 || err != nil {
		t.Errorf("key of one stack in the other: %d, %v", n, err)
	}
	if err := one.FlushRedis(t.Context(), 999); err != nil {
		t.Fatal(err)
	}
	if n, err := client.Exists(t.Context(), "mine").Result(); n != 0 || err != nil {
		t.Errorf("key left after FlushRedis: %d, %v", n, err)
	}
	if err := one.FlushRedis(t.Context(), devstack.RedisDatabases); err == nil {
		t.Error("FlushRedis of a database that does not exist succeeded")
	}
}

// Every Start takes the directories of the others for leftovers, until it sees
// their locks.
func TestDirectoriesDoNotCollide(t *testing.T) {
	t.Parallel()

	parent := openDir(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 20 {
				stack, err := devstack.Start(t.Context(), devstack.Options{Dir: parent, NoPostgres: true, NoRedis: true})
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := os.Stat(stack.Dir()); err != nil {
					t.Error(err)
				}
				if err := stack.Stop(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := entries(t, parent); len(got) > 0 {
		t.Errorf("left: %v", got)
	}
}

func TestDatabases(t *testing.T) {
	t.Parallel()

	ctx := t.Context()
	stack := start(t, devstack.Options{NoRedis: true})
	if stack.Redis() != nil {
		t.Error("a redis was started")
	}
	if err := stack.CreateDatabase(ctx, "a template"); err != nil {
		t.Fatal(err)
	}
	exec1(t, stack.DatabaseURL("a template"), "CREATE TABLE seeds AS SELECT 'oak' AS name")
	if err := stack.SealDatabase(ctx, "a template"); err != nil {
		t.Fatal(err)
	}

	errs := make(chan error)
	names := []string{"first", "second", "third"}
	for _, name := range names {
		go func() { errs <- stack.CloneDatabase(ctx, devstack.Clone{Template: "a template", Name: name}) }()
	}
	for range names {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	for _, name := range names {
		if got := queryText(t, stack.DatabaseURL(name), "SELECT name FROM seeds"); got != "oak" {
			t.Errorf("clone %s holds %q, want oak", name, got)
		}
	}

	conn := connect(t, stack.DatabaseURL("first"))
	for range 2 { // the second drops what is gone
		if err := stack.DropDatabase(ctx, "first"); err != nil {
			t.Fatalf("dropping a database in use: %v", err)
		}
	}
	if err := conn.Ping(ctx); err == nil {
		t.Error("the connection to a dropped database lives")
	}
}

func TestServersRestart(t *testing.T) {
	t.Parallel()

	stack := start(t, devstack.Options{Durable: true, RedisArgs: []string{"--appendfsync", "always"}})
	client := redisClient(t, stack.RedisURL(3))
	if err := client.Set(t.Context(), "kept", "yes", 0).Err(); err != nil {
		t.Fatal(err)
	}
	exec1(t, stack.DatabaseURL("postgres"), "CREATE TABLE kept AS SELECT current_setting('fsync') AS fsync")

	for _, server := range []*devstack.Server{stack.Postgres(), stack.Redis()} {
		for _, end := range []func() error{server.Kill, server.Stop} {
			if err := errors.Join(end(), server.Start(t.Context()), server.Start(t.Context())); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got, err := client.Get(t.Context(), "kept").Result(); got != "yes" || err != nil {
		t.Errorf("redis returns %q, %v after restarts, want yes", got, err)
	}
	if got := queryText(t, stack.DatabaseURL("postgres"), "SELECT fsync FROM kept"); got != "on" {
		t.Errorf("postgres returns %q after restarts, want on", got)
	}
}

func TestMissingPrograms(t *testing.T) {
	t.Parallel()

	parent := openDir(t)
	_, err := devstack.Start(t.Context(), devstack.Options{Dir: parent, BinDirs: []string{parent}})
	var missing *devstack.MissingError
	if !errors.As(err, &missing) {
		t.Fatalf("Start: %v, want a MissingError", err)
	}
	if diff := cmp.Diff([]string{"initdb", "postgres", "redis-server"}, missing.Programs); diff != "" {
		t.Errorf("missing programs (-want +got):\n%s", diff)
	}
	if install := "apt-get install redis-server postgresql"; !strings.Contains(err.Error(), install) {
		t.Errorf("error %q does not say %q", err, install)
	}
	if got := entries(t, parent); len(got) > 0 {
		t.Errorf("files left: %v", got)
	}
}

func TestBrokenProgramIsCleanedUp(t *testing.T) {
	t.Parallel()

	bin, parent := openDir(t), openDir(t)
	for name, script := range map[string]string{
		"initdb": "echo the disk is full >&2; exit 3", "postgres": "exit 3", "redis-server": "exec sleep 600",
	} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil { //nolint:gosec // a program
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond) // redis never answers
	defer cancel()
	_, err := devstack.Start(ctx, devstack.Options{Dir: parent, BinDirs: []string{bin}})
	if err == nil || !strings.Contains(err.Error(), "the disk is full") || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Start: %v; want the log of initdb and the deadline", err)
	}
	if got := processesIn(t, parent); len(got) > 0 {
		t.Errorf("processes left: %v", got)
	}
	if got := entries(t, parent); len(got) > 0 {
		t.Errorf("files left: %v", got)
	}
}

func TestUnsuitableDir(t *testing.T) {
	t.Parallel()

	for name, sub := range map[string]string{
		"too long": strings.Repeat("x", 80),
		"comma":    "a,b",
		"missing":  "missing",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			dir := filepath.Join(openDir(t), sub)
			if name != "missing" {
				if err := os.Mkdir(dir, 0o750); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := devstack.Start(t.Context(), devstack.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), dir) {
				t.Errorf("Start: %v, want a complaint about %s", err, dir)
			}
		})
	}
}

// A private home is closed to the user that runs the servers for root, so the
// system's folder takes its place.
func TestClosedTempDirIsNotUsed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root starts servers as another user; run as root")
	}
	private := openDir(t)
	if err := os.Chmod(private, 0o700); err != nil { //nolint:gosec // a directory
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", private)
	stack := start(t, devstack.Options{NoPostgres: true})
	if strings.HasPrefix(stack.Dir(), private) {
		t.Errorf("stack lives in %s, which its servers cannot enter", stack.Dir())
	}
	if _, err := devstack.Start(t.Context(), devstack.Options{Dir: private}); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("Start in a closed folder that was asked for: %v", err)
	}
}

func TestKilledProgramLeavesNoServers(t *testing.T) {
	t.Parallel()

	parent := openDir(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this very program
	cmd.Env = append(os.Environ(), helperDir+"="+parent)
	p := startHelper(t, cmd)
	if got := len(processesIn(t, p.dir)); got < 2 {
		t.Fatalf("%d processes run in %s before the kill", got, p.dir)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the helper survived")
	}
	eventually(t, "the servers end", func() bool { return len(processesIn(t, p.dir)) == 0 })

	next := start(t, devstack.Options{Dir: parent, NoPostgres: true})
	if diff := cmp.Diff([]string{next.Dir()}, entries(t, parent)); diff != "" {
		t.Errorf("folder after the next Start (-want +got):\n%s", diff)
	}
}

func TestRunsWithoutRoot(t *testing.T) {
	t.Parallel()

	if os.Geteuid() != 0 {
		t.Skip("not root: every other test shows it")
	}
	parent := openDir(t)
	binary := filepath.Join(openDir(t), "helper") // the original lies where others cannot go
	copyProgram(t, os.Args[0], binary)
	cmd := exec.CommandContext(t.Context(), binary) //nolint:gosec // a copy of this very program
	cmd.Dir = parent
	cmd.Env = append(os.Environ(), helperDir+"="+parent)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	p := startHelper(t, cmd)
	if err := p.in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("helper: %v: %s", err, p.errs)
	}
	if got := entries(t, parent); len(got) > 0 {
		t.Errorf("files left: %v", got)
	}
}

func start(t *testing.T, o devstack.Options) *devstack.Stack {
	t.Helper()
	stack, err := devstack.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stack.Stop(); err != nil {
			t.Error(err)
		}
	})
	return stack
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

func exec1(t *testing.T, url, sql string) {
	t.Helper()
	conn := connect(t, url)
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func queryText(t *testing.T, url, sql string) string {
	t.Helper()
	var out string
	if err := connect(t, url).QueryRow(t.Context(), sql).Scan(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

// redisClient reads url as the product does.
func redisClient(t *testing.T, url string) redis.UniversalClient {
	t.Helper()
	opt, err := asynq.ParseRedisURI(url)
	if err != nil {
		t.Fatal(err)
	}
	client, ok := opt.MakeRedisClient().(redis.UniversalClient)
	if !ok {
		t.Fatalf("asynq made a %T", opt.MakeRedisClient())
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	src, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755) //nolint:gosec // another user runs it
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(dst, src)
	if err := errors.Join(err, dst.Close()); err != nil {
		t.Fatal(err)
	}
}
