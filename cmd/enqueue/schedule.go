package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/slots"
	"github.com/usher-bi/usher/internal/store"
)

// scheduleView is a schedule in JSON documents. Its JSON is API.
type scheduleView struct {
	store.Schedule

	FileWithin string      `json:"file_within,omitempty"`
	Next       *time.Time  `json:"next"` // slot; null while it is paused
	LastRun    *store.Run  `json:"last_run,omitempty"`
	Runs       []store.Run `json:"runs,omitempty"`    // of show, the newest first
	Changed    *bool       `json:"changed,omitempty"` // of commands that change it

	zone *time.Location
}

// schedulesDocument is what --json prints for all schedules. Its JSON is API.
type schedulesDocument struct {
	Schedules []scheduleView `json:"schedules"`
}

func (a *app) scheduleCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schedule",
		Short: "Have workers submit files, renewals and differences by the clock",
		Long: `Schedules are run by the workers, each slot once, whatever their number. What a
run submits is a job like any other. A job that revokes too much, or whose file is
older or much shorter than the one before, is held until "enqueue release".`,
		Example: `  enqueue schedule add leavers --cron "0 2 * * *" --timezone Asia/Shanghai --file hr/leavers.csv
  enqueue schedule list
  enqueue schedule show leavers`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return a.listSchedules(cmd.Context()) },
	}
	cmd.AddCommand(a.scheduleAddCommand(), a.scheduleListCommand(), a.scheduleShowCommand(), a.scheduleNextCommand())
	for _, o := range scheduleOrders() {
		cmd.AddCommand(a.scheduleOrderCommand(o))
	}
	return cmd
}

func (a *app) scheduleListCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "list",
		Short:             "List all schedules, with their last run and their next slot",
		Example:           "  enqueue schedule list\n  enqueue schedule list --json | jq -r '.schedules[].name'",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return a.listSchedules(cmd.Context()) },
	}
}

func (a *app) listSchedules(ctx context.Context) error {
	return a.reading(ctx, func(st *store.Store) error {
		all, err := st.Schedules(ctx)
		if err != nil {
			return err
		}
		last, err := st.LastRuns(ctx)
		if err != nil {
			return err
		}
		now, err := st.Now(ctx)
		if err != nil {
			return err
		}
		d := schedulesDocument{Schedules: []scheduleView{}}
		for _, s := range all {
			v := scheduleOf(s, now)
			if run, ran := last[s.ID]; ran {
				v.LastRun = &run
			}
			d.Schedules = append(d.Schedules, v)
		}
		if a.json {
			return a.emit(d)
		}
		return a.printSchedules(d.Schedules)
	})
}

// scheduleOf shows a schedule as of now.
func scheduleOf(s store.Schedule, now time.Time) scheduleView {
	v := scheduleView{Schedule: s, zone: time.UTC}
	if s.Kind != store.RenewSchedule {
		v.FileWithin = s.FileWithin.String()
	}
	calendar, err := slots.Parse(s.Cron, s.Timezone)
	if err != nil { // it was judged when it was added
		return v
	}
	if zone, err := time.LoadLocation(s.Timezone); err == nil {
		v.zone = zone
	}
	if next := calendar.Next(now); s.PausedAt == nil && !next.IsZero() {
		v.Next = &next
	}
	return v
}

func (a *app) printSchedules(all []scheduleView) error {
	if len(all) == 0 {
		a.sayf("There are no schedules.")
		a.next(`enqueue schedule add NAME --cron "0 2 * * *" --file PATH`)
		return nil
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tWHAT\tCRON\tLAST SLOT\tSTATE\tNEXT SLOT")
	for _, v := range all {
		last, state := "-", "-"
		if v.LastRun != nil {
			last, state = v.local(v.LastRun.Slot), stateOf(*v.LastRun)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", v.Name, printable(v.what()), v.Cron, last, state, v.nextText())
	}
	err := w.Flush()
	a.next("enqueue schedule show " + all[0].Name)
	return err
}

// local writes a time on the wall clock of the schedule.
func (v scheduleView) local(t time.Time) string { return t.In(v.zone).Format("2006-01-02 15:04 MST") }

func (v scheduleView) nextText() string {
	switch {
	case v.PausedAt != nil:
		return "paused"
	case v.Next == nil:
		return "-"
	default:
		return v.local(*v.Next)
	}
}

// what says in a few words what the schedule does.
func (v scheduleView) what() string {
	if v.Kind == store.RenewSchedule {
		return fmt.Sprintf("renew what ends within %dd", v.RenewDays)
	}
	return string(v.Kind) + " " + v.Path
}

// shownRuns is how many runs show shows.
const shownRuns = 20

func (a *app) scheduleShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "show NAME",
		Short:             "Show a schedule, its guards, and what became of its newest slots",
		Example:           "  enqueue schedule show leavers",
		Args:              oneArg("the schedule"),
		ValidArgsFunction: a.completeSchedule,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.showSchedule(cmd.Context(), args[0]) },
	}
}

func (a *app) showSchedule(ctx context.Context, name string) error {
	return a.reading(ctx, func(st *store.Store) error {
		v, err := scheduleNow(ctx, st, name)
		if err != nil {
			return err
		}
		if v.Runs, err = st.Runs(ctx, v.ID, shownRuns); err != nil {
			return err
		}
		if a.json {
			return a.emit(v)
		}
		held, err := heldJobs(ctx, st, v.Runs)
		if err != nil {
			return err
		}
		var text strings.Builder
		v.write(&text)
		writeRuns(&text, v, held)
		_, err = io.WriteString(a.Stdout, text.String())
		a.next(nextOfSchedule(v, held)...)
		return err
	})
}

// scheduleNow reads a schedule and shows it as of now.
func scheduleNow(ctx context.Context, st *store.Store, name string) (scheduleView, error) {
	s, err := st.Schedule(ctx, name)
	if err != nil {
		return scheduleView{}, err
	}
	now, err := st.Now(ctx)
	return scheduleOf(s, now), err
}

// heldJobs are the jobs of runs that guards hold.
func heldJobs(ctx context.Context, st *store.Store, runs []store.Run) (held []string, err error) {
	for _, run := range runs {
		for _, in := range run.Inputs {
			if in.Job == "" || in.Filed {
				continue
			}
			job, err := st.RunJob(ctx, in.Job)
			if err != nil {
				return nil, err
			}
			if job.Guard != "" {
				held = append(held, job.ID)
			}
		}
	}
	return held, nil
}

func nextOfSchedule(v scheduleView, held []string) []string {
	var commands []string
	for _, job := range held {
		commands = append(commands, "enqueue status "+job, "enqueue release "+job+" --reason WHY")
	}
	if v.PausedAt != nil {
		commands = append(commands, "enqueue schedule resume "+v.Name)
	}
	return append(commands, "enqueue schedule next "+v.Name)
}
