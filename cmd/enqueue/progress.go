package main

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/usher-bi/usher/internal/store"
)

// progress shows how far a job is.
type progress interface {
	update(j store.Job)
	close()
}

// newProgress draws a bar on a terminal and writes plain lines elsewhere.
// Neither is coloured, so NO_COLOR has nothing to switch off.
func (a *app) newProgress() progress {
	if a.IsTTY {
		return &bar{out: a.Stderr}
	}
	return &lines{app: a, last: a.Now()}
}

// bar redraws one line.
type bar struct {
	out io.Writer
	bar *progressbar.ProgressBar
}

func (b *bar) update(j store.Job) {
	if b.bar == nil {
		b.bar = progressbar.NewOptions(j.Counts.Total,
			progressbar.OptionSetWriter(b.out), progressbar.OptionSetWidth(30), progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(false), progressbar.OptionClearOnFinish(), progressbar.OptionEnableColorCodes(false))
	}
	text := string(j.Status)
	if bad := j.Counts.Failed + j.Counts.Unknown; bad > 0 {
		text += ", " + commas(bad) + " failed"
	}
	if j.Progress.Left != nil {
		text += ", " + leftText(*j.Progress.Left)
	}
	b.bar.Describe(text)
	_ = b.bar.Set(j.Counts.Total - j.Counts.Pending) // an error is the terminal's
}

func (b *bar) close() {
	if b.bar != nil {
		_ = b.bar.Clear()
	}
}

// linePause is the time between two lines where no bar can be drawn.
const linePause = 10 * time.Second

// lines writes one line now and then.
type lines struct {
	app  *app
	last time.Time
}

func (l *lines) update(j store.Job) {
	now := l.app.Now()
	if now.Sub(l.last) < linePause {
		return
	}
	l.last = now
	l.app.sayf("%s %s: %s", j.ID, j.Status, progressText(j))
}

func (*lines) close() {}
