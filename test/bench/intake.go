//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
	"github.com/usher-bi/usher/internal/store"
)

// What is wanted of the HTTP intake.
const (
	intakeRate   = 200 // submissions a second
	intakeRows   = 10  // of each
	intakeCalls  = 50  // of the worker beside it, a second
	intakeMiddle = 1000

	wantedSlow   = time.Second // the slowest but one in a hundred
	wantedCalls  = 0.97        // of those beside an intake that rests
	wantedIntake = 300e6       // bytes, at the peak
)

// intaking measures what "enqueue serve" holds beside a worker that has enough
// to do: many small submissions, such of a thousand rows, and one of a million
// while the small ones go on.
func intaking(ctx context.Context, b *bench) (err error) {
	warm, window, quiet := 3*time.Second, short(b.options, 20*time.Second, 6*time.Second), short(b.options, 8*time.Second, 4*time.Second)
	rows := short(b.options, 1_000_000, 100_000)
	file := b.file("intake.csv")
	if err := writeDepartments(file, rows); err != nil {
		return fmt.Errorf("writing the file: %w", err)
	}
	backlog := apart("backlog-", intakeCalls*300)
	s, err := b.newSandbox(ctx, intakeWorld(backlog, rows))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if err := s.submit(ctx, "backlog", store.Urgent, backlog); err != nil {
		return err
	}
	in, err := s.openIntake(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.stop()) }()
	if err := s.man(ctx, 1, rateOf(intakeCalls)); err != nil {
		return err
	}
	pause(ctx, warm)
	alone := s.usedFor(ctx, quiet)
	b.add(usedRow("the worker alone", alone, 0))

	_, ended := in.load(ctx, window)
	used := s.usedFor(ctx, window)
	b.addLoad(fmt.Sprintf("%d/s of %d rows, %.0f s", intakeRate, intakeRows, window.Seconds()), <-ended, true)
	b.add(usedRow("the worker beside them", used, alone))

	middle, err := in.inTurn(ctx, short(b.options, 50, 10))
	if err != nil {
		return err
	}
	b.add(middleRow(middle))

	if err := s.large(ctx, in, large{file: file, rows: rows, alone: alone}); err != nil {
		return err
	}
	return in.allThere(ctx)
}

// intakeWorld knows everybody who is named.
func intakeWorld(backlog []pair, rows int) quickbitest.Options {
	o := world(intakeCalls, backlog)
	for i := range max(intakePeople, rows/20) {
		o.Users = append(o.Users, userNo(i), fmt.Sprintf("%032x", i))
	}
	for i := range intakeThings {
		o.QAResources = append(o.QAResources, thingNo(i), fmt.Sprintf("%032x", i))
	}
	return o
}

// large is the one submission of very many rows.
type large struct {
	file  string
	rows  int
	alone float64 // share of the quota that the worker uses otherwise
}

// large submits it while the small ones go on.
func (s *site) large(ctx context.Context, in *intake, l large) error {
	stop, ended := in.load(ctx, time.Hour)
	defer stop()
	if !pause(ctx, 2*time.Second) {
		return ctx.Err()
	}
	began := time.Now()
	if err := in.postFile(ctx, l); err != nil {
		return fmt.Errorf("the large submission: %w", err)
	}
	took := time.Since(began)
	stop()
	small := <-ended
	s.add(row{
		Case: fmt.Sprintf("one of %d rows beside them", l.rows), Measured: fmt.Sprintf("202 after %.1f s", took.Seconds()),
		Figures: map[string]float64{"seconds": took.Seconds(), "rows": float64(l.rows)},
	})
	s.addLoad("the small ones meanwhile", small, false)
	s.add(usedRow("the worker meanwhile", s.used(began, began.Add(took)), l.alone))
	s.add(memoryRow("peak memory of serve", peakOf(in.cmd.Process.Pid)))
	return nil
}

// usedFor is the share of the quota that is used from now on, for so long.
func (s *site) usedFor(ctx context.Context, d time.Duration) float64 {
	from := time.Now()
	pause(ctx, d)
	return s.used(from, from.Add(d))
}

func (s *site) used(from, to time.Time) float64 {
	return float64(len(s.record.arrivals().between(from, to).admitted())) / (intakeCalls * to.Sub(from).Seconds())
}

func usedRow(name string, used, alone float64) row {
	r := row{Case: name, Measured: fmt.Sprintf("%.1f %% of %d calls/s used", used*100, intakeCalls), Figures: map[string]float64{"used": used}}
	if alone > 0 {
		r.Wanted, r.OK = fmt.Sprintf("≥ %.0f %% of alone", wantedCalls*100), new(used >= wantedCalls*alone)
	}
	return r
}

func memoryRow(name string, bytes float64) row {
	return row{
		Case: name, Measured: fmt.Sprintf("%.0f MB", bytes/1e6), Wanted: fmt.Sprintf("≤ %.0f MB", wantedIntake/1e6),
		OK: new(bytes > 0 && bytes <= wantedIntake), Figures: map[string]float64{"bytes": bytes},
	}
}

// addLoad takes down how many small submissions there were, and how they were
// answered.
func (b *bench) addLoad(name string, l loaded, promised bool) {
	p50, p99, rate := quantile(l.took, 0.5), quantile(l.took, 0.99), float64(l.accepted)/l.lasted.Seconds()
	r := row{
		Case: name,
		Measured: fmt.Sprintf("%.0f accepted/s, %d of %d refused, p50 %.0f ms, p99 %.0f ms",
			rate, len(l.took)-l.accepted, len(l.took), ms(p50), ms(p99)),
		Figures: map[string]float64{
			"accepted_per_second": rate, "submissions": float64(len(l.took)), "refused": float64(len(l.took) - l.accepted),
			"p50_seconds": p50.Seconds(), "p99_seconds": p99.Seconds(),
		},
	}
	if promised {
		r.Wanted = fmt.Sprintf("%d/s, none refused, p99 ≤ %.0f ms", intakeRate, ms(wantedSlow))
		r.OK = new(l.accepted == len(l.took) && p99 <= wantedSlow)
	}
	b.add(r)
	if l.first != "" {
		b.sayf("the first that was refused: %s", l.first)
	}
}

func middleRow(took []time.Duration) row {
	p50, p99 := quantile(took, 0.5), quantile(took, 0.99)
	return row{
		Case:     strconv.Itoa(intakeMiddle) + " rows, one after the other",
		Measured: fmt.Sprintf("p50 %.0f ms, p99 %.0f ms, of %d", ms(p50), ms(p99), len(took)),
		Wanted:   fmt.Sprintf("p99 ≤ %.0f ms", ms(wantedSlow)), OK: new(p99 <= wantedSlow),
		Figures: map[string]float64{"p50_seconds": p50.Seconds(), "p99_seconds": p99.Seconds(), "jobs": float64(len(took))},
	}
}

// intakeLines measures what a million rows take by themselves, in each format
// that may be that long.
func intakeLines(ctx context.Context, b *bench) (err error) {
	rows := short(b.options, 1_000_000, 100_000)
	csv, ndjson, document := b.file("lines.csv"), b.file("lines.ndjson"), b.file("lines.json")
	if err := errors.Join(writeDepartments(csv, rows), toJSON(csv, ndjson), toJSON(csv, document)); err != nil {
		return fmt.Errorf("writing the files: %w", err)
	}
	for _, file := range []string{csv, ndjson, document} {
		if err := b.intakeLine(ctx, large{file: file, rows: rows}); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) intakeLine(ctx context.Context, l large) (err error) {
	s, err := b.newSite(ctx, http.NotFoundHandler())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	in, err := s.openIntake(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.stop()) }()
	began := time.Now()
	if err := in.postFile(ctx, l); err != nil {
		return fmt.Errorf("%s: %w", l.file, err)
	}
	took, name := time.Since(began).Seconds(), fmt.Sprintf("%d rows as %s, alone", l.rows, filepath.Ext(l.file)[1:])
	b.add(row{Case: name, Measured: fmt.Sprintf("202 after %.1f s", took), Figures: map[string]float64{"seconds": took}})
	b.add(memoryRow(name+", peak memory of serve", peakOf(in.cmd.Process.Pid)))
	return in.allThere(ctx)
}
