package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// usageError is a mistake in how the command was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

const (
	exitError = 1
	exitUsage = 2
)

func exitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.As(err, new(usageError)):
		return exitUsage
	default:
		return exitError
	}
}

// long begins with examples, as help does throughout.
const long = `  sandbox                                  an empty organisation on a free port
  sandbox --world demo.json --rate 50/s    the organisation of a file, at the published rate
  jq -n '{users:["u1"],qa_resources:["r1"]}' | sandbox --world - --json

Serves a strict Quick BI on loopback until SIGINT or SIGTERM and prints its URL
and key pair, ready for the shell of a worker. It verifies signatures, enforces
the published limits, remembers what was granted, and goes wrong where its world
says so. Its state can be read and steered under /_sandbox/.

A world is one JSON object:
  who     users, user_types (1 developer, 2 viewer, 3 analyst), groups (to their
          users), organization (its id), accounts (names of users)
  what    qa_resources, qa_themes, datasets (to their Q&A resources), works,
          workspaces
  limits  rate, rates, latency, latency_max, throttle_hint, max_pairs
  habits  missing_user, missing_account, missing_resource, repeated_grant,
          nothing_to_revoke, old_pages, batch_refusal, list_inherited, list_authorizations,
          unlisted_types
  rest    faults, access_key_id, access_key_secret, security_token`

// run serves until ctx ends. With --json it writes one JSON document to stdout
// whatever happens.
func run(ctx context.Context, args []string, std streams) error {
	app := app{std: std}
	cmd := app.command(ctx)
	cmd.SetArgs(args)
	cmd.SetOut(std.out)
	cmd.SetErr(std.err)
	err := cmd.ExecuteContext(ctx)
	if err != nil && !app.announced && (app.json || slices.Contains(args, "--json")) {
		writeError(std.out, err)
	}
	return err
}

func (a *app) command(ctx context.Context) *cobra.Command {
	cmd := &cobra.Command{
		Use:           "sandbox",
		Short:         "A strict Quick BI on loopback, to try things against",
		Long:          long,
		Args:          func(cmd *cobra.Command, args []string) error { return usage(cobra.NoArgs(cmd, args)) },
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := a.options(cmd)
			if err != nil {
				return err
			}
			return a.serve(ctx, o)
		},
	}
	a.register(cmd)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	return cmd
}

func usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

func writeError(w io.Writer, err error) {
	code := "error"
	if exitCode(err) == exitUsage {
		code = "usage"
	}
	_ = json.NewEncoder(w).Encode(map[string]any{ //nolint:errchkjson // there is nowhere left to report it
		"error": map[string]string{"code": code, "message": err.Error()},
	})
}

// app is one run of the command: its flags as they were typed, and its streams.
type app struct {
	listen, world, rate string
	latency             time.Duration
	json, verbose       bool

	std       streams
	announced bool // stdout has all it gets
}

func (a *app) register(cmd *cobra.Command) {
	set := cmd.Flags()
	set.StringVar(&a.listen, "listen", "127.0.0.1:0", "`address` to serve on, loopback only; port 0 takes a free one")
	set.StringVar(&a.world, "world", "", "`file` that describes the organisation, - for standard input")
	set.StringVar(&a.rate, "rate", "", "calls let through per second and action, like 50/s; 0/s for no limit (default: as the world says, else no limit)")
	set.DurationVar(&a.latency, "latency", 0, "time before every call takes effect, like 20ms (default: as the world says, else none)")
	set.BoolVar(&a.json, "json", false, "print one JSON document instead of export lines")
	set.BoolVarP(&a.verbose, "verbose", "v", false, "log every call to standard error")
}

// options returns the world, as far as flags do not overrule it.
func (a *app) options(cmd *cobra.Command) (*quickbitest.Options, error) {
	o, err := a.readWorld()
	if err != nil {
		return nil, usage(fmt.Errorf("reading the world: %w", err))
	}
	if cmd.Flags().Changed("rate") {
		if o.Rate, err = parseRate(a.rate); err != nil {
			return nil, usage(err)
		}
		o.Rates = nil
	}
	if cmd.Flags().Changed("latency") {
		o.Latency, o.LatencyMax = quickbitest.Duration(a.latency), 0
	}
	return o, usage(o.Check())
}

func (a *app) readWorld() (*quickbitest.Options, error) {
	switch a.world {
	case "":
		return &quickbitest.Options{}, nil
	case "-":
		return quickbitest.ReadWorld(a.std.in)
	}
	file, err := os.Open(a.world)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return quickbitest.ReadWorld(file)
}

func parseRate(s string) (int, error) {
	number, ok := strings.CutSuffix(s, "/s")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || n < 0 {
		return 0, fmt.Errorf("--rate %q: want a number of calls per second, like 50/s", s)
	}
	return n, nil
}
