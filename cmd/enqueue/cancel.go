package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/store"
)

func (a *app) cancelCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel JOB",
		Short: "Withdraw what a job has not sent yet",
		Long: `Withdraws every change of a job that has not been sent. Calls in flight end as
they would have, and what was done stays done. Canceling twice is the same as
canceling once.`,
		Example:           "  enqueue cancel 01JD3Z5S2M8H0T6W9K4Q7XBRNE",
		Args:              oneArg("the JOB to cancel"),
		ValidArgsFunction: a.completeJob,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.cancel(cmd.Context(), args[0]) },
	}
}

func (a *app) cancel(ctx context.Context, id string) error {
	return a.reading(ctx, func(st *store.Store) error {
		if err := st.Cancel(ctx, id, a.User); err != nil {
			return err
		}
		job, err := st.Job(ctx, id)
		if err != nil {
			return err
		}
		if a.json {
			return a.emit(jobDocument{Job: job})
		}
		_, err = fmt.Fprintf(a.Stdout, "%s is %s: %s withdrawn, %s still in flight\n",
			job.ID, standing(job), plural(job.Counts.Canceled, "row"), commas(job.Counts.Pending))
		a.next("enqueue status " + job.ID)
		return err
	})
}
