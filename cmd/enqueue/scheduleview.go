package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/usher-bi/usher/internal/store"
)

// write prints a schedule as a table.
func (v scheduleView) write(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	row("schedule", "%s", v.Name)
	row("does", "%s", printable(v.what()))
	row("when", "%s in %s; next: %s", v.Cron, v.Timezone, v.nextText())
	row("slots", "that were missed: %s; while jobs are open: %s", v.CatchUp, v.Overlap)
	if v.Kind != store.RenewSchedule {
		row("file", "complete by %s, within %s of the slot", v.CompleteBy, v.FileWithin)
		if v.Sheet != "" {
			row("sheet", "%s", printable(v.Sheet))
		}
		if v.SkipInvalid {
			row("bad rows", "are recorded as failures; the others are submitted")
		}
	}
	row("jobs", "source %s, requested by %s, lane %s", printable(v.Source), printable(v.RequestedBy), v.Lane)
	if v.Reason != "" {
		row("reason", "%s", printable(v.Reason))
	}
	row("held if", "%s", guardsText(v.Schedule))
	if v.PausedAt != nil {
		row("paused", "since %s by %s %s", timestamp(v.PausedAt), printable(v.PausedBy), printable(v.PauseReason))
	}
	_ = w.Flush() // out is memory
}

// guardsText says what a job of a schedule is held for.
func guardsText(s store.Schedule) string {
	var parts []string
	say := func(on bool, format string, args ...any) {
		if on {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	g := s.Guards
	say(g.MaxRevokes > 0, "more than %s", plural(g.MaxRevokes, "revoke"))
	say(g.MaxRevokeShare > 0, "more than %.4g%% revokes", g.MaxRevokeShare*100)
	say(g.MaxRevokesPerDay > 0, "more than %s in 24 hours", plural(g.MaxRevokesPerDay, "revoke"))
	say(g.MaxShrink > 0, "more than %.4g%% fewer rows", g.MaxShrink*100)
	say(!s.AllowStale && s.Kind != store.RenewSchedule, "no newer than the file before")
	if parts == nil {
		return "nothing"
	}
	return strings.Join(parts, "; ")
}

// writeRuns prints what became of slots.
func writeRuns(out io.Writer, v scheduleView, held []string) {
	if len(v.Runs) == 0 {
		fmt.Fprintln(out, "\nNo slot has come yet.")
		return
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nSLOT\tSTATE\tPASSED OVER\tFILE\tROWS\tJOB\tWHY")
	for _, r := range v.Runs {
		slot := v.local(r.Slot)
		if r.Manual {
			slot += " (asked for)"
		}
		if len(r.Inputs) == 0 {
			fmt.Fprintf(w, "%s\t%s\t%d\t-\t-\t-\t%s\n", slot, stateOf(r), r.Missed, printable(r.Why))
		}
		for _, in := range r.Inputs {
			why := in.Why
			if slices.Contains(held, in.Job) {
				why = "held by a guard"
			}
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", slot, stateOf(r), r.Missed, dashed(printable(in.File)), commas(in.Rows), dashed(in.Job), printable(why))
		}
	}
	_ = w.Flush() // out is memory
}

// stateOf says how a run stands, and of one that is done whether all of it was.
func stateOf(r store.Run) string {
	if r.State == store.RunDone && !r.Succeeded {
		return "done, not all"
	}
	return string(r.State)
}
