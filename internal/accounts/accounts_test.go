package accounts_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/accounts"
	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/quickbi"
	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
	"github.com/usher-bi/usher/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// world is an organisation, and a resolver that looks its accounts up.
type world struct {
	*store.Store
	*accounts.Resolver

	quickBI   *quickbitest.Server
	options   accounts.Options
	connected int // how often Quick BI was needed
}

func setup(t *testing.T, o quickbitest.Options) *world {
	t.Helper()
	o.Users = []string{"u1", "u2", "u3"}
	o.Accounts = []quickbitest.Account{
		{Name: "alice", User: "u1"}, {Name: "bob", Parent: "east", User: "u2"}, {Name: "bob", Parent: "west", User: "u3"},
	}
	w := &world{quickBI: quickbitest.New(&o)}
	server := httptest.NewServer(w.quickBI)
	t.Cleanup(server.Close)
	client, err := quickbi.New(server.URL, quickbi.StaticCredentials(quickbi.Credentials{
		AccessKeyID: quickbitest.DefaultAccessKeyID, AccessKeySecret: quickbitest.DefaultAccessKeySecret,
	}), quickbi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	if w.Store, err = store.Open(t.Context(), testenv.Postgres(t), 4); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	redis, err := tasks.NewRedis(testenv.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Close() })
	w.options = accounts.Options{Cache: w.Store, Ages: store.AccountAges{Known: time.Hour, Unknown: time.Hour}, Redis: redis, PerSecond: 200, Connect: func() (accounts.Directory, error) {
		w.connected++
		return client, nil
	}}
	w.Resolver = accounts.NewResolver(w.options)
	return w
}

// calls counts the look-ups that arrived.
func (w *world) calls() int { return len(w.quickBI.Calls()) }

// batch is revokes of these principals.
func batch(t *testing.T, principals ...string) *intake.Batch {
	t.Helper()
	b, err := intake.ReadCSV(strings.NewReader("action,principal,resource_type,resource_id\nrevoke,"+strings.Join(principals, ",qa_resource,r1\nrevoke,")+",qa_resource,r1\n"), intake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func users(b *intake.Batch) []string {
	var out []string
	for _, row := range b.Rows() {
		out = append(out, row.Change.Principal.ID)
	}
	return out
}

func codes(b *intake.Batch) []string {
	var out []string
	for _, row := range b.Invalid {
		out = append(out, row.Cells[1]+" "+row.Problem.Code)
	}
	return out
}

func TestResolve(t *testing.T) {
	t.Parallel()

	for _, missing := range []quickbitest.MissingAccount{quickbitest.MissingAccountRefused, quickbitest.MissingAccountEmpty} {
		t.Run(string(missing), func(t *testing.T) {
			t.Parallel()

			w := setup(t, quickbitest.Options{MissingAccount: missing})
			b := batch(t, "account:alice", "account:west/bob", "u2", "account:bob", "account:eve")
			if err := w.Resolve(t.Context(), b); err != nil {
				t.Fatalf("Resolve: %v", err)
			}
			if diff := cmp.Diff([]string{"u1", "u3", "u2"}, users(b)); diff != "" {
				t.Errorf("users (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff([]string{"account:bob account_ambiguous", "account:eve account_unknown"}, codes(b)); diff != "" {
				t.Errorf("invalid rows (-want +got)\n%s", diff)
			}
			if !strings.Contains(b.Errors[0].Message, "account:parent/bob") {
				t.Errorf("an ambiguous name: %s", b.Errors[0].Message)
			}
		})
	}
}

func TestAccountsAreLookedUpOnce(t *testing.T) {
	t.Parallel()

	w := setup(t, quickbitest.Options{})
	for range 2 {
		b := batch(t, "account:alice", "u2")
		if err := w.Resolve(t.Context(), b); err != nil || len(b.Accounts()) != 1 || users(b)[0] != "u1" {
			t.Fatalf("Resolve: %v, users %v", err, users(b))
		}
	}
	if err := w.Resolve(t.Context(), batch(t, "u1")); err != nil {
		t.Fatalf("Resolve: %v", err)
	}
	if w.calls() != 1 || w.connected != 1 {
		t.Errorf("%d look-ups, connected %d times; want one each", w.calls(), w.connected)
	}

	w.options.Ages.Known = time.Nanosecond // so it is too old
	if err := accounts.NewResolver(w.options).Resolve(t.Context(), batch(t, "account:alice")); err != nil || w.calls() != 2 {
		t.Errorf("an account of long ago: %v, %d look-ups, want 2", err, w.calls())
	}
}

// Nor do names that nobody has, or several users, cost a call each time.
func TestAccountsOfNobodyAreLookedUpOnce(t *testing.T) {
	t.Parallel()

	w := setup(t, quickbitest.Options{})
	resolve := func(unknownFor time.Duration, wantCalls int) {
		t.Helper()
		w.options.Ages.Unknown = unknownFor
		b := batch(t, "account:alice", "account:bob", "account:eve")
		if err := accounts.NewResolver(w.options).Resolve(t.Context(), b); err != nil || w.calls() != wantCalls {
			t.Errorf("Resolve: %v, %d look-ups, want %d", err, w.calls(), wantCalls)
		}
		if diff := cmp.Diff([]string{"account:bob account_ambiguous", "account:eve account_unknown"}, codes(b)); diff != "" {
			t.Errorf("invalid rows (-want +got)\n%s", diff)
		}
		if len(b.Errors) != 2 || !strings.Contains(b.Errors[0].Message, "account:parent/bob") || !strings.Contains(b.Errors[1].Message, `no account "eve"`) {
			t.Errorf("errors %+v", b.Errors)
		}
	}
	resolve(time.Hour, 3)
	resolve(time.Hour, 3)
	resolve(time.Nanosecond, 5) // those of nobody are too old, and alice is not
	if n, err := w.ForgetAccounts(t.Context(), []store.Account{{Name: "eve"}, {Name: "mallory"}}); n != 1 || err != nil {
		t.Errorf("%d accounts forgotten, %v; want 1", n, err)
	}
	resolve(time.Hour, 6)
	if n, err := w.ForgetAccounts(t.Context(), nil); n != 2 || err != nil {
		t.Errorf("%d accounts forgotten, %v; want both of nobody", n, err)
	}
	resolve(time.Hour, 8)
}

func TestWithoutQuickBI(t *testing.T) {
	t.Parallel()

	w := setup(t, quickbitest.Options{})
	if err := w.KeepAccounts(t.Context(), map[store.Account]store.AccountOwner{{Name: "alice"}: {UserID: "u1"}}); err != nil {
		t.Fatal(err)
	}
	missing := errors.New("no key")
	w.options.Connect = func() (accounts.Directory, error) { return nil, missing }
	r := accounts.NewResolver(w.options)
	if err := r.Resolve(t.Context(), batch(t, "account:alice")); err != nil {
		t.Errorf("an account that is remembered: %v", err)
	}
	b := batch(t, "account:alice", "account:bob")
	err := r.Resolve(t.Context(), b)
	if e, ok := errors.AsType[*accounts.NotConnectedError](err); !ok || e.Accounts != 1 || !errors.Is(err, missing) || len(b.Accounts()) != 2 {
		t.Errorf("an account that is not: %v, %v", err, b.Accounts())
	}
}

// directory answers with each of these in turn, and then with u1.
type directory struct{ errs []error }

func (d *directory) QueryUserInfoByAccount(context.Context, quickbi.AccountName) (quickbi.QueryUserInfoByAccountResponse, error) {
	if len(d.errs) == 0 {
		return quickbi.QueryUserInfoByAccountResponse{UserID: "u1"}, nil
	}
	err := d.errs[0]
	d.errs = d.errs[1:]
	return quickbi.QueryUserInfoByAccountResponse{}, err
}

func TestRefusals(t *testing.T) {
	t.Parallel()

	w := setup(t, quickbitest.Options{})
	w.options.Ages = store.AccountAges{Known: time.Nanosecond, Unknown: time.Nanosecond}
	refused := func(code string) error {
		return &quickbi.Error{Action: "QueryUserInfoByAccount", Code: code, HTTPStatus: 400}
	}
	down := &quickbi.TransportError{Err: errors.New("down")}
	resolve := func(errs ...error) (*intake.Batch, error) {
		d := &directory{errs: errs}
		w.options.Connect = func() (accounts.Directory, error) { return d, nil }
		b := batch(t, "account:alice")
		return b, accounts.NewResolver(w.options).Resolve(t.Context(), b)
	}
	if b, err := resolve(&quickbi.Error{Code: "Throttling.User", HTTPStatus: 400, RetryAfter: time.Millisecond}, down); err != nil || users(b)[0] != "u1" {
		t.Errorf("what passes: %v", err)
	}
	for _, c := range []struct {
		name string
		err  error
		wait bool
	}{{"the account", refused("InvalidAccessKeyId.NotFound"), false}, {"an outage", down, true}} {
		_, err := resolve(c.err, c.err, c.err, c.err, c.err, c.err, c.err)
		if e, ok := errors.AsType[*accounts.LookupError](err); !ok || e.Wait != c.wait || e.Hint == "" || strings.Contains(err.Error(), "alice") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for code, want := range map[string]string{"Something.New": "account_unknown", "User.Not.In.Organization": "account_unknown", "Duplicate.Account": "account_ambiguous"} {
		b, err := resolve(refused(code))
		if err != nil || len(b.Invalid) != 1 || b.Invalid[0].Problem.Code != want || strings.Contains(b.Errors[0].Message, "AccessKey") {
			t.Errorf("%s: %v, %+v, want %s", code, err, b.Invalid, want)
		}
	}
}
