package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/store"
)

func (a *app) auditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Prove and export who gave what to whom",
		Long: `Everything that was asked for, every call, every answer and every outcome is kept
in tables that are only ever added to. A worker seals what is new every
WORKER_SWEEP, in a chain of hashes.`,
		Example: `  enqueue audit verify
  enqueue audit export --from 2026-10-01 --to 2026-10-31 -o october.zip`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.auditVerifyCommand(), a.auditExportCommand())
	return cmd
}

// days is a range of days on the command line.
type days struct{ from, to string }

func (d *days) registerAs(cmd *cobra.Command) {
	cmd.Flags().StringVar(&d.from, "from", "", "the first `DAY`, as YYYY-MM-DD in QUICKBI_TIMEZONE")
	cmd.Flags().StringVar(&d.to, "to", "", "the last `DAY`")
}

// query returns the range from the start of its first day to the end of its
// last. A day that was not given leaves that end open.
func (d *days) query(cfg config.Config) (q store.AuditQuery, err error) {
	day := func(flag, s string) (time.Time, error) {
		if s == "" {
			return time.Time{}, nil
		}
		t, err := time.ParseInLocation(time.DateOnly, s, cfg.Location)
		if err != nil {
			return t, usageError{err: fmt.Errorf("--%s %q is not a day; write YYYY-MM-DD", flag, s)}
		}
		return t, nil
	}
	if q.From, err = day("from", d.from); err != nil {
		return q, err
	}
	if q.To, err = day("to", d.to); err != nil {
		return q, err
	}
	if !q.To.IsZero() {
		q.To = q.To.AddDate(0, 0, 1)
		if !q.From.Before(q.To) {
			return q, usageError{err: errors.New("--to is before --from")}
		}
	}
	return q, nil
}

func (a *app) auditVerifyCommand() *cobra.Command {
	var d days
	var checkpoint string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that nobody changed, removed or inserted a row",
		Long: `Walks the chain of seals, computes anew what they cover, and compares each job
and its changes with the record of its submission. It reports every row that was
changed, removed or inserted, and every seal that is missing or does not follow
from the one before.

Whoever may write the whole chain anew could hide that, but not from a checkpoint
that was kept elsewhere: the worker logs one an hour ("audit checkpoint"), and
this command prints the newest. --from and --to bound of which time rows are read
again; the chain is walked over as a whole. Months that retention dropped are
passed over.

It exits 0 if all is intact, and 6 if not.`,
		Example: `  enqueue audit verify
  enqueue audit verify --from 2026-10-01 --to 2026-10-31 --json
  enqueue audit verify --checkpoint 17:9b1f3c…`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return a.auditVerify(cmd.Context(), d, checkpoint) },
	}
	d.registerAs(cmd)
	cmd.Flags().StringVar(&checkpoint, "checkpoint", "", "`NO:HASH` of a seal that must be in the chain")
	return cmd
}

func (a *app) auditVerify(ctx context.Context, d days, checkpoint string) error {
	cfg, err := a.settings(config.Query)
	if err != nil {
		return err
	}
	query, err := d.query(cfg)
	if err != nil {
		return err
	}
	if checkpoint != "" {
		c, err := store.ParseCheckpoint(checkpoint)
		if err != nil {
			return usageError{err: err}
		}
		query.Checkpoint = &c
	}
	st, err := openStore(ctx, cfg)
	if err != nil {
		return err
	}
	defer st.Close()
	report, err := st.VerifyAudit(ctx, query)
	if err != nil {
		return err
	}
	if a.json {
		err = a.emit(report)
	} else {
		err = a.printAudit(report)
	}
	if err == nil && !report.Intact {
		return settled{exitJobFailed}
	}
	return err
}

func (a *app) printAudit(r store.AuditReport) error {
	out := bufio.NewWriter(a.Stdout)
	for _, f := range r.Findings {
		writeFinding(out, f)
	}
	if more := r.Found - int64(len(r.Findings)); more > 0 {
		fmt.Fprintf(out, "and %s\n", plural(int(more), "more finding"))
	}
	verdict := "The audit is intact."
	if !r.Intact {
		verdict = "The audit is NOT intact."
	}
	fmt.Fprintf(out, "%s Checked: %s of %s, %s of %s.\n", verdict, plural(int(r.Rows), "row"), plural(int(r.SealsChecked), "seal"),
		plural(int(r.Changes), "change"), plural(int(r.Jobs), "job"))
	if r.Records > 0 {
		fmt.Fprintf(out, "Held against it: %s of tokens, webhooks, schedules, profiles and events of people.\n", plural(int(r.Records), "record"))
	}
	if r.Unsealed > 0 {
		fmt.Fprintf(out, "%s newer than the last seal; the next rounds of a worker seal them (WORKER_SWEEP).\n", plural(int(r.Unsealed), "row")+" more:")
	}
	if r.DroppedBefore != "" {
		fmt.Fprintf(out, "Retention dropped the months before %s, with %s of these seals.\n", r.DroppedBefore, plural(int(r.DroppedRows), "row"))
	}
	if r.Undigested > 0 {
		fmt.Fprintf(out, "%s from before changes were sealed: of them, only calls and outcomes are.\n", plural(int(r.Undigested), "job"))
	}
	if r.Head != nil {
		fmt.Fprintf(out, "Checkpoint: %d:%s\n", r.Head.No, r.Head.Hash)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if r.Head != nil {
		a.sayf("Keep the checkpoint elsewhere: it proves later that the chain up to it was not written anew.")
	}
	return nil
}

// writeFinding says in one line what is wrong.
func writeFinding(out io.Writer, f store.Finding) {
	fmt.Fprintf(out, "%s: %s", f.Table, f.Kind)
	if f.Seal > 0 {
		fmt.Fprintf(out, ", seal %d", f.Seal)
	}
	if f.JobID != "" {
		fmt.Fprintf(out, ", job %s", f.JobID)
	}
	if f.Name != "" {
		fmt.Fprintf(out, ", %s", printable(f.Name))
	}
	if f.Month != "" {
		fmt.Fprintf(out, ", month %s", printable(f.Month))
	}
	if f.Sealed != 0 || f.Found != 0 {
		fmt.Fprintf(out, ": %s recorded, %s found", plural(int(f.Sealed), "row"), commas(int(f.Found)))
	}
	if f.To != nil {
		fmt.Fprintf(out, "; written from %s to %s", timestamp(f.From), timestamp(f.To))
	}
	fmt.Fprintln(out)
}
