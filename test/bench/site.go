//go:build unix

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/usher-bi/usher/internal/devstack"
	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// site is an installation of its own, for one case: an empty database, an empty
// Redis and an API.
type site struct {
	*bench

	name      string // of its database and its files
	api       *httptest.Server
	sandbox   *quickbitest.Server // nil where the API is another
	record    *record             // of the sandbox
	store     *store.Store
	redis     redis.UniversalClient
	submitter *tasks.Submitter
	workers   []*worker
}

// newSite makes a site in front of the API that handler serves.
func (b *bench) newSite(ctx context.Context, handler http.Handler) (*site, error) {
	b.sites++
	s := &site{bench: b, name: b.scenario + strconv.Itoa(b.sites)}
	if err := b.stack.CloneDatabase(ctx, devstack.Clone{Template: template, Name: s.name}); err != nil {
		return nil, err
	}
	if err := b.stack.FlushRedis(ctx, 0); err != nil {
		return nil, err
	}
	s.api = httptest.NewServer(handler)
	var err error
	if s.store, err = store.Open(ctx, s.databaseURL(), 4); err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	if s.redis, err = tasks.OpenRedis(ctx, s.redisURL()); err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	s.submitter = tasks.NewSubmitter(s.store, tasks.NewQueue(s.redis))
	return s, nil
}

// quickest and slowest are how long a call takes.
const (
	quickest = 20 * time.Millisecond
	slowest  = 400 * time.Millisecond
)

// world is an organisation with a quota, that knows the users and resources of
// pairs and takes 20 to 400 ms for a call.
func world(rate int, pairs ...[]pair) quickbitest.Options {
	o := quickbitest.Options{
		Rate: rate, Latency: quickbitest.Duration(quickest), LatencyMax: quickbitest.Duration(slowest),
	}
	for _, p := range slices.Concat(pairs...) {
		o.Users, o.QAResources = append(o.Users, p.user), append(o.QAResources, p.resource)
	}
	return o
}

// newSandbox makes a site in front of a sandbox that keeps a record.
func (b *bench) newSandbox(ctx context.Context, o quickbitest.Options) (*site, error) {
	r := &record{}
	o.Log = r.note
	sandbox := quickbitest.New(&o)
	s, err := b.newSite(ctx, sandbox)
	if err != nil {
		return nil, err
	}
	s.sandbox, s.record = sandbox, r
	return s, nil
}

func (s *site) databaseURL() string { return s.stack.DatabaseURL(s.name) }

func (s *site) redisURL() string { return s.stack.RedisURL(0) }

// env is the environment of the product's programs: its defaults, but for the
// settings given.
func (s *site) env(settings ...string) []string {
	return append([]string{
		"HOME=" + s.dir, "LOG_FORMAT=json", "DATABASE_URL=" + s.databaseURL(), "REDIS_URL=" + s.redisURL(),
		"QUICKBI_ENDPOINT=" + s.api.URL, "ALIBABA_CLOUD_ACCESS_KEY_ID=" + quickbitest.DefaultAccessKeyID,
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET=" + quickbitest.DefaultAccessKeySecret, "WORKER_LISTEN=127.0.0.1:0",
	}, settings...)
}

// enqueue runs a command of the product to its end.
func (s *site) enqueue(ctx context.Context, args ...string) error {
	p, err := launch(command{path: s.programs.enqueue, args: args, env: s.env(), log: s.file(s.name + "-enqueue.log")})
	if err != nil {
		return err
	}
	return p.wait(ctx)
}

// play has this program play a part in a process of its own, to its end. What
// it prints goes to out, if that is not nil.
func (s *site) play(ctx context.Context, out io.Writer, args ...string) error {
	p, err := launch(command{path: s.programs.self, args: args, env: s.env(), log: s.file(s.name + "-" + args[0] + ".log"), out: out})
	if err != nil {
		return err
	}
	return p.wait(ctx)
}

// man starts n workers at the same moment and waits until all of them are
// ready.
func (s *site) man(ctx context.Context, n int, settings ...string) error {
	for range n {
		log := s.file(fmt.Sprintf("%s-worker%d.log", s.name, len(s.workers)+1))
		p, err := launch(command{path: s.programs.worker, args: []string{"run"}, env: s.env(settings...), log: log})
		if err != nil {
			return err
		}
		s.workers = append(s.workers, &worker{process: p})
	}
	for _, w := range s.workers {
		if err := s.await(ctx, readyLimit, func() bool { return w.ready(ctx) }); err != nil {
			return fmt.Errorf("waiting for a worker, see %s: %w", w.log, err)
		}
	}
	return nil
}

// await is [await], which ends as soon as a worker does.
func (s *site) await(ctx context.Context, limit time.Duration, cond func() bool) error {
	var dead error
	err := await(ctx, limit, func() bool {
		for _, w := range s.workers {
			select {
			case <-w.done:
				dead = cmp.Or(w.verdict(), fmt.Errorf("%s ended, see %s", w.name(), w.log))
				return true
			default:
			}
		}
		return cond()
	})
	return cmp.Or(dead, err)
}

const readyLimit = 30 * time.Second

// retire ends the workers.
func (s *site) retire() error {
	errs := make([]error, len(s.workers))
	for i, w := range s.workers {
		errs[i] = w.stop()
	}
	s.workers = nil
	return errors.Join(errs...)
}

// close ends everything of s. It goes on where ctx has ended.
func (s *site) close(ctx context.Context) error {
	err := s.retire()
	if s.store != nil {
		s.store.Close()
	}
	if s.redis != nil {
		err = errors.Join(err, s.redis.Close())
	}
	s.api.CloseClientConnections()
	s.api.Close()
	return errors.Join(err, s.stack.DropDatabase(context.WithoutCancel(ctx), s.name))
}
