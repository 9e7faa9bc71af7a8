package store

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5/pgxpool"
)

// errURL quotes nothing of the URL, which may hold a password.
var errURL = errors.New("not a usable Postgres URL; write e.g. postgres://user:password@host:5432/usher?sslmode=require, " +
	"with special characters of the password percent-encoded")

// CheckURL reports whether databaseURL can be used at all. It connects to
// nothing, and its error shows neither the URL nor a part of it, but for a file
// that it names and that cannot be read.
func CheckURL(databaseURL string) error {
	_, err := parseURL(databaseURL)
	return err
}

// parseURL replaces the driver's error, which hides a password as well as it
// can: of a malformed URL it cannot know which part that is.
func parseURL(databaseURL string) (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(databaseURL)
	if err == nil {
		return cfg, nil
	}
	if unread, ok := errors.AsType[*fs.PathError](err); ok { // a certificate, for example
		return nil, fmt.Errorf("a file that the Postgres URL names cannot be read: %w", unread)
	}
	return nil, errURL
}
