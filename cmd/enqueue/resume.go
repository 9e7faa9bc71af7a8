package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

// resumeDocument is what --json prints for a resumed action. Its JSON is API.
type resumeDocument struct {
	Action     access.Action `json:"action"`
	WasStopped bool          `json:"was_stopped"`
}

var errResumeWhat = errors.New("name the stopped action with --action, as \"enqueue status\" tells it; to resume a job is not possible, since none can be paused")

func (a *app) resumeCommand() *cobra.Command {
	var action access.Action
	cmd := &cobra.Command{
		Use:   "resume --action ACTION",
		Short: "Find out at once whether a stopped action works again",
		Long: `When Quick BI refuses the whole account, the action is stopped for all workers,
and a single call at growing intervals finds out whether it is over. This has
that call sent at once: give it when what was wrong is mended. If the call is
accepted, everything goes on; if not, the action stays stopped. An action that is
not stopped is left as it is.`,
		Example: "  enqueue resume --action SmartqAuthorize",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 || action == "" {
				return errResumeWhat
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return a.resume(cmd.Context(), action) },
	}
	cmd.Flags().Var(wordFlag[access.Action]{&action, access.Actions()}, "action", "the stopped `ACTION`: "+join(access.Actions()))
	complete(cmd, "action", access.Actions())
	return cmd
}

func (a *app) resume(ctx context.Context, action access.Action) error {
	return a.reading(ctx, func(st *store.Store) error {
		stopped, err := st.ProbeNow(ctx, action, a.User)
		if err != nil {
			return err
		}
		if a.json {
			return a.emit(resumeDocument{Action: action, WasStopped: stopped})
		}
		text := fmt.Sprintf("%s was not stopped; there is nothing to resume.\n", action)
		if stopped {
			text = fmt.Sprintf("A worker sends one call of %s at once, if one waits; if Quick BI accepts it, all others follow.\n", action)
		}
		_, err = io.WriteString(a.Stdout, text)
		a.next("enqueue jobs --status running")
		return err
	})
}
