package main

import (
	"bufio"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
	"github.com/usher-bi/usher/internal/view"
)

// standing is a job's status and outcome in one breath: "completed" alone says
// nothing about success.
func standing(j store.Job) string {
	switch {
	case j.DroppedAt != nil:
		return string(j.Status) + ", rows dropped"
	case j.Status.Final() && j.Outcome == store.OutcomeNone:
		return string(j.Status) + ", no row succeeded or failed"
	case j.Status.Final():
		return string(j.Status) + ", " + string(j.Outcome)
	case j.Counts.Failed+j.Counts.Unknown > 0:
		return string(j.Status) + ", some rows failed so far"
	default:
		return string(j.Status)
	}
}

// jobView is a job as people see it.
type jobView struct {
	languages

	job     store.Job
	reads   bool // it reads what users were given
	groups  []store.FailureGroup
	stopped []store.Stop // actions that hold it up
	paused  []store.Pause
	rates   []tasks.ActionRate // of the actions that it still needs
}

// write prints the view as a table and what follows from it.
func (v jobView) write(out *bufio.Writer) {
	j := v.job
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, name+"\t"+format+"\n", args...)
	}
	row("job", "%s", j.ID)
	row("status", "%s", standing(j))
	row("source", "%s, requested by %s, lane %s", printable(j.Source), printable(j.RequestedBy), j.Lane)
	if j.Reason != "" {
		row("reason", "%s", printable(j.Reason))
	}
	if j.ParentID != nil {
		row("parent", "%s", *j.ParentID)
	}
	row("accepted", "%s, started %s, ended %s", timestamp(&j.CreatedAt), timestamp(j.StartedAt), timestamp(j.FinishedAt))
	row("rows", "%s", rowCounts(j.Counts))
	row("tasks", "%s of %s done; %s sent, %s throttled", commas(j.Tasks.Done), commas(j.Tasks.Total),
		plural(j.Calls.Sent, "call"), commas(j.Calls.Throttled))
	if !j.Status.Final() {
		row("progress", "%s", progressText(j))
	}
	for _, r := range v.rates {
		row("rate", "%s", rateLine(r))
	}
	_ = w.Flush() // out remembers errors
	v.writeCauses(out)
}

// writeCauses prints why rows failed and what holds the job up.
func (v jobView) writeCauses(out *bufio.Writer) {
	for _, line := range pauseTexts(v.paused) {
		fmt.Fprintln(out, line)
	}
	for _, s := range v.stopped {
		fmt.Fprintln(out, v.stopText(s))
	}
	if len(v.groups) > 0 {
		fmt.Fprintln(out)
		if failed := v.job.Counts.Failed + v.job.Counts.Unknown; failed > failuresLookedAt {
			fmt.Fprintf(out, "Of the first %s of %s failures:\n", commas(failuresLookedAt), commas(failed))
		}
		v.writeGroups(out, v.groups, topGroups)
	}
}

// rowCounts lists every status that some row has.
func rowCounts(c store.Counts) string {
	numbers := []int{c.Succeeded, c.NoChange, c.Failed, c.Unknown, c.Superseded, c.Canceled, c.Pending}
	var parts []string
	for i, status := range store.Statuses() {
		if numbers[i] > 0 {
			parts = append(parts, commas(numbers[i])+" "+string(status))
		}
	}
	return commas(c.Total) + ": " + strings.Join(parts, ", ")
}

// progressText says how far a job is that has not ended.
func progressText(j store.Job) string {
	c := j.Counts
	text := fmt.Sprintf("%s of %s rows (%d%%)", commas(c.Total-c.Pending), commas(c.Total), int(j.Progress.Ratio*100))
	if bad := c.Failed + c.Unknown; bad > 0 {
		text += fmt.Sprintf(", %s failed", commas(bad))
	}
	switch {
	case j.Progress.Left != nil:
		text += ", " + leftText(*j.Progress.Left)
	case j.Status == store.JobQueued:
		text += ", no worker has taken it yet"
	}
	return text
}

// leftText says how long a job still takes.
func leftText(left time.Duration) string {
	return fmt.Sprintf("about %s left", max(0, left).Round(time.Second))
}

// stopText says why nothing is sent and who has to do what.
func (l languages) stopText(s store.Stop) string {
	text := fmt.Sprintf("%s is stopped since %s: Quick BI refuses every call of this account (%s: %s).",
		s.Action, timestamp(&s.Since), printable(s.APICode), printable(s.Message))
	return text + " " + strings.Join(l.hints(s.Code), " ") +
		" No row fails for it; the workers go on by themselves once it is mended, and look again at " + timestamp(&s.NextProbe) +
		", or at once on: enqueue resume --action " + string(s.Action)
}

const (
	// topGroups is how many groups of failures a summary shows.
	topGroups = 5

	// failuresLookedAt is of how many failures, so that it takes no longer where a
	// million rows have failed. Of all of them tells "enqueue failures".
	failuresLookedAt = 1000
)

// writeGroups prints the first groups of failures, up to most.
func (l languages) writeGroups(out *bufio.Writer, groups []store.FailureGroup, most int) {
	shown := groups[:min(most, len(groups))]
	for _, g := range shown {
		name := g.Code
		if g.APICode != "" {
			name += " (" + g.APICode + ")"
		}
		retry := "retrying does not help"
		if g.Retryable {
			retry = "can be retried"
		}
		fmt.Fprintf(out, "%s: %s, %s; %s\n", plural(g.Count, "row"), printable(name), retry, sampleLines(g))
		if g.Message != "" {
			fmt.Fprintf(out, "    %s\n", printable(g.Message))
		}
		if g.RequestID != "" {
			fmt.Fprintf(out, "    request id %s\n", printable(g.RequestID))
		}
		for _, hint := range l.hints(g.Code) {
			fmt.Fprintf(out, "    %s\n", hint)
		}
	}
	if more := len(groups) - len(shown); more > 0 {
		fmt.Fprintf(out, "and %s\n", plural(more, "more cause"))
	}
}

// sampleLines names some lines of a group, which has at least one.
func sampleLines(g store.FailureGroup) string {
	out := make([]string, 0, len(g.SampleLines)+1)
	for _, line := range g.SampleLines {
		out = append(out, strconv.Itoa(line))
	}
	if g.Count > len(out) {
		out = append(out, "…")
	}
	if g.Count == 1 {
		return "line " + out[0]
	}
	return "lines " + strings.Join(out, ", ")
}

// next names the commands that lead on from where a job stands.
func (v jobView) next() []string {
	j := v.job
	switch {
	case !j.Status.Final():
		var commands []string
		for _, p := range v.paused {
			commands = append(commands, wayOn(p))
		}
		return append(commands, "enqueue status "+j.ID+" --watch")
	case len(v.groups) == 0 && v.reads:
		return []string{"enqueue shares --job " + j.ID + " -o shares.csv"}
	case len(v.groups) == 0:
		return []string{"enqueue results " + j.ID + " -o results.csv"}
	}
	commands := []string{
		"enqueue failures " + j.ID,
		"enqueue results " + j.ID + " --status failed,unknown -o failed.csv",
	}
	if slices.ContainsFunc(v.groups, func(g store.FailureGroup) bool { return g.Code == view.CodeOutcomeUnknown }) {
		commands = append(commands, "enqueue verify "+j.ID)
	}
	for _, g := range v.groups {
		if g.Retryable {
			return append(commands, "enqueue retry "+j.ID+" --wait")
		}
	}
	return commands
}
