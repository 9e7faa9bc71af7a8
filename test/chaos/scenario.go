//go:build unix

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

// scenario is a kind of run.
type scenario struct {
	world func() world
	play  func(ctx context.Context, r *rig, o *outcome, length time.Duration)
	fast  bool // the race detector would be in its way
}

var scenarios = map[string]*scenario{
	"random":     {world: randomWorld, play: random},
	"opposite":   {world: oppositeWorld, play: opposite, fast: true},
	"flush":      {world: flushWorld, play: flush, fast: true},
	"killed":     {world: killedWorld, play: killed},
	"zombie":     {world: zombieWorld, play: zombie},
	"unrecorded": {world: smallWorld, play: unrecorded},
	"forgotten":  {world: smallWorld, play: forgotten},
	"overtaken":  {world: smallWorld, play: overtaken},
}

// lack is a protection that a build can leave out: the scenario in which that
// shows for certain, and the beginnings of what is found then.
type lack struct {
	scenario string
	findings []string
}

var lacks = map[string]lack{
	"fencing":    {"zombie", []string{claimHolderRecords, claimHolderSends}},
	"reconciler": {"forgotten", []string{jobsNotEnded}},
	"recording":  {"unrecorded", []string{writtenDown}},
	"order":      {"overtaken", []string{newestInForce}},
}

// caught reports whether what a run found is what is found without the
// protection.
func (l lack) caught(o *outcome) bool {
	return slices.ContainsFunc(o.findings, func(found string) bool {
		return slices.ContainsFunc(l.findings, func(start string) bool { return strings.HasPrefix(found, start) })
	})
}

// expiry is the last day of grants whose day does not matter.
const expiry = "2099-12-31"

// apart is n users with a Q&A resource each, which no call can combine.
func apart(n int) (w world, pairs []pair) {
	w.Users, w.QAResources = ids("u", n), ids("q", n)
	for i, user := range w.Users {
		pairs = append(pairs, pair{user, qaResource, w.QAResources[i]})
	}
	return w, pairs
}

// all asks for one thing about every pair, as one file.
func all(op, lane string, pairs []pair) submission {
	return submission{name: op, lane: lane, source: op, rows: changes(op, pairs, func() string { return expiry })}
}

// conclude lets everything settle, checks it and ends the workers.
func (r *rig) conclude(ctx context.Context, o *outcome, fleets ...*fleet) {
	o.repair = r.settle(ctx)
	r.check(ctx)
	for _, f := range fleets {
		f.retire()
	}
	r.checkEnd(ctx)
}

// await waits for a state without which a scenario proves nothing.
func (r *rig) await(ctx context.Context, what string, cond func() bool) {
	if !eventually(ctx, settleLimit, cond) && ctx.Err() == nil {
		r.findf("the suite waited for nothing: %s", what)
	}
}

// count runs a query whose answer is one number; while Postgres cannot answer
// it is -1.
func (r *rig) count(ctx context.Context, query string) (n int) {
	if err := r.sql.QueryRow(ctx, query).Scan(&n); err != nil {
		return -1
	}
	return n
}

func (r *rig) tasksDone(ctx context.Context, atLeast int) {
	r.await(ctx, "tasks that are done", func() bool {
		return r.count(ctx, `SELECT count(*) FROM tasks WHERE state = 'done'`) >= atLeast
	})
}

func (r *rig) arrived(ctx context.Context, calls int) {
	r.await(ctx, fmt.Sprint(calls, " calls in flight"), func() bool { return len(r.sandbox.Calls()) >= calls })
}

// few is how many tasks a small scenario has: as many as one worker holds.
const few = 8

func smallWorld() world {
	w, _ := apart(few)
	return w
}

func slowly(d time.Duration) quickbitest.Fault {
	return quickbitest.Fault{Kind: quickbitest.Delay, Delay: quickbitest.Duration(d)}
}

// must ends the run's pretence when the suite itself fails.
func (r *rig) must(err error) {
	if err != nil {
		r.findf("the suite failed: %v", err)
	}
}
