package main

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/tasks"
)

// planDocument is what --dry-run --json prints. Its JSON is API.
type planDocument struct {
	DryRun       bool                  `json:"dry_run"`
	Rows         int                   `json:"rows"`
	Changes      int                   `json:"changes"`
	Calls        map[access.Action]int `json:"calls"`
	FloorSeconds float64               `json:"floor_seconds"`
	Warnings     []string              `json:"warnings"`
}

// dryRun prints what a submission would come to.
func (a *app) dryRun(cfg config.Config, sub tasks.Submission, warnings []string) error {
	rate := func(action access.Action) config.Rate { return cfg.RateOf(string(action)) }
	plan := tasks.PlanOf(sub, func(action access.Action) float64 { return float64(rate(action)) })
	if a.json {
		return a.emit(planDocument{
			DryRun: true, Rows: plan.Rows, Changes: plan.Changes, Calls: plan.Calls,
			FloorSeconds: math.Round(plan.Floor.Seconds()*100) / 100, Warnings: append([]string{}, warnings...),
		})
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
	if err := w.Flush(); err != nil {
		return err
	}
	a.sayf("Nothing was written or sent.")
	a.next("the same command without --dry-run, and with --wait to follow it")
	return nil
}
