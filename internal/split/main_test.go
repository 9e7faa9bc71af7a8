package split

import (
	"flag"
	"os"
	"testing"
)

// TestMain has properties tried on thirty inputs and not on a hundred: each is
// searched for a second with the race detector, and every run draws others.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "30"); err != nil {
		panic(err)
	}
	flag.Parse() // what the command line says goes before
	os.Exit(m.Run())
}
