package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/tasks"
)

func (a *app) retryCommand() *cobra.Command {
	r := tasks.RetryRequest{RequestedBy: a.User}
	var wait waitFlag
	cmd := &cobra.Command{
		Use:   "retry JOB",
		Short: "Submit the failed rows of a job again, as a job linked to it",
		Long: `Submits exactly those rows of a job again that failed for a reason which may have
passed, as a new job that names the old one as its parent. Asking twice for the
same gives the same job. Prints the id of the new job.`,
		Example: `  enqueue retry 01JD3Z5S2M8H0T6W9K4Q7XBRNE --wait
  enqueue retry 01JD3Z5S2M8H0T6W9K4Q7XBRNE --code user_not_in_organization --all`,
		Args:              oneArg("the JOB to retry"),
		ValidArgsFunction: a.completeJob,
		RunE: func(cmd *cobra.Command, args []string) error {
			r.JobID = args[0]
			return a.retry(cmd.Context(), r, wait)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&r.Filter.Code, "code", "", "only failures with this `CODE`, as \"enqueue failures\" names it")
	flags.BoolVar(&r.Filter.All, "all", false, "also failures of which a retry is not known to help")
	flags.StringVar(&r.RequestedBy, "requested-by", r.RequestedBy, "`WHO` asks for it, for the audit")
	flags.StringVar(&r.Reason, "reason", "", "`WHY`, for the audit")
	wait.register(cmd)
	return cmd
}

// retriedRow is about how many bytes a row is in a file.
const retriedRow = 150

func (a *app) retry(ctx context.Context, r tasks.RetryRequest, wait waitFlag) error {
	if err := checkTexts(r.RequestedBy, r.Reason, r.Filter.Code); err != nil {
		return err
	}
	cfg, err := a.settings(config.Enqueue)
	if err != nil {
		return err
	}
	r.Today = access.DateOf(a.Now().In(cfg.Location))
	return a.submit(ctx, cfg, func(s submitting) error {
		shown := a.newStages()
		r.Progress = func(stage tasks.Stage, step tasks.Step) {
			if stage == tasks.StageReading && step.Done == 0 {
				a.boundMemory(int64(step.Total) * retriedRow)
			}
			shown.submitting(stage, step)
		}
		done, err := s.submitter.Retry(ctx, r)
		shown.close()
		if invalid, ok := errors.AsType[*tasks.RetryInvalidError](err); ok {
			return rejectRetry(r.JobID, invalid)
		}
		if err != nil {
			return err
		}
		return a.accepted(ctx, s.lookout, accepted{Submitted: done, wait: wait})
	})
}
