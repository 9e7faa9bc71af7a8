//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hibiken/asynq"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/usher-bi/usher/internal/tasks"
)

// roleFloor is the part of the least that a durable worker can do: take a task
// from asynq and record one row.
const roleFloor = "floor"

// floorSpec is what a floor is told on its command line.
type floorSpec struct {
	Database    string `json:"database"`
	Redis       string `json:"redis"`
	Tasks       int    `json:"tasks"`
	Concurrency int    `json:"concurrency"`
}

const (
	makeFloor = `CREATE TABLE floor (job bigint, task integer, worker text NOT NULL, recorded_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (job, task))`
	floorRow  = `INSERT INTO floor (job, task, worker) VALUES ($1, $2, $3)`

	// floorConns is how many connections the worker takes at that concurrency.
	floorConns = 16
)

// paceOfFloor has a floor do n tasks that are queued already.
func (b *bench) paceOfFloor(ctx context.Context, n int) (p pace, err error) {
	s, err := b.newSite(ctx, &free{})
	if err != nil {
		return pace{}, err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	conn, err := pgx.Connect(ctx, s.databaseURL())
	if err != nil {
		return pace{}, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, makeFloor); err != nil {
		return pace{}, err
	}
	client := asynq.NewClientFromRedisClient(s.redis)
	group, queueing := errgroup.WithContext(ctx)
	group.SetLimit(24)
	for i := range n {
		group.Go(func() error {
			_, err := client.EnqueueContext(queueing, asynq.NewTask(roleFloor, []byte(strconv.Itoa(i))))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return pace{}, fmt.Errorf("queueing: %w", err)
	}
	spec, err := json.Marshal(floorSpec{Database: s.databaseURL(), Redis: s.redisURL(), Tasks: n, Concurrency: b.concurrency})
	if err != nil {
		return pace{}, err
	}
	var out bytes.Buffer
	if err := s.play(ctx, &out, roleFloor, string(spec)); err != nil {
		return pace{}, err
	}
	p.tasks = n
	if err := json.Unmarshal(out.Bytes(), &p.used); err != nil {
		return pace{}, fmt.Errorf("reading what the floor used: %w", err)
	}
	p.perSecond, err = perSecond(ctx, conn, `SELECT min(recorded_at), max(recorded_at), count(*) FROM floor`)
	return p, err
}

// beFloor works until all tasks are done and prints what it used.
func beFloor(ctx context.Context, args []string) error {
	var spec floorSpec
	if err := json.Unmarshal([]byte(args[0]), &spec); err != nil {
		return err
	}
	cfg, err := pgxpool.ParseConfig(spec.Database)
	if err != nil {
		return err
	}
	cfg.MaxConns = floorConns
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer pool.Close()
	client, err := tasks.OpenRedis(ctx, spec.Redis)
	if err != nil {
		return err
	}
	defer client.Close()
	var done atomic.Int64
	server := asynq.NewServerFromRedisClient(client, asynq.Config{Concurrency: spec.Concurrency, LogLevel: asynq.WarnLevel, ShutdownTimeout: time.Second})
	err = server.Start(asynq.HandlerFunc(func(ctx context.Context, t *asynq.Task) error {
		number, err := strconv.Atoi(string(t.Payload()))
		if err == nil {
			_, err = pool.Exec(ctx, floorRow, 1, number, "floor")
		}
		if err == nil {
			done.Add(1)
		}
		return err
	}))
	if err != nil {
		return err
	}
	err = await(ctx, overheadLimit, func() bool { return int(done.Load()) == spec.Tasks })
	used := ownUsage()
	server.Shutdown()
	return errors.Join(err, json.NewEncoder(os.Stdout).Encode(used))
}

func ownUsage() usage {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return usage{}
	}
	cpu := time.Duration(used.Utime.Nano() + used.Stime.Nano())
	return usage{CPU: cpu.Seconds(), Allocs: float64(memory.Mallocs), Bytes: float64(memory.TotalAlloc)}
}
