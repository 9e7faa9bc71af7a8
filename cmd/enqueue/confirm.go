package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/tasks"
)

// shownRevokes is how many revokes are named before the rest is counted.
const shownRevokes = 10

// asks reports whether to ask before a file is submitted. Where the rows come
// from stdin nobody can answer there.
func (a *app) asks(r csvRequest) bool { return a.Asks && !a.json && !r.yes && r.file != "-" }

// confirm shows what a submission comes to and returns an error unless a person
// wants it.
func (a *app) confirm(ctx context.Context, cfg config.Config, sub tasks.Submission, warnings []string) error {
	a.warn(warnings)
	if err := a.forecast(ctx, cfg, sub).write(a.Stderr); err != nil {
		return err
	}
	writeRevokes(a.Stderr, sub.Rows)
	fmt.Fprint(a.Stderr, "Submit? [y/N] ")
	answer, err := a.answer(ctx)
	if err != nil {
		a.sayf("")
		return refusal{
			code: "interrupted", message: "interrupted; nothing was submitted", exit: exitInterrupted, advice: adviceDeclined,
		}
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes", "是":
		return nil
	default:
		return refusal{
			code: "declined", message: "nothing was submitted", exit: exitInterrupted,
			advice: adviceDeclined,
		}
	}
}

const adviceDeclined = "To submit, give the same command again and answer y, or give --yes."

// writeRevokes names who loses what: a grant that is wrong can be taken back, and
// a person who lost access is at the door.
func writeRevokes(out io.Writer, rows tasks.Rows) {
	count := 0
	for i := range rows.Columns().Len {
		row := rows.Row(i)
		if row.Change.Operation != access.Revoke || row.Settled != nil {
			continue
		}
		if count++; count <= shownRevokes {
			fmt.Fprintf(out, "revoke   line %d: %s %s loses %s %s\n", row.Line,
				row.Change.Principal.Type, printable(row.Change.Principal.ID), row.Change.Resource.Type, printable(row.Change.Resource.ID))
		}
	}
	switch more := count - shownRevokes; {
	case count == 0:
		fmt.Fprintln(out, "revoke   nothing")
	case more > 0:
		fmt.Fprintf(out, "revoke   and %s more\n", commas(more))
	}
}

// answer reads a line of stdin, which is abandoned when ctx ends. The end of the
// input is an empty answer.
func (a *app) answer(ctx context.Context) (string, error) {
	lines := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(a.Stdin).ReadString('\n') // what cannot be read is no yes
		lines <- line
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case line := <-lines:
		return line, ctx.Err()
	}
}
