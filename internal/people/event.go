// Package people knows what an HR feed says of people, what a profile of access
// is, and what changes follow when somebody gets another profile or leaves. It is
// pure: nothing is asked, sent or stored, and the day comes from the caller.
package people

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/usher-bi/usher/internal/access"
)

// Type says what an event tells.
type Type string

// The types of events. A joiner and a mover mean the same: from then on the
// person has the access of that profile and no longer that of the one before. So
// it does not matter which of them comes first.
const (
	Joiner   Type = "joiner"
	Mover    Type = "mover"
	Leaver   Type = "leaver"   // everything is revoked
	Withdraw Type = "withdraw" // an event that is not applied yet never is
)

// Event is a fact about a person.
type Event struct {
	ID          string // the feed's own; the idempotency key
	Type        Type
	Principal   string    // a Quick BI user id; "" of a withdrawal
	Profile     string    // of joiners and movers
	EffectiveAt time.Time // UTC, to the microsecond; zero of a withdrawal
	Withdraws   string    // the id of the event that a withdrawal takes back
}

// Fingerprint is equal for events that say the same.
func (e Event) Fingerprint() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "usher event 1 %q %q %q %q %q %q",
		e.ID, e.Type, e.Principal, e.Profile, e.EffectiveAt.Format(time.RFC3339Nano), e.Withdraws))
	return hex.EncodeToString(sum[:])
}

// The codes of what can be wrong with an event, besides those of ids in package
// access. They are API.
const (
	CodeMalformed      = "malformed_json"
	CodeUnknownField   = "unknown_field"
	CodeRepeatedField  = "repeated_field"
	CodeMissingValue   = "missing_value"
	CodeUnknownType    = "unknown_event_type"
	CodeInvalidTime    = "invalid_time"
	CodeMissingZone    = "missing_zone"
	CodeNotAllowed     = "value_not_allowed"
	CodeInvalidEventID = "invalid_event_id"
	CodeTooLong        = "line_too_long"
	CodeTooMany        = "too_many_events"
	CodeNone           = "no_events"
	CodeUnknownProfile = "profile_unknown"
)

// Problem is something wrong with a document, and what to do about it.
type Problem struct {
	Line    int // from 1
	Field   string
	Code    string
	Message string
}

// RejectedError says that a document cannot be used, and why.
type RejectedError struct {
	Entries  int // events or profiles that were read
	Problems []Problem
	Omitted  int // problems that are not listed, because there are very many
}

func (e *RejectedError) Error() string {
	if len(e.Problems) == 1 {
		return fmt.Sprintf("line %d: %s", e.Problems[0].Line, e.Problems[0].Message)
	}
	return fmt.Sprintf("%d problems, the first on line %d: %s", len(e.Problems)+e.Omitted, e.Problems[0].Line, e.Problems[0].Message)
}

// Line is an event with the line that it stands on.
type Line struct {
	Event

	No int
}

const (
	maxLine   = 64 << 10
	maxEvents = 100_000
	maxName   = 256
	maxFields = 16

	mostProblems = 10_000 // that are listed
)

// ReadEvents reads events, one JSON object a line. One bad line rejects them all,
// with a [RejectedError] that names every bad one, or the first of very many; any
// other error is of reading.
func ReadEvents(r io.Reader) ([]Line, error) {
	in := bufio.NewScanner(r)
	in.Buffer(nil, maxLine)
	var lines []Line
	var bad RejectedError
	no := 0
	for in.Scan() {
		no++
		text := in.Bytes()
		if no == 1 {
			text = bytes.TrimPrefix(text, []byte("\ufeff"))
		}
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		if bad.Entries == maxEvents {
			bad.add(Problem{Line: no, Code: CodeTooMany, Message: fmt.Sprintf("a document has at most %d events; split it", maxEvents)})
			break
		}
		bad.Entries++
		e, problems := ParseEvent(text)
		for _, p := range problems {
			p.Line = no
			bad.add(p)
		}
		if bad.Problems != nil {
			lines = nil // nothing comes of any of them
			continue
		}
		lines = append(lines, Line{No: no, Event: e})
	}
	switch err := in.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		bad.add(Problem{Line: no + 1, Code: CodeTooLong, Message: fmt.Sprintf("the line is longer than %d bytes; write one event a line", maxLine)})
	case err != nil:
		return nil, fmt.Errorf("reading events: %w", err)
	case bad.Entries == 0:
		bad.add(Problem{Line: 1, Code: CodeNone, Message: "there is no event; write one JSON object a line"})
	}
	if bad.Problems != nil {
		return nil, &bad
	}
	return lines, nil
}

func (e *RejectedError) add(p Problem) {
	if len(e.Problems) == mostProblems {
		e.Omitted++
		return
	}
	e.Problems = append(e.Problems, p)
}

// ParseEvent reads one event: a JSON object of texts. It returns every problem,
// with line 1.
func ParseEvent(text []byte) (Event, []Problem) {
	values, malformed := readTexts(text)
	if malformed != nil {
		return Event{}, []Problem{*malformed}
	}
	c := checker{values: values}
	e := Event{ID: c.take("event_id"), Type: Type(c.take("type"))}
	c.checkName("event_id", e.ID)
	switch e.Type {
	case Joiner, Mover:
		e.Profile = c.take("profile")
		c.checkName("profile", e.Profile)
		e.Principal, e.EffectiveAt = c.principal(), c.time()
	case Leaver:
		e.Principal, e.EffectiveAt = c.principal(), c.time()
	case Withdraw:
		e.Withdraws = c.take("withdraws")
		c.checkName("withdraws", e.Withdraws)
	case "":
		c.addf("type", CodeMissingValue, "the type is missing; write joiner, mover, leaver or withdraw")
		return e, c.problems
	default:
		c.addf("type", CodeUnknownType, "%.40q is not a type; write joiner, mover, leaver or withdraw", e.Type)
		return e, c.problems
	}
	c.rest(e.Type)
	return e, c.problems
}

// readTexts reads an object whose values are texts. Unlike encoding/json it
// refuses a field that comes twice.
func readTexts(text []byte) (map[string]string, *Problem) {
	malformed := func(message string) (map[string]string, *Problem) {
		return nil, &Problem{Line: 1, Code: CodeMalformed, Message: message}
	}
	if !utf8.Valid(text) {
		return malformed("the event is not UTF-8 text")
	}
	in := json.NewDecoder(bytes.NewReader(text))
	const shape = `the event is not a JSON object; write {"event_id":"…","type":"…",…} on one line`
	if open, err := in.Token(); err != nil || open != json.Delim('{') {
		return malformed(shape)
	}
	values := map[string]string{}
	for in.More() {
		key, err := in.Token()
		if err != nil {
			return malformed(shape)
		}
		name, _ := key.(string) // a key is
		if strings.ContainsRune(name, utf8.RuneError) {
			return malformed("the name of a field holds U+FFFD, or half of a surrogate pair; write it anew")
		}
		value, err := in.Token()
		if err != nil {
			return malformed(shape)
		}
		s, isText := value.(string)
		if !isText {
			return malformed(fmt.Sprintf("the value of %.40q is not a text; put it into quotes", name))
		}
		if strings.ContainsRune(s, utf8.RuneError) { // nobody knows what stood there
			return nil, &Problem{Line: 1, Field: name, Code: CodeMalformed, Message: name + " holds U+FFFD, or half of a surrogate pair, where a character was lost; write it anew"}
		}
		if _, twice := values[name]; twice {
			return nil, &Problem{Line: 1, Field: clipped(name), Code: CodeRepeatedField, Message: fmt.Sprintf("%.40q is there twice; keep one", name)}
		}
		if len(values) == maxFields {
			return malformed(fmt.Sprintf("the event has more than %d fields; leave out those that are not known", maxFields))
		}
		values[name] = s
	}
	if _, err := in.Token(); err != nil { // the closing brace
		return malformed(shape)
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return malformed("something follows the event; write one event a line")
	}
	return values, nil
}

// clipped is as much of a name as is told. It is a copy.
func clipped(name string) string { return fmt.Sprintf("%.40s", name) }

// checker takes the fields of an event apart.
type checker struct {
	values   map[string]string
	problems []Problem
}

func (c *checker) addf(field, code, format string, args ...any) {
	c.problems = append(c.problems, Problem{Line: 1, Field: field, Code: code, Message: fmt.Sprintf(format, args...)})
}

func (c *checker) take(field string) string {
	value := c.values[field]
	delete(c.values, field)
	return value
}

func (c *checker) checkName(field, value string) {
	code := CodeNotAllowed
	if field != "profile" {
		code = CodeInvalidEventID
	}
	switch {
	case value == "":
		c.addf(field, CodeMissingValue, "%s is missing", field)
	case len(value) > maxName:
		c.addf(field, code, "%s is %d bytes long; use at most %d", field, len(value), maxName)
	case strings.ContainsFunc(value, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }):
		c.addf(field, code, "%s %q holds white space or a control character", field, value)
	}
}

// principal takes the person. What an id may be is for package access to say.
func (c *checker) principal() string {
	id := c.take("principal")
	if len(id) > maxName {
		c.addf("principal", access.CodeInvalidID, "principal is %d bytes long; use at most %d", len(id), maxName)
		return ""
	}
	if strings.HasPrefix(id, "account:") {
		c.addf("principal", access.CodeInvalidID, "%q names an account; events name people by their Quick BI id", id)
		return id
	}
	probe := access.Change{Operation: access.Revoke, Principal: access.Principal{Type: access.User, ID: id}, Resource: access.Resource{Type: access.QAResource, ID: "x"}}
	for _, p := range probe.Problems(access.Date{}) {
		c.addf(p.Column, p.Code, "%s", p.Message)
	}
	return id
}

func (c *checker) time() time.Time {
	const field, example = "effective_at", "2026-12-01T00:00:00+08:00"
	text := c.take(field)
	if text == "" {
		c.addf(field, CodeMissingValue, "effective_at is missing; write when it takes effect, such as %s", example)
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err == nil {
		return at.UTC().Truncate(time.Microsecond)
	}
	for _, bare := range []string{"2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02 15:04:05", time.DateOnly} {
		if _, err := time.Parse(bare, text); err == nil {
			c.addf(field, CodeMissingZone, "%.40q leaves open in which time zone; write it in full, such as %s", text, example)
			return time.Time{}
		}
	}
	c.addf(field, CodeInvalidTime, "%.40q is not a time; write it such as %s", text, example)
	return time.Time{}
}

// rest reports the fields that are left.
func (c *checker) rest(t Type) {
	known := []string{"principal", "profile", "effective_at", "withdraws"}
	for _, field := range slices.Sorted(maps.Keys(c.values)) {
		switch {
		case !slices.Contains(known, field):
			c.addf(clipped(field), CodeUnknownField, "%.40q is not a field of an event; leave it out", field)
		case c.values[field] != "":
			c.addf(field, CodeNotAllowed, "a %s has no %s; leave it out", t, field)
		}
	}
}
