package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// resumeDocument is what --json prints when something else than a job is
// resumed. Its JSON is API.
type resumeDocument struct {
	store.Target

	Action     access.Action `json:"action,omitempty"`
	Changed    bool          `json:"changed"`
	WasPaused  bool          `json:"was_paused"`
	WasStopped bool          `json:"was_stopped"`      // by Quick BI: it is probed at once
	Queued     int           `json:"tasks_queued"`     // that may be sent now
	Delayed    bool          `json:"queueing_delayed"` // Redis is away: a worker queues them
	Paused     []store.Pause `json:"paused"`           // that still keep it from being sent
}

func (a *app) resumeCommand() *cobra.Command {
	var t targeting
	cmd := &cobra.Command{
		Use:   "resume JOB | --source NAME | --action ACTION | --all",
		Short: "Go on with what was paused, or probe a stopped action at once",
		Long: `Takes back a pause, and queues at once what waited for it. What is paused in
another way too stays paused: a job whose source is paused, for example.

When Quick BI refuses the whole account, an action is stopped for all workers, and
a single call at growing intervals finds out whether it is over. --action has that
call sent at once as well: give it when what was wrong is mended. If the call is
accepted, everything goes on; if not, the action stays stopped.

What is neither paused nor stopped is left as it is.`,
		Example: `  enqueue resume 01JD3Z5S2M8H0T6W9K4Q7XBRNE
  enqueue resume --source hr-nightly
  enqueue resume --action SmartqAuthorize
  enqueue resume --all`,
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := t.target(cmd, args)
			if err != nil {
				return err
			}
			return a.resume(cmd.Context(), target, t.order(a))
		},
	}
	t.register(a, cmd, "resume")
	return cmd
}

func (a *app) resume(ctx context.Context, t store.Target, o store.Order) error {
	cfg, err := a.settings(config.Enqueue)
	if err != nil {
		return err
	}
	st, err := openStore(ctx, cfg)
	if err != nil {
		return err
	}
	defer st.Close()
	d := resumeDocument{Target: t}
	if d.WasPaused, err = st.Resume(ctx, t, o); err != nil {
		return err
	}
	if t.Scope == store.ScopeAction {
		d.Action = access.Action(t.Name)
		if d.WasStopped, err = st.ProbeNow(ctx, d.Action, o.Actor); err != nil {
			return err
		}
	}
	d.Changed = d.WasPaused || d.WasStopped
	d.Queued, d.Delayed, err = requeue(ctx, cfg, st, t)
	if err != nil {
		return err
	}
	if t.Scope == store.ScopeJob {
		look, done := lookout(cfg, st)
		defer done()
		return a.resumedJob(ctx, look, d)
	}
	pauses, err := st.Pauses(ctx)
	if err != nil {
		return err
	}
	d.Paused = append([]store.Pause{}, besides(t, pauses)...)
	if a.json {
		return a.emit(d)
	}
	return a.tellResumed(d)
}

// requeue queues what waits of a target. A Redis that is away only delays it.
func requeue(ctx context.Context, cfg config.Config, st *store.Store, t store.Target) (queued int, delayed bool, err error) {
	client, err := tasks.OpenRedis(ctx, cfg.RedisURL.Reveal())
	if err == nil {
		defer client.Close()
		queued, err = tasks.NewSubmitter(st, tasks.NewQueue(client)).Requeue(ctx, t)
	}
	if errors.Is(err, tasks.ErrRedisUnavailable) {
		return queued, true, nil
	}
	return queued, false, err
}

func (a *app) resumedJob(ctx context.Context, look tasks.Lookout, d resumeDocument) error {
	document, err := controlled(ctx, look.Store, d.Name, d.Changed)
	if err != nil {
		return err
	}
	if a.json {
		look.Tell(ctx, &document.Job)
		return a.emit(document)
	}
	d.Paused = document.Paused
	return a.tellResumed(d)
}

// tellResumed says to a person what goes on now, and what does not.
func (a *app) tellResumed(d resumeDocument) error {
	var text strings.Builder
	switch {
	case d.WasPaused && d.Delayed:
		fmt.Fprintf(&text, "%s is no longer paused. Redis is away: a worker queues what waits within a minute of its return.\n", subject(d.Target))
	case d.WasPaused:
		fmt.Fprintf(&text, "%s is no longer paused; %s may be sent.\n", subject(d.Target), plural(d.Queued, "waiting task"))
	case d.WasStopped: // which says enough
	case d.Scope == store.ScopeAction:
		fmt.Fprintf(&text, "%s was not stopped and not paused; there is nothing to resume.\n", d.Action)
	default:
		fmt.Fprintf(&text, "%s was not paused; there is nothing to resume.\n", subject(d.Target))
	}
	if d.WasStopped {
		fmt.Fprintf(&text, "A worker sends one call of %s at once, if one waits; if Quick BI accepts it, all others follow.\n", d.Action)
	}
	for _, line := range pauseTexts(d.Paused) {
		fmt.Fprintln(&text, line)
	}
	_, err := io.WriteString(a.Stdout, text.String())
	a.next(nextAfter(d.Target))
	return err
}
