package main

import (
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

// targeting is how pause, resume and cancel are told what to act upon.
type targeting struct {
	source string
	action access.Action
	all    bool
	reason string
}

// register adds the flags; verb is what the command does.
func (t *targeting) register(a *app, cmd *cobra.Command, verb string) {
	flags := cmd.Flags()
	flags.StringVar(&t.source, "source", "", verb+" all jobs of this source `NAME`")
	flags.Var(wordFlag[access.Action]{&t.action, access.Actions()}, "action", verb+" this `ACTION` in all jobs: "+join(access.Actions()))
	flags.BoolVar(&t.all, "all", false, verb+" everything")
	flags.StringVar(&t.reason, "reason", "", "`WHY`, for the audit")
	complete(cmd, "action", access.Actions())
	_ = cmd.RegisterFlagCompletionFunc("source", a.completeSource) // it fails only for a flag that does not exist
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		_, err := t.target(cmd, args)
		return err
	}
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(t.named(cmd)) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.completeJob(cmd, args, typed)
	}
}

var errTarget = errors.New("name one thing: a JOB, or --source NAME, or --action ACTION, or --all")

// target is the one thing that a command line names.
func (t *targeting) target(cmd *cobra.Command, args []string) (store.Target, error) {
	targets := t.named(cmd)
	for _, id := range args {
		targets = append(targets, store.OfJob(id))
	}
	if len(targets) != 1 || targets[0].Name == "" && targets[0].Scope != store.ScopeAll {
		return store.Target{}, errTarget
	}
	return targets[0], checkTexts(targets[0].Name, t.reason)
}

// named are the targets that flags name.
func (t *targeting) named(cmd *cobra.Command) (targets []store.Target) {
	for name, target := range map[string]store.Target{
		"source": {Scope: store.ScopeSource, Name: t.source}, "action": {Scope: store.ScopeAction, Name: string(t.action)},
	} {
		if cmd.Flags().Changed(name) {
			targets = append(targets, target)
		}
	}
	if t.all {
		targets = append(targets, store.Target{Scope: store.ScopeAll})
	}
	return targets
}

// order is who asks, and why.
func (t *targeting) order(a *app) store.Order { return store.Order{Actor: a.User, Reason: t.reason} }

// arguments writes a target as these commands take it.
func arguments(t store.Target) string {
	switch t.Scope {
	case store.ScopeJob:
		return t.Name
	case store.ScopeAll:
		return "--all"
	default:
		return "--" + string(t.Scope) + " " + shellWord(printable(t.Name))
	}
}

// subject names a target at the start of a sentence.
func subject(t store.Target) string {
	switch t.Scope {
	case store.ScopeAll:
		return "Everything"
	case store.ScopeSource:
		return "Source " + printable(t.Name)
	default:
		return printable(t.Name)
	}
}

// pauseText says what is paused, by whom, since when and why, and how to go on.
func pauseText(p store.Pause) string {
	if p.Guard != "" {
		return heldText(p)
	}
	text := subject(p.Target) + " is paused since " + timestamp(&p.Since) + " by " + printable(p.Actor)
	if p.Reason != "" {
		text += " (" + printable(p.Reason) + ")"
	}
	return text + ". Nothing of it is sent and nothing is lost; to go on: enqueue resume " + arguments(p.Target)
}

// pauseTexts says it of the first pauses, and how many more there are.
func pauseTexts(pauses []store.Pause) []string {
	var lines []string
	for _, p := range pauses[:min(topGroups, len(pauses))] {
		lines = append(lines, pauseText(p))
	}
	if more := len(pauses) - len(lines); more > 0 {
		lines = append(lines, "and "+plural(more, "more pause"))
	}
	return lines
}

// besides are the pauses, other than of single jobs unless every job is meant,
// that stand beside one of target and concern it too.
func besides(t store.Target, pauses []store.Pause) []store.Pause {
	return slices.DeleteFunc(slices.Clone(pauses), func(p store.Pause) bool {
		return p.Target == t || t.Scope != store.ScopeAll && p.Scope != store.ScopeAll
	})
}

// nextAfter is the command that follows the fate of a target.
func nextAfter(t store.Target) string {
	switch t.Scope {
	case store.ScopeJob:
		return "enqueue status " + t.Name
	case store.ScopeSource:
		return "enqueue jobs --source " + shellWord(printable(t.Name))
	default:
		return "enqueue jobs"
	}
}
