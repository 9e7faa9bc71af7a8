//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/store"
)

const (
	wantedStatus = 50 * time.Millisecond
	smallJobs    = 10_000
	asked        = 20 // times
)

// standing measures how long it takes to say how jobs stand, in a database of
// ten jobs of a million changes each and of ten thousand small ones. Of the
// large ones two have a task for each change, and one of those still runs.
func standing(ctx context.Context, b *bench) (err error) {
	rows := short(b.options, 1_000_000, 100_000)
	jobs := []filling{{no: 1, rows: rows, perTask: 1, ended: rows}}
	for len(jobs) < 9 {
		jobs = append(jobs, filling{no: len(jobs) + 1, rows: rows, perTask: 100, ended: rows})
	}
	jobs = append(jobs, filling{no: 10, rows: rows, perTask: 1, ended: rows / 2})
	s, err := b.newSite(ctx, http.NotFoundHandler())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if err := s.fillAll(ctx, jobs); err != nil {
		return err
	}
	ended, running := jobs[0], jobs[len(jobs)-1]
	if err := s.standingOf(ctx, ended, "has ended"); err != nil {
		return err
	}
	if err := s.standingOf(ctx, running, "runs"); err != nil {
		return err
	}
	return s.lists(ctx)
}

// fillAll fills jobs of which all but the last second's worth is sealed.
func (s *site) fillAll(ctx context.Context, jobs []filling) error {
	conn, err := pgx.Connect(ctx, s.databaseURL())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, `SET synchronous_commit = off; SET work_mem = '64MB'`); err != nil {
		return err
	}
	for _, f := range jobs {
		if err := s.fill(ctx, conn, f); err != nil {
			return err
		}
	}
	if err := fillSmall(ctx, conn, smallJobs); err != nil {
		return err
	}
	if err := seal(ctx, conn); err != nil {
		return err
	}
	s.sayf("analysing")
	_, err = conn.Exec(ctx, `ANALYZE`)
	return err
}

// times asks often and returns how long it took, sorted.
func times(n int, ask func() error) ([]time.Duration, error) {
	out := make([]time.Duration, n)
	for i := range out {
		began := time.Now()
		if err := ask(); err != nil {
			return nil, err
		}
		out[i] = time.Since(began)
	}
	slices.Sort(out)
	return out, nil
}

// took adds a row of how long something took; wanted of 0 promises nothing.
func (b *bench) took(what string, took []time.Duration, wanted time.Duration) {
	mid, worst := took[len(took)/2], took[len(took)-1]
	r := row{
		Case:     what,
		Measured: fmt.Sprintf("%.1f ms, at most %.1f of %d", ms(mid), ms(worst), len(took)),
		Figures:  map[string]float64{"median_ms": ms(mid), "most_ms": ms(worst)},
	}
	if wanted > 0 {
		r.Wanted, r.OK = fmt.Sprintf("≤ %.0f ms", ms(wanted)), new(mid <= wanted)
	}
	b.add(r)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// standingOf asks for one job, on a connection that is there and as a command.
func (s *site) standingOf(ctx context.Context, f filling, what string) error {
	name := fmt.Sprintf("%s, %d rows, a task each", what, f.rows)
	took, err := times(asked, func() error {
		job, err := s.store.Job(ctx, f.id())
		if err == nil && job.Tasks.Done != min(f.ended, f.tasks()) {
			return fmt.Errorf("%d tasks of job %s are done, want %d", job.Tasks.Done, f.id(), f.ended)
		}
		return err
	})
	if err != nil {
		return err
	}
	s.took("query, "+name, took, wantedStatus)
	took, err = times(asked, func() error { return s.enqueue(ctx, "status", f.id(), "--json") })
	if err != nil {
		return err
	}
	s.took("enqueue status --json, "+name, took, wantedStatus)
	if took, err = times(asked/2, func() error { return s.enqueue(ctx, "status", f.id()) }); err != nil {
		return err
	}
	s.took("enqueue status, "+name, took, 0)
	return nil
}

// lists asks for pages of jobs.
func (s *site) lists(ctx context.Context) error {
	last := fmt.Sprintf("02%024d", smallJobs/2)
	for _, page := range []struct {
		name string
		f    store.JobFilter
	}{
		{"50 of 10,000", store.JobFilter{}},
		{"1,000 of 10,000", store.JobFilter{Limit: 1000}},
		{"50 from the middle on, of a source", store.JobFilter{Source: "feed-1", Before: last}},
		{"50 that run", store.JobFilter{Status: store.JobRunning}},
	} {
		took, err := times(asked, func() error { _, err := s.store.Jobs(ctx, page.f); return err })
		if err != nil {
			return err
		}
		s.took("list, "+page.name, took, wantedStatus)
	}
	took, err := times(asked/2, func() error { return s.enqueue(ctx, "jobs", "--json") })
	if err != nil {
		return err
	}
	s.took("enqueue jobs --json", took, 0)
	return nil
}
