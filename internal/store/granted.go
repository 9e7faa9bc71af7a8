package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/access"
)

// Granted is what was asked for one access, and what is in force of it as far as
// this system knows: what others do in Quick BI it cannot see.
type Granted struct {
	access.Pair

	State AccessState
	Terms access.Terms // of the grant that is, may be or was last in force; zero where there was none
	Asked []Asked      // every accepted change of this access that was to be sent, the newest by rank first; never empty
}

// Newest is the newest accepted change that was not withdrawn: what the access is
// going to be. ok is false where all were withdrawn.
func (g Granted) Newest() (newest Asked, ok bool) {
	for _, a := range g.Asked {
		if a.Status != Canceled {
			return a, true
		}
	}
	return Asked{}, false
}

// MayHold reports whether the access is not known to be gone. What ended by its
// expiry alone counts, too: to be on the safe side, it is revoked from a leaver.
func (g Granted) MayHold() bool { return g.State != Gone }

// WasGranted reports whether a grant of the access was carried out, or may have been.
func (g Granted) WasGranted() bool {
	return slices.ContainsFunc(g.Asked, func(a Asked) bool {
		return a.Operation == access.Grant && (a.Status == Succeeded || a.Status == NoChange || a.Status == Unknown || a.Status == Superseded && a.sent)
	})
}

// Asked is one change of an access, with the job that asked for it.
type Asked struct {
	Job         string // ULID
	Source      string
	RequestedBy string
	AcceptedAt  time.Time

	Line      int
	RowID     string
	Operation access.Operation
	Terms     access.Terms
	Reason    string
	Ticket    string

	Status     Status
	Code       string // ours, "" for a plain success
	Message    string
	Retryable  bool
	FinishedAt *time.Time // nil while it is pending

	sent bool // at least once
}

// AccessState says whether an access is in force.
type AccessState string

// The states of an access. A change that was refused, withdrawn or dropped for a newer one
// before it was sent leaves things as the change before it left them.
const (
	InForce  AccessState = "in_force" // granted, not expired, and nothing newer is open
	Granting AccessState = "granting" // the newest that may yet change it is a grant that has not ended; an older one may be in force
	Revoking AccessState = "revoking" // likewise a revoke
	Unsure   AccessState = "unsure"   // nobody knows what became of the newest change that was sent
	Expired  AccessState = "expired"  // granted, and its last day is over
	Gone     AccessState = "gone"     // revoked, or never granted
)

// GrantedFilter narrows what is told of. Zero fields do not narrow.
type GrantedFilter struct {
	Principal     access.Principal
	Source        string        // only where the newest grant that was neither withdrawn nor refused is that source's
	ExpiresBefore access.Date   // only where the terms end before that day, and today at the earliest
	States        []AccessState // only these

	// Location is where a day ends. Nil means UTC. Which day it is there is
	// judged by Postgres's clock.
	Location *time.Location
}

// sentChanges are the columns of the changes that were to be sent, with what
// became of each.
const sentChanges = `
SELECT access_key(c.principal_type, c.principal, c.resource_type || ':' || c.resource_id), coalesce(j.ranks_as, j.id), j.id,
       c.principal_type, c.principal, c.resource_type, c.resource_id,
       j.ulid, j.source, j.requested_by, j.created_at, c.line, c.row_id, c.operation, c.role, c.expires_on, c.reason, c.ticket,
       CASE WHEN e.status IS NOT NULL THEN e.status
            WHEN coalesce(leaf.state, root.state) = 'done' THEN 'succeeded'
            WHEN coalesce(leaf.state, root.state) = 'canceled' THEN 'canceled'
            ELSE 'pending' END,
       coalesce(e.code, ''), coalesce(e.message, ''), coalesce(e.retryable, false),
       coalesce(leaf.finished_at, root.finished_at), greatest(leaf.attempts, root.attempts) > 0 OR root.unsure,
       (now() AT TIME ZONE $1)::date`

// sentChangesFrom tells each table which jobs it is about, so that it is looked for
// in no other month.
const sentChangesFrom = `
JOIN jobs j ON j.id = c.job_id
JOIN tasks root ON root.job_id %[1]s AND root.job_id = c.job_id AND root.no = c.task_no
LEFT JOIN LATERAL (
    SELECT t.state, t.attempts, t.finished_at FROM tasks t
    WHERE root.state = 'split' AND t.job_id %[1]s AND t.job_id = c.job_id AND t.root_no = root.no AND t.no <> t.root_no AND t.state <> 'split'
      AND c.principal = ANY (t.principals) AND c.resource_type || ':' || c.resource_id = ANY (t.resources)
) leaf ON true
LEFT JOIN (` + outcomesOf + `) e ON e.job_id = c.job_id AND e.change_no = c.no
WHERE c.job_id %[1]s AND c.task_no IS NOT NULL AND c.operation <> 'read'`

const (
	ofAnyJob  = `IS NOT NULL`
	ofTheJobs = `= ANY ($4::bigint[])`
)

// keptGrants are the same of what retention kept. A kept grant was sent.
const keptGrants = `
SELECT access_key(k.principal_type, k.principal, k.resource_type || ':' || k.resource_id), coalesce(j.ranks_as, j.id), j.id,
       k.principal_type, k.principal, k.resource_type, k.resource_id,
       j.ulid, j.source, j.requested_by, j.created_at, k.line, k.row_id, 'grant', k.role, k.expires_on, k.reason, k.ticket,
       k.status, '', '', false, k.finished_at, true, (now() AT TIME ZONE $1)::date
FROM granted_before k
JOIN jobs j ON j.id = k.job_id`

// The three ways to what was granted: all of it, that of one principal, and that
// of each access of which some grant ends within days. Each access comes in a run.
const (
	allGranted = sentChanges + `
FROM changes c` + sentChangesFrom + `
UNION ALL` + keptGrants + `
ORDER BY 1`

	grantedTo = sentChanges + `
FROM unnest($5::bigint[], $6::int[]) AS k (job_id, no)
JOIN changes c ON c.job_id = k.job_id AND c.no = k.no` + sentChangesFrom + `
UNION ALL` + keptGrants + `
WHERE k.principal_type = $2 AND k.principal = $3
ORDER BY 1`

	grantedUntil = `
WITH ending AS (
    SELECT access_key(principal_type, principal, resource_type || ':' || resource_id) AS key
    FROM changes
    WHERE task_no IS NOT NULL AND operation <> 'read' AND expires_on IS NOT NULL
      AND expires_on >= (now() AT TIME ZONE $1)::date AND expires_on < $2
    UNION
    SELECT access_key(principal_type, principal, resource_type || ':' || resource_id)
    FROM granted_before
    WHERE expires_on >= (now() AT TIME ZONE $1)::date AND expires_on < $2
)` + sentChanges + `
FROM ending
JOIN changes c ON access_key(c.principal_type, c.principal, c.resource_type || ':' || c.resource_id) = ending.key` + sentChangesFrom + `
UNION ALL` + keptGrants + `
JOIN ending ON ending.key = access_key(k.principal_type, k.principal, k.resource_type || ':' || k.resource_id)
ORDER BY 1`
)

// Granted calls yield for each access that f does not leave out, with what was
// asked for it and what is in force, without holding them all. It stops at the
// first error of yield and returns it. All of it is of one moment. The accesses
// of one principal, and those that expire soon, are found by an index; otherwise
// every change is read. Of what retention dropped, the grants in force are known.
//
// yield must not use the store for long: a connection waits for it.
func (s *Store) Granted(ctx context.Context, f GrantedFilter, yield func(Granted) error) error {
	const what = "reading what was granted"
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return outward(what, err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	rows, err := f.read(ctx, tx)
	if err != nil {
		return outward(what, err)
	}
	defer rows.Close()
	err = eachAccess(rows, func(run []askedRow) error { return f.tell(run, yield) })
	if err != nil {
		return err
	}
	return outward(what, rows.Err())
}

// byIndex keeps the planner, who cannot know what a new month will hold, from
// reading all of a table. It joins in the order in which the tables are named: to
// think about others for years of months takes longer than to read.
const byIndex = `
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
       set_config('join_collapse_limit', '1', true), set_config('from_collapse_limit', '1', true)`

func (f GrantedFilter) read(ctx context.Context, tx pgx.Tx) (pgx.Rows, error) {
	zone, of := "UTC", f.Principal
	if f.Location != nil {
		zone = f.Location.String()
	}
	if of == (access.Principal{}) && f.ExpiresBefore.IsZero() {
		return tx.Query(ctx, fmt.Sprintf(allGranted, ofAnyJob), zone)
	}
	if _, err := tx.Exec(ctx, byIndex); err != nil {
		return nil, err
	}
	if of == (access.Principal{}) {
		return tx.Query(ctx, fmt.Sprintf(grantedUntil, ofAnyJob), zone, date(f.ExpiresBefore))
	}
	about, err := findChanges(ctx, tx, of)
	if err != nil {
		return nil, err
	}
	return tx.Query(ctx, fmt.Sprintf(grantedTo, ofTheJobs), planned, zone, of.Type, of.ID, about.distinct, about.jobs, about.numbers)
}

// The changes of a principal may be in any month. They are looked for by
// themselves, because to plan how all tables of all months are joined takes longer
// than to read those that hold something.
const changesAbout = `
SELECT c.job_id, c.no FROM changes c
WHERE c.task_no IS NOT NULL AND c.operation <> 'read' AND c.principal_type = $1 AND c.principal = $2
  AND access_key(c.principal_type, c.principal, c.resource_type || ':' || c.resource_id) BETWEEN principal_key($1, $2) AND principal_key($1, $2) + 4294967295
ORDER BY 1`

// foundChanges are changes by the numbers of their jobs and their own.
type foundChanges struct {
	jobs     []int64
	numbers  []int
	distinct []int64 // of jobs
}

func findChanges(ctx context.Context, tx pgx.Tx, of access.Principal) (found foundChanges, err error) {
	rows, err := tx.Query(ctx, changesAbout, planned, of.Type, of.ID)
	if err != nil {
		return found, err
	}
	var job int64
	var no int
	_, err = pgx.ForEachRow(rows, []any{&job, &no}, func() error {
		found.jobs, found.numbers = append(found.jobs, job), append(found.numbers, no)
		return nil
	})
	found.distinct = slices.Compact(slices.Clone(found.jobs))
	return found, err
}

// askedRow is one row of the queries above.
type askedRow struct {
	Asked

	key, rank, job int64
	pair           access.Pair
	today          access.Date
}

func scanAsked(rows pgx.Rows) (askedRow, error) {
	var r askedRow
	var expires *time.Time
	var today time.Time
	err := rows.Scan(&r.key, &r.rank, &r.job, &r.pair.Principal.Type, &r.pair.Principal.ID, &r.pair.Resource.Type, &r.pair.Resource.ID,
		&r.Job, &r.Source, &r.RequestedBy, &r.AcceptedAt, &r.Line, &r.RowID, &r.Operation, &r.Terms.Role, &expires, &r.Reason, &r.Ticket,
		&r.Status, &r.Code, &r.Message, &r.Retryable, &r.FinishedAt, &r.sent, &today)
	r.Terms.ExpiresOn, r.today = undate(expires), access.DateOf(today)
	return r, outward("reading what was granted", err)
}

// eachAccess calls f for the changes of each access, the newest by rank first. Rows
// come in runs of equal keys.
func eachAccess(rows pgx.Rows, f func([]askedRow) error) error {
	var run []askedRow
	for rows.Next() {
		r, err := scanAsked(rows)
		if err != nil {
			return err
		}
		if len(run) > 0 && run[0].key != r.key {
			if err := accessesOf(run, f); err != nil {
				return err
			}
			run = run[:0]
		}
		run = append(run, r)
	}
	return accessesOf(run, f)
}

// accessesOf calls f for each access of a run of one key: one, but for a freak of
// the hash.
func accessesOf(run []askedRow, f func([]askedRow) error) error {
	slices.SortFunc(run, func(a, b askedRow) int {
		return cmp.Or(cmp.Compare(a.pair.Principal.ID, b.pair.Principal.ID), cmp.Compare(a.pair.Principal.Type, b.pair.Principal.Type),
			cmp.Compare(a.pair.Resource.String(), b.pair.Resource.String()), cmp.Compare(b.rank, a.rank), cmp.Compare(b.job, a.job))
	})
	for len(run) > 0 {
		n := 1
		for n < len(run) && run[n].pair == run[0].pair {
			n++
		}
		if err := f(run[:n]); err != nil {
			return err
		}
		run = run[n:]
	}
	return nil
}

// tell yields one access, unless it is left out.
func (f GrantedFilter) tell(run []askedRow, yield func(Granted) error) error {
	g := Granted{Pair: run[0].pair, Asked: askedOf(run)}
	g.State, g.Terms = stand(g.Asked, run[0].today)
	if !f.wants(g, run[0].today) {
		return nil
	}
	return yield(g)
}

func askedOf(run []askedRow) []Asked {
	out := make([]Asked, len(run))
	for i, r := range run {
		out[i] = r.Asked
	}
	return out
}

func (f GrantedFilter) wants(g Granted, today access.Date) bool {
	if len(f.States) > 0 && !slices.Contains(f.States, g.State) {
		return false
	}
	ends := g.Terms.ExpiresOn
	if !f.ExpiresBefore.IsZero() && (ends.IsZero() || ends.Before(today) || !ends.Before(f.ExpiresBefore)) {
		return false
	}
	return f.Source == "" || f.Source == grantor(g.Asked)
}

// grantor is the source of the newest grant that was neither withdrawn nor refused.
func grantor(asked []Asked) string {
	for _, a := range asked {
		if a.Operation == access.Grant && a.Status != Canceled && a.Status != Failed {
			return a.Source
		}
	}
	return ""
}

// stand judges what was asked of an access, the newest first.
func stand(asked []Asked, today access.Date) (AccessState, access.Terms) {
	var open []Asked // what may take effect, or may have, after what did
	for _, a := range asked {
		switch a.Status {
		case Pending, Unknown:
			open = append(open, a)
		case Superseded:
			if a.sent && a.Operation == access.Grant { // before the newer one was accepted
				a.Status = Unknown
				open = append(open, a)
			}
		case Succeeded, NoChange:
			return standOn(a, open, today)
		case Failed, Canceled: // nothing came of it
		}
	}
	return standOn(Asked{Operation: access.Revoke}, open, today)
}

// standOn judges by the newest change that took effect, and those after it of
// which it is open whether they did or will.
func standOn(done Asked, open []Asked, today access.Date) (AccessState, access.Terms) {
	terms := done.Terms
	if len(open) == 0 {
		switch {
		case done.Operation != access.Grant:
			return Gone, terms
		case !terms.ExpiresOn.IsZero() && terms.ExpiresOn.Before(today):
			return Expired, terms
		default:
			return InForce, terms
		}
	}
	if done.Operation != access.Grant {
		for _, a := range open {
			if a.Operation == access.Grant {
				terms = a.Terms
				break
			}
		}
	}
	switch newest := open[0]; {
	case newest.Status == Unknown:
		return Unsure, terms
	case newest.Operation == access.Grant:
		return Granting, terms
	default:
		return Revoking, terms
	}
}
