package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/tasks"
)

// wordFlag is a flag that takes one of a few words.
type wordFlag[T ~string] struct {
	value   *T
	allowed []T
}

func (f wordFlag[T]) String() string {
	if f.value == nil {
		return ""
	}
	return string(*f.value)
}

func (f wordFlag[T]) Type() string { return "word" }

func (f wordFlag[T]) Set(s string) error {
	if !slices.Contains(f.allowed, T(s)) {
		return fmt.Errorf("use one of %s", join(f.allowed))
	}
	*f.value = T(s)
	return nil
}

// wordsFlag is a flag that takes several of a few words, separated by commas.
type wordsFlag[T ~string] struct {
	values  *[]T
	allowed []T
}

func (f wordsFlag[T]) String() string {
	if f.values == nil {
		return ""
	}
	return join(*f.values)
}

func (f wordsFlag[T]) Type() string { return "words" }

func (f wordsFlag[T]) Set(s string) error {
	for word := range strings.SplitSeq(s, ",") {
		if err := (wordFlag[T]{value: new(T), allowed: f.allowed}).Set(word); err != nil {
			return err
		}
		if !slices.Contains(*f.values, T(word)) {
			*f.values = append(*f.values, T(word))
		}
	}
	return nil
}

func join[T ~string](words []T) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return strings.Join(out, ",")
}

// complete offers the words of a flag to the shell.
func complete[T ~string](cmd *cobra.Command, flag string, words []T) {
	choices := make([]cobra.Completion, len(words))
	for i, w := range words {
		choices[i] = string(w)
	}
	// It fails only for a flag that does not exist or has suggestions already.
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp))
}

// daysFlag is a number of days, written as 90d.
type daysFlag struct{ days int }

const mostDays = 36_500

func (f *daysFlag) String() string {
	if f.days == 0 {
		return ""
	}
	return strconv.Itoa(f.days) + "d"
}

func (f *daysFlag) Type() string { return "days" }

func (f *daysFlag) Set(s string) error {
	number, ok := strings.CutSuffix(s, "d")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || n < 1 || n > mostDays {
		return errors.New("write a number of days such as 90d")
	}
	f.days = n
	return nil
}

// waitFlag says whether to follow a job, and for how long.
type waitFlag struct {
	asked bool
	limit time.Duration // 0 means to the end
}

// waitForever is what a plain --wait stands for.
const waitForever = "forever"

func (f *waitFlag) String() string {
	if f.limit == 0 {
		return ""
	}
	return f.limit.String()
}

func (f *waitFlag) Type() string { return "duration" }

func (f *waitFlag) Set(s string) error {
	f.asked, f.limit = true, 0
	if s == waitForever {
		return nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return errors.New("write a duration such as 90s or 10m")
	}
	f.limit = d
	return nil
}

func (f *waitFlag) register(cmd *cobra.Command) {
	f.registerAs(cmd, "follow to the end, or for a `DURATION` such as --wait=10m; the job goes on after that")
}

func (f *waitFlag) registerAs(cmd *cobra.Command, usage string) {
	flag := cmd.Flags().VarPF(f, "wait", "", usage)
	flag.NoOptDefVal = waitForever
}

// checkTexts refuses what Postgres cannot keep: a terminal may send another
// encoding.
func checkTexts(values ...string) error {
	for _, value := range values {
		if !utf8.ValidString(value) {
			return usageError{err: fmt.Errorf("%q is not UTF-8; set the terminal to it", value)}
		}
	}
	return nil
}

// checkKey refuses idempotency keys that are not for people to use.
func checkKey(key string) error {
	if tasks.ReservedKey(key) {
		return usageError{err: fmt.Errorf("--key %q begins like the keys of events and schedules; use another one", key)}
	}
	return nil
}

// oneArg takes exactly one argument and explains the mistake that --wait 10m is.
func oneArg(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return fmt.Errorf("name %s", what)
		case len(args) == 1:
			return nil
		}
		for _, arg := range args {
			if _, err := time.ParseDuration(arg); err == nil {
				return fmt.Errorf("too many arguments; if %s is how long to wait, write --wait=%s", arg, arg)
			}
		}
		return fmt.Errorf("too many arguments: name %s and nothing else", what)
	}
}
