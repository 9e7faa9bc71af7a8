package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// accepted is a submission that became a job.
type accepted struct {
	tasks.Submitted

	warnings []string
	wait     waitFlag
}

// accepted reports a new job at once, and follows it if that was asked for.
// From here on nothing takes the job back, so an interruption is no reason not
// to name it.
func (a *app) accepted(ctx context.Context, st *store.Store, s accepted) error {
	if s.Delayed {
		s.warnings = append(s.warnings, "Redis was lost after the job was accepted; a worker queues the rest of its tasks within a minute")
	}
	a.warn(s.warnings)
	if !a.json {
		if _, err := fmt.Fprintln(a.Stdout, s.JobID); err != nil {
			return fmt.Errorf("the job was accepted as %s, but its id cannot be written: %w", s.JobID, err)
		}
	}
	reading, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
	defer cancel()
	job, err := st.Job(reading, s.JobID)
	if err != nil {
		// Not wrapped: the cause would promise that nothing was accepted.
		return errors.New("the job was accepted as " + s.JobID + ", but cannot be shown: " + err.Error())
	}
	a.sayf("%s", s.text(job))
	f := followed{store: st, out: a.Stderr, document: jobDocument{
		Job: job, Replayed: &s.Replayed, Warnings: new(append([]string{}, s.warnings...)),
	}}
	switch {
	case s.wait.asked:
		return a.follow(ctx, f, s.wait.limit)
	case a.json:
		if err := a.emit(f.document); err != nil {
			return err
		}
	default:
		a.next("enqueue status " + s.JobID + " --watch")
	}
	if ctx.Err() != nil {
		return settled{exitInterrupted}
	}
	return nil
}

// text says in a line what was accepted.
func (s accepted) text(job store.Job) string {
	text := fmt.Sprintf("Accepted as job %s: %s in %s.", job.ID, plural(job.Counts.Total, "row"), plural(job.Tasks.Total, "task"))
	if s.Replayed {
		text = fmt.Sprintf("The same rows were accepted before, as job %s, which is %s; nothing was sent again.", job.ID, standing(job))
	}
	return text
}
