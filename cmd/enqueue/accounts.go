package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/usher-bi/usher/internal/accounts"
	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/quickbi"
	"github.com/usher-bi/usher/internal/quickbi/credentials"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// resolve puts users in the place of the accounts that rows name.
func (a *app) resolve(ctx context.Context, cfg config.Config, batch accounts.Naming) error {
	if len(batch.Accounts()) == 0 {
		batch.Resolve(nil)
		return nil
	}
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
	resolver, done := a.resolver(cfg, st, client)
	defer done()
	return resolver.ResolveNames(ctx, batch)
}

// unresolved remarks in a dry run which rows name accounts: without servers nobody
// knows whose they are.
func unresolved(batch *intake.Batch) {
	batch.Resolve(nil)
	if n := len(batch.Accounts()); n > 0 {
		batch.Warnings = append(batch.Warnings, fmt.Sprintf("rows name %s in place of ids; whose they are is looked up when the rows are submitted", plural(n, "account")))
	}
}

// resolver looks accounts up for which the settings of Quick BI are read when they
// are needed. The caller calls done.
func (a *app) resolver(cfg config.Config, st *store.Store, client redis.UniversalClient) (r *accounts.Resolver, done func()) {
	var connected *quickbi.Client
	connect := sync.OnceValues(func() (accounts.Directory, error) {
		c, err := a.quickBI()
		connected = c
		return c, err
	})
	r = accounts.NewResolver(accounts.Options{
		Cache: st, Ages: store.AccountAges{Known: cfg.AccountMaxAge, Unknown: cfg.UnknownMaxAge}, Redis: client, PerSecond: float64(cfg.RateOf(string(tasks.QueryUserInfoByAccount))), Connect: connect,
	})
	return r, func() {
		if connected != nil {
			connected.CloseIdleConnections()
		}
	}
}

// quickBI makes a client of the settings that workers need.
func (a *app) quickBI() (*quickbi.Client, error) {
	cfg, err := config.LoadQuickBI(a.lookup)
	if err != nil {
		return nil, err
	}
	source, err := credentials.New(credentials.Config{
		Provider: credentials.Provider(cfg.Credentials),
		Static: quickbi.Credentials{
			AccessKeyID: cfg.AccessKeyID, AccessKeySecret: cfg.AccessKeySecret.Reveal(), SecurityToken: cfg.SecurityToken.Reveal(),
		},
		RoleName: cfg.RoleName, RoleARN: cfg.RoleARN, OIDCProviderARN: cfg.OIDCProviderARN, OIDCTokenFile: cfg.OIDCTokenFile,
		URI: cfg.CredentialsURI.Reveal(),
	})
	if err != nil {
		return nil, config.Blame("QUICKBI_CREDENTIALS", err)
	}
	client, err := quickbi.New(cfg.Endpoint, source, quickbi.Options{Timeout: cfg.Timeout, UserAgent: "usher/" + versionText()})
	return client, config.Blame("QUICKBI_ENDPOINT", err)
}

// accountsFault covers accounts of which nobody can be asked whose they are.
func accountsFault(f fault, err error) (_ fault, ok bool) {
	if _, notConnected := errors.AsType[*accounts.NotConnectedError](err); notConnected {
		f.exit, f.Code = exitUsage, "settings"
		f.advice = "Set them in the environment, as for a worker, and repeat the command; or write ids. Nothing was accepted."
		return f, true
	}
	lookup, ok := errors.AsType[*accounts.LookupError](err)
	if ok {
		f.exit, f.Code = exitUnreachable, "accounts_unavailable"
		f.advice = lookup.Hint + " Then repeat the same command: nothing was accepted."
	}
	return f, ok
}
