package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/slots"
	"github.com/usher-bi/usher/internal/store"
)

// scheduleOrder is something that is done to a schedule.
type scheduleOrder struct {
	verb, short, done, already string
	do                         func(*store.Store, context.Context, string, store.Order) (bool, error)
}

func scheduleOrders() []scheduleOrder {
	return []scheduleOrder{
		{
			"pause", "Pass over the slots of a schedule for now; jobs that it submitted go on",
			"is paused: its slots are passed over", "was paused already", (*store.Store).PauseSchedule,
		},
		{
			"resume", "Go on with the next slot of a schedule; those passed over are not caught up",
			"goes on with its next slot", "was not paused", (*store.Store).ResumeSchedule,
		},
		{
			"remove", "Remove a schedule; jobs that it submitted go on",
			"is removed", "was removed already", (*store.Store).RemoveSchedule,
		},
		{
			"run", "Run a schedule once more, now, also if it is paused",
			"is run by a worker within seconds", "was asked for at this very moment", (*store.Store).RunSchedule,
		},
	}
}

func (a *app) scheduleOrderCommand(o scheduleOrder) *cobra.Command {
	by := store.Order{Actor: a.User}
	cmd := &cobra.Command{
		Use:               o.verb + " NAME",
		Short:             o.short,
		Example:           "  enqueue schedule " + o.verb + " leavers --reason \"export moves to another host\"",
		Args:              oneArg("the schedule"),
		ValidArgsFunction: a.completeSchedule,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.orderSchedule(cmd.Context(), args[0], o, by) },
	}
	ordered(cmd, &by)
	return cmd
}

func (a *app) orderSchedule(ctx context.Context, name string, o scheduleOrder, by store.Order) error {
	if err := checkOrder(by); err != nil {
		return err
	}
	return a.reading(ctx, func(st *store.Store) error {
		before, err := scheduleNow(ctx, st, name)
		if err != nil {
			return err
		}
		changed, err := o.do(st, ctx, name, by)
		if err != nil {
			return err
		}
		if after, err := scheduleNow(ctx, st, name); err == nil {
			before = after // unless it is removed
		}
		before.Changed = &changed
		if a.json {
			return a.emit(before)
		}
		text := o.done
		if !changed {
			text = o.already
		}
		_, err = fmt.Fprintf(a.Stdout, "%s %s.\n", name, text)
		if o.verb == "remove" {
			a.next("enqueue schedule list")
		} else {
			a.next("enqueue schedule show " + name)
		}
		return err
	})
}

// slotsDocument is what --json prints for slots to come. Its JSON is API.
type slotsDocument struct {
	Name     string      `json:"name"`
	Timezone string      `json:"timezone"`
	Slots    []time.Time `json:"slots"`
}

const mostSlots = 1000

func (a *app) scheduleNextCommand() *cobra.Command {
	count := 5
	cmd := &cobra.Command{
		Use:   "next NAME",
		Short: "Show when a schedule is due next",
		Long: `Shows the next slots of a schedule on the wall clock of its time zone and in UTC.
A time that the clock skips is due when the clock is moved, and one that it shows
twice the first time; where the hour is *, slots go by elapsed time.`,
		Example:           "  enqueue schedule next leavers\n  enqueue schedule next leavers --count 30",
		Args:              oneArg("the schedule"),
		ValidArgsFunction: a.completeSchedule,
		RunE: func(cmd *cobra.Command, args []string) error {
			if count < 1 || count > mostSlots {
				return usageError{err: fmt.Errorf("--count %d is not a number from 1 to %d", count, mostSlots)}
			}
			return a.nextSlots(cmd.Context(), args[0], count)
		},
	}
	cmd.Flags().IntVar(&count, "count", count, "so many slots, `N`")
	return cmd
}

func (a *app) nextSlots(ctx context.Context, name string, count int) error {
	return a.reading(ctx, func(st *store.Store) error {
		v, err := scheduleNow(ctx, st, name)
		if err != nil {
			return err
		}
		at, err := st.Now(ctx)
		if err != nil {
			return err
		}
		calendar, err := slots.Parse(v.Cron, v.Timezone)
		if err != nil {
			return err
		}
		d := slotsDocument{Name: v.Name, Timezone: v.Timezone}
		var text strings.Builder
		for range count {
			at = calendar.Next(at)
			d.Slots = append(d.Slots, at)
			fmt.Fprintf(&text, "%s  %s\n", v.local(at), timestamp(&at))
		}
		if a.json {
			return a.emit(d)
		}
		if v.PausedAt != nil {
			a.sayf("%s is paused: no slot is run before: enqueue schedule resume %s", name, name)
		}
		_, err = fmt.Fprint(a.Stdout, text.String())
		a.next("enqueue schedule show " + name)
		return err
	})
}

// completeSchedule suggests the names of schedules.
func (a *app) completeSchedule(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var found []cobra.Completion
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionLimit)
	defer cancel()
	_ = a.reading(ctx, func(st *store.Store) error { // no suggestion is no harm
		all, err := st.Schedules(ctx)
		for _, s := range all {
			found = append(found, cobra.CompletionWithDesc(s.Name, printable(scheduleOf(s, time.Time{}).what())))
		}
		return err
	})
	return found, cobra.ShellCompDirectiveNoFileComp
}
