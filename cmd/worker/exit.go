package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

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

// usageError marks a command line that cannot be understood.
type usageError struct{ error }

// fault is an error as programs and people are told of it. Its JSON is API.
type fault struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	exit    int
}

// errorDocument is what --json prints for an error.
type errorDocument struct {
	Error fault `json:"error"`
}

// conclude reports err and returns the exit code.
func (a *app) conclude(err error) int {
	if err == nil {
		return exitOK
	}
	f := faultOf(err)
	if !a.json {
		fmt.Fprintln(a.stderr, "worker: "+f.Message)
		return f.exit
	}
	if a.emit(errorDocument{Error: f}) != nil {
		return exitError
	}
	return f.exit
}

// faultOf says what an error means, and what to do about it where a person can
// mend it.
func faultOf(err error) fault {
	_, isSetting := errors.AsType[*config.SettingError](err)
	_, isUsage := errors.AsType[usageError](err)
	switch {
	case isUsage:
		return fault{"usage", err.Error(), exitUsage}
	case isSetting:
		lines := strings.ReplaceAll(err.Error(), "\n", "\n  ")
		return fault{"settings", "these settings are wrong:\n  " + lines + "\nThey are explained in .env.example.", exitUsage}
	case errors.Is(err, store.ErrRole), errors.Is(err, store.ErrRetention):
		return fault{"refused", err.Error(), exitUsage}
	case errors.Is(err, store.ErrSchema):
		return fault{"schema_outdated", err.Error(), exitUnreachable}
	case errors.Is(err, store.ErrUnavailable):
		return fault{
			"postgres_unavailable",
			fmt.Sprintf("Postgres cannot be reached; check DATABASE_URL and that the server runs (%v)", err), exitUnreachable,
		}
	case errors.Is(err, tasks.ErrRedisUnavailable):
		return fault{
			"redis_unavailable",
			fmt.Sprintf("Redis cannot be reached; check REDIS_URL and that the server runs (%v)", err), exitUnreachable,
		}
	default:
		return fault{"unexpected", err.Error(), exitError}
	}
}

// emit prints the one JSON document of a command.
func (a *app) emit(document any) error {
	out := json.NewEncoder(a.stdout)
	out.SetEscapeHTML(false)
	if err := out.Encode(document); err != nil {
		return fmt.Errorf("writing the output: %w", err)
	}
	return nil
}

// asksForJSON looks for --json in a command line that could not be parsed.
func asksForJSON(args []string) bool {
	return slices.Contains(args, "--json") || slices.Contains(args, "--json=true")
}
