package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// verifyRequest is which job to compare with Quick BI.
type verifyRequest struct {
	tasks.ReadRequest // but for the users, whom the job names

	read string // an earlier read for the job, instead of a new one
	wait waitFlag
}

func (a *app) verifyCommand() *cobra.Command {
	r := verifyRequest{ReadRequest: tasks.ReadRequest{Source: "verify", RequestedBy: a.User, Lane: store.Normal}}
	cmd := &cobra.Command{
		Use:   "verify JOB",
		Short: "Compare what a job did with what Quick BI has now",
		Long: `Reads from Quick BI which works the users of the job's works and shares have now,
as a job of its own with one call a user, waits for it, and says of each of those
changes whether it is verified (what was granted is there, what was revoked is
gone), missing, still there, or unverifiable. Changes of unknown outcome are
settled by it: they succeeded, or failed and can be retried.

Only presence can be verified, not level or expiry, and only of what users were
given: Quick BI has no list for groups. Its list may leave datasets, data sources,
screens and ad-hoc analyses out, so that one of these which is not on it is
unverifiable. Smart Q and workspaces are not compared.

It exits 0 if nothing is missing or still there, or if the job has nothing to
verify in this way, and 5 if something is, or if users could not be read though
they are in the organization; 2 if JOB has not ended, unless --wait is given,
which waits for it first; 6 if the read was canceled; 8 and 130 when the wait ends
or is interrupted. The read goes on then, and --read goes on with it.`,
		Example: `  enqueue verify 01JD3Z5S2M8H0T6W9K4Q7XBRNE
  enqueue verify 01JD3Z5S2M8H0T6W9K4Q7XBRNE --wait=1h --json`,
		Args:              oneArg("the JOB to verify"),
		ValidArgsFunction: a.completeJob,
		RunE: func(cmd *cobra.Command, args []string) error {
			r.ParentID = args[0]
			return a.verify(cmd.Context(), r)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&r.read, "read", "", "compare with what this earlier read `JOB` of the same command found")
	flags.StringVar(&r.RequestedBy, "requested-by", r.RequestedBy, "`WHO` asks for it, for the audit")
	flags.StringVar(&r.Reason, "reason", "", "`WHY`, for the audit")
	flags.Var(wordFlag[store.Lane]{&r.Lane, store.Lanes()}, "lane", "`LANE` in which the reads queue: "+join(store.Lanes()))
	r.wait.registerAs(cmd, "first follow JOB to its end; a `DURATION` such as --wait=10m bounds that and the read together")
	complete(cmd, "lane", store.Lanes())
	return cmd
}

func (a *app) verify(ctx context.Context, r verifyRequest) error {
	if err := checkTexts(r.RequestedBy, r.Reason); err != nil {
		return err
	}
	if r.RequestedBy == "" {
		return usageError{err: errors.New("--requested-by must not be empty")}
	}
	cfg, err := a.settings(config.Enqueue)
	if err != nil {
		return err
	}
	return a.submit(ctx, cfg, func(s submitting) error {
		v := &verifying{app: a, submitting: s, request: r, started: a.Now()}
		return v.run(ctx)
	})
}

// verifying is one verification under way.
type verifying struct {
	*app
	submitting

	request verifyRequest
	started time.Time
	read    store.Job // what is compared with
}

func (v *verifying) run(ctx context.Context) error {
	job, err := v.store.Job(ctx, v.request.ParentID)
	if err != nil {
		return err
	}
	if !job.Status.Final() && !v.request.wait.asked {
		return refusal{
			code: "job_not_ended", message: "job " + job.ID + " has not ended: it is " + standing(job),
			advice: "Next: enqueue verify " + job.ID + " --wait",
		}
	}
	if _, stopped := v.waitFor(ctx, job); stopped != nil {
		return v.leave(stopped, v.document(stopped), "enqueue verify "+job.ID+" --wait")
	}
	if v.read, err = v.submitRead(ctx); err != nil {
		return err
	}
	if v.read.ID == "" {
		return v.nothing()
	}
	var stopped *fault
	if v.read, stopped = v.waitFor(ctx, v.read); stopped != nil {
		return v.leave(stopped, v.document(stopped), "enqueue verify "+job.ID+" --read "+v.read.ID)
	}
	if v.read.Status != store.JobCompleted {
		canceled := &fault{Code: "read_not_completed", exit: exitJobFailed, Message: "The read " + v.read.ID + " is " + standing(v.read) + ", so nothing was compared."}
		return v.leave(canceled, v.document(canceled), "enqueue verify "+job.ID)
	}
	return v.compare(ctx)
}

// waitFor waits for a job, within what is left of the whole wait.
func (v *verifying) waitFor(ctx context.Context, job store.Job) (store.Job, *fault) {
	if job.Status.Final() {
		return job, nil
	}
	limit := v.request.wait.limit
	if limit > 0 {
		limit = max(time.Nanosecond, limit-v.Now().Sub(v.started))
	}
	job, stopped := v.await(ctx, followed{lookout: v.lookout, document: jobDocument{Job: job}}, limit)
	if stopped != nil && stopped.exit == exitWaitOver && limit > 0 {
		stopped.Message = "The wait of " + v.request.wait.limit.String() + " is over; job " + job.ID + " goes on."
	}
	return job, stopped
}

// submitRead submits the read of the job's users, or finds the earlier one. The
// zero job means that there is nobody to read.
func (v *verifying) submitRead(ctx context.Context) (store.Job, error) {
	if v.request.read != "" {
		job, err := readJob(ctx, v.store, v.request.read)
		if err == nil && (job.ParentID == nil || *job.ParentID != v.request.ParentID) {
			err = refusal{
				code: "not_read_for_job", message: "job " + job.ID + " was not read to verify " + v.request.ParentID,
				advice: "Leave --read out to read anew.",
			}
		}
		return job, err
	}
	users, err := v.submitter.VerifyUsers(ctx, v.request.ParentID)
	if err != nil || len(users) == 0 {
		return store.Job{}, err
	}
	request := v.request.ReadRequest
	request.Users = users
	done, err := v.submitter.Read(ctx, request)
	if err != nil {
		return store.Job{}, err
	}
	return v.introduce(ctx, v.store, accepted{Submitted: done})
}

// nothing ends a verification of a job that gave no user a work or a share.
func (v *verifying) nothing() error {
	if v.json {
		d := v.document(nil)
		d.Verification = &store.Verification{}
		return v.emit(d)
	}
	v.sayf("Job %s gave or took no user a work or a share, so there is nothing to verify in this way.", v.request.ParentID)
	if err := v.printCounts(store.Verification{}); err != nil {
		return err
	}
	v.next("enqueue results " + v.request.ParentID)
	return nil
}

// compare marks the changes of the job and reports.
func (v *verifying) compare(ctx context.Context) error {
	found, err := v.store.Verify(ctx, store.VerifyRequest{JobID: v.request.ParentID, ReadJobID: v.read.ID, Actor: v.request.RequestedBy})
	if err != nil {
		return err
	}
	report := v.report
	if v.json {
		report = v.reportJSON
	}
	count, err := report(ctx, found)
	if err != nil {
		return err
	}
	if found.Missing+found.StillThere+count.there > 0 {
		return settled{exitRowsFailed}
	}
	return nil
}

// report tells people.
func (v *verifying) report(ctx context.Context, found store.Verification) (unread, error) {
	if err := v.printCounts(found); err != nil {
		return unread{}, err
	}
	out := bufio.NewWriter(v.Stdout)
	err := v.each(ctx, func(c unverified) error {
		_, err := fmt.Fprintf(out, "line %d (%s): %s of %s %s to %s %s is %s\n", c.Line, printable(c.RowID), c.Action,
			c.ResourceType, printable(c.ResourceID), c.PrincipalType, printable(c.Principal), c.Verdict)
		return err
	})
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return unread{}, err
	}
	talk := bufio.NewWriter(v.Stderr)
	count, err := printUnread(ctx, talk, sharesExport{lookout: v.lookout, job: v.read})
	if err == nil {
		err = talk.Flush()
	}
	commands := []string{"enqueue shares --job " + v.read.ID}
	if found.Missing+found.StillThere > 0 {
		commands = append(commands, "enqueue failures "+v.request.ParentID)
	}
	v.next(commands...)
	return count, err
}

func (v *verifying) printCounts(found store.Verification) error {
	w := tabwriter.NewWriter(v.Stdout, 0, 0, 2, ' ', 0)
	for _, line := range []struct {
		name  string
		count int
		text  string
	}{
		{"verified", found.Verified, "as asked for"},
		{"missing", found.Missing, "granted, and not there"},
		{"still there", found.StillThere, "revoked, and there all the same"},
		{"unverifiable", found.Unverifiable, "Quick BI does not tell"},
		{"settled", found.Settled, "of unknown outcome until now"},
	} {
		fmt.Fprintf(w, "%s\t%s\t%s\n", line.name, commas(line.count), line.text)
	}
	return w.Flush()
}
