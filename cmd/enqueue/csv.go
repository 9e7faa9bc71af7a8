package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/submit"
)

// csvRequest is a file to submit and how.
type csvRequest struct {
	file        string // "-" for standard input
	read        func(io.Reader, intake.Options) (*intake.Batch, error)
	source      string
	requestedBy string
	reason      string
	key         string
	lane        store.Lane
	expiry      daysFlag
	sheet       string
	skipInvalid bool
	updateRole  bool
	dryRun      bool
	yes         bool
	wait        waitFlag
	guards      guardFlags
}

const csvLong = `Reads a file of changes, CSV or an Excel workbook (.xlsx), checks all of it, and
submits it as one job. Prints the job's id. FILE - is standard input. On a terminal
it first shows what would be sent and asks; --yes answers.

  row_id,action,principal,principal_type,resource_type,resource_id,role,expires_on,reason,ticket
  hr-000017,grant,46e53a5ba4b6,user,qa_resource,6b407e50e774,,2026-12-31,joiner,HR-8812
  hr-000018,revoke,de4bc5f94291,user,workspace,95296e95-ca89,,,leaver,HR-8830
  hr-000019,grant,de4bc5f94291,,dashboard,97f7f4c1-543a,view_export,2027-01-31,,

  resource_type          principal_type of a grant             role of a grant                    expires_on of a grant
  qa_resource, qa_theme  user                                  none                               needed
  dataset (for Q&A)      user                                  none                               needed
  dashboard, report,     user, group, organization, workspace  view, view_export, edit            needed, from tomorrow on;
  dashboardOfflineQuery,                                                                          none with edit
  cube, datasource,
  screen, ANALYSIS,
  dataForm
  share                  user, group, organization             view, view_export                  needed
  workspace              user                                  admin, developer, analyst, viewer  none
                                                               or a role's own name or id

action is grant or revoke, principal is a Quick BI id, and principal_type is user
where it is empty. A user may be named by account:NAME, or account:PARENT/NAME where
several have that name; it is looked up in Quick BI, with the settings of a worker. A revoke has no role and no expires_on; Quick BI takes works
back from users only. row_id, reason and ticket are not needed, and unknown
columns are carried through to the results. Column order, case, encoding and
delimiter are found out, and Chinese names of columns and values are known (操作,
工号, 资源类型, 授权, 撤销 and others). Of a workbook the first sheet that is not hidden
is read. "enqueue template" writes a file to begin with.

One bad row rejects the file, and every bad row is listed. The same rows from
the same source are accepted once: repeating a submission gives the same job. A
file of "enqueue results" asks for its rows once more, and is a job of its own.

A job beyond the limits of --max-… or GUARD_MAX_… is accepted but held: nothing of
it is sent before "enqueue release", and the command exits 7.`

func (a *app) csvCommand() *cobra.Command {
	r := csvRequest{source: "csv", requestedBy: a.User, lane: store.Normal, read: intake.Read}
	cmd := &cobra.Command{
		Use:   "csv FILE|-",
		Short: "Submit a CSV file or an Excel workbook as a job",
		Long:  csvLong,
		Example: `  enqueue csv people.csv --dry-run
  enqueue csv people.csv --reason "Q4 audit" --wait
  enqueue csv people.xlsx --sheet Leavers
  enqueue csv movers.csv --update-role
  enqueue csv leavers.csv --source hr-nightly --lane urgent --key leavers-2026-11-22
  export-people | enqueue csv - --default-expiry 90d --json`,
		Args: oneArg("the FILE to submit, or - for standard input"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return []cobra.Completion{"csv", "xlsx", "txt", "tsv"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			r.file = args[0]
			return a.csv(cmd.Context(), r)
		},
	}
	r.register(cmd)
	return cmd
}

// register adds the flags that say how to submit a file.
func (r *csvRequest) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&r.source, "source", r.source, "`NAME` of where the rows come from")
	flags.StringVar(&r.requestedBy, "requested-by", r.requestedBy, "`WHO` asks for it, for the audit")
	flags.StringVar(&r.reason, "reason", "", "`WHY`, for the audit")
	flags.StringVar(&r.key, "key", "", "idempotency `KEY`: accepted once for the source (default: a hash of the rows)")
	flags.Var(wordFlag[store.Lane]{&r.lane, store.Lanes()}, "lane", "`LANE` in which its tasks queue: "+join(store.Lanes()))
	flags.Var(&r.expiry, "default-expiry", "last `DAY` of grants that name none, as days from today: 90d")
	flags.StringVar(&r.sheet, "sheet", "", "`NAME` of the sheet of a workbook to read (default: the first that is not hidden)")
	flags.BoolVar(&r.skipInvalid, "skip-invalid", false, "submit the good rows and record the bad ones as failures")
	flags.BoolVar(&r.updateRole, "update-role", false, "give members of a workspace whose role is another one the role of the row; else such rows fail")
	flags.BoolVar(&r.dryRun, "dry-run", false, "say what would be done, and write and send nothing; needs no server, but tells with them when it would be done")
	flags.BoolVar(&r.yes, "yes", false, "submit without asking on a terminal; elsewhere nothing is asked")
	r.wait.register(cmd)
	r.guards.register(cmd)
	complete(cmd, "lane", store.Lanes())
}

// csv submits the file of a request, whatever format it is in.
func (a *app) csv(ctx context.Context, r csvRequest) error {
	if err := checkTexts(r.source, r.requestedBy, r.reason, r.key); err != nil {
		return err
	}
	if err := checkKey(r.key); err != nil {
		return err
	}
	if r.source == "" || r.requestedBy == "" {
		return usageError{err: errors.New("--source and --requested-by must not be empty")}
	}
	program := config.Enqueue
	if r.dryRun {
		program = config.Offline
	}
	cfg, err := a.settings(program)
	if err != nil {
		return err
	}
	batch, err := a.readBatch(ctx, r, intake.Options{
		Today: access.DateOf(a.Now().In(cfg.Location)), DefaultExpiryDays: r.expiry.days, MaxRows: cfg.MaxRows, Sheet: r.sheet,
		DropInvalid: !r.skipInvalid,
	})
	if err != nil {
		return err
	}
	if r.dryRun {
		unresolved(batch)
	} else if err := a.resolve(ctx, cfg, batch); err != nil {
		return err
	}
	warnings, err := a.judge(batch, r)
	if err != nil {
		return err
	}
	sub := submit.Submission(batch, submit.Request{
		Source: r.source, RequestedBy: r.requestedBy, Reason: r.reason, Key: r.key, Lane: r.lane, UpdateRole: r.updateRole,
		Guards: r.guards.over(cfg.Guards),
	})
	if r.dryRun {
		a.warn(warnings)
		return a.dryRun(ctx, cfg, sub, warnings)
	}
	if a.asks(r) {
		if err := a.confirm(ctx, cfg, sub, warnings); err != nil {
			return err
		}
		warnings = nil // they were read
	}
	return a.submit(ctx, cfg, func(s submitting) error {
		shown := a.newStages()
		sub.Progress = shown.submitting
		done, err := s.submitter.Submit(ctx, sub)
		shown.close()
		if err != nil {
			return err
		}
		return a.accepted(ctx, s.lookout, accepted{Submitted: done, warnings: warnings, wait: r.wait, keyed: true})
	})
}

// readBatch reads the file and shows how far it is.
func (a *app) readBatch(ctx context.Context, r csvRequest, o intake.Options) (*intake.Batch, error) {
	shown := a.newStages()
	defer shown.close()
	return readInput(ctx, a.Stdin, input[*intake.Batch]{name: r.file, parse: func(in io.ReadSeeker) (*intake.Batch, error) {
		a.boundMemory(sizeOf(in))
		return r.read(shown.reading(in), o)
	}})
}

// judge decides whether the rows of batch may be submitted, and returns what is
// to be remarked.
func (a *app) judge(batch *intake.Batch, r csvRequest) (warnings []string, err error) {
	if batch.Wrong() == 0 {
		return batch.Warnings, nil
	}
	if !r.skipInvalid || batch.Len() == 0 {
		a.warn(batch.Warnings)
		return nil, rejectBatch(batch, r.skipInvalid)
	}
	if !a.json {
		printErrors(a.Stderr, batch.Errors, "")
	}
	return append(batch.Warnings, fmt.Sprintf("%s of %s are invalid; they are recorded as failures and not sent",
		commas(batch.Wrong()), plural(batch.Total(), "row"))), nil
}
