package main

import (
	"bufio"
	"context"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/tasks"
	"github.com/usher-bi/usher/internal/view"
)

func (a *app) statusCommand() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "status JOB",
		Short: "Show where a job stands",
		Long: `Shows where a job stands: status and outcome, rows by status, tasks, calls,
why rows failed, and what holds it up. It exits 0 whatever became of the job;
with --watch it follows to the end and exits 0 if every row succeeded or was so
already, 5 if rows failed, 6 if the job was canceled or could not be finished.`,
		Example: `  enqueue status 01JD3Z5S2M8H0T6W9K4Q7XBRNE
  enqueue status 01JD3Z5S2M8H0T6W9K4Q7XBRNE --watch`,
		Args:              oneArg("the JOB"),
		ValidArgsFunction: a.completeJob,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.status(cmd.Context(), args[0], watch) },
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "follow to the end")
	return cmd
}

func (a *app) status(ctx context.Context, id string, watch bool) error {
	return a.looking(ctx, func(look tasks.Lookout) error {
		job, err := look.Store.Job(ctx, id)
		if err != nil {
			return err
		}
		f := followed{lookout: look, out: a.Stdout, document: jobDocument{Job: job}}
		if watch {
			return a.follow(ctx, f, 0)
		}
		return a.show(ctx, f)
	})
}

// show prints a job as it stands.
func (a *app) show(ctx context.Context, f followed) error {
	var err error
	outlook := f.lookout.Tell(ctx, &f.document.Job)
	v := jobView{job: f.document.Job, rates: outlook.RatesOf(f.document.ID), languages: a.languages()}
	if v.stopped, err = f.lookout.Store.Stops(ctx); err != nil {
		return err
	}
	if v.job.Status.Final() {
		v.stopped = nil // what holds others up
	}
	if v.paused, err = f.lookout.Store.PausesOf(ctx, v.job.ID); err != nil {
		return err
	}
	if a.json {
		f.document.Paused = v.paused
		f.document.Stopped = view.Stopped(v.stopped)
		f.document.Limits = view.Limits(v.rates)
		return a.emit(f.document)
	}
	if v.groups, err = f.lookout.Store.FailureGroups(ctx, v.job.ID, failuresLookedAt); err != nil {
		return err
	}
	header, err := f.lookout.Store.Header(ctx, v.job.ID)
	if err != nil {
		return err
	}
	v.reads = readsUsers(header)
	out := bufio.NewWriter(f.out)
	v.write(out)
	if err := out.Flush(); err != nil {
		return err
	}
	a.next(v.next()...)
	return nil
}
