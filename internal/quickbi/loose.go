package quickbi

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
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

// integer is a whole number in an answer that may be missing, or be none.
type integer struct {
	value int64
	state numberState
}

type numberState int

const (
	numberMissing numberState = iota // absent, null or ""
	numberRead
	numberOdd // something that is no whole number
)

// UnmarshalJSON reads 25 and "25". It never fails.
func (i *integer) UnmarshalJSON(b []byte) error {
	var t text
	_ = t.UnmarshalJSON(b)
	digits := strings.TrimSpace(string(t))
	value, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case err == nil:
		*i = integer{value, numberRead}
	case digits == "" && b[0] != '{' && b[0] != '[':
		*i = integer{}
	default:
		*i = integer{state: numberOdd}
	}
	return nil
}

// or returns the number, instead if none was given, and -1 if it is none.
func (i integer) or(instead int64) int64 {
	switch i.state {
	case numberRead:
		return i.value
	case numberMissing:
		return instead
	default:
		return -1
	}
}

// line is t as one line of any length.
func line(t text) string { return clean(string(t), math.MaxInt) }

const null = "null"

// payload takes off the string that older answers wrap lists and objects in.
// What is absent, null or blank becomes null.
func payload(raw json.RawMessage) json.RawMessage {
	var wrapped string
	if json.Unmarshal(raw, &wrapped) == nil {
		wrapped = strings.TrimSpace(wrapped)
		if wrapped == "" || wrapped == null || strings.ContainsRune(`{["`, rune(wrapped[0])) && json.Valid([]byte(wrapped)) {
			raw = json.RawMessage(wrapped)
		}
	}
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return json.RawMessage(null)
	}
	return raw
}

// list reads a list, also a wrapped one. Null is an empty list.
func list[T any](raw json.RawMessage) (rows []T, ok bool) {
	err := json.Unmarshal(payload(raw), &rows)
	return rows, err == nil
}

// object reads an object, also a wrapped one. Null is the zero T.
func object[T any](raw json.RawMessage) (value T, ok bool) {
	err := json.Unmarshal(payload(raw), &value)
	return value, err == nil
}
