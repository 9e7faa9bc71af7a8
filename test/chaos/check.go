//go:build unix

package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

// some is how many examples of one kind of finding are told.
const some = 3

// report makes findings of examples: the first few, and how many there are.
func (r *rig) report(promise string, examples []string) {
	for i, example := range examples {
		if i == some {
			r.findf("%s: and %d more", promise, len(examples)-some)
			return
		}
		r.findf("%s: %s", promise, example)
	}
}

// check looks for what was lost, overtaken, doubled or made up, once all is
// quiet. The workers may still run.
func (r *rig) check(ctx context.Context) {
	r.checkQueue(ctx)
	for _, c := range sqlChecks {
		r.report(c.promise, r.violations(ctx, c))
	}
	results, err := r.results(ctx)
	if err != nil {
		r.findf("reading the results: %v", err)
		return
	}
	calls := r.sandbox.Calls()
	r.report(newestInForce, r.misplaced(results))
	r.report("what is said to be done was done", undone(results, calls))
	r.report("only what was asked for is sent", r.unasked(calls))
	r.report(writtenDown, r.unwritten(ctx, calls))
	r.report("no call breaks a rule", unlawful(calls))
	r.checkAudit(ctx)
}

// misplaced compares what Quick BI has with what the product says.
func (r *rig) misplaced(results []result) []string {
	byPair := map[pair][]result{}
	for _, res := range results {
		byPair[res.pair] = append(byPair[res.pair], res)
	}
	var out []string
	held := inForce(r.sandbox)
	for p, history := range byPair {
		allowed, problem := settled(history)
		if problem != "" {
			out = append(out, p.String()+": "+problem)
		}
		if !slices.Contains(allowed, held[p]) {
			out = append(out, fmt.Sprintf("%s: %q is in force, want one of %q after %s", p, held[p], allowed, story(history)))
		}
		delete(held, p)
	}
	for p, terms := range held {
		out = append(out, fmt.Sprintf("%s: %q is in force, and nobody asked for it", p, terms))
	}
	slices.Sort(out)
	return out
}

func story(history []result) string {
	parts := make([]string, len(history))
	for i, res := range history {
		parts[i] = fmt.Sprintf("job %d (rank %d): %s %s %s", res.job, res.rank, res.op, res.expires, res.status)
	}
	return strings.Join(parts, ", ")
}

// undone lists the changes that are said to have succeeded and were in no call
// that was carried out.
func undone(results []result, calls []quickbitest.Call) []string {
	applied := map[change]bool{}
	for _, call := range calls {
		if call.Applied {
			for _, c := range writes(call) {
				applied[c] = true
			}
		}
	}
	var out []string
	for _, res := range results {
		if res.status == "succeeded" && !applied[change{pair: res.pair, op: res.op}] {
			out = append(out, fmt.Sprintf("%s of %s in job %d, request %s", res.op, res.pair, res.job, res.requestID))
		}
	}
	return out
}

// unasked lists the changes in calls that were in no file.
func (r *rig) unasked(calls []quickbitest.Call) []string {
	var out []string
	for _, call := range calls {
		for _, c := range writes(call) {
			if !r.asked[c] {
				out = append(out, fmt.Sprintf("%s of %s by call %d", c.op, c.pair, call.Number))
			}
		}
	}
	return out
}

// unwritten compares how many calls of each action arrived with how many were
// written down, and looks for answers that nobody gave.
func (r *rig) unwritten(ctx context.Context, calls []quickbitest.Call) []string {
	arrived, given := map[string]int{}, map[string]bool{}
	for _, call := range calls {
		arrived[call.Action]++
		given[call.RequestID] = true
	}
	rows, err := r.sql.Query(ctx, `SELECT c.action, a.request_id FROM calls c LEFT JOIN answers a ON a.call_id = c.id`)
	if err != nil {
		return []string{err.Error()}
	}
	written, out := map[string]int{}, []string{}
	var action string
	var request *string
	_, err = pgx.ForEachRow(rows, []any{&action, &request}, func() error {
		if written[action]++; request != nil && *request != "" && !given[*request] {
			out = append(out, "answer "+*request+" is recorded and was never given")
		}
		return nil
	})
	if err != nil {
		return []string{err.Error()}
	}
	for action, n := range arrived {
		if n > written[action] {
			out = append(out, fmt.Sprintf("%d calls of %s arrived, %d were written down", n, action, written[action]))
		}
	}
	return out
}

// unlawful lists calls that break a rule which a worker with a right clock can
// keep.
func unlawful(calls []quickbitest.Call) []string {
	var out []string
	for _, call := range calls {
		if call.Violation != "" && call.Violation != quickbitest.RuleDate {
			out = append(out, fmt.Sprintf("call %d of %s: %s", call.Number, call.Action, call.Violation))
		}
	}
	return out
}

// results asks the product what became of every change.
func (r *rig) results(ctx context.Context) ([]result, error) {
	rows, err := r.sql.Query(ctx, `
		WITH RECURSIVE family AS (
			SELECT id, ulid, id AS rank FROM jobs WHERE parent_id IS NULL
			UNION ALL SELECT j.id, j.ulid, f.rank FROM jobs j JOIN family f ON f.id = j.parent_id
		) SELECT id, ulid, rank FROM family ORDER BY id`)
	if err != nil {
		return nil, err
	}
	type job struct {
		ID   int64
		ULID string
		Rank int64
	}
	jobs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[job])
	var all []result
	for _, j := range jobs {
		code, text := r.enqueue(ctx, 0, 0, "results", j.ULID)
		if code != 0 {
			return nil, fmt.Errorf("enqueue results %s: exit code %d", j.ULID, code)
		}
		records, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "\ufeff"))).ReadAll()
		if err != nil || len(records) == 0 {
			return nil, fmt.Errorf("results of %s: %w", j.ULID, err)
		}
		for _, record := range records[1:] {
			cell := func(name string) string { return record[slices.Index(records[0], name)] }
			all = append(all, result{
				change: change{
					pair: pair{cell("principal"), cell("resource_type"), cell("resource_id")}, op: cell("action"), expires: cell("expires_on"),
				},
				job: j.ID, rank: j.Rank, ulid: j.ULID,
				status: cell("result__status"), code: cell("result__code"), requestID: cell("result__request_id"),
				sent: cell("result__attempts") != "0",
			})
		}
	}
	return all, err
}

// checkAudit has the product verify its own audit, where it can.
func (r *rig) checkAudit(ctx context.Context) {
	if code, _ := r.enqueue(ctx, 0, 0, "audit", "verify", "--help"); code != 0 {
		return
	}
	if code, out := r.enqueue(ctx, 0, 0, "audit", "verify", "--json"); code != 0 {
		r.findf("the audit is intact: exit code %d: %s", code, out)
	}
}

// checkLeftBehind looks for what the programs left behind when they ended.
func (r *rig) checkLeftBehind(ctx context.Context) {
	for _, c := range leftBehind {
		var left []string
		eventually(ctx, 5*time.Second, func() bool {
			left = r.violations(ctx, c)
			return len(left) == 0
		})
		r.report(c.promise, left)
	}
	var clients []string
	eventually(ctx, 5*time.Second, func() bool {
		list, err := r.cache.ClientList(ctx).Result()
		clients = slices.DeleteFunc(strings.Split(strings.TrimSpace(list), "\n"), func(line string) bool {
			return strings.Contains(line, " name=chaos ")
		})
		return err == nil && len(clients) == 0
	})
	r.report("no connection to Redis is left", clients)
	logs, err := filepath.Glob(r.file("*.log"))
	if err != nil {
		r.findf("listing logs: %v", err)
	}
	for _, log := range logs {
		text, err := os.ReadFile(filepath.Clean(log))
		for _, bad := range []string{"WARNING: DATA RACE", "panic:", "fatal error:"} {
			if err != nil || strings.Contains(string(text), bad) {
				r.findf("%s says %q (%v)", filepath.Base(log), bad, err)
			}
		}
	}
}
