package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/store"
)

// codeHeld is the error code of a job that a guard holds. It is API.
const codeHeld = "held_by_guard"

func (a *app) releaseCommand() *cobra.Command {
	o := store.Order{Actor: a.User}
	cmd := &cobra.Command{
		Use:   "release JOB --reason WHY",
		Short: "Let a job go on that a guard holds",
		Long: `Lets a job go on that a guard holds: one that revokes more than is allowed at
once, or whose input is older, emptier or much shorter than the one before. Nothing
of such a job was sent. Look at it first: "enqueue status JOB" says what the guard
found, "enqueue results JOB" lists its rows. Who released it and why is recorded in
the audit. If it is not meant, cancel it.

What newer jobs asked for meanwhile wins over the rows of the released one.`,
		Example: `  enqueue release 01JD3Z5S2M8H0T6W9K4Q7XBRNE --reason "branch office closed, list checked with HR"
  enqueue cancel 01JD3Z5S2M8H0T6W9K4Q7XBRNE --reason "export was cut off"`,
		Args:              oneArg("the JOB to release"),
		ValidArgsFunction: a.completeJob,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.release(cmd.Context(), args[0], o) },
	}
	ordered(cmd, &o)
	return cmd
}

func (a *app) release(ctx context.Context, id string, o store.Order) error {
	if err := checkOrder(o); err != nil {
		return err
	}
	if strings.TrimSpace(o.Reason) == "" {
		return usageError{err: errors.New("say with --reason why the job is right, for the audit")}
	}
	cfg, err := a.settings(config.Enqueue)
	if err != nil {
		return err
	}
	st, err := openStore(ctx, cfg)
	if err != nil {
		return err
	}
	defer st.Close()
	d := resumeDocument{Target: store.OfJob(id)}
	if d.Changed, err = st.Release(ctx, id, o); err != nil {
		return err
	}
	if d.Queued, d.Delayed, err = requeue(ctx, cfg, st, d.Target); err != nil {
		return err
	}
	document, err := controlled(ctx, st, id, d.Changed)
	if err != nil {
		return err
	}
	if a.json {
		look, done := lookout(cfg, st)
		defer done()
		look.Tell(ctx, &document.Job)
		return a.emit(document)
	}
	d.Paused = document.Paused
	return a.tellReleased(d)
}

// tellReleased says to a person what goes on now.
func (a *app) tellReleased(d resumeDocument) error {
	var text strings.Builder
	switch {
	case d.Changed && d.Delayed:
		fmt.Fprintf(&text, "%s is released. Redis is away: a worker queues it within a minute of its return.\n", printable(d.Name))
	case d.Changed:
		fmt.Fprintf(&text, "%s is released; %s may be sent.\n", printable(d.Name), plural(d.Queued, "waiting task"))
	default:
		fmt.Fprintf(&text, "%s was held by no guard; there is nothing to release.\n", printable(d.Name))
	}
	for _, line := range pauseTexts(d.Paused) {
		fmt.Fprintln(&text, line)
	}
	_, err := io.WriteString(a.Stdout, text.String())
	a.next("enqueue status " + d.Name + " --watch")
	return err
}

// heldText says why a guard holds a job, and what to do.
func heldText(p store.Pause) string {
	return subject(p.Target) + " is held by a guard since " + timestamp(&p.Since) + ": " + printable(p.Reason) + " [" + p.Guard +
		"]. Nothing of it was sent. If it is meant: " + wayOn(p) + "; if not: enqueue cancel " + p.Name
}

// wayOn is the command that takes a pause back.
func wayOn(p store.Pause) string {
	if p.Guard != "" {
		return "enqueue release " + p.Name + " --reason WHY"
	}
	return "enqueue resume " + arguments(p.Target)
}

// heldFault is the fault of a job that a guard holds; nil where none does.
func heldFault(pauses []store.Pause) *fault {
	i := slices.IndexFunc(pauses, func(p store.Pause) bool { return p.Guard != "" })
	if i < 0 {
		return nil
	}
	return &fault{Code: codeHeld, exit: exitGuard, Message: heldText(pauses[i])}
}

// ways are the commands that follow a fault which ended the wait for a job.
func (f fault) ways(job string) []string {
	if f.Code == codeHeld {
		return []string{"enqueue release " + job + " --reason WHY", "enqueue cancel " + job, "enqueue results " + job + " -o rows.csv"}
	}
	return []string{"enqueue status " + job + " --watch"}
}
