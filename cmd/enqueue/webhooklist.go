package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/store"
)

// webhooksDocument is what --json prints for all webhooks. Its JSON is API.
type webhooksDocument struct {
	Webhooks []store.Webhook `json:"webhooks"`
}

func (a *app) webhookListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the webhooks, and how telling them goes",
		Long: `Lists the webhooks with what they were told in the last 30 days, what waits to be
told, and what was given up: messages that were not answered with 2xx within three
days, or before the webhook answered 410 and was disabled.`,
		Example: `  enqueue webhook list
  enqueue webhook list --json | jq -r '.webhooks[] | select(.given_up > 0).name'`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return a.webhookList(cmd.Context()) },
	}
}

func (a *app) webhookList(ctx context.Context) error {
	return a.reading(ctx, func(st *store.Store) error {
		list, err := st.Webhooks(ctx)
		if err != nil {
			return err
		}
		if a.json {
			return a.emit(webhooksDocument{Webhooks: append([]store.Webhook{}, list...)})
		}
		if len(list) == 0 {
			a.sayf("There are no webhooks.")
			a.next("enqueue webhook add NAME --url URL")
			return nil
		}
		if err := writeWebhooks(a.Stdout, list); err != nil {
			return err
		}
		a.next("enqueue webhook test NAME", "enqueue webhook remove NAME")
		return nil
	})
}

func writeWebhooks(out io.Writer, list []store.Webhook) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WEBHOOK\tURL\tSOURCE\tEVENTS\tTOLD\tLAST TOLD\tWAITING\tGIVEN UP")
	for _, h := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", h.Name, printable(h.URL), printable(cmp.Or(h.Source, "all")), join(h.Events),
			commas(h.Delivered), timestamp(h.LastDeliveredAt), commas(h.Waiting), commas(h.GivenUp))
	}
	_ = w.Flush() // the lines below fail likewise
	for _, h := range list {
		if h.DisabledAt != nil {
			fmt.Fprintf(out, "%s is disabled since %s: it %s. Remove it, and add it anew once it is mended.\n",
				h.Name, timestamp(h.DisabledAt), printable(h.DisabledReason))
		}
		if h.LastFailedAt != nil {
			fmt.Fprintf(out, "%s was not told at %s: %s.\n", h.Name, timestamp(h.LastFailedAt), printable(h.LastError))
		}
	}
	return w.Flush()
}

// completeWebhook suggests the webhooks.
func (a *app) completeWebhook(cmd *cobra.Command, args []string, _ string) (found []cobra.Completion, _ cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionLimit)
	defer cancel()
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	_ = a.reading(ctx, func(st *store.Store) error { // no suggestion is no harm
		list, err := st.Webhooks(ctx)
		for _, h := range list {
			found = append(found, cobra.CompletionWithDesc(h.Name, printable(h.URL)))
		}
		return err
	})
	return found, cobra.ShellCompDirectiveNoFileComp
}
