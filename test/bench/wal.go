//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

const (
	wantedWAL  = 1500 // bytes of a task that is recorded
	walCells   = 100  // changes of a task
	walRefused = 2    // of them
	walAtOnce  = 8    // tasks in hand
)

// wal measures what Postgres writes to its log for a task of 100 changes of which
// two are refused: while it is claimed, while its call is written down, and while
// its end is recorded. It begins with a checkpoint, after which each page that is
// touched is logged whole once; and it is done once more without those.
func wal(ctx context.Context, b *bench) (err error) {
	n := short(b.options, 5_000, 500)
	for _, images := range []bool{true, false} {
		used, err := b.walOf(ctx, n, images)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("%d tasks after a checkpoint", n)
		if !images {
			name = "without full pages"
		}
		b.add(row{
			Case: "recorded: answer, end and 2 failures; " + name, Measured: fmt.Sprintf("%.0f bytes a task", used["finish"]),
			Wanted: fmt.Sprintf("≤ %d", wantedWAL), OK: new(used["finish"] <= wantedWAL), Figures: map[string]float64{"bytes_per_task": used["finish"]},
		})
		all := used["claim"] + used["begin"] + used["finish"]
		b.add(row{
			Case:     "the whole path; " + name,
			Measured: fmt.Sprintf("%.0f bytes a task: claimed %.0f, called %.0f, recorded %.0f", all, used["claim"], used["begin"], used["finish"]),
			Figures:  map[string]float64{"bytes_per_task": all, "claim": used["claim"], "begin": used["begin"], "finish": used["finish"]},
		})
	}
	return nil
}

// walOf returns bytes a task by step.
func (b *bench) walOf(ctx context.Context, n int, images bool) (used map[string]float64, err error) {
	s, err := b.newSite(ctx, http.NotFoundHandler())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	conn, err := pgx.Connect(ctx, s.databaseURL())
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	created, err := s.store.CreateJob(ctx, wideJob(n))
	if err != nil {
		return nil, err
	}
	if _, err := s.store.Beat(ctx, store.Heartbeat{Worker: walWorker, For: time.Hour}); err != nil {
		return nil, err
	}
	setting := map[bool]string{true: "on", false: "off"}[images]
	for _, statement := range []string{`DELETE FROM backlog`, `ALTER SYSTEM SET full_page_writes = ` + setting, `SELECT pg_reload_conf()`, `CHECKPOINT`} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return nil, err
		}
	}
	work := &walWork{store: s.store, job: created.Number, claims: make([]store.Task, n), calls: make([]int64, n)}
	used = map[string]float64{}
	for _, step := range []struct {
		name string
		do   func(context.Context, int) error
	}{{"claim", work.claim}, {"begin", work.begin}, {"finish", work.finish}} {
		bytes, err := written(ctx, conn, func() error { return work.each(ctx, step.do) })
		if err != nil {
			return nil, fmt.Errorf("%s: %w", step.name, err)
		}
		used[step.name] = bytes / float64(n)
	}
	_, err = conn.Exec(ctx, `ALTER SYSTEM RESET full_page_writes`)
	return used, err
}

// written is how many bytes of log do makes Postgres write.
func written(ctx context.Context, conn *pgx.Conn, do func() error) (bytes float64, err error) {
	var before string
	if err := conn.QueryRow(ctx, `SELECT pg_current_wal_insert_lsn()::text`).Scan(&before); err != nil {
		return 0, err
	}
	if err := do(); err != nil {
		return 0, err
	}
	err = conn.QueryRow(ctx, `SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1::text::pg_lsn)::float8`, before).Scan(&bytes)
	return bytes, err
}

const walWorker = "worker-host-0123456789abcdef"

// walWork carries out the tasks of a job, in its parts.
type walWork struct {
	store  *store.Store
	job    int64
	claims []store.Task
	calls  []int64
}

// each does something with every task, some at once, as a worker does.
func (w *walWork) each(ctx context.Context, do func(context.Context, int) error) error {
	var group sync.WaitGroup
	errs := make([]error, walAtOnce)
	for hand := range walAtOnce {
		group.Go(func() {
			for i := hand; i < len(w.claims) && errs[hand] == nil; i += walAtOnce {
				errs[hand] = do(ctx, i)
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

func (w *walWork) claim(ctx context.Context, i int) (err error) {
	w.claims[i], err = w.store.Claim(ctx, store.ClaimRequest{
		TaskRef: store.TaskRef{Job: w.job, No: i + 1}, Worker: walWorker, Lease: time.Hour, Token: int64(i + 1),
	})
	return err
}

func (w *walWork) begin(ctx context.Context, i int) error {
	begun, err := w.store.BeginCall(ctx, store.NewCall{Claim: w.claims[i].Claim, Action: access.SmartqAuthorize, Repeatable: true})
	w.calls[i] = begun.Call
	return err
}

func (w *walWork) finish(ctx context.Context, i int) error {
	const request = "D787E1A3-A93C-424A-B626-C2B05DF8D885"
	task := w.claims[i]
	end := store.Ending{}
	for _, p := range task.Principals[:walRefused] {
		end.Exceptions = append(end.Exceptions, store.CellException{Principal: p.ID, Resource: task.Resources[0], Exception: store.Exception{
			Status: store.Failed, Code: "user_not_in_organization", Message: "The specified user is not in your organization.",
			APICode: "User.Not.In.Organization", RequestID: request,
		}})
	}
	answer := store.Answer{Call: w.calls[i], Class: "partial", HTTPStatus: http.StatusOK, RequestID: request, Took: 200 * time.Millisecond}
	return w.store.Finish(ctx, task.Claim, answer, end)
}

// wideJob has n tasks of 100 users and a resource.
func wideJob(n int) store.NewJob {
	job := store.NewJob{
		Source: "bench", RequestedBy: "bench", Lane: store.Normal, IdempotencyKey: "wide", Fingerprint: "wide", Header: []string{"action"},
		Input: store.Input{Rows: n * walCells},
	}
	tasks, changes := make([]store.NewTask, 0, n), make([]store.NewChange, 0, n*walCells)
	for i := range n {
		rect := access.Rectangle{
			Action: access.SmartqAuthorize, Operation: access.Grant, Terms: access.Terms{ExpiresOn: expiry},
			Resources: []access.Resource{{Type: access.QAResource, ID: fmt.Sprintf("%012x", i)}},
		}
		tasks = append(tasks, store.NewTask{FirstChange: len(changes)})
		for j := range walCells {
			user := access.Principal{Type: access.User, ID: fmt.Sprintf("%032x", uint64(i*walCells+j)*2654435761)}
			rect.Principals = append(rect.Principals, user)
			changes = append(changes, store.NewChange{Task: i, Row: store.Row{
				Line: len(changes) + 2, RowID: fmt.Sprint("row-", len(changes)+2), Change: access.Change{
					Operation: access.Grant, Principal: user, Resource: rect.Resources[0], Terms: rect.Terms,
				},
			}})
		}
		tasks[i].Rectangle = rect
	}
	job.Tasks, job.Changes = store.SequenceOf(tasks...), store.SequenceOf(changes...)
	return job
}
