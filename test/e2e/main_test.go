// Package e2e_test runs the built programs as their users do: a sandbox in
// place of Quick BI, workers, and the commands of enqueue, each a process of
// its own with a private Postgres database and a private Redis database. It
// looks at exit codes, standard output, files, HTTP and SQL, and at what the
// sandbox says was granted in the end.
package e2e_test

import (
	"os"
	"testing"

	"github.com/usher-bi/usher/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }
