//go:build unix

package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/usher-bi/usher/internal/store"
)

const (
	smallJob = 10 // tasks
	alones   = 3  // times that it is measured alone; the median counts
)

// fair measures how long a small job takes alone, and behind a large one that
// was submitted before it in the same lane.
func fair(ctx context.Context, b *bench) (err error) {
	large, patience := short(b.options, 100_000, 20_000), short(b.options, time.Minute, 10*time.Second)
	crowd, few := apart("large-", large), apart("small-", smallJob*(alones+1))
	s, err := b.newSandbox(ctx, world(busyRate, crowd, few))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if err := s.man(ctx, busyWorkers, rateOf(busyRate)); err != nil {
		return err
	}
	var times []time.Duration
	for i := range alones {
		took, err := s.timeJob(ctx, "alone-"+strconv.Itoa(i), few[i*smallJob:(i+1)*smallJob], patience)
		if err != nil {
			return err
		}
		times = append(times, took)
		pause(ctx, time.Second)
	}
	alone := quantile(times, 0.5)
	b.add(row{
		Case: "10 tasks alone", Measured: fmt.Sprintf("%.2f s", alone.Seconds()), Figures: map[string]float64{"seconds": alone.Seconds()},
	})

	began, seen := time.Now(), s.record.len()
	if err := s.submitCSV(ctx, "large", store.Normal, crowd); err != nil {
		return err
	}
	submitting := time.Since(began)
	if err := s.await(ctx, time.Minute, func() bool { return s.record.len() >= seen+2*busyRate }); err != nil {
		return fmt.Errorf("waiting for the large job: %w", err)
	}
	behind, err := s.timeJob(ctx, "behind", few[alones*smallJob:], patience)
	if err != nil {
		return err
	}
	limit := 2*alone + 2*time.Second
	measured := fmt.Sprintf("%.2f s", behind.Seconds())
	if behind >= patience {
		measured = fmt.Sprintf("more than %.0f s", patience.Seconds())
	}
	b.add(row{
		Case:     fmt.Sprintf("10 tasks behind %d", large),
		Measured: measured, Wanted: fmt.Sprintf("≤ %.2f s (2 × alone + 2 s)", limit.Seconds()), OK: new(behind <= limit),
		Figures: map[string]float64{"seconds": behind.Seconds(), "tasks_before": float64(large), "submission_seconds": submitting.Seconds()},
	})
	return nil
}

// timeJob submits a job and returns how long it takes until all of it is in
// force, or patience.
func (s *site) timeJob(ctx context.Context, name string, pairs []pair, patience time.Duration) (time.Duration, error) {
	began := time.Now()
	if err := s.submit(ctx, name, store.Normal, pairs); err != nil {
		return 0, err
	}
	ended, err := s.applied(ctx, pairs, patience)
	return ended.Sub(began), err
}

// submitCSV hands the grants of pairs in by "enqueue csv", with a file as
// people write it.
func (s *site) submitCSV(ctx context.Context, name string, lane store.Lane, pairs []pair) error {
	path := s.file(s.name + "-" + name + ".csv")
	file, err := os.Create(path) //nolint:gosec // in a folder of ours
	if err != nil {
		return err
	}
	out := csv.NewWriter(file)
	_ = out.Write([]string{"action", "principal", "resource_type", "resource_id", "expires_on"})
	for _, p := range pairs {
		_ = out.Write([]string{"grant", p.user, "qa_resource", p.resource, expiry.String()})
	}
	out.Flush()
	if err := errors.Join(out.Error(), file.Close()); err != nil {
		return fmt.Errorf("writing a file: %w", err)
	}
	return s.enqueue(ctx, "csv", path, "--lane", string(lane), "--source", "bench", "--key", name, "--requested-by", "bench")
}
