package config

import (
	"errors"
	"maps"
	"slices"
	"strings"
)

// SettingError is one setting that is missing or malformed.
type SettingError struct {
	Name   string // of the variable
	Reason string // what is wrong and what to write instead; never a secret's value
}

func (p *SettingError) Error() string { return p.Name + ": " + p.Reason }

// Blame says of err, which must not hold a secret, that the setting called name
// is the cause. It keeps nil.
func Blame(name string, err error) error {
	if err == nil {
		return nil
	}
	return &SettingError{Name: name, Reason: err.Error()}
}

// Join joins what [Load] found with what others say of the same settings. Of
// several SettingErrors with one name the first is kept.
func Join(errs ...error) error {
	var kept []error
	named := map[string]bool{}
	for _, err := range flatten(errs) {
		if problem, ok := errors.AsType[*SettingError](err); ok {
			if named[problem.Name] {
				continue
			}
			named[problem.Name] = true
		}
		kept = append(kept, err)
	}
	return errors.Join(kept...)
}

// flatten takes apart errors that were joined.
func flatten(errs []error) []error {
	type several interface {
		error
		Unwrap() []error
	}
	var out []error
	for _, err := range errs {
		if joined, ok := errors.AsType[several](err); ok {
			out = append(out, joined.Unwrap()...)
		} else {
			out = append(out, err)
		}
	}
	return out
}

// CheckRates reports every QUICKBI_RATE_<ACTION> of c whose action is not among
// actions, or not in capitals: it would limit nothing.
func CheckRates[A ~string](c Config, actions []A) error {
	known := make([]string, len(actions))
	for i, a := range actions {
		known[i] = strings.ToUpper(string(a))
	}
	var unknown []error
	for _, name := range slices.Sorted(maps.Keys(c.Rates)) {
		if !slices.Contains(known, name) {
			unknown = append(unknown, &SettingError{
				Name: ratePrefix + name, Reason: "names no operation; after " + ratePrefix + " write one of " + strings.Join(known, ", "),
			})
		}
	}
	return errors.Join(unknown...)
}
