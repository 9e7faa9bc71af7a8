package store

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// VerifyAudit walks the chain of seals, recomputes what they cover and what the
// audit says of each job, and reports every difference. It reads one snapshot
// and holds none of it in memory.
func (s *Store) VerifyAudit(ctx context.Context, q AuditQuery) (AuditReport, error) {
	var report AuditReport
	err := s.inSnapshot(ctx, "verifying the audit", func(tx pgx.Tx) (err error) {
		report, err = verifyAudit(ctx, tx, q)
		return err
	})
	return report, err
}

// inSnapshot runs f in a transaction that reads one moment and writes nothing.
func (s *Store) inSnapshot(ctx context.Context, what string, f func(pgx.Tx) error) error {
	return outward(what, pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, f))
}

// auditCheck is one check under way.
type auditCheck struct {
	tx      pgx.Tx
	query   AuditQuery
	report  AuditReport
	prev    Seal  // the last one that was walked over
	dropped month // months before it are gone
	vouched bool  // the checkpoint was found
}

func verifyAudit(ctx context.Context, tx pgx.Tx, q AuditQuery) (AuditReport, error) {
	c := &auditCheck{tx: tx, query: q, vouched: q.Checkpoint == nil, report: AuditReport{Findings: []Finding{}}}
	for _, step := range []func(context.Context) error{c.readDropped, c.walk, c.countUnsealed, c.checkJobs, c.checkRecords, c.checkEvents} {
		if err := step(ctx); err != nil {
			return AuditReport{}, err
		}
	}
	if !c.vouched {
		c.report.add(Finding{Kind: CheckpointGone, Table: "audit_seals", Seal: q.Checkpoint.No})
	}
	c.report.Intact = c.report.Found == 0
	return c.report, nil
}

// readDropped finds out which months retention has dropped. Each drop names all
// months before one, so that the last drop speaks for those before it. Anybody
// who may write the audit can claim one, so only those count that can be true.
func (c *auditCheck) readDropped(ctx context.Context) error {
	there, now, err := c.readMonths(ctx)
	if err != nil {
		return err
	}
	rows, err := c.tx.Query(ctx, `
SELECT coalesce(detail ->> 'before', ''), CASE WHEN isfinite(at) THEN at END FROM audit WHERE event = $1`, EventDropped)
	if err != nil {
		return err
	}
	var before string
	var at *time.Time
	_, err = pgx.ForEachRow(rows, []any{&before, &at}, func() error {
		m, err := parseMonth(before)
		if err != nil || m > there || m > now-keptMonths {
			f := Finding{Kind: DropUntrue, Table: "audit", From: at, To: at}
			if err == nil {
				f.Month = m.String()
			}
			c.report.add(f)
		} else if m > c.dropped {
			c.dropped, c.report.DroppedBefore = m, before
		}
		return nil
	})
	return err
}

// readMonths returns the first month that has a partition, and the current one.
func (c *auditCheck) readMonths(ctx context.Context) (first, now month, err error) {
	if err = c.tx.QueryRow(ctx, `SELECT month_of(clock_timestamp())`).Scan(&now); err != nil {
		return 0, 0, err
	}
	rows, err := c.tx.Query(ctx, partitions)
	if err != nil {
		return 0, 0, err
	}
	var t DroppedTable
	first = math.MaxInt
	_, err = pgx.ForEachRow(rows, []any{&t.Name, &t.Of}, func() error {
		if own, oldest, ok := t.month(); oldest {
			first = 0
		} else if ok {
			first = min(first, own)
		}
		return nil
	})
	return first, now, err
}

const nextSeals = selectSeals + ` WHERE no > $1 ORDER BY no LIMIT 500`

// walk goes over the chain a page at a time.
func (c *auditCheck) walk(ctx context.Context) error {
	for last := int64(math.MinInt64); ; {
		rows, err := c.tx.Query(ctx, nextSeals, last)
		if err != nil {
			return err
		}
		page, err := pgx.CollectRows(rows, scanSeal)
		if err != nil || len(page) == 0 {
			return err
		}
		last = page[len(page)-1].No
		var due []sealCheck
		for _, seal := range page {
			if check, ok := c.link(seal); ok {
				due = append(due, check)
			}
			c.prev = seal
		}
		for len(due) > 0 {
			n := batch(due)
			if err := c.recompute(ctx, due[:n]); err != nil {
				return err
			}
			due = due[n:]
		}
	}
}

// batch is how many seals to recompute with one query a table: enough to be
// quick, few enough for the database to sort their rows in passing.
func batch(due []sealCheck) int {
	const most = 1_000_000
	n := slices.IndexFunc(due, func(s sealCheck) bool { return s.Upto-due[0].After > most })
	if n < 0 {
		return len(due)
	}
	return max(1, n)
}

// sealCheck is a seal whose rows have to be read.
type sealCheck struct {
	Seal

	finding Finding // what any finding about it begins with
	entries []entry
}

// link checks a seal against the one before it, and says whether its rows are
// to be read.
func (c *auditCheck) link(s Seal) (sealCheck, bool) {
	check := sealCheck{Seal: s, finding: Finding{Table: "audit_seals", Seal: s.No, To: &s.SealedAt}}
	if c.report.Seals > 0 {
		from := c.prev.SealedAt
		check.finding.From = &from
	}
	found := func(kind FindingKind) {
		f := check.finding
		f.Kind = kind
		c.report.add(f)
	}
	if s.No != c.prev.No+1 {
		found(SealMissing)
	} else if s.After != c.prev.Upto || s.Upto <= s.After || !bytes.Equal(s.Prev, c.prev.Hash) {
		found(LinkBroken)
	}
	sound := bytes.Equal(s.Hash, s.sum()) && json.Unmarshal([]byte(s.Entries), &check.entries) == nil
	if !sound { // and says nothing of its rows
		found(SealChanged)
	}
	at := s.Checkpoint()
	c.vouched = c.vouched || at.No == c.query.Checkpoint.No && strings.EqualFold(at.Hash, c.query.Checkpoint.Hash)
	c.report.Head = &at
	first := c.report.Seals == 0
	c.report.Seals++
	return check, sound && (c.query.From.IsZero() || !s.SealedAt.Before(c.query.From)) &&
		(c.query.To.IsZero() || first || c.prev.SealedAt.Before(c.query.To))
}

// recompute reads the rows of consecutive seals, table by table.
func (c *auditCheck) recompute(ctx context.Context, seals []sealCheck) error {
	c.report.SealsChecked += int64(len(seals))
	for _, t := range auditedTables {
		at, sums := 0, tallies{}
		conclude := func() {
			c.compare(t.name, seals[at], sums)
			at++
			clear(sums)
		}
		err := t.rows(ctx, c.tx, span{seals[0].After, seals[len(seals)-1].Upto}, func(r auditedRow) error {
			for at < len(seals)-1 && r.no > seals[at].Upto {
				conclude()
			}
			if after := seals[at].After; after != 0 && r.no <= after {
				return nil // of a seal that is missing, which was said
			}
			c.report.Rows++
			sums.add(t.name, r)
			return nil
		})
		if err != nil {
			return fmt.Errorf("reading %s: %w", t.name, err)
		}
		for at < len(seals) {
			conclude()
		}
	}
	return nil
}

// compare holds what one seal says of a table against what there is.
func (c *auditCheck) compare(table string, s sealCheck, sums tallies) {
	found := map[string]entry{}
	for _, e := range sums.entries() {
		found[e.Month] = e
	}
	f := s.finding
	f.Table = table
	for _, sealed := range s.entries {
		if sealed.Table != table {
			continue
		}
		f.Month = sealed.Month
		there, ok := found[sealed.Month]
		delete(found, sealed.Month)
		if m, err := parseMonth(sealed.Month); !ok && err == nil && m < c.dropped {
			c.report.DroppedRows += sealed.Rows
			continue
		}
		c.report.compare(f, sealed, there)
	}
	for _, more := range found {
		f.Month = more.Month
		c.report.compare(f, entry{}, more)
	}
}

// countUnsealed counts what is newer than the chain. A number that was never
// given out is a forgery.
func (c *auditCheck) countUnsealed(ctx context.Context) error {
	for _, t := range auditedTables {
		var fresh, forged int64
		err := c.tx.QueryRow(ctx, fmt.Sprintf(`
SELECT count(*), count(*) FILTER (WHERE %[2]s > (SELECT last_value FROM audit_no)) FROM %[1]s WHERE %[2]s > $1`, t.name, t.no), c.prev.Upto).
			Scan(&fresh, &forged)
		if err != nil {
			return fmt.Errorf("reading %s: %w", t.name, err)
		}
		c.report.Unsealed += fresh - forged
		if forged > 0 {
			c.report.add(Finding{Kind: RowsInserted, Table: t.name, Found: forged})
		}
	}
	return nil
}

// ParseCheckpoint reads NO:HASH, as a checkpoint is logged.
func ParseCheckpoint(s string) (Checkpoint, error) {
	var c Checkpoint
	no, hash, _ := strings.Cut(s, ":")
	_, err := fmt.Sscanf(no, "%d", &c.No)
	if raw, bad := hex.DecodeString(hash); err != nil || bad != nil || len(raw) != 32 || c.No < 1 {
		return Checkpoint{}, fmt.Errorf("%q is not a checkpoint; write NO:HASH with the number of a seal and its 64 hexadecimal digits", s)
	}
	c.Hash = strings.ToLower(hash)
	return c, nil
}
