package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/people"
	"github.com/usher-bi/usher/internal/store"
)

// profilesView is a file of profiles. Its JSON is API.
type profilesView struct {
	Version  string                    `json:"version"`
	SHA256   string                    `json:"sha256"`
	LoadedAt *time.Time                `json:"loaded_at,omitempty"`
	LoadedBy string                    `json:"loaded_by,omitempty"`
	Reason   string                    `json:"reason,omitempty"`
	Profiles map[string]people.Profile `json:"profiles"`
}

func profilesViewOf(set store.ProfileSet) profilesView {
	return profilesView{Version: set.Version, SHA256: set.SHA256, LoadedAt: &set.LoadedAt, LoadedBy: set.Actor, Reason: set.Reason, Profiles: set.Profiles.Profiles}
}

// profilesDocument is what --json prints for the profiles. Its JSON is API.
type profilesDocument struct {
	Current *profilesView  `json:"current"` // null: none were loaded
	History []profilesView `json:"history"` // the newest first, the current ones among them
}

// profilesLoaded is what --json prints when profiles were checked or loaded. Its
// JSON is API.
type profilesLoaded struct {
	profilesView

	Changed *bool `json:"changed,omitempty"` // of load
}

const profilesLong = `Shows the profiles in force and what was loaded before. A profile says what access a
kind of people has; HR events name it. Profiles are kept in a YAML file:

  version: 2026-11-22.1        # another one whenever the file changes
  expires_in: 365d             # of grants that need an expiry
  profiles:
    finance-analyst:
      description: Closes the books
      expires_in: 180d
      resources:
        - {type: qa_resource, id: 6b407e50e774}
        - {type: dashboard, id: 97f7f4c1-543a, role: view_export, expires_in: 90d}
        - {type: workspace, id: 95296e95-ca89, role: viewer}

Types and roles are those of "enqueue csv". Loading profiles changes nobody's access:
they hold for events that are applied from then on.`

func (a *app) profilesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "profiles",
		Short: "Show, check and load the profiles that HR events name",
		Long:  profilesLong,
		Example: `  enqueue profiles
  enqueue profiles check profiles.yaml
  enqueue profiles load profiles.yaml --reason "new dashboard for finance"`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return a.profiles(cmd.Context()) },
	}
	o := store.Order{Actor: a.User}
	load := &cobra.Command{
		Use:     "load FILE|-",
		Short:   "Check a file of profiles and put it in force",
		Long:    "Checks all of a file of profiles and puts it in force for events that are applied from\nthen on. A version stands for one content for good; to go back, load the earlier file\nagain. It is recorded in the audit.",
		Example: `  enqueue profiles load profiles.yaml --reason "new dashboard for finance"`,
		Args:    oneArg("the FILE of profiles, or - for standard input"), ValidArgsFunction: yamlFiles,
		RunE: func(cmd *cobra.Command, args []string) error { return a.loadProfiles(cmd.Context(), args[0], o) },
	}
	load.Flags().StringVar(&o.Actor, "requested-by", o.Actor, "`WHO` asks for it, for the audit")
	load.Flags().StringVar(&o.Reason, "reason", "", "`WHY`, for the audit")
	cmd.AddCommand(load, &cobra.Command{
		Use:     "check FILE|-",
		Short:   "Check a file of profiles; needs no server",
		Long:    "Checks all of a file of profiles: names, resource types, roles, expiries. Every problem\nis named with its line. It needs no server and writes nothing.",
		Example: `  enqueue profiles check profiles.yaml`,
		Args:    oneArg("the FILE of profiles, or - for standard input"), ValidArgsFunction: yamlFiles,
		RunE: func(cmd *cobra.Command, args []string) error { return a.checkProfiles(cmd.Context(), args[0]) },
	})
	return cmd
}

func yamlFiles(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return []cobra.Completion{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}

func (a *app) readProfiles(ctx context.Context, file string) (profilesFile, error) {
	p, err := readInput(ctx, a.Stdin, input[profilesFile]{name: file, parse: readProfiles})
	return p, rejectedPeople(err, "profile")
}

func (a *app) checkProfiles(ctx context.Context, file string) error {
	p, err := a.readProfiles(ctx, file)
	if err != nil {
		return err
	}
	if a.json {
		return a.emit(profilesLoaded{profilesView: profilesView{Version: p.Version, SHA256: p.SHA256, Profiles: p.Profiles.Profiles}})
	}
	if _, err := fmt.Fprintf(a.Stdout, "Version %s is sound: %s.\n", p.Version, plural(len(p.Profiles.Profiles), "profile")); err != nil {
		return err
	}
	a.next("enqueue profiles load " + shellWord(file) + " --reason WHY")
	return nil
}

func (a *app) loadProfiles(ctx context.Context, file string, o store.Order) error {
	if err := checkTexts(o.Actor, o.Reason); err != nil {
		return err
	}
	if o.Actor == "" {
		return usageError{err: errors.New("--requested-by must not be empty")}
	}
	p, err := a.readProfiles(ctx, file)
	if err != nil {
		return err
	}
	return a.reading(ctx, func(st *store.Store) error {
		set, changed, err := st.LoadProfiles(ctx, store.NewProfiles{Profiles: p.Profiles, Content: p.content}, o)
		if errors.Is(err, store.ErrVersionReused) {
			return refusal{code: "version_reused", message: err.Error(), advice: "Write another version into the file and load it again."}
		}
		if err != nil {
			return err
		}
		if a.json {
			return a.emit(profilesLoaded{profilesView: profilesViewOf(set), Changed: &changed})
		}
		text := "Version %s is in force, with %s.\n"
		if !changed {
			text = "Version %s is in force already, with %s.\n"
		}
		if _, err := fmt.Fprintf(a.Stdout, text, set.Version, plural(len(set.Profiles.Profiles), "profile")); err != nil {
			return err
		}
		a.next("enqueue profiles", "enqueue events FILE")
		return nil
	})
}

func (a *app) profiles(ctx context.Context) error {
	return a.reading(ctx, func(st *store.Store) error {
		sets, err := st.ProfileHistory(ctx)
		if err != nil {
			return err
		}
		if a.json {
			d := profilesDocument{History: make([]profilesView, 0, len(sets))}
			for _, set := range sets {
				d.History = append(d.History, profilesViewOf(set))
			}
			if len(sets) > 0 {
				d.Current = &d.History[0]
			}
			return a.emit(d)
		}
		if len(sets) == 0 {
			a.sayf("No profiles were loaded.")
			a.next("enqueue profiles load FILE --reason WHY")
			return nil
		}
		return a.printProfiles(sets)
	})
}

func (a *app) printProfiles(sets []store.ProfileSet) error {
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PROFILE\tTYPE\tRESOURCE\tROLE\tLASTS")
	for _, name := range sets[0].Names() {
		for _, e := range sets[0].Profiles.Profiles[name].Entries {
			lasts := "until revoked"
			if e.Days > 0 {
				lasts = plural(e.Days, "day")
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", printable(name), e.Type, printable(e.ID), dashed(printable(e.Role)), lasts)
		}
	}
	fmt.Fprintln(w, "\nVERSION\tLOADED\tBY\tREASON")
	for _, set := range sets {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", printable(set.Version), timestamp(&set.LoadedAt), printable(set.Actor), dashed(printable(set.Reason)))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	a.next("enqueue profiles check FILE", "enqueue events FILE")
	return nil
}

// dashed is a text, or a dash for none.
func dashed(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
