package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// The exit codes. They are API.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitUnreachable = 11 // Postgres or Redis
)

// environment is the world as the program sees it.
type environment struct {
	args           []string
	getenv         func(string) string
	environ        []string
	stdout, stderr io.Writer
}

// run executes the command line and returns the exit code.
func run(ctx context.Context, env environment) int {
	root := newRoot(env) //nolint:contextcheck // cobra hands ctx to the commands
	root.SetArgs(env.args)
	root.SetOut(env.stdout)
	root.SetErr(env.stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(env.stderr, "worker: "+explain(err))
	return exitCode(err)
}

// usageError marks a command line that cannot be understood.
type usageError struct{ error }

func exitCode(err error) int {
	var problem *config.SettingError
	switch {
	case errors.As(err, &usageError{}), errors.As(err, &problem):
		return exitUsage
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrSchema), errors.Is(err, tasks.ErrRedisUnavailable):
		return exitUnreachable
	default:
		return exitError
	}
}

// explain adds what to do to errors that a person can mend.
func explain(err error) string {
	var problem *config.SettingError
	switch {
	case errors.As(err, &problem):
		return "these settings are wrong:\n  " + strings.ReplaceAll(err.Error(), "\n", "\n  ") + "\nThey are explained in .env.example."
	case errors.Is(err, store.ErrUnavailable):
		return fmt.Sprintf("Postgres cannot be reached; check DATABASE_URL and that the server runs (%v)", err)
	case errors.Is(err, tasks.ErrRedisUnavailable):
		return fmt.Sprintf("Redis cannot be reached; check REDIS_URL and that the server runs (%v)", err)
	default:
		return err.Error()
	}
}

func newRoot(env environment) *cobra.Command {
	root := &cobra.Command{
		Use:           "worker",
		Short:         "Runs bulk-access jobs against Quick BI",
		Example:       "  worker migrate   # once, and after each upgrade\n  worker run       # until SIGTERM",
		Version:       version(),
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		&cobra.Command{
			Use:     "migrate",
			Short:   "Brings the database to the version of this program, and exits",
			Example: "  DATABASE_URL=postgres://usher@localhost/usher worker migrate",
			Args:    cobra.NoArgs,
			RunE:    func(cmd *cobra.Command, _ []string) error { return migrate(cmd.Context(), env) },
		},
		&cobra.Command{
			Use:     "run",
			Short:   "Works on queued tasks until SIGTERM, then drains",
			Example: "  set -a; . ./.env; worker run",
			Args:    cobra.NoArgs,
			RunE:    func(cmd *cobra.Command, _ []string) error { return work(cmd.Context(), env) },
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

func migrate(ctx context.Context, env environment) error {
	cfg, err := config.Load(config.Migrate, env.getenv, env.environ)
	if err != nil {
		return err
	}
	if err := store.Migrate(ctx, cfg.DatabaseURL.Reveal()); err != nil {
		return err
	}
	log := newLogger(cfg, env.stderr)
	log.Info().Msg("the database is at the version of this program")
	return nil
}

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
