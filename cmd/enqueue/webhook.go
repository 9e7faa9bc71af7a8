package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/webhook"
)

// webhookDocument is what --json prints for a new webhook. Its JSON is API.
type webhookDocument struct {
	Name   string               `json:"name"`
	URL    string               `json:"url"`
	Source string               `json:"source"`
	Events []store.WebhookEvent `json:"events"`
	Secret string               `json:"secret"` // it is shown this once
}

// removedDocument is what --json prints for a webhook that was removed. Its JSON
// is API.
type removedDocument struct {
	Name    string `json:"name"`
	Removed bool   `json:"removed"`
}

// triedDocument is what --json prints for a webhook that was tried. Its JSON is
// API.
type triedDocument struct {
	Name      string `json:"name"`
	Delivered bool   `json:"delivered"`
	Status    int    `json:"status"` // of the answer; 0: none came
	MessageID string `json:"message_id"`
	Problem   string `json:"problem"` // "" if it was delivered
}

func (a *app) webhookCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "webhook",
		Short: "Say which programs are told what becomes of jobs",
		Long: `A webhook is a URL that workers post a signed message to when a job ends, when its
first row fails, and when it does not go on by itself. Messages are sent until
they are answered with 2xx, for three days, so a message may come twice: with the
same webhook-id. They are signed as Standard Webhooks has it.`,
		Example: `  enqueue webhook add hr --url https://hr.example.com/usher --source hr
  enqueue webhook test hr
  enqueue webhook list
  enqueue webhook remove hr`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.webhookAddCommand(), a.webhookListCommand(), a.webhookTestCommand(), a.webhookRemoveCommand())
	return cmd
}

func (a *app) webhookAddCommand() *cobra.Command {
	var w store.Webhook
	o := store.Order{Actor: a.User}
	cmd := &cobra.Command{
		Use:   "add NAME --url URL",
		Short: "Have a program be told of jobs, and show the secret, this once",
		Long: `Has the jobs that are accepted from now on be told of at URL, and prints the secret
by which the program there tells that messages are genuine. Nobody can show it
again: keep it where that program keeps its secrets. URL is https; http is for
loopback only.`,
		Example: `  enqueue webhook add hr --url https://hr.example.com/usher --source hr
  enqueue webhook add pager --url https://pager.example.com/in --events job.failing,job.attention > secret`,
		Args:              tokenName,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			w.Name = args[0]
			return a.webhookAdd(cmd.Context(), w, o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&w.URL, "url", "", "`URL` to post to")
	flags.StringVar(&w.Source, "source", "", "`NAME` of the source whose jobs are told of (default: all)")
	flags.Var(wordsFlag[store.WebhookEvent]{&w.Events, store.WebhookEvents()}, "events", "what is told: "+join(store.WebhookEvents())+" (default: all)")
	ordered(cmd, &o)
	complete(cmd, "events", store.WebhookEvents())
	_ = cmd.RegisterFlagCompletionFunc("url", cobra.NoFileCompletions) // it fails only for a flag that does not exist
	_ = cmd.RegisterFlagCompletionFunc("source", a.completeSource)
	return cmd
}

func (a *app) webhookAdd(ctx context.Context, w store.Webhook, o store.Order) error {
	if err := checkOrder(o); err != nil {
		return err
	}
	if err := checkTexts(w.URL, w.Source); err != nil {
		return err
	}
	if err := webhook.CheckURL(w.URL); err != nil {
		return usageError{err: fmt.Errorf("--url: %w", err)}
	}
	if w.Events == nil {
		w.Events = store.WebhookEvents()
	}
	return a.reading(ctx, func(st *store.Store) error {
		secret, key := webhook.NewSecret()
		if err := st.AddWebhook(ctx, w, key, o); err != nil {
			return refusedWebhook(w.Name, err)
		}
		if a.json {
			return a.emit(webhookDocument{Name: w.Name, URL: w.URL, Source: w.Source, Events: w.Events, Secret: secret})
		}
		if _, err := fmt.Fprintln(a.Stdout, secret); err != nil {
			return err
		}
		a.sayf("This is the secret of the webhook %s, which is told of %s. It is not shown again.", w.Name, join(w.Events))
		a.next("enqueue webhook test "+w.Name, "enqueue webhook list")
		return nil
	})
}

// refusedWebhook says what it means that a webhook is there, or is not.
func refusedWebhook(name string, err error) error {
	switch {
	case errors.Is(err, store.ErrWebhookExists):
		return refusal{code: "webhook_exists", message: store.ErrWebhookExists.Error(), advice: "Choose another name, or: enqueue webhook remove " + name}
	case errors.Is(err, store.ErrNoWebhook):
		return refusal{code: "webhook_not_found", message: "there is no webhook " + name, advice: "Next: enqueue webhook list"}
	}
	return err
}

func (a *app) webhookRemoveCommand() *cobra.Command {
	o := store.Order{Actor: a.User}
	cmd := &cobra.Command{
		Use:               "remove NAME",
		Short:             "Tell a program no more",
		Long:              `Ends a webhook at once, with its secret and with what it was not told yet.`,
		Example:           `  enqueue webhook remove hr --reason "the HR system was replaced"`,
		Args:              tokenName,
		ValidArgsFunction: a.completeWebhook,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.webhookRemove(cmd.Context(), args[0], o) },
	}
	ordered(cmd, &o)
	return cmd
}

func (a *app) webhookRemove(ctx context.Context, name string, o store.Order) error {
	if err := checkOrder(o); err != nil {
		return err
	}
	return a.reading(ctx, func(st *store.Store) error {
		if err := st.RemoveWebhook(ctx, name, o); err != nil {
			return refusedWebhook(name, err)
		}
		if a.json {
			return a.emit(removedDocument{Name: name, Removed: true})
		}
		_, err := fmt.Fprintln(a.Stdout, name+" is removed: nothing more is sent to it.")
		a.next("enqueue webhook list")
		return err
	})
}

func (a *app) webhookTestCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "test NAME",
		Short: "Send a webhook a message now",
		Long: `Posts a signed message of type webhook.test, once, from this machine, and exits 0 if
it was answered with 2xx, else 5.`,
		Example:           `  enqueue webhook test hr`,
		Args:              tokenName,
		ValidArgsFunction: a.completeWebhook,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.webhookTest(cmd.Context(), args[0]) },
	}
}

func (a *app) webhookTest(ctx context.Context, name string) error {
	cfg, err := a.settings(config.Query)
	if err != nil {
		return err
	}
	st, err := openStore(ctx, cfg)
	if err != nil {
		return err
	}
	defer st.Close()
	to, err := st.EndpointOf(ctx, name)
	if err != nil {
		return refusedWebhook(name, err)
	}
	m := webhook.Message{ID: webhook.NewMessageID()}
	if m.At, err = st.Now(ctx); err != nil {
		return err
	}
	if m.Body, err = webhook.TestBody(name, m.At); err != nil {
		return err
	}
	sender := webhook.NewSender(webhook.SenderOptions{Private: cfg.WebhookPrivate, Version: versionText()})
	defer sender.Close()
	status, problem := sender.Send(ctx, to, m)
	if err := ctx.Err(); err != nil {
		return err
	}
	return a.tried(triedDocument{Name: name, Delivered: problem == nil, Status: status, MessageID: m.ID}, problem)
}

// tried says how a webhook answered.
func (a *app) tried(d triedDocument, problem error) error {
	if problem != nil {
		d.Problem = problem.Error()
	}
	var err error
	switch {
	case a.json:
		err = a.emit(d)
	case d.Delivered:
		_, err = fmt.Fprintf(a.Stdout, "%s answered %d to %s.\n", d.Name, d.Status, d.MessageID)
		a.next("enqueue webhook list")
	default:
		_, err = fmt.Fprintf(a.Stdout, "%s was not told: %s.\n", d.Name, printable(d.Problem))
		a.next("enqueue webhook list", "enqueue webhook test "+d.Name)
	}
	if err == nil && !d.Delivered {
		return settled{exitRowsFailed}
	}
	return err
}
