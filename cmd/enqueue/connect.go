package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// maxConns is enough for a command, which asks one thing after the other.
const maxConns = 2

// settings reads the environment, once for each command, and has the servers'
// URLs judged before anything is connected to: all that is wrong is said at
// once.
func (a *app) settings(program config.Program) (config.Config, error) {
	cfg, err := config.Load(program, a.lookup, a.Environ)
	problems := []error{err, config.CheckRates(cfg, tasks.Operations())}
	if program != config.Offline {
		problems = append(problems, config.Blame("DATABASE_URL", store.CheckURL(cfg.DatabaseURL.Reveal())))
	}
	if program == config.Enqueue || program == config.Serve {
		problems = append(problems, config.Blame("REDIS_URL", tasks.CheckRedisURL(cfg.RedisURL.Reveal())))
	}
	return cfg, config.Join(problems...)
}

// openStore connects to Postgres and checks that its schema fits.
func openStore(ctx context.Context, cfg config.Config) (*store.Store, error) {
	st, err := store.Open(ctx, cfg.DatabaseURL.Reveal(), maxConns)
	if err != nil {
		return nil, blame("DATABASE_URL", err)
	}
	if err := st.CheckSchema(ctx); err != nil {
		st.Close()
		return nil, err
	}
	return st, nil
}

// reading runs f with the store that the environment names.
func (a *app) reading(ctx context.Context, f func(*store.Store) error) error {
	cfg, err := a.settings(config.Query)
	if err != nil {
		return err
	}
	st, err := openStore(ctx, cfg)
	if err != nil {
		return err
	}
	defer st.Close()
	return f(st)
}

// looking runs f with what the environment names to see how fast jobs go. Redis
// may be away, or not named at all: then less can be told.
func (a *app) looking(ctx context.Context, f func(tasks.Lookout) error) error {
	cfg, err := a.settings(config.Query)
	if err != nil {
		return err
	}
	st, err := openStore(ctx, cfg)
	if err != nil {
		return err
	}
	defer st.Close()
	look, done := lookout(cfg, st)
	defer done()
	return f(look)
}

// lookout asks no server anything. The caller calls done.
func lookout(cfg config.Config, st *store.Store) (look tasks.Lookout, done func()) {
	look = tasks.Lookout{
		Store: st, MinShare: cfg.MinShare, Rate: func(action access.Action) float64 { return float64(cfg.RateOf(string(action))) },
	}
	client, err := tasks.NewRedis(cfg.RedisURL.Reveal())
	if cfg.RedisURL == "" || err != nil { // what needs it judges it
		return look, func() {}
	}
	look.Redis = client
	return look, func() { _ = client.Close() }
}

// submitting is what a command needs that submits a job.
type submitting struct {
	lookout   tasks.Lookout
	store     *store.Store
	submitter *tasks.Submitter
}

// submit runs f with the servers that cfg names.
func (a *app) submit(ctx context.Context, cfg config.Config, f func(submitting) error) error {
	st, err := openStore(ctx, cfg)
	if err != nil {
		return err
	}
	defer st.Close()
	client, err := tasks.OpenRedis(ctx, cfg.RedisURL.Reveal())
	if err != nil {
		return blame("REDIS_URL", err)
	}
	defer client.Close()
	look, done := lookout(cfg, st)
	defer done()
	return f(submitting{lookout: look, store: st, submitter: tasks.NewSubmitter(st, tasks.NewQueue(client))})
}

// blame says that a setting is wrong when a server cannot be used for another
// reason than being away.
func blame(setting string, err error) error {
	if errors.Is(err, store.ErrUnavailable) || errors.Is(err, tasks.ErrRedisUnavailable) ||
		errors.Is(err, context.Canceled) {
		return err
	}
	return config.Blame(setting, err)
}

// completeSource suggests the sources of the newest jobs.
func (a *app) completeSource(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var found []cobra.Completion
	ctx, cancel := context.WithTimeout(cmd.Context(), completionLimit)
	defer cancel()
	_ = a.reading(ctx, func(st *store.Store) error { // no suggestion is no harm
		jobs, err := st.Jobs(ctx, store.JobFilter{})
		for _, job := range jobs {
			if source := printable(job.Source); !slices.Contains(found, source) {
				found = append(found, source)
			}
		}
		return err
	})
	return found, cobra.ShellCompDirectiveNoFileComp
}

// completionLimit bounds how long a person waits for suggestions.
const completionLimit = 2 * time.Second

// completeJob suggests the newest jobs for the argument JOB, or nothing where
// they cannot be read.
func (a *app) completeJob(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var found []cobra.Completion
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionLimit)
	defer cancel()
	err := a.reading(ctx, func(st *store.Store) error {
		jobs, err := st.Jobs(ctx, store.JobFilter{Limit: 20})
		for _, job := range jobs {
			found = append(found, cobra.CompletionWithDesc(job.ID, printable(standing(job)+", "+job.Source)))
		}
		return err
	})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return found, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}
