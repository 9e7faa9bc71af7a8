package main

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9/logging"
	"github.com/spf13/cobra"
)

// env is the world of one invocation, so that tests can give another.
type env struct {
	Args           []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Environ        []string // NAME=value; a later entry wins
	User           string   // who runs the command: the default of --requested-by
	IsTTY          bool     // Stderr is a terminal that can draw a line anew
	Asks           bool     // Stdin and Stderr are terminals: a person is there to be asked
	Now            func() time.Time
	After          func(time.Duration) <-chan time.Time
	Every          func(time.Duration) (ticks <-chan time.Time, stop func()) // nil: never
}

// lookup is os.Getenv over Environ.
func (e env) lookup(name string) string {
	for _, entry := range slices.Backward(e.Environ) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// app is what all commands of one invocation share.
type app struct {
	env

	json    bool // exactly one JSON document on stdout
	started bool // flags and arguments were sound; what fails now is no usage error
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, e env) int {
	logging.Disable() // go-redis prints every failed dial; what matters is said by us
	a := &app{env: e}
	var text bytes.Buffer     // what cobra itself prints: help and completion scripts
	root := newRoot(a, &text) //nolint:contextcheck // cobra hands the context to the commands
	root.SetArgs(e.Args)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !a.started {
		err = usageError{err: err, command: cmd.CommandPath()}
		a.json = asksForJSON(e.Args)
	}
	if err == nil && text.Len() > 0 {
		err = a.printText(text.String())
	}
	return a.conclude(err)
}

// printText prints what is text by nature, as a JSON document where one is due.
// A shell that asks for completions is always answered in text.
func (a *app) printText(text string) error {
	if completing := len(a.Args) > 0 && strings.HasPrefix(a.Args[0], cobra.ShellCompRequestCmd); a.json && !completing {
		return a.emit(map[string]string{"text": text})
	}
	_, err := io.WriteString(a.Stdout, text)
	return err
}

// asksForJSON looks for --json in a command line that could not be parsed.
func asksForJSON(args []string) bool {
	for _, arg := range args {
		value, ok := strings.CutPrefix(arg, "--json")
		if !ok {
			continue
		}
		if value == "" {
			return true
		}
		if yes, err := strconv.ParseBool(strings.TrimPrefix(value, "=")); err == nil && yes {
			return true
		}
	}
	return false
}

// helpTemplate puts the examples first: they are what people look for.
const helpTemplate = `{{if .Example}}Examples:
{{.Example}}

{{end}}{{with or .Long .Short}}{{. | trimTrailingWhitespaces}}

{{end}}{{.UsageString}}`

// usageTemplate is cobra's without the examples.
const usageTemplate = `Usage:{{if .Runnable}}
  {{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}
  {{.CommandPath}} [command]

Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

Global flags:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}
`

const rootExample = `  enqueue template -o people.xlsx            a file to fill in
  enqueue csv people.csv --dry-run           what would be done, without doing it
  enqueue csv people.csv --reason "Q4 audit" --wait
  enqueue failures 01JD3Z5S2M8H0T6W9K4Q7XBRNE
  enqueue results 01JD3Z5S2M8H0T6W9K4Q7XBRNE --status failed -o failed.csv
  enqueue retry 01JD3Z5S2M8H0T6W9K4Q7XBRNE --wait
  enqueue verify 01JD3Z5S2M8H0T6W9K4Q7XBRNE  is it so at Quick BI?
  enqueue shares -f people.csv -o shares.csv which works have they?`

const rootLong = `Submits bulk changes of Quick BI access and follows what becomes of them.

Settings come from the environment: DATABASE_URL (Postgres) and REDIS_URL (Redis)
are needed by commands that submit, resume or set limits; the others need
DATABASE_URL only, and csv --dry-run and profiles check need neither. With both, all of them tell more:
how fast calls go, and when a job ends. QUICKBI_RATE and LANE_MIN_SHARE, which should
be those of the workers, and QUICKBI_TIMEZONE are optional.

Exit codes:
  0    done; with --wait: every row succeeded or was so already
  1    unexpected error
  2    usage error: flags, arguments, settings, or a job that is not there
  3    input rejected; nothing was written or sent
  5    finished, but some or all rows failed; of verify: something is not as asked
  6    the job was canceled or could not be finished; of audit: it is not intact
  7    stopped by a guard: give --yes if it is meant; of a job: see "enqueue release"
  8    the wait is over; the job goes on
  9    the idempotency key was used for other rows
  11   Postgres or Redis cannot be reached; safe to repeat
  130  interrupted; a job that was accepted goes on`

// newRoot assembles the commands. What cobra prints itself goes to text.
func newRoot(a *app, text io.Writer) *cobra.Command {
	var showVersion bool
	root := &cobra.Command{
		Use:              "enqueue",
		Short:            "Submit bulk changes of Quick BI access and follow them",
		Long:             rootLong,
		Example:          rootExample,
		SilenceErrors:    true,
		SilenceUsage:     true,
		PersistentPreRun: func(*cobra.Command, []string) { a.started = true },
		RunE: func(cmd *cobra.Command, _ []string) error {
			if showVersion {
				return a.printVersion()
			}
			return cmd.Help()
		},
	}
	root.SetHelpTemplate(helpTemplate)
	root.SetUsageTemplate(usageTemplate)
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print exactly one JSON document on stdout, errors too")
	root.Flags().BoolVar(&showVersion, "version", false, "print the version")
	root.AddCommand(
		a.csvCommand(), a.ndjsonCommand(), a.templateCommand(), a.jobsCommand(), a.statusCommand(), a.resultsCommand(),
		a.failuresCommand(), a.retryCommand(), a.cancelCommand(), a.pauseCommand(), a.resumeCommand(), a.releaseCommand(), a.limitsCommand(),
		a.serveCommand(), a.tokenCommand(), a.webhookCommand(), a.scheduleCommand(), a.eventsCommand(), a.profilesCommand(), a.personCommand(), a.accountsCommand(), a.sharesCommand(), a.verifyCommand(), a.auditCommand(), a.versionCommand(),
	)
	root.SetIn(a.Stdin)
	root.SetOut(text)
	root.SetErr(a.Stderr)
	addDefaults(root)
	return root
}

// addDefaults adds cobra's own commands, which lack examples.
func addDefaults(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Example = "  enqueue help csv"
		case "completion":
			cmd.Example = "  source <(enqueue completion bash)"
			for _, shell := range cmd.Commands() {
				shell.Example = "  enqueue completion " + shell.Name()
			}
		}
	}
}
