package people

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"

	"github.com/usher-bi/usher/internal/access"
)

// Profiles is a file of profiles.
type Profiles struct {
	Version  string             `json:"version"` // as the file says
	SHA256   string             `json:"sha256"`  // of the file, in hex
	Profiles map[string]Profile `json:"profiles"`
}

// Label names the version and the content: what every change is marked with.
func (p *Profiles) Label() string { return p.Version + " (sha256 " + p.SHA256[:12] + ")" }

// Names lists the profiles, sorted.
func (p *Profiles) Names() []string { return slices.Sorted(maps.Keys(p.Profiles)) }

// Profile is what people of a kind are given. Its JSON is stored.
type Profile struct {
	Description string  `json:"description,omitempty"`
	Entries     []Entry `json:"resources"`
}

// Entry is one resource of a profile.
type Entry struct {
	Type access.ResourceType `json:"type"`
	ID   string              `json:"id"`
	Role string              `json:"role,omitempty"`
	Days int                 `json:"days,omitempty"` // that a grant lasts, from the day of the grant; 0: until it is revoked
}

// Resource is what the entry is about.
func (e Entry) Resource() access.Resource { return access.Resource{Type: e.Type, ID: e.ID} }

// Grant is the change that gives the entry to a user on a day.
func (e Entry) Grant(user string, today access.Date) access.Change {
	c := access.Change{
		Operation: access.Grant, Principal: access.Principal{Type: access.User, ID: user}, Resource: e.Resource(), Terms: access.Terms{Role: e.Role},
	}
	if e.Days > 0 {
		c.Terms.ExpiresOn = today.AddDays(e.Days)
	}
	return c
}

// The codes of what can be wrong with a file of profiles, besides those of
// package access. They are API.
const (
	CodeMalformedYAML     = "malformed_yaml"
	CodeWrongKind         = "wrong_kind"
	CodeRepeatedName      = "repeated_name"
	CodeRepeatedResource  = "repeated_resource"
	CodeInvalidDays       = "invalid_expires_in"
	CodeMissingDays       = "missing_expires_in"
	CodeInvalidName       = "invalid_name"
	CodeNoProfiles        = "no_profiles"
	CodeNoResources       = "no_resources"
	CodeAliasesNotAllowed = "aliases_not_allowed"
)

// maxDays is ten years: more is a mistake.
const maxDays = 3660

// ParseProfiles reads a file of profiles and checks all of it. The error is a
// [RejectedError] that names every problem with its line.
func ParseProfiles(text []byte) (*Profiles, error) {
	r := profileReader{}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, &RejectedError{Problems: []Problem{{Line: max(lineOf(err), 1), Code: CodeMalformedYAML, Message: "the file is not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}}}
	}
	sum := sha256.Sum256(text)
	out := &Profiles{SHA256: hex.EncodeToString(sum[:]), Profiles: map[string]Profile{}}
	if len(root.Content) == 0 {
		r.addf(&yaml.Node{Line: 1}, "", CodeNoProfiles, "the file is empty")
	} else {
		r.file(root.Content[0], out)
	}
	if r.problems != nil {
		slices.SortStableFunc(r.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
		return nil, &RejectedError{Entries: len(out.Profiles), Problems: r.problems}
	}
	return out, nil
}

// lineOf finds the line that the library says an error is on; 0 for none.
func lineOf(err error) int {
	var line int
	if _, rest, ok := strings.Cut(err.Error(), "line "); ok {
		_, _ = fmt.Sscanf(rest, "%d", &line)
	}
	return line
}

type profileReader struct{ problems []Problem }

func (r *profileReader) addf(at *yaml.Node, field, code, format string, args ...any) {
	r.problems = append(r.problems, Problem{Line: at.Line, Field: field, Code: code, Message: fmt.Sprintf(format, args...)})
}

// fields are the values of a mapping, by key.
type fields map[string]*yaml.Node

// mapping reads a mapping whose keys are known; with none, any key will do.
func (r *profileReader) mapping(n *yaml.Node, what string, known ...string) fields {
	if n.Kind != yaml.MappingNode {
		r.addf(n, "", CodeWrongKind, "%s must be a mapping of names to values", what)
		return nil
	}
	out := fields{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case value.Kind == yaml.AliasNode || key.Kind != yaml.ScalarNode || key.Tag == "!!merge":
			r.addf(key, key.Value, CodeAliasesNotAllowed, "aliases and merge keys are not read; write the values out")
		case out[key.Value] != nil:
			r.addf(key, key.Value, CodeRepeatedName, "%q is there twice in %s, first on line %d", key.Value, what, out[key.Value].Line)
		case len(known) > 0 && !slices.Contains(known, key.Value):
			r.addf(key, key.Value, CodeUnknownField, "%q is not a field of %s; there are %s", key.Value, what, strings.Join(known, ", "))
		default:
			out[key.Value] = value
		}
	}
	return out
}

// text returns a scalar as it is written, "" where it is missing or null.
func (r *profileReader) text(f fields, name string) string {
	n := f[name]
	switch {
	case n == nil || n.Tag == "!!null":
		return ""
	case n.Kind != yaml.ScalarNode:
		r.addf(n, name, CodeWrongKind, "%s must be a text", name)
		return ""
	}
	return n.Value
}

func (r *profileReader) file(n *yaml.Node, out *Profiles) {
	f := r.mapping(n, "the file", "version", "expires_in", "profiles")
	if f == nil {
		return
	}
	if out.Version = r.text(f, "version"); !validName(out.Version) {
		r.addf(cmp.Or(f["version"], n), "version", CodeMissingValue, "write a version, such as 2026-11-22.1, and another one whenever the file changes")
	}
	days := r.days(f, 0)
	if f["profiles"] == nil {
		r.addf(n, "profiles", CodeNoProfiles, "the file has no profiles")
		return
	}
	byName := r.mapping(f["profiles"], "profiles")
	if byName != nil && len(byName) == 0 {
		r.addf(f["profiles"], "profiles", CodeNoProfiles, "the file has no profiles")
	}
	for _, name := range slices.SortedFunc(maps.Keys(byName), func(a, b string) int { return cmp.Compare(byName[a].Line, byName[b].Line) }) {
		if !validName(name) {
			r.addf(byName[name], name, CodeInvalidName, "%q is no name of a profile: it must have no white space and at most %d bytes", name, maxName)
		}
		out.Profiles[name] = r.profile(name, byName[name], days)
	}
}

func validName(s string) bool {
	return s != "" && len(s) <= maxName && !strings.ContainsFunc(s, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) })
}

func (r *profileReader) profile(name string, n *yaml.Node, days int) Profile {
	what := "profile " + name
	f := r.mapping(n, what, "description", "expires_in", "resources")
	if f == nil {
		return Profile{}
	}
	p := Profile{Description: r.text(f, "description")}
	days = r.days(f, days)
	list := f["resources"]
	switch {
	case list == nil:
		r.addf(n, "resources", CodeNoResources, "%s has no resources", what)
		return p
	case list.Kind != yaml.SequenceNode:
		r.addf(list, "resources", CodeWrongKind, "the resources of %s must be a list", what)
		return p
	case len(list.Content) == 0:
		r.addf(list, "resources", CodeNoResources, "%s has no resources; a person without access has left", what)
	}
	lines := map[access.Resource]int{}
	for _, item := range list.Content {
		e, ok := r.entry(item, what, days)
		if first, twice := lines[e.Resource()]; ok && twice {
			r.addf(item, "resources", CodeRepeatedResource, "%s is there twice in %s, first on line %d", e.Resource(), what, first)
		}
		lines[e.Resource()] = item.Line
		p.Entries = append(p.Entries, e)
	}
	return p
}

func (r *profileReader) entry(n *yaml.Node, what string, days int) (e Entry, ok bool) {
	f := r.mapping(n, "a resource of "+what, "type", "id", "role", "expires_in")
	if f == nil {
		return e, false
	}
	before := len(r.problems)
	e = Entry{Type: access.ResourceType(r.text(f, "type")), ID: r.text(f, "id"), Role: r.text(f, "role")}
	own := r.days(f, 0)
	c := e.Grant("anybody", access.Date{})
	switch {
	case c.TakesExpiry():
		e.Days = cmp.Or(own, days)
	case own > 0:
		r.addf(f["expires_in"], "expires_in", access.CodeExpiryNotAllowed, "this access lasts until it is revoked, and Quick BI would ignore the date; leave expires_in out")
	}
	if c.TakesExpiry() && e.Days == 0 && len(r.problems) == before {
		r.addf(n, "expires_in", CodeMissingDays, "a grant of this needs an expiry, lest Quick BI choose one; write expires_in, such as 365d, here, in the profile or in the file")
	}
	names := map[string]string{"resource_type": "type", "resource_id": "id", "role": "role"}
	for _, p := range c.Problems(access.Date{}) {
		if field, own := names[p.Column]; own {
			message := strings.ReplaceAll(p.Message, "leave the column empty", "leave it out")
			r.addf(cmp.Or(f[field], n), field, p.Code, "%s", message)
		}
	}
	return e, len(r.problems) == before
}

// errDays means that a text is no number of days.
var errDays = errors.New("not a number of days")

// days reads expires_in, such as 365d; without one it is inherited.
func (r *profileReader) days(f fields, inherited int) int {
	text := r.text(f, "expires_in")
	if text == "" {
		return inherited
	}
	days, err := parseDays(text)
	if err != nil {
		r.addf(f["expires_in"], "expires_in", CodeInvalidDays, "%q is not a number of days from 1d to %dd; write it such as 365d", text, maxDays)
		return 1 // one problem is enough
	}
	return days
}

func parseDays(text string) (int, error) {
	digits, isDays := strings.CutSuffix(text, "d")
	days, err := strconv.Atoi(digits)
	if err != nil || !isDays || days < 1 || days > maxDays || digits[0] == '+' {
		return 0, errDays
	}
	return days, nil
}
