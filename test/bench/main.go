//go:build unix

// Command bench measures what the product promises about speed, side by side
// with what it is compared to, and prints one table. See docs/bench.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// options are the flags of the command.
type options struct {
	scenario    string
	quick       bool
	json        bool
	keep        bool
	processes   numbers
	rates       numbers
	tasks       int
	rounds      int
	concurrency int
}

// numbers is a flag like 1,2,4.
type numbers []int

func (n *numbers) String() string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(*n), " ", ","), "[]")
}

// Set reads a list of positive numbers.
func (n *numbers) Set(text string) error {
	*n = nil
	for part := range strings.SplitSeq(text, ",") {
		v, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || v < 1 {
			return fmt.Errorf("%q is not a list of positive numbers like 1,2,4", text)
		}
		*n = append(*n, v)
	}
	return nil
}

// or returns n, or else what goes without the flag.
func (n *numbers) or(fallback ...int) []int {
	if len(*n) == 0 {
		return fallback
	}
	return *n
}

// scenarios are all measurements, in the order in which they are done.
var scenarios = []struct {
	name    string
	measure func(ctx context.Context, b *bench) error
}{
	{"quota", quota},
	{"adapt", adapt},
	{"urgent", urgent},
	{"fair", fair},
	{"overhead", overhead},
	{"import", importing},
	{"intake", intaking},
	{"intake-large", intakeLines},
	{"rivals", rivals},
	{"status", standing},
	{"wal", wal},
	{"export", exporting},
}

// roles are the parts that this program plays in processes of their own, named
// by its first argument.
var roles = map[string]func(ctx context.Context, args []string) error{
	roleFloor: beFloor,
	roleCall:  beCall,
	rolePlain: bePlain,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := start(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func start(ctx context.Context, args []string) error {
	if len(args) > 0 && roles[args[0]] != nil {
		return roles[args[0]](ctx, args[1:])
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	return execute(ctx, o)
}

func parse(args []string) (options, error) {
	names := append(make([]string, 0, 1+len(scenarios)), "all")
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	var o options
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.StringVar(&o.scenario, "scenario", "all", "what is measured: "+strings.Join(names, ", ")+"; several with commas")
	set.BoolVar(&o.quick, "quick", false, "a short version of at most three minutes, with fewer cases")
	set.BoolVar(&o.json, "json", false, "print one JSON document instead of the table")
	set.BoolVar(&o.keep, "keep", false, "keep the logs of the programs")
	set.Var(&o.processes, "processes", "worker processes of quota and adapt, like 1,2,4")
	set.Var(&o.rates, "rates", "calls a second of quota, like 10,50,200")
	set.IntVar(&o.tasks, "tasks", 0, "tasks of a round of overhead (default 10000; quick 5000)")
	set.IntVar(&o.rounds, "rounds", 0, "rounds of overhead and import, the median of which counts (default 3; quick 1)")
	set.IntVar(&o.concurrency, "concurrency", 256, "tasks at once in overhead, of the worker and of the floor; 256 is what a worker takes by itself at that rate")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	if set.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", set.Arg(0))
	}
	for name := range strings.SplitSeq(o.scenario, ",") {
		if !slices.Contains(names, name) {
			return o, fmt.Errorf("no scenario %q: want some of %s", name, strings.Join(names, ", "))
		}
	}
	return o, nil
}

// wants reports whether a scenario was asked for.
func (o options) wants(scenario string) bool {
	return slices.ContainsFunc(strings.Split(o.scenario, ","), func(name string) bool { return name == "all" || name == scenario })
}

// short returns the second value for a quick run, else the first.
func short[T any](o options, full, quick T) T {
	if o.quick {
		return quick
	}
	return full
}

// execute builds the programs, measures and prints. A scenario that breaks down
// does not take the others with it.
func execute(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "usher-bench-")
	if err != nil {
		return err
	}
	b, err := newBench(ctx, o, dir)
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	for _, s := range scenarios {
		if !o.wants(s.name) || ctx.Err() != nil {
			continue
		}
		b.scenario = s.name
		began := time.Now()
		if failed := s.measure(ctx, b); failed != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", s.name, failed))
		}
		b.sayf("%s took %.0f s", s.name, time.Since(began).Seconds())
	}
	err = errors.Join(err, b.stack.Stop(), ctx.Err(), write(os.Stdout, b.rows, o.json))
	if err == nil && !o.keep {
		return os.RemoveAll(dir)
	}
	fmt.Fprintln(os.Stderr, "logs:", filepath.Clean(dir))
	return err
}
