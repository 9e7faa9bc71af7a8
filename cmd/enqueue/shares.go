package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// sharesRequest is whose works to read, how, and where to write them.
type sharesRequest struct {
	tasks.ReadRequest

	file   string // of users; "-" for standard input, "" for none
	job    string // an earlier read job, instead of users
	output string // "" or "-" means stdout
	noWait bool
	wait   waitFlag
}

const sharesLong = `Reads from Quick BI which works users were given (QuerySharesToUserList), keeps
that with the time it was read, and writes it as CSV: a line a work, every field
that Quick BI documents. One call a user; a worker sends them.

FILE has one Quick BI user id a line, or is a CSV file with a column principal or
user_id. In place of an id it may name an account, as account:alice. Any bad id
rejects the list. Each submission reads anew, unless --key
names an earlier one.

The list tells what users were given, not the level or the expiry. Quick BI does
not publish whether it counts what comes through groups; datasets, data sources,
screens and ad-hoc analyses may be missing in it. A user who has nothing has no
line: "enqueue results JOB" lists every user who was read, and when.

The job goes on when the wait ends or is interrupted, and --job writes what it
read later, without reading again. It exits 5 if users could not be read, and
names them. Cells that a spreadsheet would take for a formula get a leading
apostrophe; a FILE of -o begins with a byte order mark, can be read by its owner
only, and appears whole or not at all. With --json stdout gets
{"job_id":…,"works":[…],"failures":[…],"job":…} or, beside -o, "file" and "rows" in
place of "works".`

func (a *app) sharesCommand() *cobra.Command {
	r := sharesRequest{ReadRequest: tasks.ReadRequest{Source: "shares", RequestedBy: a.User, Lane: store.Normal}}
	cmd := &cobra.Command{
		Use:   "shares {USER... | -f FILE|- | --job JOB}",
		Short: "Read which works users were given",
		Long:  sharesLong,
		Example: `  enqueue shares 46e53a5ba4b6 de4bc5f94291
  enqueue shares -f people.csv -o shares.csv --reason "Q4 audit"
  enqueue shares -f everybody.txt --lane bulk --no-wait
  enqueue shares --job 01JD3Z5S2M8H0T6W9K4Q7XBRNE --json`,
		Args: func(cmd *cobra.Command, args []string) error {
			r.Users = args
			return r.check(cmd.Flags().Changed)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return a.shares(cmd.Context(), r) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&r.file, "file", "f", "", "read the users from this `FILE`; - is standard input")
	flags.StringVar(&r.job, "job", "", "write what this read `JOB` found, without reading again")
	flags.StringVarP(&r.output, "output", "o", "", "write to this `FILE` instead of stdout")
	flags.Bool("csv", true, "write CSV, which is the default")
	flags.StringVar(&r.Source, "source", r.Source, "`NAME` of who reads, to find the job by")
	flags.StringVar(&r.RequestedBy, "requested-by", r.RequestedBy, "`WHO` asks for it, for the audit")
	flags.StringVar(&r.Reason, "reason", "", "`WHY`, for the audit")
	flags.StringVar(&r.Key, "key", "", "idempotency `KEY`: the same users under it are read once (default: each time)")
	flags.Var(wordFlag[store.Lane]{&r.Lane, store.Lanes()}, "lane", "`LANE` in which its tasks queue: "+join(store.Lanes()))
	flags.BoolVar(&r.noWait, "no-wait", false, "print the job's id and leave it to the workers")
	r.wait.registerAs(cmd, "wait to the end, which is the default, or for a `DURATION` such as --wait=10m; the job goes on after that")
	complete(cmd, "lane", store.Lanes())
	_ = cmd.RegisterFlagCompletionFunc("job", a.completeJob) // it fails only for a flag that is not there
	return cmd
}

// check refuses a command that names its users in no way, or in several, and
// flags that contradict each other.
func (r sharesRequest) check(given func(flag string) bool) error {
	for _, pair := range [][2]string{{"csv", "json"}, {"no-wait", "wait"}, {"no-wait", "output"}, {"no-wait", "job"}} {
		if given(pair[0]) && given(pair[1]) {
			return fmt.Errorf("--%s and --%s do not go together", pair[0], pair[1])
		}
	}
	ways := 0
	for _, way := range []bool{len(r.Users) > 0, given("file"), given("job")} {
		if way {
			ways++
		}
	}
	if ways != 1 {
		return errors.New("name the USERs, or give a list of them with -f FILE, or an earlier read with --job JOB")
	}
	return nil
}

func (a *app) shares(ctx context.Context, r sharesRequest) error {
	if r.job != "" {
		return a.sharesOf(ctx, r)
	}
	if err := checkTexts(r.Source, r.RequestedBy, r.Reason, r.Key); err != nil {
		return err
	}
	if err := checkKey(r.Key); err != nil {
		return err
	}
	if r.Source == "" || r.RequestedBy == "" {
		return usageError{err: errors.New("--source and --requested-by must not be empty")}
	}
	cfg, err := a.settings(config.Enqueue)
	if err != nil {
		return err
	}
	warnings, err := a.findUsers(ctx, cfg, &r)
	if err != nil {
		return err
	}
	return a.submit(ctx, cfg, func(s submitting) error {
		done, err := s.submitter.Read(ctx, r.ReadRequest)
		if err != nil {
			return err
		}
		job := accepted{Submitted: done, warnings: warnings, next: "enqueue shares --job " + done.JobID, keyed: true}
		if r.noWait {
			return a.accepted(ctx, s.lookout, job)
		}
		shown, err := a.introduce(ctx, s.store, job)
		if err != nil {
			return err
		}
		return a.exportShares(ctx, sharesExport{lookout: s.lookout, job: shown, output: r.output}, r.wait.limit)
	})
}

// findUsers fills in the users of a list, checks all users and returns what is
// to be remarked.
func (a *app) findUsers(ctx context.Context, cfg config.Config, r *sharesRequest) (warnings []string, err error) {
	place := "user"
	users := intake.CheckUsers(r.Users)
	if r.file != "" {
		place = ""
		users, err = readInput(ctx, a.Stdin, input[*intake.Users]{name: r.file, parse: func(in io.ReadSeeker) (*intake.Users, error) {
			return intake.ReadUsers(in, intake.Options{})
		}})
		if err != nil {
			return nil, err
		}
	}
	if len(users.Errors) == 0 { // one bad id rejects the list, whoever the others are
		if err := a.resolve(ctx, cfg, users); err != nil {
			return nil, err
		}
	}
	if len(users.Errors) > 0 {
		a.warn(users.Warnings)
		return nil, rejectUsers(users, place)
	}
	r.Users = users.IDs
	return users.Warnings, nil
}

// sharesOf exports what an earlier job read.
func (a *app) sharesOf(ctx context.Context, r sharesRequest) error {
	return a.looking(ctx, func(look tasks.Lookout) error {
		job, err := readJob(ctx, look.Store, r.job)
		if err != nil {
			return err
		}
		return a.exportShares(ctx, sharesExport{lookout: look, job: job, output: r.output}, r.wait.limit)
	})
}

// readJob returns a job that reads, and refuses any other.
func readJob(ctx context.Context, st *store.Store, id string) (store.Job, error) {
	header, err := st.Header(ctx, id)
	if err != nil {
		return store.Job{}, err
	}
	if !readsUsers(header) {
		return store.Job{}, refusal{
			code: "not_a_read_job", message: "job " + id + " changes access and reads nothing",
			advice: "See what became of it: enqueue results " + id + "; compare it with Quick BI: enqueue verify " + id,
		}
	}
	return st.Job(ctx, id)
}

// readsUsers tells the jobs that read what users were given by their columns:
// every other job has several.
func readsUsers(header []string) bool { return slices.Equal(header, []string{"principal"}) }
