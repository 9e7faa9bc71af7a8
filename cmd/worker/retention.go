package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/user"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/store"
)

// retentionRequest is what to drop.
type retentionRequest struct {
	before string // YYYY-MM
	yes    bool   // else only say what it would be
	actor  string
}

// retentionDocument is what retention --json prints. Its JSON is API.
type retentionDocument struct {
	store.Retention

	Dropped bool `json:"dropped"` // false: this is what --yes would drop
}

func (a *app) retentionCommand() *cobra.Command {
	r := retentionRequest{actor: operator()}
	cmd := &cobra.Command{
		Use:   "retention --before YYYY-MM",
		Short: "Drops the rows of old months: changes, calls, answers, audit",
		Long: `Drops the rows of the months before YYYY-MM: changes, tasks, calls, answers,
outcomes and the audit. Jobs stay, without their rows, so that their idempotency
keys go on to be known. Nothing ever does this by itself.

Without --yes it says what would go. It refuses while a job of those months is
open, while rows of them are not sealed, for the current month and the three
before it, and when the audit does not verify. The drop is itself written to the
audit and sealed. DATABASE_URL has to name the owner of the tables.

Write a pack of those months first: enqueue audit export.`,
		Example: `  worker retention --before 2026-01
  worker retention --before 2026-01 --yes --requested-by "records office"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.retention(cmd.Context(), r) },
	}
	cmd.Flags().StringVar(&r.before, "before", "", "the first `MONTH` to keep, as YYYY-MM, in UTC")
	cmd.Flags().BoolVar(&r.yes, "yes", false, "drop, do not only say what would go")
	cmd.Flags().StringVar(&r.actor, "requested-by", r.actor, "`WHO` asks for it, for the audit")
	return cmd
}

// operator is who runs the command, as far as the machine knows.
func operator() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return strings.ToValidUTF8(name, "?")
}

func (a *app) retention(ctx context.Context, r retentionRequest) error {
	if r.before == "" || r.actor == "" {
		return usageError{errors.New("--before and --requested-by must not be empty")}
	}
	cfg, err := a.settings(config.Migrate)
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, cfg.DatabaseURL.Reveal(), 2)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.CheckSchema(ctx); err != nil {
		return err
	}
	done := retentionDocument{Dropped: r.yes}
	if done.Retention, err = db.PlanRetention(ctx, r.before); err != nil {
		return err
	}
	if r.yes && len(done.Tables) > 0 {
		report, err := db.VerifyAudit(ctx, store.AuditQuery{})
		if err != nil {
			return err
		}
		if !report.Intact {
			return fmt.Errorf("%w: the audit does not verify, and dropping would hide why; see: enqueue audit verify", store.ErrRetention)
		}
		if done.Retention, err = db.DropMonths(ctx, store.DropRequest{Before: r.before, Actor: r.actor}); err != nil {
			return err
		}
	}
	if a.json {
		return a.emit(done)
	}
	return a.printRetention(done)
}

func (a *app) printRetention(d retentionDocument) error {
	if len(d.Tables) == 0 {
		fmt.Fprintln(a.stderr, "There is nothing from before "+d.Before+".")
		return nil
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, table := range slices.Sorted(maps.Keys(d.Rows)) {
		fmt.Fprintf(w, "%s\t%d rows\n", table, d.Rows[table])
	}
	fmt.Fprintf(w, "jobs\t%d lose their rows\n", d.Jobs)
	if err := w.Flush(); err != nil {
		return err
	}
	if d.Dropped {
		fmt.Fprintln(a.stderr, "Dropped.")
	} else {
		fmt.Fprintln(a.stderr, "Nothing was dropped. To drop it: worker retention --before "+d.Before+" --yes")
	}
	return nil
}
