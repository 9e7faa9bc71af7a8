package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

const (
	firstPause = 300 * time.Millisecond // between two looks at a job, at first
	mostPause  = time.Second            // and later on
	patience   = time.Minute            // with a Postgres that is away
	lastWord   = 5 * time.Second        // to report on a job when the command was interrupted
)

// followed is a job to follow and how to report on it.
type followed struct {
	lookout  tasks.Lookout
	out      io.Writer   // of the summary for people
	document jobDocument // the job as last seen
}

// follow looks at a job until it has ended, limit is over (0 means none) or ctx
// ends, then reports. The job goes on in any case.
func (a *app) follow(ctx context.Context, f followed, limit time.Duration) error {
	job, stopped := a.await(ctx, f, limit)
	f.document.Job = job
	f.document.Error = stopped
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
	defer cancel()
	if stopped == nil || a.json {
		if err := a.show(ctx, f); err != nil {
			return err
		}
	}
	if stopped != nil {
		if !a.json {
			a.sayf("%s", stopped.Message)
			a.next(stopped.ways(job.ID)...)
		}
		return settled{stopped.exit}
	}
	return settled{exitOf(job)}
}

// await looks at a job until it has ended, limit is over (0 means none) or ctx
// ends, and shows progress meanwhile. It returns the job as last seen, and why
// waiting ended before the job did, if it did.
func (a *app) await(ctx context.Context, f followed, limit time.Duration) (store.Job, *fault) {
	progress := a.newProgress()
	defer progress.close()
	return a.watch(ctx, f, watching{limit: limit, progress: progress})
}

// exitOf is the exit code for a job that has ended.
func exitOf(j store.Job) int {
	switch {
	case j.Status != store.JobCompleted:
		return exitJobFailed
	case j.Outcome != store.OutcomeSucceeded:
		return exitRowsFailed
	default:
		return exitOK
	}
}

// watching is how to watch a job.
type watching struct {
	limit    time.Duration
	progress progress
}

// watch returns the job as last seen, and why watching ended before the job
// did, if it did. A Postgres that is away for a moment is borne with.
func (a *app) watch(ctx context.Context, f followed, w watching) (store.Job, *fault) {
	job := f.document.Job
	f.lookout.Tell(ctx, &job)
	start, seen := a.Now(), a.Now()
	told := map[store.Target]time.Time{}
	for pause := firstPause; !job.Status.Final(); pause = min(pause*5/4, mostPause) {
		if held := a.tellPauses(ctx, f.lookout.Store, pausesTold{job: job.ID, since: told, progress: w.progress}); held != nil {
			return job, held
		}
		w.progress.update(job)
		left := pause
		if w.limit > 0 {
			left = min(left, w.limit-a.Now().Sub(start))
		}
		if left <= 0 {
			return job, waitOver(job, w.limit)
		}
		select {
		case <-ctx.Done():
			return job, interrupted()
		case <-a.After(left):
		}
		fresh, err := f.lookout.Store.Job(ctx, job.ID)
		switch {
		case err == nil:
			job, seen = fresh, a.Now()
			f.lookout.Tell(ctx, &job)
		case ctx.Err() != nil:
			return job, interrupted()
		case !errors.Is(err, store.ErrUnavailable) || a.Now().Sub(seen) > patience:
			return job, &fault{Code: "lost_sight", exit: exitWaitOver, Message: "The job can no longer be followed, but goes on: " + err.Error()}
		}
	}
	return job, nil
}

func waitOver(job store.Job, limit time.Duration) *fault {
	text := "the job goes on."
	if job.Status == store.JobPaused {
		text = "the job is paused, and goes on when it is resumed."
	}
	return &fault{Code: "wait_over", exit: exitWaitOver, Message: "The wait of " + limit.String() + " is over; " + text}
}

// pausesTold is what somebody who follows a job was told of.
type pausesTold struct {
	job      string
	since    map[store.Target]time.Time // of each pause
	progress progress
}

// tellPauses says what keeps a job from being sent, each pause once. One that
// cannot be read now is told of later. Where a guard holds the job, it is no use
// to wait, and the fault says so.
func (a *app) tellPauses(ctx context.Context, st *store.Store, t pausesTold) *fault {
	pauses, err := st.PausesOf(ctx, t.job)
	if err != nil {
		return nil
	}
	if held := heldFault(pauses); held != nil {
		t.progress.close()
		return held
	}
	for _, p := range pauses {
		if t.since[p.Target].Equal(p.Since) {
			continue
		}
		t.since[p.Target] = p.Since
		t.progress.close()
		a.sayf("%s", pauseText(p))
	}
	return nil
}

func interrupted() *fault {
	return &fault{Code: "interrupted", exit: exitInterrupted, Message: "Interrupted; the job goes on."}
}
