package quickbi

import (
	"encoding/json"
	"strings"
)

// text is a string in an answer. Numbers and booleans count as their text;
// null, objects and lists count as nothing.
type text string

// UnmarshalJSON never fails.
func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	switch {
	case json.Unmarshal(b, &s) == nil:
		*t = text(s) // null leaves s empty
	case b[0] != '{' && b[0] != '[':
		*t = text(b)
	default:
		*t = ""
	}
	return nil
}

// flag is a boolean in an answer that may be missing.
type flag int

const (
	unsaid flag = iota // absent, or nothing that means yes or no
	yes
	no
)

// UnmarshalJSON reads true, "true", "True", 1 and "1", and their opposites. It
// never fails.
func (f *flag) UnmarshalJSON(b []byte) error {
	var t text
	_ = t.UnmarshalJSON(b)
	switch strings.ToLower(strings.TrimSpace(string(t))) {
	case "true", "1":
		*f = yes
	case "false", "0":
		*f = no
	default:
		*f = unsaid
	}
	return nil
}
