package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
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

// foresight is what the servers tell a dry run.
type foresight struct {
	eta *time.Duration                // if the job were submitted now; nil if nobody can tell
	set map[access.Action]config.Rate // what operators set
}

// foresee asks the servers. Where they are away, or not named, it is empty.
func (a *app) foresee(ctx context.Context, cfg config.Config, sub tasks.Submission, plan tasks.Plan) (f foresight) {
	if store.CheckURL(cfg.DatabaseURL.Reveal()) != nil || len(plan.Calls) == 0 {
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, foreseeWithin)
	defer cancel()
	st, err := openStore(ctx, cfg)
	if err != nil {
		return f
	}
	defer st.Close()
	set, err := st.Limits(ctx)
	if err != nil {
		return f
	}
	f.set = map[access.Action]config.Rate{}
	for _, l := range set {
		if l.PerSecond > 0 {
			f.set[l.Action] = config.Rate(l.PerSecond)
		}
	}
	look, done := lookout(cfg, st)
	defer done()
	if eta, ok, err := look.Foresee(ctx, sub, plan.Calls); err == nil && ok {
		f.eta = &eta
	}
	return f
}

// forecast is a plan and how long it takes.
type forecast struct {
	tasks.Plan

	foresight

	lane  store.Lane
	rate  func(access.Action) config.Rate
	floor time.Duration // if nothing else is sent
}

// forecast plans a submission with what the servers tell.
func (a *app) forecast(ctx context.Context, cfg config.Config, sub tasks.Submission) forecast {
	shown := a.newStages()
	sub.Progress = shown.submitting
	plan := tasks.PlanOf(sub)
	shown.close()
	f := forecast{Plan: plan, foresight: a.foresee(ctx, cfg, sub, plan), lane: sub.Lane}
	f.rate = func(action access.Action) config.Rate { return cmp.Or(f.set[action], cfg.RateOf(string(action))) }
	f.floor = plan.Floor(func(action access.Action) float64 { return float64(f.rate(action)) })
	return f
}

// write tells a person what a submission would come to.
func (f forecast) write(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "rows\t%s\n", commas(f.Rows))
	fmt.Fprintf(w, "changes\t%s\n", commas(f.Changes))
	if settled := f.Rows - f.Changes; settled > 0 {
		fmt.Fprintf(w, "not sent\t%s, because they repeat others or are invalid\n", commas(settled))
	}
	actions := slices.Sorted(maps.Keys(f.Calls))
	for _, action := range actions {
		fmt.Fprintf(w, "calls\t%s %s, at %s at most\n", commas(f.Calls[action]), action, f.rate(action))
	}
	text := f.floor.Round(10 * time.Millisecond).String()
	if len(actions) > 0 { // else there is nothing to send
		seconds := func(a access.Action) float64 { return float64(f.Calls[a]) / float64(f.rate(a)) }
		slowest := slices.MaxFunc(actions, func(a, b access.Action) int { return cmp.Compare(seconds(a), seconds(b)) })
		text += " at " + f.rate(slowest).String()
	}
	fmt.Fprintf(w, "floor\t%s\n", text)
	if f.eta != nil {
		fmt.Fprintf(w, "done in\tabout %s if submitted now in lane %s, with what is queued before it\n", f.eta.Round(time.Second), f.lane)
	}
	return w.Flush()
}

// dryRun prints what a submission would come to.
func (a *app) dryRun(ctx context.Context, cfg config.Config, sub tasks.Submission, warnings []string) error {
	f := a.forecast(ctx, cfg, sub)
	if a.json {
		d := planDocument{
			DryRun: true, Rows: f.Rows, Changes: f.Changes, Calls: f.Calls,
			FloorSeconds: hundredths(f.floor), Warnings: append([]string{}, warnings...),
		}
		if f.eta != nil {
			d.ETASeconds = new(hundredths(*f.eta))
		}
		return a.emit(d)
	}
	if err := f.write(a.Stdout); err != nil {
		return err
	}
	a.sayf("Nothing was written or sent.")
	a.next("the same command without --dry-run, and with --wait to follow it")
	return nil
}

// hundredths is d in seconds.
func hundredths(d time.Duration) float64 { return math.Round(d.Seconds()*100) / 100 }
