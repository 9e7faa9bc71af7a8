package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
	"github.com/usher-bi/usher/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// bench is a world of its own for one test: settings, a clock that moves only
// when the command waits, and perhaps servers.
type bench struct {
	t     *testing.T
	vars  map[string]string
	stdin io.Reader
	tty   bool
	asks  bool
	now   time.Time
	tick  func()                                         // runs whenever the command waits
	every func(time.Duration) (<-chan time.Time, func()) // to draw stages; nil: never
	store *store.Store
	works map[string][]store.SharedWork // what Quick BI says that users were given
}

// offline is a bench without servers or settings.
func offline(t *testing.T) *bench {
	t.Helper()
	return &bench{
		t: t, vars: map[string]string{}, stdin: strings.NewReader(""),
		now: time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC), tick: func() {},
	}
}

// setup is a bench with a private Postgres and Redis.
func setup(t *testing.T) *bench {
	t.Helper()
	b := offline(t)
	b.vars["DATABASE_URL"] = testenv.Postgres(t)
	b.vars["REDIS_URL"] = testenv.Redis(t)
	st, err := store.Open(t.Context(), b.vars["DATABASE_URL"], 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	b.store = st
	return b
}

// outcome is what one command line came to.
type outcome struct {
	code     int
	out, err string
}

func (b *bench) run(args ...string) outcome {
	b.t.Helper()
	return b.runCtx(b.t.Context(), args...)
}

func (b *bench) runCtx(ctx context.Context, args ...string) outcome {
	b.t.Helper()
	var environ []string
	for name, value := range b.vars {
		environ = append(environ, name+"="+value)
	}
	var out, errOut bytes.Buffer
	code := run(ctx, env{
		Args: args, Stdin: b.stdin, Stdout: &out, Stderr: &errOut, Environ: environ,
		User: "tess@desk", IsTTY: b.tty, Asks: b.asks,
		Now: func() time.Time { return b.now }, Every: b.every,
		After: func(d time.Duration) <-chan time.Time {
			b.now = b.now.Add(d)
			b.tick()
			ready := make(chan time.Time, 1)
			ready <- b.now
			return ready
		},
	})
	return outcome{code: code, out: out.String(), err: errOut.String()}
}

// want fails the test unless the command ended with code.
func (o outcome) want(t *testing.T, code int) outcome {
	t.Helper()
	if o.code != code {
		t.Fatalf("exit code %d, want %d\nstdout: %s\nstderr: %s", o.code, code, o.out, o.err)
	}
	return o
}

// says fails the test unless stderr holds every text.
func (o outcome) says(t *testing.T, texts ...string) outcome {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(o.err, text) {
			t.Errorf("stderr lacks %q:\n%s", text, o.err)
		}
	}
	return o
}

// decode reads the one JSON document that stdout must be.
func decode[T any](t *testing.T, o outcome) T {
	t.Helper()
	var document T
	dec := json.NewDecoder(strings.NewReader(o.out))
	if err := dec.Decode(&document); err != nil {
		t.Fatalf("stdout is not JSON: %v\n%s", err, o.out)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		t.Fatalf("more than one document on stdout:\n%s", o.out)
	}
	return document
}

// file writes a file of the test and returns its path.
func (b *bench) file(content string) string {
	b.t.Helper()
	path := filepath.Join(b.t.TempDir(), "people.csv")
	write(b.t, path, content)
	return path
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Clean(path), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

const threeRows = `row_id,action,principal,resource_type,resource_id,expires_on
a,grant,user-1,qa_resource,res-1,2026-12-31
b,grant,user-2,qa_resource,res-1,2026-12-31
c,revoke,user-3,qa_theme,theme-1,
`

// submit submits a file and returns the job's id.
func (b *bench) submit(content string, args ...string) string {
	b.t.Helper()
	o := b.run(append([]string{"csv", b.file(content)}, args...)...).want(b.t, exitOK)
	return strings.TrimSpace(o.out)
}

// work does what a worker does with every task that is due: the cells end as
// judge says, nil meaning success.
func (b *bench) work(judge func(principal string) *store.Exception) {
	b.t.Helper()
	ctx := b.t.Context()
	if _, err := b.store.Beat(ctx, store.Heartbeat{Worker: "w", For: time.Hour}); err != nil {
		b.t.Fatal(err)
	}
	due, err := b.store.DueTasks(ctx, -time.Second, store.TaskRef{}, 10_000)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, q := range due {
		task, err := b.store.Claim(ctx, store.ClaimRequest{TaskRef: q.TaskRef, Generation: q.Generation, Worker: "w", Lease: time.Minute})
		if err != nil {
			b.t.Fatal(err)
		}
		begun, err := b.store.BeginCall(ctx, store.NewCall{Claim: task.Claim, Action: task.Action})
		if err != nil {
			b.t.Fatal(err)
		}
		answer := store.Answer{Call: begun.Call, Class: "ok", HTTPStatus: 200, RequestID: "req-ok", Took: time.Millisecond}
		end := store.Ending{Exceptions: verdicts(task, judge)}
		if task.Operation == access.Read && end.Exceptions == nil {
			end.Works = b.given(task.Principals[0].ID)
		}
		if err := b.store.Finish(ctx, task.Claim, answer, end); err != nil {
			b.t.Fatal(err)
		}
		if err := b.store.Finalize(ctx, q.Job); err != nil {
			b.t.Fatal(err)
		}
	}
}

func verdicts(task store.Task, judge func(string) *store.Exception) []store.CellException {
	var out []store.CellException
	for _, p := range task.Principals {
		for _, r := range task.Resources {
			if e := judge(p.ID); e != nil {
				out = append(out, store.CellException{Principal: p.ID, Resource: r, Exception: *e})
			}
		}
	}
	return out
}

// given is what Quick BI says that a user was given.
func (b *bench) given(user string) []store.SharedWork {
	var found []store.SharedWork
	for _, w := range b.works[user] {
		w.UserID = user
		found = append(found, w)
	}
	return found
}

func allGood(string) *store.Exception { return nil }

// refusing fails the given users, in the ways in which Quick BI does.
func refusing(users map[string]store.Exception) func(string) *store.Exception {
	return func(principal string) *store.Exception {
		if e, ok := users[principal]; ok {
			return &e
		}
		return nil
	}
}

var (
	gone = store.Exception{
		Status: store.Failed, Code: "user_not_in_organization", APICode: "User.Not.In.Organization",
		Message: "The user is not in the organization", RequestID: "req-gone",
	}
	broken = store.Exception{
		Status: store.Failed, Code: "server_error", APICode: "Internal.System.Error",
		Message: "try again", Retryable: true, RequestID: "req-broken",
	}
)

// job reads a job from Postgres.
func (b *bench) job(id string) store.Job {
	b.t.Helper()
	job, err := b.store.Job(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return job
}

// wantNothing fails the test if anything was written or queued.
func (b *bench) wantNothing() {
	b.t.Helper()
	jobs, err := b.store.Jobs(b.t.Context(), store.JobFilter{})
	if err != nil {
		b.t.Fatal(err)
	}
	if len(jobs) > 0 {
		b.t.Errorf("%d jobs were written", len(jobs))
	}
	if content := b.redis(); len(content) > 0 {
		b.t.Errorf("Redis holds %q", content)
	}
}

// redis returns everything that Redis holds, keys and values.
func (b *bench) redis() []string {
	b.t.Helper()
	ctx := b.t.Context()
	client, err := tasks.OpenRedis(ctx, b.vars["REDIS_URL"])
	if err != nil {
		b.t.Fatal(err)
	}
	defer client.Close()
	keys, err := client.Keys(ctx, "*").Result()
	if err != nil {
		b.t.Fatal(err)
	}
	content := keys
	for _, key := range keys {
		content = append(content, values(ctx, b.t, client, key)...)
	}
	return content
}

func values(ctx context.Context, t *testing.T, client redis.UniversalClient, key string) []string {
	t.Helper()
	var out []string
	var err error
	switch kind := client.Type(ctx, key).Val(); kind {
	case "hash":
		fields, hashErr := client.HGetAll(ctx, key).Result()
		for name, value := range fields {
			out = append(out, name, value)
		}
		err = hashErr
	case "list":
		out, err = client.LRange(ctx, key, 0, -1).Result()
	case "set":
		out, err = client.SMembers(ctx, key).Result()
	case "zset":
		out, err = client.ZRange(ctx, key, 0, -1).Result()
	default:
		t.Fatalf("unexpected %s under %s", kind, key)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}
