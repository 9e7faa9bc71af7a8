//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/usher-bi/usher/internal/devstack"
	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
	"github.com/usher-bi/usher/internal/store"
)

const database = "chaos"

// rig is one installation with everything in it, privately for one run.
type rig struct {
	programs programs
	dir      string // logs and files
	settings []string
	stack    *devstack.Stack
	sandbox  *quickbitest.Server
	api      *httptest.Server
	postgres *proxy
	redis    *proxy
	sql      *pgxpool.Pool // past the proxy
	store    *store.Store  // likewise: the product's own view
	cache    *redis.Client // likewise

	calm      atomic.Int64  // times that a command found a store away while none was; see maybeAway
	disturbed atomic.Int64  // when a store was last away, unix nanoseconds; see disturb
	patience  time.Duration // for all jobs to end
	began     time.Time

	mu       sync.Mutex
	findings []string
	log      *os.File
	asked    map[change]bool // of every file that was submitted, without terms
}

// world says what a rig is to be.
type world struct {
	quickbitest.Options

	settings []string // of the workers, on top of the usual ones
}

// newRig starts the servers and migrates.
func newRig(ctx context.Context, p programs, dir string, w world) (*rig, error) {
	r := &rig{programs: p, dir: dir, began: time.Now(), asked: map[change]bool{}, patience: settleLimit}
	r.settings = append([]string{
		"QUICKBI_RATE=50/s", "QUICKBI_TIMEOUT=3s", "QUICKBI_LATE=8s", "WORKER_LEASE=6s", "WORKER_ALIVE=3s", "WORKER_DRAIN=5s", "WORKER_SWEEP=1s",
		"WORKER_CONCURRENCY=8", "WORKER_PROBE_FIRST=1s", "WORKER_PROBE_MOST=2s", "WORKER_LISTEN=127.0.0.1:0",
	}, w.settings...)
	var err error
	if r.log, err = os.Create(filepath.Join(filepath.Clean(dir), "chaos.log")); err != nil {
		return nil, err
	}
	// Durable, for a Postgres that dies must not forget what it promised; but a
	// Redis that is restarted has to be empty.
	r.stack, err = devstack.Start(ctx, devstack.Options{TCP: true, Durable: true, RedisArgs: []string{"--appendonly", "no"}})
	if err != nil {
		return nil, err
	}
	r.sandbox = quickbitest.New(&w.Options)
	r.api = httptest.NewServer(r.sandbox)
	if err := r.connect(ctx); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (r *rig) connect(ctx context.Context) (err error) {
	if r.postgres, err = newProxy(ctx, "postgres", r.stack.PostgresAddr()); err != nil {
		return err
	}
	if r.redis, err = newProxy(ctx, "redis", r.stack.RedisAddr()); err != nil {
		return err
	}
	if err := r.stack.CreateDatabase(ctx, database); err != nil {
		return err
	}
	migrate, err := launch(command{path: r.programs.worker, args: []string{"migrate"}, env: r.env("migrate"), log: r.file("migrate.log")})
	if err != nil {
		return err
	}
	if code, _ := migrate.wait(time.Minute); code != 0 {
		return fmt.Errorf("worker migrate: exit code %d, see %s", code, r.file("migrate.log"))
	}
	if r.sql, err = pgxpool.New(ctx, r.stack.DatabaseURL(database)+"&application_name=chaos"); err != nil {
		return err
	}
	if r.store, err = store.Open(ctx, r.stack.DatabaseURL(database), 2); err != nil {
		return err
	}
	r.cache = redis.NewClient(&redis.Options{Addr: r.stack.RedisAddr(), DisableIdentity: true, ClientName: "chaos"})
	return r.watch(ctx)
}

// env is the environment of a program. name is how its writes are marked in
// Postgres.
func (r *rig) env(name string) []string {
	db := url.URL{Scheme: "postgres", User: url.User("postgres"), Host: r.postgres.Listen, Path: "/" + database}
	db.RawQuery = url.Values{"sslmode": {"disable"}, "options": {"-cchaos.program=" + name}}.Encode()
	return append([]string{
		"HOME=" + r.dir, "LOG_FORMAT=json", "GORACE=atexit_sleep_ms=0", "DATABASE_URL=" + db.String(), "REDIS_URL=redis://" + r.redis.Listen + "/0",
		"QUICKBI_ENDPOINT=" + r.api.URL, "ALIBABA_CLOUD_ACCESS_KEY_ID=" + quickbitest.DefaultAccessKeyID,
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET=" + quickbitest.DefaultAccessKeySecret,
	}, r.settings...)
}

func (r *rig) file(name string) string { return filepath.Join(r.dir, name) }

// notef writes what happens, and when, into the log of the run.
func (r *rig) notef(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.log, "%7.3f %s\n", time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
}

// most is how many findings of a run are told.
const most = 40

// findf takes down that the product broke its word.
func (r *rig) findf(format string, args ...any) {
	finding := fmt.Sprintf(format, args...)
	r.notef("FINDING: %s", finding)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.findings) < most {
		r.findings = append(r.findings, finding)
	}
}

// ill has calls of the API go wrong; with no faults it is well.
func (r *rig) ill(faults ...quickbitest.Fault) error {
	r.sandbox.ClearFaults()
	return r.sandbox.AddFaults(faults...)
}

// disturb says that a store is away, or was until now: programs may say so and
// end for it.
func (r *rig) disturb() { r.disturbed.Store(time.Now().UnixNano()) }

// wasDisturbed reports whether a store was away within the time a program needs
// to notice and to end.
func (r *rig) wasDisturbed() bool {
	return time.Since(time.Unix(0, r.disturbed.Load())) < 15*time.Second
}

// calmLimit is how often in one run a machine may be so busy that a command does
// not hear from a store in time, although nobody cut it off.
const calmLimit = 3

// maybeAway reports whether a command may find a store away now. It says so only
// of what it did not do, so what matters is that the same command, done again,
// is carried out once.
func (r *rig) maybeAway() bool { return r.wasDisturbed() || r.calm.Add(1) <= calmLimit }

// close ends everything that newRig started.
func (r *rig) close() error {
	if r.store != nil {
		r.store.Close()
	}
	if r.sql != nil {
		r.sql.Close()
	}
	if r.cache != nil {
		_ = r.cache.Close()
	}
	for _, p := range []*proxy{r.postgres, r.redis} {
		if p != nil {
			p.Stop()
		}
	}
	r.api.CloseClientConnections()
	r.api.Close()
	return errors.Join(r.stack.Stop(), r.log.Close())
}

// pause waits for d and reports whether ctx lasted that long.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// eventually asks cond until it holds, and reports whether it did within limit.
func eventually(ctx context.Context, limit time.Duration, cond func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for !cond() {
		if !pause(ctx, 50*time.Millisecond) {
			return false
		}
	}
	return true
}
