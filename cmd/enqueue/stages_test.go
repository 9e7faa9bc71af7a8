package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/usher-bi/usher/internal/tasks"
)

func TestStagesSayHowFarTheyAre(t *testing.T) {
	t.Parallel()

	began := time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC)
	for want, now := range map[string]stage{
		"reading: 45.0 of 135.0 MB, 4.5 MB/s, about 20s left":               {name: "reading", done: 45e6, total: 135e6},
		"reading: 45.0 MB, 4.5 MB/s":                                        {name: "reading", done: 45e6},
		"splitting: 0 of 1,000,000 changes, for 10s":                        {name: "splitting", unit: "changes", total: 1e6},
		"writing: 250,000 of 1,000,000 rows, 25,000 rows/s, about 30s left": {name: "writing", unit: "rows", done: 250_000, total: 1e6},
		"writing: 1,000,000 of 1,000,000 rows, 100,000 rows/s":              {name: "writing", unit: "rows", done: 1e6, total: 1e6},
		"reading: 0.0 of 135.0 MB, for 10s":                                 {name: "reading", total: 135e6},
	} {
		now.began = began
		if got := now.text(began.Add(10 * time.Second)); got != want {
			t.Errorf("%+v is told as %q, want %q", now, got, want)
		}
	}
}

func TestStagesAreDrawnWhenItIsTime(t *testing.T) {
	t.Parallel()

	for _, tty := range []bool{false, true} {
		var out bytes.Buffer
		ticks, asked := make(chan time.Time), time.Duration(0)
		a := &app{env: env{
			Stderr: &out, IsTTY: tty, Now: time.Now,
			Every: func(d time.Duration) (<-chan time.Time, func()) {
				asked = d
				return ticks, func() {}
			},
		}}
		s := a.newStages()
		ticks <- time.Now() // nothing to tell yet
		s.submitting(tasks.StageWriting, tasks.Step{Done: 5, Total: 10})
		ticks <- time.Now()
		ticks <- time.Now() // the one before is drawn
		s.close()
		if !strings.Contains(out.String(), "writing: 5 of 10 rows") {
			t.Errorf("tty %t: %q was drawn", tty, out.String())
		}
		if want := map[bool]time.Duration{false: linePause, true: barPause}[tty]; asked != want {
			t.Errorf("tty %t: drawn every %s, want %s", tty, asked, want)
		}
		if plain := strings.Count(out.String(), "\n"); !tty && plain < 1 || tty && plain > 0 {
			t.Errorf("tty %t: %d lines in %q", tty, plain, out.String())
		}
	}
}

func TestCSVTakesMoreRowsWhereItIsTold(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.vars["ENQUEUE_MAX_ROWS"] = "2"
	b.run("csv", b.file(threeRows)).want(t, exitRejected).says(t, "more than 2 rows", "ENQUEUE_MAX_ROWS", "nothing was written or sent")
	b.vars["ENQUEUE_MAX_ROWS"] = "3"
	b.run("csv", b.file(threeRows)).want(t, exitOK)
	b.vars["ENQUEUE_MAX_ROWS"] = "many"
	b.run("csv", b.file(threeRows)).want(t, exitUsage).says(t, "ENQUEUE_MAX_ROWS")
}

func TestCSVReadsAPipeTwice(t *testing.T) {
	t.Parallel()

	b := setup(t)
	file, err := simplifiedchinese.GB18030.NewEncoder().String("action,principal,resource_type,resource_id,reason\nrevoke,u,dataset,d,\u79bb\u804c\n")
	if err != nil {
		t.Fatal(err)
	}
	b.stdin = struct{ io.Reader }{strings.NewReader(file)}
	b.run("csv", "-", "--dry-run").says(t, "GB18030")
}
