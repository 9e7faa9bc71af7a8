package main

import (
	"bufio"
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/view"
)

func (a *app) failuresCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "failures JOB",
		Short: "Say why rows of a job failed, grouped by cause",
		Long: `Groups the failed and unknown rows of a job by cause, the largest group first,
with some of their lines and what to do about them.`,
		Example: `  enqueue failures 01JD3Z5S2M8H0T6W9K4Q7XBRNE
  enqueue failures 01JD3Z5S2M8H0T6W9K4Q7XBRNE --json`,
		Args:              oneArg("the JOB"),
		ValidArgsFunction: a.completeJob,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.failures(cmd.Context(), args[0]) },
	}
}

func (a *app) failures(ctx context.Context, id string) error {
	return a.reading(ctx, func(st *store.Store) error {
		job, err := st.Job(ctx, id)
		if err != nil {
			return err
		}
		groups, err := st.FailureGroups(ctx, id, 0)
		if err != nil {
			return err
		}
		if a.json {
			return a.emit(view.FailuresOf(groups))
		}
		if len(groups) == 0 {
			a.sayf("No row of %s has failed; it is %s.", id, standing(job))
			a.next("enqueue status " + id)
			return nil
		}
		out := bufio.NewWriter(a.Stdout)
		a.languages().writeGroups(out, groups, len(groups))
		if err := out.Flush(); err != nil {
			return err
		}
		a.next(slices.DeleteFunc(jobView{job: job, groups: groups}.next(), func(c string) bool { return c == "enqueue failures "+id })...)
		return nil
	})
}
