package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/slots"
	"github.com/usher-bi/usher/internal/store"
)

// What holds a job of a schedule unless something else is said: nobody looks at
// it before it is sent.
const (
	scheduleRevokes       = 500
	scheduleRevokesPerDay = 1000
	desiredRevokeShare    = 0.2
	scheduleShrink        = 1.0 / 3
)

// scheduling is a schedule as the command line gives it.
type scheduling struct {
	schedule              store.Schedule
	file, folder, desired string
	renew, expiry         daysFlag
	guards                guardFlags
}

func (a *app) scheduleAddCommand() *cobra.Command {
	s := scheduling{schedule: store.Schedule{
		CatchUp: store.CatchUpOnce, Overlap: store.OverlapSkip, CompleteBy: store.CompleteByDone, Lane: store.Bulk,
		RequestedBy: a.User, FileWithin: time.Hour,
	}}
	cmd := &cobra.Command{
		Use:   "add NAME --cron EXPRESSION --file PATH|--folder DIR|--desired FILE|--renew-within DAYS",
		Short: "Add a schedule",
		Long: `Adds a schedule, from its next slot on. What a slot does:

  --file PATH          submits that file
  --folder DIR         submits each file there (.csv, .tsv, .txt, .xlsx), a job each
  --desired FILE       takes the file as the full list of who should have what, and
                       submits the difference to what is in force: it grants what is
                       missing or has other terms, and revokes what this source
                       granted and the list does not hold
  --renew-within DAYS  extends what this source granted and what ends within so many
                       days, for as long as it was granted or for --expires-in

Files are what "enqueue csv" takes: CSV, or an Excel workbook. One bad row rejects
a file; with --skip-invalid the good rows of --file and --folder are submitted, and
the bad ones recorded as failures. In a full list a bad row stays an error: what it
asks for would be revoked.

Paths are below WORKER_INBOX of the workers. A file is picked up when it is complete:
when NAME.done was written beside it, or with --complete rename as soon as it has
its name. It ends in done/ or errors/ beside it, with its results.

A job is held, until "enqueue release", if it revokes more than is allowed, or if
its file has lost a third of its rows, or is no newer than the one before. A file
that is not there within --file-within of its slot is missing.`,
		Example: `  enqueue schedule add leavers --cron "0 2 * * *" --timezone Asia/Shanghai --file hr/leavers.csv
  enqueue schedule add inbox --cron "*/10 * * * *" --folder hr/in --complete rename --overlap queue --skip-invalid
  enqueue schedule add access --cron "30 2 * * *" --desired hr/access.csv --source hr-nightly
  enqueue schedule add renewals --cron "0 3 * * *" --renew-within 3d --source hr-nightly --expires-in 90d`,
		Args:              oneArg("the schedule"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			s.schedule.Name = args[0]
			return a.addSchedule(cmd.Context(), s)
		},
	}
	s.register(cmd)
	return cmd
}

func (s *scheduling) register(cmd *cobra.Command) {
	n, flags := &s.schedule, cmd.Flags()
	catchUps, overlaps := []store.CatchUp{store.CatchUpOnce, store.CatchUpNone}, []store.Overlap{store.OverlapSkip, store.OverlapQueue}
	completes := []store.CompleteBy{store.CompleteByDone, store.CompleteByRename}
	flags.StringVar(&n.Cron, "cron", "", "when, as a cron `EXPRESSION`: minute hour day month weekday")
	flags.StringVar(&n.Timezone, "timezone", "", "the `ZONE` of the wall clock (default: QUICKBI_TIMEZONE)")
	flags.StringVar(&s.file, "file", "", "submit the file at this `PATH`")
	flags.StringVar(&s.folder, "folder", "", "submit each file of this `DIR`")
	flags.StringVar(&s.desired, "desired", "", "make the grants of the source those that this `FILE` lists")
	flags.Var(&s.renew, "renew-within", "extend what ends within so many `DAYS`: 3d")
	flags.Var(&s.expiry, "expires-in", "last `DAY` of what is renewed, and of grants of a file that name none, as days from then: 90d")
	flags.Var(wordFlag[store.CompleteBy]{&n.CompleteBy, completes}, "complete", "how one knows that a file is complete, `HOW`: "+join(completes))
	flags.StringVar(&n.Sheet, "sheet", "", "`NAME` of the sheet of a workbook to read (default: the first that is not hidden)")
	flags.BoolVar(&n.SkipInvalid, "skip-invalid", false, "submit the good rows of a file and record the bad ones as failures")
	flags.DurationVar(&n.FileWithin, "file-within", n.FileWithin, "how long after its slot a file may come")
	flags.Var(wordFlag[store.CatchUp]{&n.CatchUp, catchUps}, "catch-up", "what to do of slots that nobody was there for, `WHAT`: "+join(catchUps))
	flags.Var(wordFlag[store.Overlap]{&n.Overlap, overlaps}, "overlap", "what to do while jobs of the slot before are open, `WHAT`: "+join(overlaps))
	flags.Var(wordFlag[store.Lane]{&n.Lane, store.Lanes()}, "lane", "`LANE` in which its tasks queue: "+join(store.Lanes()))
	flags.StringVar(&n.Source, "source", "", "`NAME` of where the rows come from (default: the name of the schedule)")
	flags.StringVar(&n.RequestedBy, "requested-by", n.RequestedBy, "`WHO` asks for it, for the audit")
	flags.StringVar(&n.Reason, "reason", "", "`WHY`, for the audit")
	flags.BoolVar(&n.AllowStale, "allow-stale", false, "submit also a file that is no newer than the one before")
	s.guards.register(cmd)
	complete(cmd, "complete", completes)
	complete(cmd, "catch-up", catchUps)
	complete(cmd, "overlap", overlaps)
	complete(cmd, "lane", store.Lanes())
}

func (a *app) addSchedule(ctx context.Context, s scheduling) error {
	cfg, err := a.settings(config.Query)
	if err != nil {
		return err
	}
	s.schedule.Timezone = cmp.Or(s.schedule.Timezone, cfg.Location.String())
	n, err := s.resolve()
	if err != nil {
		return usageError{err: err}
	}
	return a.reading(ctx, func(st *store.Store) error {
		if err := st.AddSchedule(ctx, n); err != nil {
			return err
		}
		v, err := scheduleNow(ctx, st, n.Name)
		if err != nil {
			return err
		}
		if a.json {
			return a.emit(v)
		}
		var text strings.Builder
		v.write(&text)
		_, err = fmt.Fprint(a.Stdout, text.String())
		a.next("enqueue schedule next "+n.Name, "enqueue schedule run "+n.Name)
		return err
	})
}

var scheduleName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// resolve judges what the command line gives, and fills in what it does not.
func (s *scheduling) resolve() (store.Schedule, error) {
	n := s.schedule
	if !scheduleName.MatchString(n.Name) {
		return n, fmt.Errorf("%q is not a name for a schedule: use small letters, digits, dots and dashes", n.Name)
	}
	if err := s.kind(&n); err != nil {
		return n, err
	}
	if n.Cron == "" {
		return n, errors.New("say with --cron when it is due, e.g. --cron \"0 2 * * *\" for every night at two")
	}
	if _, err := slots.Parse(n.Cron, n.Timezone); err != nil {
		return n, err
	}
	if n.Source == "" && n.Kind == store.RenewSchedule {
		return n, errors.New("say with --source whose grants are renewed")
	}
	n.Source = cmp.Or(n.Source, n.Name)
	if err := errors.Join(checkTexts(n.Source, n.RequestedBy, n.Reason, n.Path, n.Sheet), checkOrder(store.Order{Actor: n.RequestedBy})); err != nil {
		return n, err
	}
	if n.FileWithin < 0 {
		return n, errors.New("--file-within is a duration such as 1h")
	}
	defaults := config.Guards{MaxRevokes: scheduleRevokes, MaxRevokesPerDay: scheduleRevokesPerDay}
	if n.Kind != store.RenewSchedule {
		defaults.MaxShrink = scheduleShrink
	}
	if n.Kind == store.DesiredSchedule {
		defaults.MaxRevokeShare = desiredRevokeShare
	}
	n.Guards, n.ExpiryDays, n.RenewDays = s.guards.over(defaults), s.expiry.days, s.renew.days
	return n, nil
}

// kind finds out what the schedule does, which one flag says.
func (s *scheduling) kind(n *store.Schedule) error {
	named := 0
	for _, of := range []struct {
		kind store.ScheduleKind
		path string
	}{{store.FileSchedule, s.file}, {store.FolderSchedule, s.folder}, {store.DesiredSchedule, s.desired}} {
		if of.path != "" {
			n.Kind, n.Path = of.kind, of.path
			named++
		}
	}
	if s.renew.days > 0 {
		n.Kind, n.Path = store.RenewSchedule, ""
		named++
	}
	if named != 1 {
		return errors.New("name one thing to do: --file PATH, --folder DIR, --desired FILE or --renew-within DAYS")
	}
	if n.Kind == store.DesiredSchedule && s.expiry.days > 0 {
		return errors.New("--expires-in would grant everything anew each day; name the expiry in the file")
	}
	if n.Kind == store.DesiredSchedule && n.SkipInvalid {
		return errors.New("--skip-invalid would revoke what the bad rows of a full list ask for; without it such a list is rejected")
	}
	if n.Kind != store.RenewSchedule {
		return inboxPath(n)
	}
	if n.SkipInvalid || n.Sheet != "" {
		return errors.New("--skip-invalid and --sheet say how to read a file, and --renew-within reads none")
	}
	return nil
}

// inboxPath judges a path, which names something below the inbox of workers.
func inboxPath(n *store.Schedule) error {
	if strings.HasPrefix(n.Path, "/") || !filepath.IsLocal(n.Path) {
		return fmt.Errorf("%q must lie below WORKER_INBOX of the workers, and be named from there, e.g. hr/leavers.csv", n.Path)
	}
	n.Path = path.Clean(n.Path)
	for part := range strings.SplitSeq(n.Path, "/") {
		if slices.Contains([]string{"working", "done", "errors"}, part) {
			return fmt.Errorf("%q is where files are put that were picked up; take another folder", n.Path)
		}
	}
	return nil
}
