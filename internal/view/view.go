// Package view says how jobs, results, limits and failures look to programs,
// whichever way they ask: on the command line or over HTTP. Its JSON is API.
package view

import (
	"github.com/usher-bi/usher/internal/store"
)

// StoppedAction is an action that is stopped, with what to do.
type StoppedAction struct {
	store.Stop

	Hint   string `json:"hint"`
	HintZH string `json:"hint_zh"`
}

// Stopped adds to stops what to do.
func Stopped(stops []store.Stop) []StoppedAction {
	out := make([]StoppedAction, 0, len(stops))
	for _, s := range stops {
		h := HintFor(s.Code)
		out = append(out, StoppedAction{Stop: s, Hint: h.EN, HintZH: h.ZH})
	}
	return out
}

// FailureGroup is a group of failures with what to do.
type FailureGroup struct {
	store.FailureGroup

	Hint   string `json:"hint"`
	HintZH string `json:"hint_zh"`
}

// Failures is the document of the failures of a job.
type Failures struct {
	Groups []FailureGroup `json:"failure_groups"`
}

// FailuresOf adds to groups what to do.
func FailuresOf(groups []store.FailureGroup) Failures {
	out := make([]FailureGroup, len(groups))
	for i, g := range groups {
		h := HintFor(g.Code)
		out[i] = FailureGroup{FailureGroup: g, Hint: h.EN, HintZH: h.ZH}
	}
	return Failures{Groups: out}
}
