package e2e_test

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
	"github.com/usher-bi/usher/internal/tasks"
	"github.com/usher-bi/usher/internal/testenv"
)

// deployment is everything an installation has, privately for one test.
type deployment struct {
	t       *testing.T
	sandbox *sandbox
	sql     *pgx.Conn // to look behind the programs
	redis   string    // URL
	env     []string  // of every program
	owner   string    // the setting DATABASE_URL of the role that owns the tables
	app     string    // the role that the other programs connect as
	dir     string    // for files
}

// setup migrates an empty database with the worker's own command and starts a
// sandbox of the given world. No worker runs yet. As in an installation, one
// role owns the tables, and the programs run as another with no right to spare.
func setup(t *testing.T, world quickbitest.Options) *deployment {
	t.Helper()
	d := prepare(t, testenv.EmptyPostgres(t), testenv.Redis(t))
	d.splitRoles()
	d.migrate().want(0)
	d.sandbox = startSandbox(t, world)
	d.env = append(d.env, d.sandbox.env()...)
	return d
}

// prepare gives programs the servers and quick settings, and nothing of the
// environment of the tests.
func prepare(t *testing.T, database, redisURL string) *deployment {
	t.Helper()
	d := &deployment{t: t, redis: redisURL, dir: t.TempDir()}
	d.env = []string{
		"HOME=" + d.dir, "GORACE=atexit_sleep_ms=0", "LOG_FORMAT=json",
		"DATABASE_URL=" + database, "REDIS_URL=" + redisURL,
		"QUICKBI_RATE=1000/s", "QUICKBI_TIMEOUT=5s", "QUICKBI_LATE=10s",
		"WORKER_LISTEN=127.0.0.1:0", "WORKER_CONCURRENCY=8", "WORKER_SWEEP=1s",
	}
	var err error
	if d.sql, err = pgx.Connect(t.Context(), database); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.sql.Close(context.WithoutCancel(t.Context())) })
	return d
}

// splitRoles has the database belong to one role and the programs connect as
// another.
func (d *deployment) splitRoles() {
	d.t.Helper()
	database := d.sql.Config().Database
	owner := "owner_of_" + database
	d.app = "app_of_" + database
	for _, sql := range []string{
		"CREATE ROLE " + owner + " LOGIN", "CREATE ROLE " + d.app + " LOGIN", "ALTER DATABASE " + database + " OWNER TO " + owner,
	} {
		if _, err := d.sql.Exec(d.t.Context(), sql); err != nil {
			d.t.Fatalf("%s: %v", sql, err)
		}
	}
	as := func(role string) string {
		u, err := url.Parse(d.sql.Config().ConnString())
		if err != nil {
			d.t.Fatal(err)
		}
		u.User = url.User(role)
		return "DATABASE_URL=" + u.String()
	}
	d.owner = as(owner)
	d.env = append(d.env, as(d.app))
}

// migrate runs the migration as the owner.
func (d *deployment) migrate() ended {
	d.t.Helper()
	return d.asOwner("migrate", "--app-role", d.app)
}

// asOwner runs a command of the worker as the role that owns the tables.
func (d *deployment) asOwner(args ...string) ended {
	d.t.Helper()
	return d.begin(invocation{program: "worker", args: args, env: []string{d.owner}}).end()
}

// begin starts a program with settings on top of those of the deployment.
func (d *deployment) begin(i invocation) *process {
	d.t.Helper()
	i.env = append(append([]string{}, d.env...), i.env...)
	return launch(d.t, i)
}

// run runs a program to its end.
func (d *deployment) run(program string, args ...string) ended {
	d.t.Helper()
	return d.begin(invocation{program: program, args: args}).end()
}

// enqueue runs a command of enqueue to its end.
func (d *deployment) enqueue(args ...string) ended {
	d.t.Helper()
	return d.run("enqueue", args...)
}

// worker is a worker process that is up.
type worker struct {
	*process

	addr string // of its status server
}

// work starts a worker. It is stopped at the end of the test, in good order,
// unless the test has ended it.
func (d *deployment) work(env ...string) *worker {
	d.t.Helper()
	w := &worker{process: d.begin(invocation{program: "worker", args: []string{"run"}, env: env})}
	d.eventually("the worker is up", func() bool {
		line, up := w.stderr.logged("worker runs")
		if up {
			w.addr, _ = line["listen"].(string)
		}
		return up || w.gone()
	})
	if w.addr == "" {
		d.t.Fatalf("the worker did not start:\n%s", w.stderr.tail())
	}
	d.t.Cleanup(func() {
		if !w.gone() {
			w.stop()
		}
	})
	return w
}

// gone reports whether the process has ended.
func (p *process) gone() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// count runs a query whose answer is one number.
func (d *deployment) count(query string, args ...any) int {
	d.t.Helper()
	var n int
	if err := d.sql.QueryRow(d.t.Context(), query, args...).Scan(&n); err != nil {
		d.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// eventually waits for what other processes do and do not announce.
func (d *deployment) eventually(what string, cond func() bool) {
	d.t.Helper()
	testenv.Eventually(d.t, what, cond)
}

// tasksDone waits until the workers are in the middle of a job.
func (d *deployment) tasksDone(atLeast int) {
	d.t.Helper()
	d.eventually("some tasks are done", func() bool {
		return d.count("SELECT count(*) FROM tasks WHERE state = 'done'") >= atLeast
	})
}

// write makes a file and returns its path.
func (d *deployment) write(name, content string) string {
	d.t.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return path
}

// openRedis looks into the Redis of the deployment.
func (d *deployment) openRedis() redis.UniversalClient {
	d.t.Helper()
	client, err := tasks.OpenRedis(d.t.Context(), d.redis)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = client.Close() })
	return client
}
