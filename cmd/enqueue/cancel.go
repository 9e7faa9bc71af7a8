package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/store"
)

// cancelDocument is what --json prints when something else than a job is
// canceled, or would be. Its JSON is API.
type cancelDocument struct {
	store.Target

	Changed  bool              `json:"changed"`
	Withdraw *store.Withdrawal `json:"would_withdraw,omitempty"` // without --yes
	Done     *store.Withdrawal `json:"withdrawn,omitempty"`
	Error    *fault            `json:"error,omitempty"`
}

func (a *app) cancelCommand() *cobra.Command {
	var (
		t   targeting
		yes bool
	)
	cmd := &cobra.Command{
		Use:   "cancel JOB | --source NAME | --action ACTION | --all",
		Short: "Withdraw what has not been sent yet",
		Long: `Withdraws every change of a job that has not been sent; with --source, --action
or --all, those of every open job that are concerned. Calls in flight end as they
would have, and what was done stays done. What was sent and never answered ends as
unknown. Canceling an action leaves the rest of its jobs alone. Canceling twice is
the same as canceling once.

A withdrawn revoke leaves somebody with access. More than a job is therefore
canceled with --yes only: without, the command says what it would withdraw and
exits 7.`,
		Example: `  enqueue cancel 01JD3Z5S2M8H0T6W9K4Q7XBRNE --reason "wrong file"
  enqueue cancel --source hr-nightly
  enqueue cancel --source hr-nightly --yes`,
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := t.target(cmd, args)
			if err != nil {
				return err
			}
			if target.Scope == store.ScopeJob {
				return a.cancel(cmd.Context(), target, t.order(a))
			}
			return a.cancelMany(cmd.Context(), target, t.order(a), yes)
		},
	}
	t.register(a, cmd, "cancel")
	cmd.Flags().BoolVar(&yes, "yes", false, "do it: needed with --source, --action and --all")
	return cmd
}

func (a *app) cancel(ctx context.Context, t store.Target, o store.Order) error {
	return a.reading(ctx, func(st *store.Store) error {
		done, err := st.Cancel(ctx, t, o)
		if err != nil {
			return err
		}
		job, err := st.Job(ctx, t.Name)
		if err != nil {
			return err
		}
		if a.json {
			return a.emit(jobDocument{Job: job, Changed: new(done.Jobs > 0)})
		}
		_, err = fmt.Fprintf(a.Stdout, "%s is %s: %s withdrawn, %s still in flight\n",
			job.ID, standing(job), plural(job.Counts.Canceled, "row"), commas(job.Counts.Pending))
		a.next("enqueue status " + job.ID)
		return err
	})
}

// cancelMany cancels what may concern many jobs, if that is confirmed.
func (a *app) cancelMany(ctx context.Context, t store.Target, o store.Order, yes bool) error {
	return a.reading(ctx, func(st *store.Store) error {
		plan, err := st.PlanCancel(ctx, t)
		if err != nil {
			return err
		}
		if !yes && plan.Jobs > 0 {
			return a.askBefore(t, plan)
		}
		done, err := st.Cancel(ctx, t, o)
		if err != nil {
			return err
		}
		if a.json {
			return a.emit(cancelDocument{Target: t, Changed: done.Jobs > 0, Done: &done})
		}
		text := subject(t) + " had nothing to withdraw."
		if done.Jobs > 0 {
			text = subject(t) + " is canceled. Withdrawn: " + withdrawalText(done)
		}
		_, err = fmt.Fprintln(a.Stdout, text)
		a.next(nextAfter(t))
		return err
	})
}

// askBefore says what a cancel would withdraw, and does nothing.
func (a *app) askBefore(t store.Target, plan store.Withdrawal) error {
	f := fault{
		Code: "confirmation_needed", exit: exitGuard,
		Message: "nothing was done: this would withdraw " + withdrawalText(plan),
	}
	if a.json {
		if err := a.emit(cancelDocument{Target: t, Withdraw: &plan, Error: &f}); err != nil {
			return err
		}
		return settled{f.exit}
	}
	a.sayf("enqueue: %s", f.Message)
	a.next("enqueue pause "+arguments(t), "enqueue cancel "+arguments(t)+" --yes")
	return settled{f.exit}
}

// withdrawalText says what is withdrawn, and what cannot be.
func withdrawalText(w store.Withdrawal) string {
	parts := []string{fmt.Sprintf("%s of %s", plural(w.Rows, "row"), plural(w.Jobs, "job"))}
	if w.Revokes > 0 {
		parts = append(parts, plural(w.Revokes, "revoke")+" among them, whose access stays")
	}
	if w.Unknown > 0 {
		parts = append(parts, plural(w.Unknown, "row")+" sent before and never answered, which end as unknown")
	}
	if w.InFlight > 0 {
		parts = append(parts, plural(w.InFlight, "row")+" with a worker, which end as their calls do")
	}
	return strings.Join(parts, "; ") + "."
}
