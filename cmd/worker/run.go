package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/redis/go-redis/v9/logging"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/usher-bi/usher/internal/config"
)

// environment is the world as the program sees it.
type environment struct {
	args           []string
	getenv         func(string) string
	environ        []string
	stdout, stderr io.Writer
}

// app is what all commands of one invocation share.
type app struct {
	environment

	json bool // exactly one JSON document on stdout
}

// run executes the command line and returns the exit code.
func run(ctx context.Context, env environment) int {
	logging.Disable() // go-redis prints every failed dial; what matters is said by us
	a := &app{environment: env}
	var text bytes.Buffer     // what cobra itself prints: help and completion scripts
	root := newRoot(a, &text) //nolint:contextcheck // cobra hands ctx to the commands
	root.SetArgs(env.args)
	err := root.ExecuteContext(ctx)
	if _, isUsage := errors.AsType[usageError](err); isUsage {
		a.json = a.json || asksForJSON(env.args)
	}
	if err == nil && text.Len() > 0 {
		err = a.printText(text.String())
	}
	return a.conclude(err)
}

// printText prints what is text by nature, as a JSON document where one is due.
// A shell that asks for completions is always answered in text.
func (a *app) printText(text string) error {
	if completing := len(a.args) > 0 && strings.HasPrefix(a.args[0], cobra.ShellCompRequestCmd); a.json && !completing {
		return a.emit(map[string]string{"text": text})
	}
	_, err := io.WriteString(a.stdout, text)
	return err
}

// newRoot assembles the commands. What cobra prints itself goes to text.
func newRoot(a *app, text io.Writer) *cobra.Command {
	var showVersion bool
	root := &cobra.Command{
		Use:           "worker",
		Short:         "Runs bulk-access jobs against Quick BI",
		Example:       "  worker migrate   # once, and after each upgrade\n  worker run       # until SIGTERM",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if showVersion {
				return a.printVersion()
			}
			return cmd.Help()
		},
	}
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print exactly one JSON document on stdout, errors too; logs stay on stderr")
	root.Flags().BoolVar(&showVersion, "version", false, "print the version")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.SetOut(text)
	root.SetErr(a.stderr)
	root.AddCommand(
		a.migrateCommand(),
		a.retentionCommand(),
		&cobra.Command{
			Use:     "run",
			Short:   "Works on queued tasks until SIGTERM, then drains",
			Long:    runLong,
			Example: "  set -a; . ./.env; worker run",
			Args:    cobra.NoArgs,
			RunE:    func(cmd *cobra.Command, _ []string) error { return a.work(cmd.Context()) },
		},
	)
	for _, cmd := range append(root.Commands(), root) {
		args := cmd.Args
		cmd.Args = func(cmd *cobra.Command, given []string) error {
			if err := args(cmd, given); err != nil {
				return usageError{err}
			}
			return nil
		}
	}
	return root
}

const runLong = `Works on queued tasks until SIGTERM or SIGINT. Then it takes no further task, lets
calls in flight finish and records them, gives everything else back, and exits 0.

A second signal ends it at once; a shell sees 143 after SIGTERM and 130 after
SIGINT. Calls that were in flight then are settled by another worker, once this
one has been silent for WORKER_ALIVE.`

// newLogger writes JSON, or readable lines to a terminal.
func newLogger(cfg config.Config, out io.Writer) zerolog.Logger {
	level, err := zerolog.ParseLevel(cfg.LogLevel)
	if err != nil {
		level = zerolog.InfoLevel
	}
	if cfg.LogFormat == "console" || cfg.LogFormat == "auto" && isTerminal(out) {
		out = zerolog.ConsoleWriter{Out: out, NoColor: !isTerminal(out)}
	}
	return zerolog.New(out).Level(level).With().Timestamp().Logger()
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// version is what the Go toolchain stamped into the binary.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

func (a *app) printVersion() error {
	if a.json {
		return a.emit(map[string]string{"version": version(), "go": runtime.Version()})
	}
	_, err := fmt.Fprintln(a.stdout, "worker version", version())
	return err
}
