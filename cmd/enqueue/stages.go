package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/usher-bi/usher/internal/tasks"
)

// barPause is the time between two pictures of a bar.
const barPause = 200 * time.Millisecond

// stages shows how far an input is on its way in, by a bar on a terminal and by
// plain lines elsewhere. What is over quickly is not shown at all.
type stages struct {
	app *app

	mu    sync.Mutex
	now   stage
	stop  func()
	ended chan struct{}
	bar   *progressbar.ProgressBar
	shown string // name of the stage that bar is of
}

// stage is one part of the way.
type stage struct {
	name        string
	unit        string // what is counted; bytes where it is empty
	done, total int    // a total of 0 is not known
	began       time.Time
}

// newStages begins to show. The caller closes it before anything else is said.
func (a *app) newStages() *stages {
	s := &stages{app: a, ended: make(chan struct{}), stop: func() {}}
	if a.Every == nil {
		close(s.ended)
		return s
	}
	pause := linePause
	if a.IsTTY {
		pause = barPause
	}
	ticks, stop := a.Every(pause)
	over := make(chan struct{})
	s.stop = sync.OnceFunc(func() { stop(); close(over) })
	go s.show(ticks, over)
	return s
}

// show draws until it is over.
func (s *stages) show(ticks <-chan time.Time, over <-chan struct{}) {
	defer close(s.ended)
	for {
		select {
		case <-over:
			if s.bar != nil {
				_ = s.bar.Clear() // an error is the terminal's
			}
			return
		case <-ticks:
			s.draw()
		}
	}
}

// close ends it, and leaves no bar behind.
func (s *stages) close() {
	s.stop()
	<-s.ended
}

// at says how far a stage is. A stage begins when it is first named.
func (s *stages) at(now stage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now.began = s.now.began
	if now.name != s.now.name {
		now.began = s.app.Now()
	}
	s.now = now
}

// submitting is told by a submission.
func (s *stages) submitting(name tasks.Stage, step tasks.Step) {
	units := map[tasks.Stage]string{tasks.StageReading: "rows", tasks.StageSplitting: "changes", tasks.StageWriting: "rows", tasks.StageQueueing: "queues"}
	s.at(stage{name: string(name), unit: units[name], done: step.Done, total: step.Total})
}

func (s *stages) draw() {
	s.mu.Lock()
	now := s.now
	s.mu.Unlock()
	switch text := now.text(s.app.Now()); {
	case now.name == "":
	case s.app.IsTTY:
		s.drawBar(now, text)
	default:
		s.app.sayf("%s", text)
	}
}

func (s *stages) drawBar(now stage, text string) {
	if s.bar == nil || s.shown != now.name {
		if s.bar != nil {
			_ = s.bar.Clear()
		}
		total := now.total
		if total == 0 {
			total = -1 // not known
		}
		s.shown = now.name
		s.bar = progressbar.NewOptions(total,
			progressbar.OptionSetWriter(s.app.Stderr), progressbar.OptionSetWidth(30), progressbar.OptionSetPredictTime(false),
			progressbar.OptionClearOnFinish(), progressbar.OptionEnableColorCodes(false))
	}
	s.bar.Describe(text)
	_ = s.bar.Set(now.done)
}

// text says how far the stage is, how fast it goes and what is left of it.
func (s stage) text(at time.Time) string {
	count := commas
	unit := " " + s.unit
	if s.unit == "" {
		count, unit = func(n int) string { return fmt.Sprintf("%.1f", float64(n)/1e6) }, " MB"
	}
	text := s.name + ": " + count(s.done)
	if s.total > 0 {
		text += " of " + count(s.total)
	}
	text += unit
	took := at.Sub(s.began).Seconds()
	if s.done == 0 || took <= 0 {
		return text + fmt.Sprintf(", for %s", max(0, at.Sub(s.began)).Round(time.Second))
	}
	rate := float64(s.done) / took
	text += fmt.Sprintf(", %s%s/s", count(int(rate)), unit)
	if s.total > s.done {
		text += ", " + leftText(time.Duration(float64(s.total-s.done)/rate*float64(time.Second)))
	}
	return text
}

// reading counts what is read of an input.
func (s *stages) reading(in io.ReadSeeker) io.ReadSeeker {
	r := &readCounter{in: in, stages: s}
	r.total = int(sizeOf(in))
	return r
}

// readCounter tells how much was read.
type readCounter struct {
	in          io.ReadSeeker
	stages      *stages
	done, total int
}

func (r *readCounter) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	r.done += n
	r.stages.at(stage{name: "reading", done: r.done, total: r.total})
	return n, err
}

func (r *readCounter) Seek(offset int64, whence int) (int64, error) {
	at, err := r.in.Seek(offset, whence)
	r.done = int(at)
	return at, err
}
