//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// The exit codes of enqueue that the story meets.
const (
	exitRowsFailed  = 5
	exitUnreachable = 11
)

// job is what the story needs to know of a job.
type job struct {
	ID     string    `json:"id"`
	Start  time.Time `json:"started_at"`
	Finish time.Time `json:"finished_at"`
}

func (d *demo) submitBefore(ctx context.Context) error {
	if _, err := d.follow(ctx, command{argv: []string{"enqueue", "csv", beforeFile, "--source", "demo", "--reason", "as it was", "--wait"}}); err != nil {
		return err
	}
	calls, err := d.sandbox.calls(ctx)
	d.callsBefore = len(calls)
	return err
}

func (d *demo) dryRun(ctx context.Context) error {
	return d.run(ctx, "enqueue", "csv", requestFile, "--dry-run")
}

func (d *demo) submit(ctx context.Context) (err error) {
	d.job, err = d.follow(ctx, command{
		argv:   []string{"enqueue", "csv", requestFile, "--source", "demo", "--reason", "access review", "--wait"},
		expect: []int{exitRowsFailed},
	})
	if err == nil {
		d.sayf("exit code %d: finished, and some rows failed, as they had to", exitRowsFailed)
	}
	return err
}

// follow runs a command that submits a job and waits for its end, and returns
// the job.
func (d *demo) follow(ctx context.Context, c command) (j job, err error) {
	d.show(shell(c.argv))
	submitted, err := d.read(ctx, c)
	if err != nil {
		return job{}, err
	}
	if submitted.code == 0 && len(c.expect) > 0 {
		return job{}, &commandError{argv: c.argv, how: fmt.Errorf("exit code 0 instead of %d", c.expect[0])}
	}
	status, err := d.read(ctx, command{argv: []string{"enqueue", "status", submitted.stdout, "--json"}})
	if err != nil {
		return job{}, err
	}
	if err := json.Unmarshal([]byte(status.stdout), &j); err != nil {
		return job{}, fmt.Errorf("reading job %s: %w", submitted.stdout, err)
	}
	return j, nil
}

func (d *demo) failures(ctx context.Context) error {
	return d.run(ctx, "enqueue", "failures", d.job.ID)
}

// results writes the files, and shows that the file of the failed rows can be
// the next input as it is.
func (d *demo) results(ctx context.Context) error {
	for _, argv := range [][]string{
		{"enqueue", "results", d.job.ID, "-o", resultsFile},
		{"enqueue", "results", d.job.ID, "--status", "failed,unknown", "-o", failedFile},
		{"enqueue", "csv", failedFile, "--dry-run"},
	} {
		if err := d.run(ctx, argv...); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) retry(ctx context.Context) (err error) {
	d.show("curl -X DELETE " + d.sandbox.url + "faults")
	if err := d.sandbox.clearFaults(ctx); err != nil {
		return err
	}
	if d.retried, err = d.follow(ctx, command{argv: []string{"enqueue", "retry", d.job.ID, "--wait"}}); err != nil {
		return err
	}
	return d.run(ctx, "enqueue", "results", d.retried.ID, "-o", retriedFile)
}
