package main

import (
	"errors"
	"fmt"

	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/quickbi"
	"github.com/usher-bi/usher/internal/quickbi/credentials"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// settings reads the environment and has each adapter judge what only it can,
// before anything is connected to: all that is wrong is said at once.
func (a *app) settings(program config.Program) (config.Config, error) {
	cfg, err := config.Load(program, a.getenv, a.environ)
	problems := []error{
		err, config.CheckRates(cfg, tasks.Operations()), config.Blame("DATABASE_URL", store.CheckURL(cfg.DatabaseURL.Reveal())),
	}
	if program == config.Worker {
		_, badSource := newSource(cfg)
		_, badEndpoint := quickbi.New(cfg.Endpoint, quickbi.StaticCredentials(quickbi.Credentials{}), quickbi.Options{})
		inbox, badInbox := openInbox(cfg)
		if inbox != nil {
			_ = inbox.Close()
		}
		problems = append(problems, badInbox,
			config.Blame("REDIS_URL", tasks.CheckRedisURL(cfg.RedisURL.Reveal())),
			config.Blame("QUICKBI_ENDPOINT", badEndpoint), blameCredentials(cfg, badSource))
	}
	return cfg, config.Join(problems...)
}

// blameCredentials names the setting because of which there are no credentials.
// Those that are missing are named by config.
func blameCredentials(cfg config.Config, err error) error {
	if _, missing := errors.AsType[*credentials.ConfigError](err); missing {
		return nil
	}
	if credentials.Provider(cfg.Credentials) == credentials.CredentialsURI {
		return config.Blame("ALIBABA_CLOUD_CREDENTIALS_URI", err)
	}
	return config.Blame("QUICKBI_CREDENTIALS", err)
}

func newSource(cfg config.Config) (quickbi.CredentialSource, error) {
	return credentials.New(credentials.Config{
		Provider: credentials.Provider(cfg.Credentials),
		Static: quickbi.Credentials{
			AccessKeyID: cfg.AccessKeyID, AccessKeySecret: cfg.AccessKeySecret.Reveal(), SecurityToken: cfg.SecurityToken.Reveal(),
		},
		RoleName: cfg.RoleName, RoleARN: cfg.RoleARN, OIDCProviderARN: cfg.OIDCProviderARN, OIDCTokenFile: cfg.OIDCTokenFile,
		URI: cfg.CredentialsURI.Reveal(),
	})
}

func newClient(cfg config.Config) (*quickbi.Client, error) {
	source, err := newSource(cfg)
	if err != nil {
		return nil, fmt.Errorf("preparing credentials: %w", err)
	}
	return quickbi.New(cfg.Endpoint, source, quickbi.Options{Timeout: cfg.Timeout, UserAgent: "usher/" + version()})
}
