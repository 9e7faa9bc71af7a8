package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// planDocument is what --dry-run --json prints. Its JSON is API.
type planDocument struct {
	DryRun       bool                  `json:"dry_run"`
	Rows         int                   `json:"rows"`
	Changes      int                   `json:"changes"`
	Calls        map[access.Action]int `json:"calls"`
	FloorSeconds float64               `json:"floor_seconds"`
	ETASeconds   *float64              `json:"eta_seconds"` // with what is queued before it; null if nobody can tell
	Warnings     []string              `json:"warnings"`
}

// foreseeWithin bounds how long a dry run looks for the servers, which it does not
// need.
const foreseeWithin = 3 * time.Second

// foresee is how long a submission would take if it were made now, or nil where
// the servers that could tell are away or not named.
func (a *app) foresee(ctx context.Context, cfg config.Config, sub tasks.Submission, plan tasks.Plan) *time.Duration {
	if store.CheckURL(cfg.DatabaseURL.Reveal()) != nil || len(plan.Calls) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, foreseeWithin)
	defer cancel()
	st, err := openStore(ctx, cfg)
	if err != nil {
		return nil
	}
	defer st.Close()
	look, done := lookout(cfg, st)
	defer done()
	eta, ok, err := look.Foresee(ctx, sub, plan.Calls)
	if err != nil || !ok {
		return nil
	}
	return &eta
}

// dryRun prints what a submission would come to.
func (a *app) dryRun(ctx context.Context, cfg config.Config, sub tasks.Submission, warnings []string) error {
	rate := func(action access.Action) config.Rate { return cfg.RateOf(string(action)) }
	plan := tasks.PlanOf(sub, func(action access.Action) float64 { return float64(rate(action)) })
	eta := a.foresee(ctx, cfg, sub, plan)
	if a.json {
		d := planDocument{
			DryRun: true, Rows: plan.Rows, Changes: plan.Changes, Calls: plan.Calls,
			FloorSeconds: hundredths(plan.Floor), Warnings: append([]string{}, warnings...),
		}
		if eta != nil {
			d.ETASeconds = new(hundredths(*eta))
		}
		return a.emit(d)
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "rows\t%s\n", commas(plan.Rows))
	fmt.Fprintf(w, "changes\t%s\n", commas(plan.Changes))
	if settled := plan.Rows - plan.Changes; settled > 0 {
		fmt.Fprintf(w, "not sent\t%s, because they repeat others or are invalid\n", commas(settled))
	}
	actions := slices.Sorted(maps.Keys(plan.Calls))
	for _, action := range actions {
		fmt.Fprintf(w, "calls\t%s %s, at %s at most\n", commas(plan.Calls[action]), action, rate(action))
	}
	floor := plan.Floor.Round(10 * time.Millisecond).String()
	if len(actions) > 0 { // else there is nothing to send
		seconds := func(a access.Action) float64 { return float64(plan.Calls[a]) / float64(rate(a)) }
		slowest := slices.MaxFunc(actions, func(a, b access.Action) int { return cmp.Compare(seconds(a), seconds(b)) })
		floor += " at " + rate(slowest).String()
	}
	fmt.Fprintf(w, "floor\t%s\n", floor)
	if eta != nil {
		fmt.Fprintf(w, "done in\tabout %s if submitted now in lane %s, with what is queued before it\n", eta.Round(time.Second), sub.Lane)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	a.sayf("Nothing was written or sent.")
	a.next("the same command without --dry-run, and with --wait to follow it")
	return nil
}

// hundredths is d in seconds.
func hundredths(d time.Duration) float64 { return math.Round(d.Seconds()*100) / 100 }
