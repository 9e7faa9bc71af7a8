package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Guards are the limits beyond which a submission is held. 0 means none.
type Guards struct {
	MaxRevokes       int
	MaxRevokeShare   float64 // of one
	MaxRevokesPerDay int
	MaxShrink        float64 // likewise
}

func (r *reader) guards() Guards {
	return Guards{
		MaxRevokes: guard(r, "GUARD_MAX_REVOKES", ParseLimit), MaxRevokeShare: guard(r, "GUARD_MAX_REVOKE_SHARE", ParseShare),
		MaxRevokesPerDay: guard(r, "GUARD_MAX_REVOKES_PER_DAY", ParseLimit), MaxShrink: guard(r, "GUARD_MAX_SHRINK", ParseShare),
	}
}

func guard[T any](r *reader, name string, parse func(string) (T, error)) T {
	v, err := parse(r.text(name))
	if err != nil {
		r.problem(name, err.Error())
	}
	return v
}

// none is how a limit is written that is not there.
const none = "none"

// ParseLimit reads a count of at least 1, or "none" as 0.
func ParseLimit(s string) (int, error) {
	if s == none {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 1_000_000_000 {
		return 0, fmt.Errorf("%q is not a limit; write a number from 1 on, or none", s)
	}
	return n, nil
}

// ParseShare reads a share such as "20%" as 0.2, and "none" as 0.
func ParseShare(s string) (float64, error) {
	if s == none {
		return 0, nil
	}
	number, isShare := strings.CutSuffix(s, "%")
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !isShare || !(n > 0 && n < 100) {
		return 0, fmt.Errorf("%q is not a share; write e.g. 20%%, or none", s)
	}
	return n / 100, nil
}
