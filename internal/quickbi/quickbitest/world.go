package quickbitest

import (
	"cmp"
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
	if o.MaxPairs < 0 || o.Latency < 0 {
		bad("max_pairs and latency cannot be negative")
	}
	if o.LatencyMax != 0 && o.LatencyMax < o.Latency {
		bad("latency_max %s: want at least the latency of %s", time.Duration(o.LatencyMax), time.Duration(o.Latency))
	}
	for _, action := range o.OldPages {
		if !known(action) {
			bad("old_pages: %q is not known", action)
		}
	}
	return errors.Join(append(errs, o.limits().check(), o.checkChoices(), o.checkWorld(), checkFaults(o.Faults))...)
}

func (o *Options) checkChoices() error {
	errs := []error{
		oneOf("missing_user", o.MissingUser, MissingRow, MissingRefusal, MissingRefusalNaming),
		oneOf("missing_resource", o.MissingResource, MissingRow, MissingRefusal, MissingRefusalNaming),
		oneOf("throttle_hint", o.ThrottleHint, HintRetryAfter, HintRateLimit, HintNone),
		oneOf("repeated_grant", o.RepeatedGrant, RepeatOverwrite, RepeatDuplicate, RepeatRefuse),
		oneOf("missing_account", o.MissingAccount, MissingAccountRefused, MissingAccountEmpty),
		oneOf("nothing_to_revoke", o.NothingToRevoke, NothingSucceeds, NothingFalse, NothingRefused),
	}
	for _, t := range o.UnlistedTypes {
		if workTypes[t] == "" {
			errs = append(errs, fmt.Errorf("unlisted_types: %q is not a type of work", t))
		}
	}
	return errors.Join(errs...)
}

// oneOf reports a value that is neither empty nor among those allowed.
func oneOf[T ~string](field string, value T, allowed ...T) error {
	if value == "" || slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("%s: %q: want one of %v", field, string(value), allowed)
}

// checkWorld checks who and what exists, and that it fits together.
func (o *Options) checkWorld() error {
	users, workspaces := map[string]bool{}, map[string]bool{}
	for _, id := range o.Users {
		users[id] = true
	}
	for _, w := range o.Workspaces {
		workspaces[w.ID] = true
	}
	hasUser := func(id string) bool { return users[id] }
	return errors.Join(
		checkIDs("users", o.Users), o.resources().check(),
		checkUserTypes(o.UserTypes, hasUser), checkAccounts(o.Accounts, hasUser), checkGroups(o.Groups, hasUser),
		checkIDs("organization", []string{cmp.Or(o.Organization, DefaultOrganization)}),
		checkWorkspaces(o.Workspaces, hasUser), checkWorks(o.Works, func(id string) bool { return workspaces[id] }),
	)
}

func checkUserTypes(types map[string]UserType, hasUser func(string) bool) error {
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(types)) {
		if t := types[id]; !hasUser(id) || t < Developer || t > Analyst {
			errs = append(errs, fmt.Errorf("user_types: %q: %d: want a user and 1, 2 or 3", id, t))
		}
	}
	return errors.Join(errs...)
}

func checkGroups(groups map[string][]string, hasUser func(string) bool) error {
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(groups)) {
		errs = append(errs, checkIDs("groups", []string{id}))
		for _, user := range groups[id] {
			if !hasUser(user) {
				errs = append(errs, fmt.Errorf("groups: %q: %q is not a user", id, user))
			}
		}
	}
	return errors.Join(errs...)
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
