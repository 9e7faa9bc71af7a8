package store_test

import (
	"strings"
	"testing"

	"github.com/usher-bi/usher/internal/store"
)

func TestCheckURL(t *testing.T) {
	t.Parallel()

	for _, url := range []string{
		"postgres://u:s3cret@h/x", "postgresql://h:5432/x?sslmode=disable", "postgres://u@h1:1,h2:2/x?pool_max_conns=3",
	} {
		if err := store.CheckURL(url); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	for url, want := range map[string]string{
		"postgres://u:s3cret@h:bad/x":                         "percent-encoded",
		"postgres://u:s3cret%zz@h/x":                          "percent-encoded",
		"postgres://u:s3cret@h:99999/x":                       "percent-encoded",
		"postgres://u:s3cret@h/x?sslmode=perhaps":             "sslmode",
		"postgres://u:s3cret@h/x?pool_max_conns=s3cret":       "percent-encoded",
		"postgres://u:s3cret@h/x?sslrootcert=/nowhere/ca.pem": "/nowhere/ca.pem",
	} {
		err := store.CheckURL(url)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v, want %q and no password", url, err, want)
		}
		if _, opened := store.Open(t.Context(), url, 1); opened == nil || strings.Contains(opened.Error(), "s3cret") {
			t.Errorf("opening %s: %v", url, opened)
		}
		if migrated := store.Migrate(t.Context(), url); migrated == nil || strings.Contains(migrated.Error(), "s3cret") {
			t.Errorf("migrating %s: %v", url, migrated)
		}
	}
}
