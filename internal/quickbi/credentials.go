package quickbi

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Credentials sign a call. They print as the key id and nothing else, whatever
// the verb or encoder. A struct that keeps them in an unexported field must not
// be printed itself: fmt does not ask unexported fields how they want to look.
type Credentials struct {
	AccessKeyID     string
	AccessKeySecret string
	SecurityToken   string // empty for a long-lived key
}

// String names the key and hides the secrets.
func (c Credentials) String() string {
	if c.SecurityToken != "" {
		return "credentials " + c.AccessKeyID + " (temporary)"
	}
	return "credentials " + c.AccessKeyID
}

// Format answers every verb like [Credentials.String], %#v included.
func (c Credentials) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// MarshalText gives encoders and loggers what [Credentials.String] gives people.
func (c Credentials) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// check reports why c cannot sign anything. A trailing newline, as files often
// have, would otherwise surface as a rejected signature or a broken header.
func (c Credentials) check() error {
	switch {
	case c.AccessKeyID == "":
		return errors.New("the access key id is empty")
	case c.AccessKeySecret == "":
		return errors.New("the access key secret is empty")
	}
	parts := []struct{ name, value string }{
		{"access key id", c.AccessKeyID}, {"access key secret", c.AccessKeySecret}, {"security token", c.SecurityToken},
	}
	for _, part := range parts {
		if strings.ContainsFunc(part.value, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return fmt.Errorf("the %s holds white space or characters that no key has", part.name)
		}
	}
	return nil
}

// CredentialSource hands out the credentials of the moment. It is asked before
// every call, from many goroutines, so it caches what is costly, returns when
// ctx ends, and keeps secrets out of its errors.
type CredentialSource interface {
	Credentials(ctx context.Context) (Credentials, error)
}

type sourceFunc func(context.Context) (Credentials, error)

func (f sourceFunc) Credentials(ctx context.Context) (Credentials, error) { return f(ctx) }

// StaticCredentials is the source that always returns c. It is a function
// inside, so printing a struct that holds it shows an address.
func StaticCredentials(c Credentials) CredentialSource {
	return sourceFunc(func(context.Context) (Credentials, error) { return c, nil })
}
