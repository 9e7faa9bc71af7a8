package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/store"
)

// pauseDocument is what --json prints when something else than a job is paused.
// Its JSON is API.
type pauseDocument struct {
	store.Target

	Changed  bool          `json:"changed"`
	OpenJobs int           `json:"open_jobs"` // that have something of it to send
	Paused   []store.Pause `json:"paused"`
}

func (a *app) pauseCommand() *cobra.Command {
	var t targeting
	cmd := &cobra.Command{
		Use:   "pause JOB | --source NAME | --action ACTION | --all",
		Short: "Send nothing more of a job, a source, an action or everything for now",
		Long: `Sends nothing more of a job, of all jobs of a source, of one action, or of
anything, until "enqueue resume". It takes effect within one call: calls in flight
end as they would have, and are recorded. Nothing is lost, and no attempt is used
up. What is submitted later and belongs to it waits too. Pausing twice is the same
as pausing once.`,
		Example: `  enqueue pause 01JD3Z5S2M8H0T6W9K4Q7XBRNE --reason "wrong file?"
  enqueue pause --source hr-nightly
  enqueue pause --action AddShareReport
  enqueue pause --all --reason "month end"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := t.target(cmd, args)
			if err != nil {
				return err
			}
			return a.pause(cmd.Context(), target, t.order(a))
		},
	}
	t.register(a, cmd, "pause")
	return cmd
}

func (a *app) pause(ctx context.Context, t store.Target, o store.Order) error {
	return a.reading(ctx, func(st *store.Store) error {
		changed, err := st.Pause(ctx, t, o)
		if err != nil {
			return err
		}
		if t.Scope == store.ScopeJob {
			return a.pausedJob(ctx, st, t.Name, changed)
		}
		pauses, err := st.Pauses(ctx)
		if err != nil {
			return err
		}
		d := pauseDocument{Target: t, Changed: changed, Paused: append([]store.Pause{}, ofTarget(pauses, t)...)}
		if d.OpenJobs, err = st.OpenJobsOf(ctx, t); err != nil {
			return err
		}
		if a.json {
			return a.emit(d)
		}
		return a.tellPaused(t, d.Paused, plural(d.OpenJobs, "open job")+" concerned", changed)
	})
}

func (a *app) pausedJob(ctx context.Context, st *store.Store, id string, changed bool) error {
	d, err := controlled(ctx, st, id, changed)
	if err != nil {
		return err
	}
	if a.json {
		return a.emit(d)
	}
	t := store.OfJob(id)
	return a.tellPaused(t, ofTarget(d.Paused, t), plural(d.Counts.Pending, "row")+" pending", changed)
}

// controlled is the document of a job that was paused or resumed.
func controlled(ctx context.Context, st *store.Store, id string, changed bool) (d jobDocument, err error) {
	d.Changed = &changed
	if d.Job, err = st.Job(ctx, id); err == nil {
		d.Paused, err = st.PausesOf(ctx, id)
	}
	return d, err
}

// ofTarget is the pause of exactly t, if it stands.
func ofTarget(pauses []store.Pause, t store.Target) []store.Pause {
	for _, p := range pauses {
		if p.Target == t {
			return []store.Pause{p}
		}
	}
	return nil
}

// tellPaused says to a person what is paused now. The pause may have been taken
// back meanwhile.
func (a *app) tellPaused(t store.Target, standing []store.Pause, concerned string, changed bool) error {
	text := fmt.Sprintf("%s is paused, %s: calls in flight end as they would, nothing else is sent.\n", subject(t), concerned)
	if !changed && len(standing) > 0 {
		text = fmt.Sprintf("%s was paused already, since %s by %s; %s.\n",
			subject(t), timestamp(&standing[0].Since), printable(standing[0].Actor), concerned)
	}
	_, err := fmt.Fprint(a.Stdout, text)
	on := "enqueue resume " + arguments(t)
	if len(standing) > 0 {
		on = wayOn(standing[0])
	}
	a.next(on, "enqueue cancel "+arguments(t))
	return err
}
