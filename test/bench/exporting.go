//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
)

// wantedPeak is what an export may take of memory, in bytes.
const wantedPeak = 64e6

// exporting compares writing the results of a large job with "COPY TO" of its
// changes, to a file each, and measures what that takes of memory.
func exporting(ctx context.Context, b *bench) (err error) {
	rows := short(b.options, 1_000_000, 100_000)
	f := filling{no: 1, rows: rows, perTask: 100, ended: rows}
	s, err := b.newSite(ctx, http.NotFoundHandler())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if err := s.fillAll(ctx, []filling{f}); err != nil {
		return err
	}
	file := b.file("export")
	copied, err := s.copyTo(ctx, file)
	if err != nil {
		return err
	}
	b.add(row{
		Case: fmt.Sprintf("COPY TO, %d rows", rows), Measured: fmt.Sprintf("%.2f s", copied.Seconds()),
		Figures: map[string]float64{"seconds": copied.Seconds()},
	})
	day := time.Now().UTC().Format(time.DateOnly)
	for _, e := range []struct {
		name string
		args []string
	}{
		{"results -o", []string{"results", f.id(), "-o", file}},
		{"results -o, a workbook", []string{"results", f.id(), "-o", b.file("export.xlsx")}},
		{"results to stdout", []string{"results", f.id()}},
		{"results --json", []string{"results", f.id(), "--json"}},
		{"results --status failed -o", []string{"results", f.id(), "--status", "failed", "-o", file}},
		{"failures", []string{"failures", f.id()}},
		{"audit export -o", []string{"audit", "export", "--from", day, "--to", day, "--requested-by", "bench", "-o", file}},
	} {
		took, peak, err := s.export(ctx, e.args)
		if err != nil && e.args[0] != "audit" { // what was filled in was never recorded as submitted, and the pack says so
			return fmt.Errorf("%s: %w", e.name, err)
		}
		b.add(row{
			Case:     e.name,
			Measured: fmt.Sprintf("%.2f s, %.1f × COPY TO, %.0f MB at the peak", took.Seconds(), took.Seconds()/copied.Seconds(), peak/1e6),
			Wanted:   fmt.Sprintf("≤ %.0f MB", wantedPeak/1e6), OK: new(peak > 0 && peak <= wantedPeak),
			Figures: map[string]float64{"seconds": took.Seconds(), "ratio": took.Seconds() / copied.Seconds(), "peak_bytes": peak},
		})
	}
	return nil
}

// copyTo has Postgres send the changes of the large job, and syncs the file.
func (s *site) copyTo(ctx context.Context, file string) (time.Duration, error) {
	conn, err := pgx.Connect(ctx, s.databaseURL())
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	f, err := os.Create(filepath.Clean(file)) //nolint:gosec // in a folder of ours
	if err != nil {
		return 0, err
	}
	defer f.Close()
	const rows = `COPY (SELECT c.no, c.task_no, c.line, c.row_id, c.operation, c.principal_type, c.principal, c.resource_type, c.resource_id,
		c.role, c.expires_on, c.reason, c.ticket, c.cells FROM changes c JOIN jobs j ON j.id = c.job_id WHERE j.rows > 1) TO STDOUT (FORMAT csv)`
	began := time.Now()
	if _, err := conn.PgConn().CopyTo(ctx, f, rows); err != nil {
		return 0, err
	}
	err = f.Sync()
	return time.Since(began), err
}

// export runs a command and returns how long it took and how much memory it had
// at most.
func (s *site) export(ctx context.Context, args []string) (took time.Duration, peak float64, err error) {
	began := time.Now()
	p, err := launch(command{path: s.programs.enqueue, args: args, env: s.env(), log: s.file(s.name + "-export.log")})
	if err != nil {
		return 0, 0, err
	}
	watching, stop := context.WithCancel(ctx)
	peaks := make(chan float64)
	go func() { peaks <- watchPeak(watching, p.cmd.Process.Pid) }()
	err = p.wait(ctx)
	took = time.Since(began)
	stop()
	return took, <-peaks, err
}

// watchPeak returns the most memory that a process had until ctx ends; 0 where
// the system does not tell while it runs. What it tells afterwards begins with
// what the parent had when it started the process.
func watchPeak(ctx context.Context, pid int) (peak float64) {
	for {
		peak = max(peak, peakOf(pid)) // once it is gone, the last one holds
		if !pause(ctx, 10*time.Millisecond) {
			return peak
		}
	}
}

// peakOf returns the most memory that a process had so far; 0 where the system
// does not tell.
func peakOf(pid int) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) //nolint:gosec // of a process of ours
	var kilobytes float64
	if _, rest, ok := bytes.Cut(text, []byte("VmHWM:")); ok {
		_, _ = fmt.Sscan(string(rest), &kilobytes)
	}
	return kilobytes * 1024
}
