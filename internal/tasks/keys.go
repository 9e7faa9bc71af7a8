package tasks

import (
	"slices"
	"strings"
)

// What the idempotency keys of this system's own jobs begin with. Nobody else may
// use them: a key that is taken keeps the job of a leaver or of a slot away.
const (
	EventKey      = "event:"       // the job of an event of a person
	EventAgainKey = "event-again:" // those that revoke once more what it could not
	EventReadKey  = "event-read:"  // those that read what a leaver still has
	ScheduleKey   = "schedule:"    // the job of a slot
)

// ReservedKey reports whether key begins like those of this system's own jobs, and
// must not be taken from outside.
func ReservedKey(key string) bool {
	return slices.ContainsFunc([]string{EventKey, EventAgainKey, EventReadKey, ScheduleKey}, func(prefix string) bool {
		return strings.HasPrefix(key, prefix)
	})
}
