//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/usher-bi/usher/internal/access"
)

// errWrong means that Quick BI or the results are not as they must be.
var errWrong = errors.New("this is not what was asked for")

// check compares what the sandbox holds with what was asked for, and what the
// product said with what it did. Neither side is trusted: what is wanted
// follows from the files and from how the company was made up.
func (d *demo) check(ctx context.Context) error {
	d.show("curl " + d.sandbox.url + "state   # and /calls")
	got, err := d.sandbox.state(ctx)
	if err != nil {
		return err
	}
	if d.calls, err = d.sandbox.calls(ctx); err != nil {
		return err
	}
	first, err := readResults(resultsFile)
	if err != nil {
		return err
	}
	second, err := readResults(retriedFile)
	if err != nil {
		return err
	}
	want := d.scenario.wanted()
	t := d.scenario.tally()
	return d.judge([]finding{
		{fmt.Sprintf("%d accesses are in force, each to its right day, and not one more", len(want)), differences(want, got)},
		{fmt.Sprintf("%d rows are reported as they ended: %d granted, %d taken away, %d so already, %d refused, with the reason",
			len(d.scenario.request), t.granted, t.revoked, t.noChange, t.failed), d.scenario.misreported(first, second)},
		{fmt.Sprintf("%d calls were sent; none broke a rule of the API, none held more than %d pairs", len(d.calls), access.MaxCells), misbehaved(d.calls)},
	})
}

// finding is a sentence and all that speaks against it.
type finding struct {
	sentence string
	against  []string
}

// mostShown bounds what is printed of a finding that does not hold.
const mostShown = 10

// judge prints the findings, and returns errWrong if one does not hold.
func (d *demo) judge(findings []finding) error {
	var verdict error
	for _, f := range findings {
		if len(f.against) == 0 {
			d.sayf("ok     %s", f.sentence)
			continue
		}
		verdict = errWrong
		shown := f.against[:min(len(f.against), mostShown)]
		d.sayf("WRONG  %s, but for %d:\n         %s", f.sentence, len(f.against), strings.Join(shown, "\n         "))
	}
	return verdict
}

// tally counts the rows of the request by how they must end.
type tally struct{ granted, revoked, noChange, failed int }

func (s *scenario) tally() (t tally) {
	for _, r := range s.request {
		switch s.outcomeOf(r.change).status {
		case failed:
			t.failed++
		case noChange:
			t.noChange++
		default:
			if r.change.Operation == access.Grant {
				t.granted++
			} else {
				t.revoked++
			}
		}
	}
	return t
}

// summary says what it took and where everything is.
func (d *demo) summary(ctx context.Context) error {
	if err := d.run(ctx, "enqueue", "jobs"); err != nil {
		return err
	}
	rows, calls := len(d.scenario.request), len(d.calls)-d.callsBefore
	d.sayf("%d changes took %d calls, those for the culprits and the retry among them, in %s;", rows, calls, d.job.took()+d.retried.took())
	d.sayf("one call a change would be %d calls, %s at %d a second", rows, (time.Duration(rows) * time.Second / ourRate).Round(time.Second), ourRate)
	for _, file := range []struct{ path, what string }{
		{requestFile, "the request, as Excel saves it"},
		{resultsFile, "what became of each row"},
		{failedFile, "the rows that failed at first, ready to be submitted"},
		{retriedFile, "what became of the retried rows"},
		{worldFile, "the organization behind the stand-in: sandbox --world " + worldFile},
		{logDir + "/", "what the programs and servers logged"},
	} {
		d.sayf("  %-19s %s", file.path, file.what)
	}
	d.sayf("to go on: make build, then bin/enqueue --help; README.md says how to run it for real")
	return nil
}

func (j job) took() time.Duration { return j.Finish.Sub(j.Start).Round(100 * time.Millisecond) }
