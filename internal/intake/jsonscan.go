package intake

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// What is scanned here was found to be valid JSON before, so that nothing needs
// to be checked again: of a file that is changed while it is read it may make
// anything, but it comes to an end. It is scanned by hand because the standard decoder forgets
// the order of the members, takes the last of two with one name, and makes
// numbers of numbers.

// member is one member of a JSON object.
type member struct {
	name string // decoded
	raw  string // of the value, as written
}

// nextMember returns the first member of an object, of which rest is what
// follows the opening brace or the member before, and what follows it. It
// returns false at the end.
func nextMember(rest string) (m member, after string, ok bool) {
	rest = strings.TrimLeft(rest, jsonSpace+",")
	if rest == "" || rest[0] == '}' {
		return member{}, rest, false
	}
	end := valueEnd(rest)
	if name, sound := decodeString(rest[:end]); sound {
		m.name = name // else it counts as having none
	}
	rest = strings.TrimLeft(rest[end:], jsonSpace+":")
	end = valueEnd(rest)
	m.raw = rest[:end]
	return m, rest[end:], end > 0
}

const jsonSpace = " \t\r\n"

// valueEnd is where the value ends that s begins with.
func valueEnd(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			i += stringEnd(s[i:]) - 1
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
			if depth < 0 { // a number or a word ends where what holds it does
				return i
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
	}
	return len(s)
}

// stringEnd is where the string ends that s begins with, quotes included.
func stringEnd(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(s)
}

// decodeString returns the text of a JSON string. It is not sound if it cannot
// be kept as it is: half of a surrogate pair, or a NUL.
func decodeString(raw string) (text string, sound bool) {
	if len(raw) < 2 {
		return "", false
	}
	text = raw[1 : len(raw)-1]
	if strings.IndexByte(text, '\\') < 0 {
		return text, true
	}
	if json.Unmarshal([]byte(raw), &text) != nil {
		return "", false
	}
	broken := strings.ContainsRune(text, utf8.RuneError) && !strings.ContainsRune(raw, utf8.RuneError) &&
		!strings.Contains(strings.ToLower(raw), `\ufffd`)
	return text, !broken && strings.IndexByte(text, 0) < 0
}

// kindOf says what a JSON value is, in words.
func kindOf(raw string) string {
	switch raw[0] {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "a truth value"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}
