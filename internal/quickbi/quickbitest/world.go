package quickbitest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Duration is a [time.Duration] that JSON spells like "1.5s".
type Duration time.Duration

// MarshalText writes what UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads the form of [time.ParseDuration].
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return errors.New("a duration is written like 250ms or 1.5s")
	}
	*d = Duration(parsed)
	return nil
}

// ReadWorld reads one JSON document that describes an organisation, in the
// form of [Options], and reports everything that is wrong with it. A field it
// does not know is an error, so that a misspelt fault does not go unnoticed.
func ReadWorld(r io.Reader) (*Options, error) {
	var o Options
	if err := decode(r, &o); err != nil {
		return nil, err
	}
	if err := o.Check(); err != nil {
		return nil, err
	}
	return &o, nil
}

// Check reports every value of o that could not mean what its author wanted.
func (o *Options) Check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if o.Rate < 0 || o.MaxPairs < 0 || o.Latency < 0 {
		bad("rate, max_pairs and latency cannot be negative")
	}
	for _, action := range slices.Sorted(maps.Keys(o.Rates)) {
		if rate := o.Rates[action]; !known(action) || rate < 0 {
			bad("rates: %q: %d: want a known action and a rate of at least 0", action, rate)
		}
	}
	if err := o.MissingUser.check(); err != nil {
		bad("missing_user: %w", err)
	}
	if err := o.MissingResource.check(); err != nil {
		bad("missing_resource: %w", err)
	}
	if err := o.ThrottleHint.check(); err != nil {
		bad("throttle_hint: %w", err)
	}
	return errors.Join(append(errs, checkIDs("users", o.Users), o.resources().check(), checkFaults(o.Faults))...)
}

func (m Missing) check() error {
	if slices.Contains([]Missing{"", MissingRow, MissingRefusal, MissingRefusalNaming}, m) {
		return nil
	}
	return fmt.Errorf("%q: want %s, %s or %s", string(m), MissingRow, MissingRefusal, MissingRefusalNaming)
}

func (h Hint) check() error {
	if slices.Contains([]Hint{"", HintRetryAfter, HintRateLimit, HintNone}, h) {
		return nil
	}
	return fmt.Errorf("%q: want %s, %s or %s", string(h), HintRetryAfter, HintRateLimit, HintNone)
}

func (r Resources) check() error {
	errs := make([]error, 0, 2+len(r.Datasets))
	errs = append(errs, checkIDs("qa_resources", r.QAResources), checkIDs("qa_themes", r.QAThemes))
	for _, id := range slices.Sorted(maps.Keys(r.Datasets)) {
		errs = append(errs, checkIDs("datasets", []string{id, r.Datasets[id]}))
	}
	return errors.Join(errs...)
}

func checkIDs(field string, ids []string) error {
	for _, id := range ids {
		if !validID(id) {
			return fmt.Errorf("%s: %q cannot be an id: ids are not empty and hold no comma, white space or control character", field, id)
		}
	}
	return nil
}

// validID knows only what the comma lists of the API imply: published ids come
// as 32 hex digits, with dashes and as plain digits.
func validID(id string) bool {
	return id != "" && !strings.ContainsFunc(id, func(r rune) bool {
		return r == ',' || unicode.IsSpace(r) || unicode.IsControl(r) || r == unicode.ReplacementChar
	})
}

// decode reads exactly one JSON value without unknown fields.
func decode(r io.Reader, into any) error {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("reading JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("reading JSON: more than one value")
	}
	return nil
}
