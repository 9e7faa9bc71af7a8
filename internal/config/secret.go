package config

import "fmt"

// redacted stands wherever a secret would have been printed.
const redacted = "[redacted]"

// Secret is text that no log, error or JSON document ever shows.
type Secret string

// Format answers every verb alike, %#v and %d included.
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// String hides the value.
func (Secret) String() string { return redacted }

// MarshalText hides the value from JSON and its like.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Reveal hands out the value. Search for it to find every use.
func (s Secret) Reveal() string { return string(s) }
