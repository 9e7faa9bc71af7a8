package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// accepted is a submission that became a job.
type accepted struct {
	tasks.Submitted

	warnings []string
	wait     waitFlag
	next     string // the next useful command if it is not followed; "" for its status
	keyed    bool   // the command takes --key
}

// accepted reports a new job at once, and follows it if that was asked for.
// From here on nothing takes the job back, so an interruption is no reason not
// to name it.
func (a *app) accepted(ctx context.Context, look tasks.Lookout, s accepted) error {
	if !a.json {
		if _, err := fmt.Fprintln(a.Stdout, s.JobID); err != nil {
			return fmt.Errorf("the job was accepted as %s, but its id cannot be written: %w", s.JobID, err)
		}
	}
	job, err := a.introduce(ctx, look.Store, s)
	if err != nil {
		return err
	}
	look.Tell(ctx, &job)
	paused, err := look.Store.PausesOf(context.WithoutCancel(ctx), job.ID)
	if err != nil {
		paused = nil // the job is accepted, whatever holds it up
	}
	unsent, ways := s.unsent(job)
	f := followed{lookout: look, out: a.Stderr, document: jobDocument{
		Job: job, Paused: paused, Replayed: &s.Replayed, Warnings: new(append(append([]string{}, s.remarks()...), unsent...)),
	}}
	switch {
	case s.wait.asked:
		a.warn(unsent)
		return a.follow(ctx, f, s.wait.limit)
	case a.json:
		f.document.Error = heldFault(paused)
		if err := a.emit(f.document); err != nil {
			return err
		}
	default:
		for _, line := range pauseTexts(paused) {
			a.sayf("%s", line)
		}
		a.next(append(s.nextAfter(paused), ways...)...)
	}
	if held := heldFault(paused); held != nil {
		return settled{held.exit}
	}
	if ctx.Err() != nil {
		return settled{exitInterrupted}
	}
	return nil
}

// nextAfter names the next useful commands.
func (s accepted) nextAfter(paused []store.Pause) []string {
	if held := heldFault(paused); held != nil {
		return held.ways(s.JobID)
	}
	return []string{cmp.Or(s.next, "enqueue status "+s.JobID+" --watch")}
}

// remarks are the warnings, and what the submission itself gives reason for.
func (s accepted) remarks() []string {
	if !s.Delayed {
		return s.warnings
	}
	return append(s.warnings, "Redis was lost after the job was accepted; a worker queues the rest of its tasks within a minute")
}

// unsent warns that nothing was sent for rows that were accepted before, though
// their job has ended and not all of them succeeded, and names the ways to send
// them again.
func (s accepted) unsent(job store.Job) (warnings, ways []string) {
	if !s.Replayed || !job.Status.Final() || job.Outcome == store.OutcomeSucceeded {
		return nil, nil
	}
	if job.Counts.Failed+job.Counts.Unknown > 0 {
		ways = append(ways, "enqueue retry "+job.ID+" --all")
	}
	if s.keyed {
		ways = append(ways, "the same command with --key NEW")
	}
	if ways == nil {
		return nil, nil
	}
	return []string{
		"nothing was sent, because these rows were accepted before; job " + job.ID + " is " + standing(job) +
			"; to send rows again: " + strings.Join(ways, ", or "),
	}, ways
}

// introduce warns, says in a line what was accepted and returns the job.
func (a *app) introduce(ctx context.Context, st *store.Store, s accepted) (store.Job, error) {
	a.warn(s.remarks())
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
	defer cancel()
	job, err := st.Job(ctx, s.JobID)
	if err != nil {
		return store.Job{}, notShownError{job: s.JobID, cause: err}
	}
	a.sayf("%s", s.text(job))
	return job, nil
}

// text says in a line what was accepted.
func (s accepted) text(job store.Job) string {
	text := fmt.Sprintf("Accepted as job %s: %s in %s.", job.ID, plural(job.Counts.Total, "row"), plural(job.Tasks.Total, "task"))
	if s.Replayed {
		text = fmt.Sprintf("The same rows were accepted before, as job %s, which is %s; nothing was sent again.", job.ID, standing(job))
	}
	return text
}

// notShownError means that a job was accepted, and could then not be read. It
// does not wrap its cause, which would promise that nothing was accepted.
type notShownError struct {
	job   string
	cause error
}

func (e notShownError) Error() string {
	return "the job was accepted as " + e.job + ", but cannot be shown: " + e.cause.Error()
}
