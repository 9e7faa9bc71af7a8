package intake_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/usher-bi/usher/internal/intake"
)

func TestNeutralise(t *testing.T) {
	t.Parallel()
	for cell, want := range map[string]string{
		"":          "",
		"'":         "'",
		"''":        "''",
		"46e53a5b":  "46e53a5b",
		"'46e53a5b": "'46e53a5b",
		"a=b":       "a=b",
		"=1+1":      "'=1+1",
		"+1":        "'+1",
		"-1":        "'-1",
		"@SUM":      "'@SUM",
		"\tx":       "'\tx",
		"\rx":       "'\rx",
		"'=1":       "''=1",
		"''''@":     "'''''@",
		"'a=":       "'a=",
	} {
		if got := intake.Neutralise(cell); got != want {
			t.Errorf("Neutralise(%q) = %q, want %q", cell, got, want)
		}
	}
}

// TestNeutraliseIsUndone holds for every text; the generator prefers those in
// which apostrophes and dangerous characters meet.
func TestNeutraliseIsUndone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cell := rapid.OneOf(rapid.String(), rapid.StringOfN(rapid.SampledFrom([]rune("'=+-@\t\ra")), 0, 6, -1)).Draw(t, "cell")
		safe := intake.Neutralise(cell)
		if safe != "" && strings.ContainsAny(safe[:1], "=+-@\t\r") {
			t.Fatalf("%q became %q, which a spreadsheet evaluates", cell, safe)
		}
		if got := intake.Restore(safe); got != cell {
			t.Fatalf("%q became %q and then %q", cell, safe, got)
		}
		if got := intake.Neutralise(intake.Restore(safe)); got != safe {
			t.Fatalf("%q came back as %q", safe, got)
		}
	})
}

func TestRestoreLeavesAloneWhatNeedsNoApostrophe(t *testing.T) {
	t.Parallel()
	for _, cell := range []string{"", "'", "'a", "=1", "''", "'\n="} {
		if got := intake.Restore(cell); got != cell {
			t.Errorf("Restore(%q) = %q", cell, got)
		}
	}
}
