package tasks_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/quickbi"
	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
	"github.com/usher-bi/usher/internal/testenv"
)

// world is a whole deployment of its own: Postgres, Redis, Quick BI.
type world struct {
	database  string
	store     *store.Store
	redis     redis.UniversalClient
	sandbox   *quickbitest.Server
	endpoint  string
	submitter *tasks.Submitter
	log       zerolog.Logger // of workers
}

// silence of Postgres that counts as its absence.
const silence = 2 * time.Second

func setup(t *testing.T, o quickbitest.Options) *world {
	t.Helper()
	return setupOn(t, servers{postgres: testenv.Postgres(t), redis: testenv.Redis(t)}, o)
}

// verifyAudit holds what a test led to against the audit of it, if Postgres is
// there: whatever workers do, the audit finds nothing wrong with it.
func verifyAudit(t *testing.T, s *store.Store) {
	t.Helper()
	report, err := s.VerifyAudit(context.WithoutCancel(t.Context()), store.AuditQuery{})
	if err != nil && !errors.Is(err, store.ErrUnavailable) || len(report.Findings) > 0 {
		t.Errorf("the audit does not verify: %v, %+v", err, report.Findings)
	}
}

// servers are URLs.
type servers struct{ postgres, redis string }

func setupOn(t *testing.T, at servers, o quickbitest.Options) *world {
	t.Helper()
	s, err := store.New(t.Context(), at.postgres, store.Options{MaxConns: 32, Silence: silence})
	if err != nil {
		t.Fatalf("opening the store: %v", err)
	}
	t.Cleanup(s.Close)
	t.Cleanup(func() { verifyAudit(t, s) })
	client, err := tasks.OpenRedis(t.Context(), at.redis)
	if err != nil {
		t.Fatalf("opening Redis: %v", err)
	}
	t.Cleanup(func() { _ = client.Close() })
	sandbox := quickbitest.New(&o)
	srv := httptest.NewServer(sandbox)
	t.Cleanup(srv.Close)
	return &world{
		database: at.postgres, store: s, redis: client, log: testenv.Logger(t), sandbox: sandbox, endpoint: srv.URL,
		submitter: tasks.NewSubmitter(s, tasks.NewQueue(client)),
	}
}

// sql is a connection beside the store, for what only an auditor looks at.
func (w *world) sql(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), w.database)
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

var workers atomic.Int64

// work starts a worker and returns a function that stops it and waits. It is
// stopped at the end of the test in any case.
func (w *world) work(t *testing.T, adjust ...func(*tasks.Options)) (stop func()) {
	t.Helper()
	o := tasks.Options{
		Name: "worker-" + strconv.FormatInt(workers.Add(1), 10), Rate: func(access.Action) float64 { return 1000 },
		CallTimeout: 5 * time.Second, Backoff: 20 * time.Millisecond, Lease: time.Minute, Drain: 10 * time.Second, Sweep: 200 * time.Millisecond,
		ProbeFirst: 300 * time.Millisecond, ProbeMost: time.Second, MaxStrikes: 3,
	}
	for _, a := range adjust {
		a(&o)
	}
	client, err := quickbi.New(w.endpoint, quickbi.StaticCredentials(quickbi.Credentials{
		AccessKeyID: quickbitest.DefaultAccessKeyID, AccessKeySecret: quickbitest.DefaultAccessKeySecret,
	}), quickbi.Options{Timeout: o.CallTimeout})
	if err != nil {
		t.Fatalf("making the client: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	worker := tasks.NewWorker(w.store, w.redis, client, w.log, o)
	go func() { ended <- worker.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("worker: %v", err)
		}
		client.CloseIdleConnections()
	}
	t.Cleanup(stop)
	return stop
}

var expiry = access.Date{Year: 2099, Month: time.December, Day: 31}

func change(op access.Operation, user string, typ access.ResourceType, resource string) access.Change {
	c := access.Change{
		Operation: op, Principal: access.Principal{Type: access.User, ID: user}, Resource: access.Resource{Type: typ, ID: resource},
	}
	if op == access.Grant {
		c.Terms.ExpiresOn = expiry
	}
	return c
}

// ids returns prefix1 to prefixN.
func ids(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%d", prefix, i+1)
	}
	return out
}

// grants is every user × every Q&A resource.
func grants(users, resources []string) []access.Change {
	var out []access.Change
	for _, u := range users {
		for _, r := range resources {
			out = append(out, change(access.Grant, u, access.QAResource, r))
		}
	}
	return out
}

var submissions atomic.Int64

func submission(changes []access.Change) tasks.Submission {
	sub := tasks.Submission{
		Source: "test", RequestedBy: "tester", Lane: store.Normal, Fingerprint: strconv.FormatInt(submissions.Add(1), 10),
		Header: []string{"action", "principal", "resource_type", "resource_id", "expires_on"}, Input: store.Input{Rows: len(changes)},
	}
	rows := make(tasks.RowList, 0, len(changes))
	for i, c := range changes {
		rows = append(rows, tasks.SubmittedRow{Row: store.Row{Line: i + 2, RowID: fmt.Sprintf("row-%d", i+2), Change: c}})
	}
	sub.Rows = rows
	return sub
}

func (w *world) submit(t *testing.T, changes []access.Change) string {
	t.Helper()
	out, err := w.submitter.Submit(t.Context(), submission(changes))
	if err != nil {
		t.Fatalf("submitting: %v", err)
	}
	return out.JobID
}

// number is the one that Postgres and Redis know a job by.
func (w *world) number(t *testing.T, id string) int64 {
	t.Helper()
	var number int64
	if err := w.sql(t).QueryRow(t.Context(), `SELECT id FROM jobs WHERE ulid = $1`, id).Scan(&number); err != nil {
		t.Fatalf("looking for job %s: %v", id, err)
	}
	return number
}

func (w *world) job(t *testing.T, id string) store.Job {
	t.Helper()
	job, err := w.store.Job(t.Context(), id)
	if err != nil {
		t.Fatalf("reading the job: %v", err)
	}
	c := job.Counts
	if sum := c.Succeeded + c.NoChange + c.Failed + c.Unknown + c.Superseded + c.Canceled + c.Pending; sum != c.Total {
		t.Fatalf("the statuses add up to %d of %d rows: %+v", sum, c.Total, c)
	}
	return job
}

// finish waits for the end of a job.
func (w *world) finish(t *testing.T, id string) store.Job {
	t.Helper()
	testenv.Eventually(t, "the job ends", func() bool { return w.job(t, id).Status.Final() })
	return w.job(t, id)
}

func (w *world) results(t *testing.T, id string) []store.Result {
	t.Helper()
	var out []store.Result
	err := w.store.Results(t.Context(), id, nil, func(r store.Result) error {
		out = append(out, r)
		return nil
	})
	if err != nil {
		t.Fatalf("reading results: %v", err)
	}
	return out
}

// granted lists what Quick BI holds, as "user type resource expiry".
func (w *world) granted() []string {
	out := []string{}
	for _, g := range w.sandbox.Grants() {
		out = append(out, fmt.Sprintf("%s %s %s %s", g.User, g.Kind, g.Resource, g.ExpiresOn))
	}
	slices.Sort(out)
	return out
}

// wantGranted fails t unless Quick BI holds exactly the changes given.
func (w *world) wantGranted(t *testing.T, changes []access.Change) {
	t.Helper()
	want := []string{}
	for _, c := range changes {
		want = append(want, fmt.Sprintf("%s %s %s %s", c.Principal.ID, c.Resource.Type, c.Resource.ID, c.Terms.ExpiresOn))
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, w.granted()); diff != "" {
		t.Errorf("access at Quick BI (-want +got):\n%s", diff)
	}
}
