package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// The exit codes. They are API: scripts switch on them.
const (
	exitOK          = 0
	exitUnexpected  = 1
	exitUsage       = 2
	exitRejected    = 3
	exitRowsFailed  = 5
	exitJobFailed   = 6
	exitGuard       = 7
	exitWaitOver    = 8
	exitKeyReused   = 9
	exitUnreachable = 11
	exitInterrupted = 130
)

// settled ends a command that has said everything already.
type settled struct{ exit int }

func (s settled) Error() string { return fmt.Sprintf("exit code %d", s.exit) }

// usageError is a mistake in how a command was called.
type usageError struct {
	err     error
	command string // whose --help to read; "" for none
}

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// refusal is a command that makes no sense as things stand.
type refusal struct {
	code, message, advice string
	exit                  int // 0 means exitUsage
}

func (r refusal) Error() string { return r.message }

// fault is an error as programs and people are told of it. Its JSON is API.
type fault struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	exit    int
	advice  string // one more line for people: what to do
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
	if done, ok := errors.AsType[settled](err); ok {
		return done.exit
	}
	f := faultOf(err)
	var document any = errorDocument{Error: f}
	rejected, isRejection := errors.AsType[*rejection](err)
	if isRejection {
		document = rejected.document()
	}
	if a.json {
		if a.emit(document) != nil {
			return exitUnexpected
		}
		return f.exit
	}
	out := bufio.NewWriter(a.Stderr)
	defer out.Flush()
	if isRejection {
		printErrors(out, rejected.errors, rejected.place)
	}
	fmt.Fprintf(out, "enqueue: %s\n", printableLines(f.Message))
	if f.advice != "" {
		fmt.Fprintln(out, f.advice)
	}
	return f.exit
}

// faultOf says what an error means to whoever gave the command.
func faultOf(err error) fault {
	f := fault{Message: err.Error(), Code: "unexpected", exit: exitUnexpected}
	set := func(exit int, code, advice string) fault {
		f.exit, f.Code, f.advice = exit, code, advice
		return f
	}
	usage, isUsage := errors.AsType[usageError](err)
	_, isSetting := errors.AsType[*config.SettingError](err)
	rejected, isRejection := errors.AsType[*rejection](err)
	refused, isRefusal := errors.AsType[refusal](err)
	dropped, isDropped := errors.AsType[*store.DroppedError](err)
	_, isNotShown := errors.AsType[notShownError](err)
	if stands, ok := standingFault(f, err); ok {
		return stands
	}
	switch {
	case isNotShown:
		return set(exitUnreachable, "accepted_not_shown", "It goes on. To see it, repeat the same command: nothing is accepted twice.")
	case isRefusal:
		return set(cmp.Or(refused.exit, exitUsage), refused.code, refused.advice)
	case isUsage && usage.command != "":
		return set(exitUsage, "usage", "See: "+usage.command+" --help")
	case isUsage:
		return set(exitUsage, "usage", "")
	case isSetting:
		f.Message = "these settings are missing or wrong:\n  " + strings.ReplaceAll(err.Error(), "\n", "\n  ")
		return set(exitUsage, "settings", "Set them in the environment and repeat the command.")
	case isRejection:
		f.Message = rejected.Error()
		return set(rejected.exit(), rejected.code(), rejected.advice)
	case errors.Is(err, store.ErrKeyReused):
		return set(exitKeyReused, "idempotency_key_reused", "Nothing was written. Use another --key for other rows, or none.")
	case isDropped:
		f.Message = dropped.Error()
		return set(exitUsage, "job_dropped", "The months before are listed with: enqueue audit verify")
	case errors.Is(err, store.ErrNotFound):
		return set(exitUsage, "job_not_found", "Next: enqueue jobs")
	case errors.Is(err, tasks.ErrNothingToRetry):
		f.Message = "no failed row fits; nothing was written or sent"
		return set(exitRejected, "nothing_to_retry", "See with \"enqueue failures JOB\" what failed; --all takes rows along that a retry is not known to help.")
	case errors.Is(err, context.Canceled):
		f.Message = "interrupted"
		return set(exitInterrupted, "interrupted", "If this was a submission, give the same command again: rows that were accepted are not accepted twice.")
	default:
		return unreachable(f, err)
	}
}

// standingFault covers what makes no sense for a job or a schedule as it stands.
func standingFault(f fault, err error) (_ fault, ok bool) {
	switch {
	case errors.Is(err, store.ErrHeld):
		f.exit, f.Code = exitGuard, codeHeld
		f.advice = "See why with \"enqueue status JOB\". To let it go on: enqueue release JOB --reason WHY; to drop it: enqueue cancel JOB"
	case errors.Is(err, store.ErrFinished):
		f.exit, f.Code = exitUsage, "job_ended"
	case errors.Is(err, store.ErrNoSchedule):
		f.exit, f.Code, f.advice = exitUsage, "schedule_not_found", "Next: enqueue schedule list"
	case errors.Is(err, store.ErrScheduleExists):
		f.exit, f.Code, f.advice = exitUsage, "schedule_exists", "Remove it first, or take another name. Next: enqueue schedule list"
	default:
		return accountsFault(f, err)
	}
	return f, true
}

// unreachable covers what is wrong with the servers.
func unreachable(f fault, err error) fault {
	const repeat = "Then repeat the same command: nothing is accepted twice."
	switch {
	case errors.Is(err, store.ErrSchema):
		f.exit, f.Code, f.advice = exitUnreachable, "schema_outdated", "Run: worker migrate"
	case errors.Is(err, store.ErrUnavailable):
		f.exit, f.Code = exitUnreachable, "postgres_unavailable"
		f.Message = "Postgres cannot be reached, so nothing was accepted: " + err.Error()
		f.advice = "Check DATABASE_URL and that the server is running. " + repeat
	case errors.Is(err, tasks.ErrRedisUnavailable):
		f.exit, f.Code = exitUnreachable, "redis_unavailable"
		f.Message = "Redis cannot be reached, so nothing was accepted: " + err.Error()
		f.advice = "Check REDIS_URL and that the server is running. " + repeat
	}
	return f
}
