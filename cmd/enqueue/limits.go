package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
	"github.com/usher-bi/usher/internal/view"
)

// limitSetDocument is what --json prints when a limit was set or taken back. Its
// JSON is API.
type limitSetDocument struct {
	view.Limit

	Changed bool     `json:"changed"`
	Was     *float64 `json:"was_per_second"`     // what an operator had set before
	Delayed bool     `json:"publishing_delayed"` // Redis is away: workers learn it once it is back
}

func (a *app) limitsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "limits",
		Short: "Show and set how many calls a second are sent of each action",
		Long: `Shows for each action of Quick BI how many calls a second all workers together
may send, and who said so; how many they do send, which is less after Quick BI has
throttled; what waits; and the last minute: calls sent, the share of them that was
throttled, and the share of the limit that was used.

The limit is what the workers are configured with by QUICKBI_RATE, unless an
operator has set another with "enqueue limits set".`,
		Example: `  enqueue limits
  enqueue limits set SmartqAuthorize 20/s --reason "quota lowered until Monday"
  enqueue limits reset SmartqAuthorize`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return a.limits(cmd.Context()) },
	}
	cmd.AddCommand(a.limitsSetCommand(), a.limitsResetCommand())
	return cmd
}

func (a *app) limits(ctx context.Context) error {
	return a.looking(ctx, func(look tasks.Lookout) error {
		outlook, err := look.Look(ctx, tasks.Operations()...)
		if err != nil {
			return err
		}
		rates := outlook.Rates()
		if a.json {
			return a.emit(view.LimitsDocument{Limits: view.Limits(rates)})
		}
		if err := a.printLimits(rates); err != nil {
			return err
		}
		a.next("enqueue limits set ACTION 20/s --reason WHY", "enqueue jobs --status running")
		return nil
	})
}

// limitOrder is a limit to set.
type limitOrder struct {
	action    access.Action
	perSecond float64 // 0 takes back what was set
	by        store.Order
}

func (a *app) limitsSetCommand() *cobra.Command {
	o := store.Order{Actor: a.User}
	cmd := &cobra.Command{
		Use:   "set ACTION RATE",
		Short: "Set how many calls a second all workers together send of an action",
		Long: `Sets how many calls a second all workers together may send of an action, at once
and until "enqueue limits reset", whatever they are configured with. RATE is written
as 20/s or 600/m. What Quick BI throttles lowers the rate below it for a while as
always. It is recorded in the audit.`,
		Example: `  enqueue limits set SmartqAuthorize 20/s
  enqueue limits set addsharereport 600/m --requested-by ops --reason "agreed with support"`,
		Args: func(_ *cobra.Command, args []string) error {
			_, err := parseLimit(args)
			return err
		},
		ValidArgsFunction: completeOperation,
		RunE: func(cmd *cobra.Command, args []string) error {
			order, err := parseLimit(args)
			if err != nil {
				return err
			}
			order.by = o
			return a.setLimit(cmd.Context(), order)
		},
	}
	ordered(cmd, &o)
	return cmd
}

func (a *app) limitsResetCommand() *cobra.Command {
	o := store.Order{Actor: a.User}
	cmd := &cobra.Command{
		Use:   "reset ACTION",
		Short: "Go back to the rate that the workers are configured with",
		Example: `  enqueue limits reset SmartqAuthorize
  enqueue limits reset SmartqAuthorize --reason "quota is back"`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("name the ACTION and nothing else")
			}
			_, err := operationNamed(args[0])
			return err
		},
		ValidArgsFunction: completeOperation,
		RunE: func(cmd *cobra.Command, args []string) error {
			action, err := operationNamed(args[0])
			if err != nil {
				return err
			}
			return a.setLimit(cmd.Context(), limitOrder{action: action, by: o})
		},
	}
	ordered(cmd, &o)
	return cmd
}

// ordered adds the flags that say who asks, and why.
func ordered(cmd *cobra.Command, o *store.Order) {
	cmd.Flags().StringVar(&o.Actor, "requested-by", o.Actor, "`WHO` asks for it, for the audit")
	cmd.Flags().StringVar(&o.Reason, "reason", "", "`WHY`, for the audit")
}

// checkOrder judges who asks, and why.
func checkOrder(o store.Order) error {
	if o.Actor == "" {
		return usageError{err: errors.New("--requested-by must not be empty")}
	}
	return checkTexts(o.Actor, o.Reason)
}

func parseLimit(args []string) (o limitOrder, err error) {
	if len(args) != 2 {
		return o, errors.New("name the ACTION and its RATE, such as: SmartqAuthorize 20/s")
	}
	if o.action, err = operationNamed(args[0]); err != nil {
		return o, err
	}
	rate, err := config.ParseRate(args[1])
	o.perSecond = float64(rate)
	return o, err
}

// operationNamed returns the operation of that name, in any letter case.
func operationNamed(name string) (access.Action, error) {
	all := tasks.Operations()
	i := slices.IndexFunc(all, func(a access.Action) bool { return strings.EqualFold(string(a), name) })
	if i < 0 {
		return "", fmt.Errorf("%q is no action; use one of %s", name, join(all))
	}
	return all[i], nil
}

func completeOperation(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var found []cobra.Completion
	if len(args) == 0 {
		for _, action := range tasks.Operations() {
			found = append(found, string(action))
		}
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}

// setLimit commits a limit, and then tells all workers at once. If Redis is away
// they learn it once it is back.
func (a *app) setLimit(ctx context.Context, o limitOrder) error {
	if err := checkOrder(o.by); err != nil {
		return err
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
	set, err := st.SetLimit(ctx, o.action, o.perSecond, o.by)
	if err != nil {
		return err
	}
	look, done := lookout(cfg, st)
	defer done()
	delayed := set.Version > 0 && publish(ctx, look, set.Limit) != nil
	outlook, err := look.Look(ctx, o.action)
	if err != nil {
		return err
	}
	return a.tellLimit(limitTold{LimitSet: set, rate: outlook.RateOf(o.action), delayed: delayed})
}

// publishWithin bounds how long a person waits for Redis: the limit is recorded.
const publishWithin = 3 * time.Second

func publish(ctx context.Context, look tasks.Lookout, l store.Limit) error {
	ctx, cancel := context.WithTimeout(ctx, publishWithin)
	defer cancel()
	return tasks.PublishLimit(ctx, look.Redis, l)
}
