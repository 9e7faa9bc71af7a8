//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/store"
)

// wantedShare is how much of the floor the worker is to reach.
const wantedShare = 0.8

// pace is how fast tasks were done, and what that took.
type pace struct {
	perSecond float64
	used      usage // by all tasks
	tasks     int
}

// overhead compares the whole worker, against an API that costs nothing, with
// the floor. They take turns, so that a noisy machine is noisy for both.
func overhead(ctx context.Context, b *bench) error {
	n, rounds := b.tasks, b.rounds
	if n == 0 {
		n = short(b.options, 10_000, 5_000)
	}
	if rounds == 0 {
		rounds = short(b.options, 3, 1)
	}
	var floors, workers []pace
	for range rounds {
		f, err := b.paceOfFloor(ctx, n)
		if err != nil {
			return fmt.Errorf("the floor: %w", err)
		}
		w, err := b.paceOfWorker(ctx, n)
		if err != nil {
			return fmt.Errorf("the worker: %w", err)
		}
		b.sayf("floor %.0f tasks/s, worker %.0f tasks/s", f.perSecond, w.perSecond)
		floors, workers = append(floors, f), append(workers, w)
	}
	f, w := median(floors), median(workers)
	b.add(b.paceRow("floor: asynq, one row", f))
	b.add(b.paceRow("worker", w))
	share := w.perSecond / f.perSecond
	b.add(row{
		Case: "worker / floor", Measured: fmt.Sprintf("%.2f", share), Wanted: fmt.Sprintf("≥ %.2f", wantedShare), OK: new(share >= wantedShare),
		Figures: map[string]float64{"ratio": share},
	})
	return nil
}

func median(paces []pace) pace {
	slices.SortFunc(paces, func(a, b pace) int { return int(a.perSecond - b.perSecond) })
	return paces[len(paces)/2]
}

func (b *bench) paceRow(name string, p pace) row {
	n := float64(p.tasks)
	return row{
		Case: name,
		Measured: fmt.Sprintf("%.0f tasks/s, %.2f CPU s per 1,000 tasks, %.0f allocations and %.1f kB a task",
			p.perSecond, p.used.CPU/n*1000, p.used.Allocs/n, p.used.Bytes/n/1000),
		Figures: map[string]float64{
			"tasks_per_second": p.perSecond, "cpu_seconds_per_1000_tasks": p.used.CPU / n * 1000,
			"allocations_per_task": p.used.Allocs / n, "bytes_per_task": p.used.Bytes / n, "tasks": n, "concurrency": float64(b.concurrency),
		},
	}
}

// free is an API that grants everything at once and looks at nothing. It takes
// connections over and understands just enough of HTTP to tell where a request
// ends: it answers on the same cores as what is measured.
type free struct{ calls atomic.Int64 }

const freely = `{"RequestId":"00000000-0000-0000-0000-000000000000","Result":[],"Success":true}`

var freeAnswer = fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json;charset=utf-8\r\n"+
	"X-Acs-Request-Id: 00000000-0000-0000-0000-000000000000\r\nContent-Length: %d\r\n\r\n%s", len(freely), freely)

func (f *free) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	for err == nil {
		if _, err = conn.Write(freeAnswer); err == nil {
			f.calls.Add(1)
			err = skipRequest(buffered.Reader)
		}
	}
}

// skipRequest reads a request that tells its length.
func skipRequest(r *bufio.Reader) error {
	length := 0
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		switch {
		case ok && bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		case len(line) <= len("\r\n"):
			_, err := r.Discard(length)
			return err
		}
	}
}

const overheadLimit = 5 * time.Minute // for one round

// paceOfWorker has one worker do n tasks that are queued already.
func (b *bench) paceOfWorker(ctx context.Context, n int) (p pace, err error) {
	api := &free{}
	s, err := b.newSite(ctx, api)
	if err != nil {
		return pace{}, err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if err := s.submit(ctx, "overhead", store.Normal, apart("", n)); err != nil {
		return pace{}, err
	}
	if err := s.man(ctx, 1, "QUICKBI_RATE=100000/s", "WORKER_CONCURRENCY="+strconv.Itoa(b.concurrency)); err != nil {
		return pace{}, err
	}
	conn, err := pgx.Connect(ctx, s.databaseURL())
	if err != nil {
		return pace{}, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	ended := func() bool { return int(api.calls.Load()) >= n && count(ctx, conn, countDone) == n }
	if err := s.await(ctx, overheadLimit, ended); err != nil {
		return pace{}, fmt.Errorf("%d of %d tasks: %w", count(ctx, conn, countDone), n, err)
	}
	p.tasks = n
	if p.used, err = s.workers[0].usage(ctx); err != nil {
		return pace{}, err
	}
	p.perSecond, err = perSecond(ctx, conn, `SELECT min(finished_at), max(finished_at), count(*) FROM tasks WHERE state = 'done'`)
	return p, err
}

const countDone = `SELECT count(*) FROM tasks WHERE state = 'done'`

// count is -1 where it cannot be found out.
func count(ctx context.Context, conn *pgx.Conn, query string) int {
	var n int
	if err := conn.QueryRow(ctx, query).Scan(&n); err != nil {
		return -1
	}
	return n
}

// perSecond is the pace from the first record to the last one. query gives the
// times of both, and how many there are.
func perSecond(ctx context.Context, conn *pgx.Conn, query string) (float64, error) {
	var (
		first, last time.Time
		n           int
	)
	if err := conn.QueryRow(ctx, query).Scan(&first, &last, &n); err != nil {
		return 0, err
	}
	return float64(n-1) / last.Sub(first).Seconds(), nil
}
