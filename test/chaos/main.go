//go:build unix

// Command chaos breaks an installation in every way that is known to happen,
// and looks for what was lost, overtaken, doubled or made up. See
// docs/chaos.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// options are the flags of the command.
type options struct {
	scenario string
	runs     int
	seed     uint64
	length   time.Duration
	jobs     int
	race     bool
	broken   string // the protection that the programs are built without
	keep     bool
}

func main() {
	var o options
	flag.StringVar(&o.scenario, "scenario", "random", "what happens: "+strings.Join(slices.Sorted(maps.Keys(scenarios)), ", "))
	flag.IntVar(&o.runs, "runs", 1, "how many runs, of seeds that follow each other")
	flag.Uint64Var(&o.seed, "seed", 1, "of the first run")
	flag.DurationVar(&o.length, "length", 20*time.Second, "for how long a random run is disturbed")
	flag.IntVar(&o.jobs, "jobs", 1, "runs side by side")
	flag.BoolVar(&o.race, "race", true, "build the programs with the race detector")
	flag.StringVar(&o.broken, "broken", "", "leave a protection out and expect to be told: fencing, reconciler, recording or order")
	flag.BoolVar(&o.keep, "keep", false, "keep the logs of runs without findings too")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ok, err := execute(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// execute builds the programs and does all runs. It reports whether they ended
// as they should: without a finding or, of a broken build, each with one.
func execute(ctx context.Context, o options) (ok bool, err error) {
	if o.broken != "" {
		o.scenario = lacks[o.broken].scenario
	}
	if scenarios[o.scenario] == nil {
		return false, fmt.Errorf("no scenario %q", o.scenario)
	}
	dir, err := os.MkdirTemp("", "usher-chaos-")
	if err != nil {
		return false, err
	}
	b := buildOptions{dir: filepath.Join(dir, "bin"), race: o.race && !scenarios[o.scenario].fast}
	if o.broken != "" {
		b.tags = "broken_" + o.broken
	}
	fmt.Println("building the programs")
	p, err := build(ctx, b)
	if err != nil {
		return false, errors.Join(err, os.RemoveAll(dir))
	}
	outcomes := runAll(ctx, o, p, dir)
	if ctx.Err() == nil {
		fmt.Print(table(outcomes))
	}
	found := count(outcomes, func(out *outcome) bool { return len(out.findings) > 0 })
	fmt.Printf("%d runs of %s, %d with findings\n", len(outcomes), o.scenario, found)
	if o.broken != "" {
		caught := count(outcomes, lacks[o.broken].caught)
		fmt.Printf("the lack of %s was caught in %d of %d runs\n", o.broken, caught, len(outcomes))
		return caught == o.runs, os.RemoveAll(dir)
	}
	if found == 0 && !o.keep {
		return ctx.Err() == nil, os.RemoveAll(dir)
	}
	fmt.Println("logs:", dir)
	return found == 0 && ctx.Err() == nil, nil
}

func count(outcomes []*outcome, of func(*outcome) bool) (n int) {
	for _, o := range outcomes {
		if of(o) {
			n++
		}
	}
	return n
}

// runAll does the runs, some side by side.
func runAll(ctx context.Context, o options, p programs, dir string) []*outcome {
	var (
		mu       sync.Mutex
		outcomes []*outcome
		done     sync.WaitGroup
	)
	slots := make(chan struct{}, max(1, o.jobs))
	for i := range o.runs {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		done.Go(func() {
			defer func() { <-slots }()
			out := one(ctx, o, p, filepath.Join(dir, fmt.Sprintf("seed-%d", o.seed+uint64(i)))) //nolint:gosec // not negative
			mu.Lock()
			defer mu.Unlock()
			outcomes = append(outcomes, out)
			out.print()
			if len(out.findings) == 0 && !o.keep {
				_ = os.RemoveAll(out.dir) // what is left goes with the folder above
			}
		})
	}
	done.Wait()
	return outcomes
}

// one does one run. Its seed is the number at the end of dir.
func one(ctx context.Context, o options, p programs, dir string) *outcome {
	out := &outcome{dir: dir, injected: map[string]int{}}
	_, _ = fmt.Sscanf(filepath.Base(dir), "seed-%d", &out.seed)
	s := scenarios[o.scenario]
	if err := os.MkdirAll(dir, 0o700); err != nil {
		out.findings = []string{err.Error()}
		return out
	}
	r, err := newRig(ctx, p, dir, s.world())
	if err != nil {
		out.findings = []string{"the servers do not start: " + err.Error()}
		return out
	}
	s.play(ctx, r, out, o.length)
	if err := r.close(); err != nil {
		out.findings = append(out.findings, err.Error())
	}
	out.findings = append(out.findings, r.findings...)
	if ctx.Err() != nil {
		out.findings = append(out.findings, "interrupted")
	}
	return out
}

func (o *outcome) print() {
	fmt.Printf("seed %d: %d faults, %d findings, repaired %.1f s after the last fault %s\n",
		o.seed, sum(o.injected), len(o.findings), o.repair.Seconds(), strings.Join(o.figures, "; "))
	for _, f := range o.findings {
		fmt.Println("  -", f)
	}
	if len(o.findings) > 0 {
		fmt.Printf("  logs: %s; again: make chaos RUNS=1 SEED=%d LENGTH=… as in this run\n", o.dir, o.seed)
	}
}

func sum(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}
