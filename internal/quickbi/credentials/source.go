package credentials

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/aliyun/credentials-go/credentials/providers"
	"golang.org/x/sync/singleflight"

	"github.com/usher-bi/usher/internal/quickbi"
)

// provider is what is used of a provider of the library.
type provider interface {
	GetCredentials() (*providers.Credentials, error)
}

// source makes a provider of the library safe to use.
type source struct {
	name   Provider
	build  func() (provider, error)
	flight singleflight.Group

	current provider // of the fetch that is under way; nil after an error
}

func newSource(name Provider, build func() (provider, error)) (quickbi.CredentialSource, error) {
	if _, err := build(); err != nil { // the builder's errors name settings only
		return nil, fmt.Errorf("credentials from %s: %w", name, err)
	}
	return &source{name: name, build: build}, nil
}

// Credentials returns the credentials of the moment. It asks the provider even
// for cached ones: only the library knows when they expire.
func (s *source) Credentials(ctx context.Context) (quickbi.Credentials, error) {
	if err := ctx.Err(); err != nil {
		return quickbi.Credentials{}, err
	}
	var got quickbi.Credentials
	select {
	case <-ctx.Done():
		return got, fmt.Errorf("waiting for credentials from %s: %w", s.name, ctx.Err())
	case r := <-s.flight.DoChan("", s.fetch):
		if r.Err != nil {
			return got, r.Err
		}
		got, _ = r.Val.(quickbi.Credentials)
		return got, nil
	}
}

// fetch runs once at a time.
func (s *source) fetch() (_ any, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the answer lacks what it should hold")
		}
		if err != nil {
			s.current = nil
			err = fmt.Errorf("credentials from %s: %w", s.name, err)
		}
	}()
	if s.current == nil {
		if s.current, err = s.build(); err != nil {
			return nil, safe(err)
		}
	}
	c, err := s.current.GetCredentials()
	if err != nil {
		return nil, safe(err)
	}
	if c.AccessKeyId == "" || c.AccessKeySecret == "" {
		return nil, errors.New("the answer holds no key")
	}
	return quickbi.Credentials{
		AccessKeyID: c.AccessKeyId, AccessKeySecret: c.AccessKeySecret, SecurityToken: c.SecurityToken,
	}, nil
}

// telling matches the parts of the library's errors that help and hold no
// secret: how the network failed, an HTTP status, an error code of STS.
var telling = regexp.MustCompile(`i/o timeout|deadline exceeded|connection refused|no route to host|no such host` +
	`|x509: [a-z ]+|no such file or directory|permission denied|httpStatus: \d{3}|"Code"\s*:\s*"[\w.-]{1,80}"`)

func safe(err error) error {
	if what := telling.FindString(err.Error()); what != "" {
		return errors.New("the provider gave none: " + what)
	}
	return errors.New("the provider gave none")
}
