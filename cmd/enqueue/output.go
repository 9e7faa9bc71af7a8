package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/view"
)

// jobDocument is what --json prints for a job. Its JSON is API.
type jobDocument struct {
	store.Job

	Replayed *bool                `json:"replayed,omitempty"` // of commands that submit
	Warnings *[]string            `json:"warnings,omitempty"` // of commands that submit
	Changed  *bool                `json:"changed,omitempty"`  // of commands that pause, resume and cancel
	Paused   []store.Pause        `json:"paused,omitempty"`   // what keeps it, or tasks of it, from being sent
	Stopped  []view.StoppedAction `json:"stopped_actions,omitempty"`
	Limits   []view.Limit         `json:"limits,omitempty"` // of the actions that it still needs
	Error    *fault               `json:"error,omitempty"`  // why following ended before the job did
}

// emit prints the one JSON document of a command.
func (a *app) emit(document any) error {
	out := json.NewEncoder(a.Stdout)
	out.SetEscapeHTML(false)
	if err := out.Encode(document); err != nil {
		return fmt.Errorf("writing the output: %w", err)
	}
	return nil
}

// sayf talks to a person. Talk goes to stderr, so that stdout stays data.
func (a *app) sayf(format string, args ...any) { fmt.Fprintf(a.Stderr, format+"\n", args...) }

// next names the next useful commands, for people only.
func (a *app) next(commands ...string) {
	if !a.json && len(commands) > 0 {
		a.sayf("Next: %s", strings.Join(commands, "\n      "))
	}
}

// warn prints warnings for people; programs find them in the document.
func (a *app) warn(warnings []string) {
	if a.json {
		return
	}
	for _, w := range warnings {
		a.sayf("warning: %s", printable(w))
	}
}

// printable makes text from elsewhere safe to show: a terminal obeys control
// characters, and a line break would forge a line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return unicode.ReplacementChar
		default:
			return r
		}
	}, s)
}

// printableLines is printable for text of several lines.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = printable(line)
	}
	return strings.Join(lines, "\n")
}

// commas writes n as people do: 100,000.
func commas(n int) string {
	s := strconv.Itoa(n)
	for at := len(s) - 3; at > 0 && s[at-1] != '-'; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}

// plural counts things whose plural takes an s.
func plural(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return commas(n) + " " + thing
}

// timestamp writes a time for people, in UTC.
func timestamp(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}
