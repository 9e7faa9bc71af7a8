package store

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/people"
)

// Who may submit, what runs by the clock, who is told, what profiles mean and what
// HR has told are rows that no seal covers. But whatever makes or ends one is an act
// in the audit, which is sealed: each row has to be as its act says, there are as many
// rows as acts, and as many have ended. Rows from before $1 are spared, because
// retention has dropped their acts.
//
// An older version recorded less of them, so what an act says is what its row must be.
const records = `
WITH acts AS MATERIALIZED (
    SELECT id, at, actor, event, job_id, detail FROM audit
    WHERE event IN ('` + eventTokenAdded + `', '` + eventTokenRevoked + `', '` + eventWebhookAdded + `', '` + eventWebhookRemoved + `', '` + eventProfilesLoaded + `', '` +
	eventScheduleAdded + `', '` + eventScheduleRemoved + `', '` + eventSchedulePaused + `', '` + eventScheduleResumed + `', '` + EventHeld + `', '` + EventReleased + `')
), kinds (kind, key, added, ended) AS (VALUES
    ('tokens', 'token', '` + eventTokenAdded + `', '` + eventTokenRevoked + `'), ('webhooks', 'webhook', '` + eventWebhookAdded + `', '` + eventWebhookRemoved + `'),
    ('schedules', 'name', '` + eventScheduleAdded + `', '` + eventScheduleRemoved + `'), ('profile_sets', 'version', '` + eventProfilesLoaded + `', '')
), kept (kind, name, at, actor, has_ended, said) AS (
    SELECT 'tokens', name, created_at, created_by, revoked_at IS NOT NULL, jsonb_build_object(
        'token', name, 'source', source, 'actions', operations, 'lane_max', lane_most, 'fingerprint', encode(sha256(hash), 'hex'))
    FROM tokens
    UNION ALL
    SELECT 'webhooks', name, created_at, created_by, removed_at IS NOT NULL, jsonb_build_object('webhook', name, 'url', url, 'source', source, 'events', events)
    FROM webhooks
    UNION ALL
    SELECT 'schedules', name, created_at, requested_by, removed_at IS NOT NULL, jsonb_build_object(
        'name', name, 'kind', kind, 'path', path, 'complete_by', complete_by, 'file_within_seconds', extract(epoch FROM file_within),
        'renew_within_days', renew_days, 'expiry_days', expiry_days, 'sheet', sheet, 'skip_invalid', skip_invalid,
        'cron', cron, 'timezone', timezone, 'catch_up', catch_up, 'overlap', overlap, 'source', source, 'lane', lane, 'allow_stale', allow_stale,
        'guards', jsonb_build_object('max_revokes', max_revokes, 'max_revoke_share', max_revoke_share,
            'max_revokes_per_day', max_revokes_per_day, 'max_shrink', max_shrink))
    FROM schedules
    UNION ALL
    SELECT 'profile_sets', version, loaded_at, actor, false, jsonb_build_object('no', no, 'version', version, 'sha256', encode(sha256(content), 'hex'))
    FROM profile_sets
), counted AS (
    SELECT kind, name, at, at < $1::timestamptz AS is_old, 1 AS rows, has_ended::int AS ended, 0 AS added_acts, 0 AS ended_acts FROM kept
    UNION ALL
    SELECT k.kind, a.detail ->> k.key, a.at, false, 0, 0, (a.event = k.added)::int, (a.event = k.ended)::int
    FROM kinds k JOIN acts a ON a.event IN (k.added, k.ended)
)
SELECT k.kind, k.name, k.at, k.at < $1::timestamptz OR EXISTS (
    SELECT FROM acts a JOIN kinds d ON d.added = a.event
    WHERE d.kind = k.kind AND a.actor = k.actor AND NOT EXISTS (
        SELECT FROM jsonb_each(a.detail - '{reason,profiles}'::text[]) x WHERE k.said -> x.key IS DISTINCT FROM x.value))
FROM kept k
UNION ALL
SELECT kind, coalesce(name, ''), min(at), false FROM counted
GROUP BY kind, name HAVING NOT bool_or(is_old) AND (sum(rows) <> sum(added_acts) OR sum(ended) <> sum(ended_acts))
UNION ALL -- paused or not, and nobody ordered it
SELECT 'schedules', s.name, s.created_at, false FROM schedules s
WHERE s.removed_at IS NULL AND s.created_at >= $1::timestamptz AND (s.paused_at IS NOT NULL) <> coalesce((
    SELECT a.event = '` + eventSchedulePaused + `' FROM acts a
    WHERE a.event IN ('` + eventScheduleAdded + `', '` + eventSchedulePaused + `', '` + eventScheduleResumed + `') AND a.detail ->> 'name' = s.name
    ORDER BY a.id DESC LIMIT 1), false)
UNION ALL -- held by a guard, never released, and sent
SELECT 'pauses', j.ulid, a.at, false FROM acts a JOIN jobs j ON j.id = a.job_id
WHERE a.event = '` + EventHeld + `' AND EXISTS (SELECT FROM calls c WHERE c.job_id = j.id)
  AND NOT EXISTS (SELECT FROM acts r WHERE r.event = '` + EventReleased + `' AND r.job_id = a.job_id)
ORDER BY 1, 2, 3`

// checkRecords holds what no seal covers against what the audit says of it.
func (c *auditCheck) checkRecords(ctx context.Context) error {
	rows, err := c.tx.Query(ctx, records, c.dropped.start())
	if err != nil {
		return err
	}
	var f Finding
	var at time.Time
	var recorded bool
	_, err = pgx.ForEachRow(rows, []any{&f.Table, &f.Name, &at, &recorded}, func() error {
		if c.within(at) {
			c.record(f, at, recorded)
		}
		return nil
	})
	return err
}

// record counts a record, and tells of one that is not as the audit says.
func (c *auditCheck) record(f Finding, at time.Time, recorded bool) {
	c.report.Records++
	if !recorded {
		f.Kind, f.From, f.To = Unrecorded, &at, &at
		c.report.add(f)
	}
}

// within reports whether a moment is in the range of the query.
func (c *auditCheck) within(at time.Time) bool {
	return (c.query.From.IsZero() || !at.Before(c.query.From)) && (c.query.To.IsZero() || at.Before(c.query.To))
}

// start is the first moment of a month, in UTC. The zero month is before all times.
func (m month) start() time.Time {
	return time.Date(int(m)/12, time.Month(int(m)%12+1), 1, 0, 0, 0, 0, time.UTC)
}

// eventBatch is events that were accepted together.
type eventBatch struct {
	name, source, actor string
	events              int64
	sum                 hash.Hash
	at                  time.Time
}

const (
	acceptedBatches = `
SELECT coalesce(detail ->> 'batch', ''), coalesce(detail ->> 'source', ''), actor, coalesce((detail ->> 'new')::bigint, 0), coalesce(detail ->> 'new_sha256', ''), at
FROM audit WHERE event = '` + eventPeopleAccepted + `'`

	batchedEvents = `
SELECT batch, source, requested_by, received_at, event_id, type, principal, profile, coalesce(effective_at, '0001-01-01Z'), withdraws
FROM person_events ORDER BY batch COLLATE "C", source COLLATE "C", requested_by COLLATE "C", event_id COLLATE "C"`
)

// batchAct is what the audit says of events that were accepted together.
type batchAct struct {
	source, actor, sum string
	events             int64
	at                 time.Time
}

// checkEvents holds the events of feeds against what the audit says was accepted.
// Of those from before batches had names only their number is known, by feed.
func (c *auditCheck) checkEvents(ctx context.Context) error {
	acts, unnamed, err := c.readBatches(ctx)
	if err != nil {
		return err
	}
	rows, err := c.tx.Query(ctx, batchedEvents)
	if err != nil {
		return err
	}
	var b eventBatch
	conclude := func() {
		if b.events > 0 {
			c.concludeBatch(b, acts, unnamed)
		}
	}
	var e people.Event
	var next eventBatch
	_, err = pgx.ForEachRow(rows, []any{
		&next.name, &next.source, &next.actor, &next.at, &e.ID, &e.Type, &e.Principal, &e.Profile, &e.EffectiveAt, &e.Withdraws,
	}, func() error {
		if b.sum == nil || next.name != b.name || next.source != b.source || next.actor != b.actor {
			conclude()
			b = next
			b.sum = sha256.New()
		}
		e.EffectiveAt = e.EffectiveAt.UTC()
		b.events++
		_, _ = fmt.Fprintln(b.sum, e.Fingerprint()) // a hash never fails
		return nil
	})
	if err != nil {
		return err
	}
	conclude()
	for name, act := range acts { // whose events are gone
		if c.within(act.at) {
			c.record(Finding{Table: "person_events", Name: name, Sealed: act.events}, act.at, act.events == 0)
		}
	}
	for of, left := range unnamed {
		if left > 0 {
			c.report.add(Finding{Kind: Unrecorded, Table: "person_events", Name: of[0], Sealed: left})
		}
	}
	return nil
}

// readBatches returns the acts by the names of their batches, and how many events
// of whom were accepted without one.
func (c *auditCheck) readBatches(ctx context.Context) (acts map[string]batchAct, unnamed map[[2]string]int64, err error) {
	acts, unnamed = map[string]batchAct{}, map[[2]string]int64{}
	rows, err := c.tx.Query(ctx, acceptedBatches)
	if err != nil {
		return nil, nil, err
	}
	var name string
	var act batchAct
	_, err = pgx.ForEachRow(rows, []any{&name, &act.source, &act.actor, &act.events, &act.sum, &act.at}, func() error {
		if name == "" {
			unnamed[[2]string{act.source, act.actor}] += act.events
		} else {
			acts[name] = act
		}
		return nil
	})
	return acts, unnamed, err
}

// concludeBatch judges the events of a batch, and takes its act away.
func (c *auditCheck) concludeBatch(b eventBatch, acts map[string]batchAct, unnamed map[[2]string]int64) {
	f := Finding{Table: "person_events", Name: b.name, Found: b.events}
	switch act, known := acts[b.name]; {
	case b.name == "":
		of := [2]string{b.source, b.actor}
		f.Name, f.Sealed = b.source, unnamed[of]
		delete(unnamed, of)
		c.report.Records += b.events - 1
		c.record(f, b.at, c.dropped > 0 || f.Sealed == b.events)
	case !c.within(b.at):
	default:
		f.Sealed = act.events
		c.report.Records += b.events - 1
		c.record(f, b.at, b.at.Before(c.dropped.start()) || known && act.source == b.source && act.actor == b.actor && act.events == b.events && act.sum == hexSum(b.sum))
	}
	delete(acts, b.name)
}
