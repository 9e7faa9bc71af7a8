package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

const (
	defaultJobs = 50
	mostJobs    = 1000
)

var jobStatuses = []store.JobStatus{
	store.JobQueued, store.JobRunning, store.JobPaused, store.JobCanceling, store.JobCompleted, store.JobCanceled, store.JobFailed,
}

// jobsDocument is what --json prints for a list of jobs. Its JSON is API.
type jobsDocument struct {
	Jobs []store.Job `json:"jobs"`
	Next *string     `json:"next"` // for --before; null at the end of the list

	Paused []store.Pause `json:"paused,omitempty"` // sources, actions, everything; jobs that a guard holds
}

func (a *app) jobsCommand() *cobra.Command {
	var f store.JobFilter
	cmd := &cobra.Command{
		Use:   "jobs",
		Short: "List jobs, the newest first",
		Example: `  enqueue jobs
  enqueue jobs --source hr-nightly --status running
  enqueue jobs --limit 500 --json | jq -r '.jobs[].id'`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.Limit < 1 || f.Limit > mostJobs {
				return usageError{err: fmt.Errorf("--limit %d is not a number from 1 to %d", f.Limit, mostJobs)}
			}
			return a.jobs(cmd.Context(), f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.Source, "source", "", "only jobs from this `NAME`")
	flags.Var(wordFlag[store.JobStatus]{&f.Status, jobStatuses}, "status", "only jobs with this `STATUS`: "+join(jobStatuses))
	flags.IntVar(&f.Limit, "limit", defaultJobs, "at most `N` jobs")
	flags.StringVar(&f.Before, "before", "", "only jobs before this `CURSOR`, which is the \"next\" of the list before")
	complete(cmd, "status", jobStatuses)
	return cmd
}

func (a *app) jobs(ctx context.Context, f store.JobFilter) error {
	return a.looking(ctx, func(look tasks.Lookout) error {
		st := look.Store
		if f.Before != "" {
			_, err := st.Header(ctx, f.Before)
			if _, dropped := errors.AsType[*store.DroppedError](err); err != nil && !dropped { // else a wrong cursor looks like the end
				return err
			}
		}
		limit := f.Limit
		f.Limit++ // one more tells whether there are more
		found, err := st.Jobs(ctx, f)
		if err != nil {
			return err
		}
		document := jobsDocument{Jobs: append([]store.Job{}, found[:min(limit, len(found))]...)}
		if len(found) > limit {
			document.Next = &found[limit-1].ID
		}
		pauses, err := st.Pauses(ctx)
		if err != nil {
			return err
		}
		document.Paused = slices.DeleteFunc(pauses, func(p store.Pause) bool { return p.Scope == store.ScopeJob && p.Guard == "" })
		if a.json {
			var told []*store.Job
			for i := range document.Jobs {
				told = append(told, &document.Jobs[i])
			}
			look.Tell(ctx, told...)
			return a.emit(document)
		}
		for _, line := range pauseTexts(document.Paused) {
			a.sayf("%s", line)
		}
		return a.printJobs(document)
	})
}

func (a *app) printJobs(d jobsDocument) error {
	if len(d.Jobs) == 0 {
		a.sayf("There are no such jobs.")
		a.next("enqueue csv FILE --dry-run")
		return nil
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "JOB\tACCEPTED\tSOURCE\tSTATUS\tROWS\tOK\tFAILED\tPENDING")
	for _, j := range d.Jobs {
		if j.DroppedAt != nil {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t-\t-\t-\n", j.ID, timestamp(&j.CreatedAt), printable(j.Source), standing(j), commas(j.Counts.Total))
			continue
		}
		c := j.Counts
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", j.ID, timestamp(&j.CreatedAt), printable(j.Source), standing(j),
			commas(c.Total), commas(c.Succeeded+c.NoChange), commas(c.Failed+c.Unknown), commas(c.Pending))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	commands := []string{"enqueue status " + d.Jobs[0].ID}
	if d.Next != nil {
		commands = append(commands, "enqueue jobs --before "+*d.Next)
	}
	a.next(commands...)
	return nil
}
