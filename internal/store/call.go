package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/broken"
)

// The gate keeps two things apart: the commit of a job, and the writing down of
// a call. So each call that was written down before a job was accepted is seen
// by the calls of that job, and each one after it sees the job. The number has
// no meaning beyond being the same in every program.
const gate = 7_201_884_418

const (
	closeGate = `SELECT pg_advisory_xact_lock($1)`
	enterGate = `SELECT pg_advisory_xact_lock_shared($1)`
)

// othersMeaning is true of an older task o that would undo what task t does, or
// double it: of any that asks for something else, and where a repeat may double
// also of one that asks for the same.
const othersMeaning = `(NOT t.repeatable OR (o.operation, o.role) <> (t.operation, t.role) OR o.expires_on IS DISTINCT FROM t.expires_on)`

// The newest accepted change of an access wins: by the rank of its job, then by
// the job. A change that was withdrawn asks for nothing. Of an older call it is
// enough that it may still take effect: it is in flight, or was never answered.
const beginCalls = `
WITH asked AS (
    SELECT job_id, no, generation, probe, sends, repeatable, place
    FROM unnest($1::bigint[], $2::int[], $3::int[], $4::boolean[], $5::text[], $6::boolean[])
        WITH ORDINALITY AS x (job_id, no, generation, probe, sends, repeatable, place)
), task AS (
    SELECT x.place, x.sends, x.repeatable,
           t.job_id, t.no, t.generation, t.action, t.operation, t.principal_type, t.principals, t.resources, t.cells,
           t.role, t.expires_on, t.claimed_by, t.overtook, coalesce(j.ranks_as, j.id) AS rank
    FROM asked x
    JOIN tasks t ON t.job_id = x.job_id AND t.no = x.no
    JOIN jobs j ON j.id = x.job_id + 0
    WHERE t.generation = x.generation AND t.claimed_until > now()
      AND EXISTS (SELECT FROM workers w WHERE w.name = t.claimed_by AND w.alive_until > now())
      AND j.status <> 'canceling' AND NOT t.withdrawn AND NOT ` + taskPaused + `
      AND (x.probe OR NOT EXISTS (SELECT FROM action_stops s WHERE s.action = t.action))
), newer AS (
    SELECT t.place, p.id AS principal, r.key AS resource, by.ulid
    FROM task t
    CROSS JOIN unnest(t.principals) AS p (id)
    CROSS JOIN unnest(t.resources) AS r (key)
    CROSS JOIN LATERAL (
        SELECT n.ulid FROM changes c
        JOIN jobs n ON n.id = c.job_id
        WHERE access_key(c.principal_type, c.principal, c.resource_type || ':' || c.resource_id) = access_key(t.principal_type, p.id, r.key)
          AND c.job_id > t.rank AND c.job_id <= (SELECT max(id) FROM jobs) AND c.task_no IS NOT NULL AND c.operation <> 'read'
          AND c.principal_type = t.principal_type AND c.principal = p.id AND c.resource_type || ':' || c.resource_id = r.key
          AND (coalesce(n.ranks_as, n.id), n.id) > (t.rank, t.job_id)
          AND NOT EXISTS (
              SELECT FROM tasks w WHERE w.job_id = c.job_id AND w.no = c.task_no AND (w.state = 'canceled'
                OR w.state = 'running' AND w.withdrawn AND NOT w.unsure AND NOT EXISTS ( -- canceled before it sent anything
                  SELECT FROM calls k WHERE k.job_id = w.job_id AND k.task_no = w.no AND k.generation = w.generation)
                OR w.state = 'split' AND EXISTS (
                  SELECT FROM tasks part
                  WHERE part.job_id = w.job_id AND part.root_no = w.no AND part.no <> part.root_no AND part.state = 'canceled'
                    AND p.id = ANY (part.principals) AND r.key = ANY (part.resources))))
        ORDER BY coalesce(n.ranks_as, n.id) DESC, n.id DESC
        LIMIT 1
    ) by
    WHERE $7 AND t.operation <> 'read' AND (SELECT max(id) FROM jobs) > t.rank
), older AS (
    SELECT t.place, interval '0' AS left
    FROM task t
    JOIN jobs oj ON oj.status IN ('queued', 'running', 'canceling') AND (coalesce(oj.ranks_as, oj.id), oj.id) < (t.rank, t.job_id)
    JOIN tasks o ON o.job_id = oj.id AND o.state = 'running' AND o.resources && t.resources AND o.principals && t.principals
    WHERE $7 AND o.principal_type = t.principal_type AND o.operation <> 'read' AND ` + othersMeaning + `
      AND EXISTS (
          SELECT FROM calls c WHERE c.job_id = o.job_id AND c.task_no = o.no AND c.generation = o.generation
            AND NOT EXISTS (SELECT FROM answers a WHERE a.job_id = c.job_id AND a.call_id = c.id AND a.class NOT IN ('unknown_outcome', 'transient')))
    UNION ALL
    SELECT t.place, o.late_until - now()
    FROM task t
    JOIN jobs oj ON oj.late_until > now() AND (coalesce(oj.ranks_as, oj.id), oj.id) < (t.rank, t.job_id)
    JOIN tasks o ON o.job_id = oj.id AND o.late_until > now() AND o.resources && t.resources AND o.principals && t.principals
    WHERE $7 AND o.principal_type = t.principal_type AND o.operation <> 'read' AND ` + othersMeaning + `
), begun AS (
    INSERT INTO calls (job_id, task_no, generation, action, cells, worker)
    SELECT t.job_id, t.no, t.generation, t.sends, t.cells, t.claimed_by FROM task t
    WHERE NOT EXISTS (SELECT FROM newer n WHERE n.place = t.place)
      AND (t.operation = 'revoke' AND NOT t.overtook OR NOT EXISTS (SELECT FROM older o WHERE o.place = t.place))
    RETURNING id, job_id, task_no
)
SELECT t.place, (SELECT b.id FROM begun b WHERE b.job_id = t.job_id AND b.task_no = t.no), (SELECT max(o.left) FROM older o WHERE o.place = t.place),
       (SELECT array_agg(n.principal) FROM newer n WHERE n.place = t.place), (SELECT array_agg(n.resource) FROM newer n WHERE n.place = t.place),
       (SELECT array_agg(n.ulid) FROM newer n WHERE n.place = t.place)
FROM task t`

// NewCall is a call about to be sent for a claimed task.
type NewCall struct {
	Claim

	Action access.Action // of this call; a task may need another one to look something up
	Probe  bool          // sent although the task's action is stopped

	// Repeatable means that the task does the same if another one like it is
	// carried out too: then it need not wait for older ones like it.
	Repeatable bool
}

// Begun is a call that was written down and is to be sent.
type Begun struct {
	Call int64

	// Overtakes is set when an older call for the same access may still take
	// effect: this one has to be carried out again once it no longer can.
	Overtakes *OlderCallError
}

// OlderCallError means that a call of an older change of the same access may
// still take effect, so that a newer one sent now might be undone by it.
type OlderCallError struct {
	For time.Duration // how long it may; 0 when that depends on its answer
}

func (e *OlderCallError) Error() string {
	return "an older call for the same access is still in flight"
}

// SupersededError says that newer changes of the same access were accepted for
// cells of a task. Nothing may be sent for those.
type SupersededError struct{ Cells []SupersededCell }

// SupersededCell is a cell of a task with the job that superseded it.
type SupersededCell struct {
	Principal string
	Resource  access.Resource
	By        string // ULID
}

func (e *SupersededError) Error() string {
	return fmt.Sprintf("newer changes of the same access were accepted for %d of the changes", len(e.Cells))
}

// BeginCall writes a call down before it is sent, and in the same statement
// checks that it still may be. It returns
//   - [ErrStale] when the claim is no longer current, the task is canceled or its
//     action is stopped, and as [ErrPaused] when that is because of a pause,
//   - a [SupersededError] when newer changes were accepted for some cells,
//   - an [OlderCallError] when an older call for the same access may still take
//     effect. A revoke does not wait for that, once: it is sent at once, and
//     Begun says that it has to be sent again.
//
// On any error nothing may be sent. After [ErrUnavailable], or ctx's own error, the
// call may be written down all the same, see [Store.NotSent]; after any other it is
// not. A claim begins one call at a time.
func (s *Store) BeginCall(ctx context.Context, c NewCall) (Begun, error) {
	const what = "writing the call down"
	c.Claim = s.fenced(ctx, c.Claim)
	found, err := s.begins.ask(ctx, c)
	switch {
	case err != nil:
		return Begun{}, outward(what, err)
	case found == nil:
		return Begun{}, outward(what, s.refused(ctx, c.Claim))
	case len(found.by) > 0:
		return Begun{}, superseded(found.principals, found.resources, found.by)
	case found.call == nil:
		return Begun{}, &OlderCallError{For: *found.older}
	case found.older != nil:
		return Begun{Call: *found.call, Overtakes: &OlderCallError{For: *found.older}}, nil
	default:
		return Begun{Call: *found.call}, nil
	}
}

// beginning is what Postgres said to the wish to send a call.
type beginning struct {
	call                      *int64 // nil: not to be sent
	older                     *time.Duration
	principals, resources, by []string // of what is newer
}

// begin writes those of calls down that may be sent. For a claim that may send
// nothing there is nil.
func (s *Store) begin(ctx context.Context, calls []NewCall) ([]*beginning, error) {
	n := len(calls)
	jobs, numbers, generations := make([]int64, n), make([]int, n), make([]int, n)
	probes, actions, repeatable := make([]bool, n), make([]string, n), make([]bool, n)
	for i, c := range calls {
		jobs[i], numbers[i], generations[i] = c.Job, c.No, c.Generation
		probes[i], actions[i], repeatable[i] = c.Probe, string(c.Action), c.Repeatable
	}
	var out []*beginning
	err := again(func() error {
		out = make([]*beginning, n)
		var batch pgx.Batch
		batch.Queue(enterGate, int64(gate))
		batch.Queue(beginCalls, jobs, numbers, generations, probes, actions, repeatable, !broken.Order).Query(func(rows pgx.Rows) error {
			var place int
			var b beginning
			_, err := pgx.ForEachRow(rows, []any{&place, &b.call, &b.older, &b.principals, &b.resources, &b.by}, func() error {
				row := b
				out[place-1] = &row
				return nil
			})
			return err
		})
		return s.hot.SendBatch(ctx, &batch).Close()
	})
	return out, err
}

func superseded(principals, resources, by []string) error {
	cells := make([]SupersededCell, len(by))
	for i := range by {
		r, err := access.ParseResource(resources[i])
		if err != nil {
			return fmt.Errorf("reading a task's resources: %w", err)
		}
		cells[i] = SupersededCell{Principal: principals[i], Resource: r, By: by[i]}
	}
	return &SupersededError{Cells: cells}
}

// Answer is how a call ended.
type Answer struct {
	Call       int64  // as BeginCall returned it; 0 for no call
	Class      string // what it means
	HTTPStatus int    // 0 when no answer came
	APICode    string
	Message    string
	RequestID  string
	Result     string // what it returned that must be kept, such as the id of an authorization
	Took       time.Duration

	// LateFor is how much longer the call may still take effect at Quick BI. It is
	// 0 when the answer tells what became of it.
	LateFor time.Duration
}

const insertAnswers = `
INSERT INTO answers (job_id, call_id, class, http_status, api_code, message, request_id, took, result)
SELECT x.job_id, x.call_id, x.class, x.http_status, x.api_code, x.message, x.request_id, x.took, x.result
FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::int[], $5::text[], $6::text[], $7::text[], $8::interval[], $9::text[])
    AS x (job_id, call_id, class, http_status, api_code, message, request_id, took, result)
ON CONFLICT (job_id, call_id) DO NOTHING`

// answerColumns are answers as one array a column, for unnest.
type answerColumns struct {
	jobs, calls                                      []int64
	statuses                                         []int
	classes, apiCodes, messages, requestIDs, results []string
	took                                             []time.Duration
}

// add adds an answer, unless it stands for no call.
func (c *answerColumns) add(job int64, a Answer) {
	if a.Call == 0 {
		return
	}
	c.jobs, c.calls, c.statuses = append(c.jobs, job), append(c.calls, a.Call), append(c.statuses, a.HTTPStatus)
	c.classes, c.apiCodes, c.messages = append(c.classes, a.Class), append(c.apiCodes, a.APICode), append(c.messages, a.Message)
	c.requestIDs, c.results, c.took = append(c.requestIDs, a.RequestID), append(c.results, a.Result), append(c.took, a.Took)
}

// queue adds the statement that records the answers to a batch, if there are any.
func (c *answerColumns) queue(batch *pgx.Batch) {
	if len(c.jobs) > 0 {
		batch.Queue(insertAnswers, c.jobs, c.calls, c.classes, c.statuses, c.apiCodes, c.messages, c.requestIDs, c.took, c.results)
	}
}

const (
	jobIsLate  = `UPDATE jobs SET late_until = greatest(late_until, now() + $2::interval) WHERE id = $1`
	taskIsLate = `UPDATE tasks SET late_until = greatest(late_until, now() + $3::interval) WHERE job_id = $1 AND no = $2`
)

// Answered records how a call ended when nothing else follows from it yet.
func (s *Store) Answered(ctx context.Context, ref TaskRef, a Answer) error {
	return outward("recording an answer", a.record(ctx, s.pool, ref))
}

// record writes an answer down in one go.
func (a Answer) record(ctx context.Context, db batcher, ref TaskRef) error {
	var batch pgx.Batch
	a.queue(&batch, ref)
	if batch.Len() == 0 {
		return nil
	}
	return db.SendBatch(ctx, &batch).Close()
}

// queue adds the statements that record an answer to a batch. The job is locked
// before the task, as everybody does.
func (a Answer) queue(batch *pgx.Batch, ref TaskRef) {
	if a.Call == 0 {
		return
	}
	var answers answerColumns
	answers.add(ref.Job, a)
	answers.queue(batch)
	if a.LateFor > 0 {
		batch.Queue(jobIsLate, ref.Job, a.LateFor)
		batch.Queue(taskIsLate, ref.Job, ref.No, a.LateFor)
	}
}

// calls is how many calls an answer stands for.
func (a Answer) calls() int {
	if a.Call == 0 {
		return 0
	}
	return 1
}

// queueAlone closes the gate to everybody else until the transaction of a batch ends.
// Who stalls before that loses the transaction, for it holds up all workers.
func queueAlone(batch *pgx.Batch) {
	batch.Queue(`SET LOCAL idle_in_transaction_session_timeout = '3s'`)
	batch.Queue(closeGate, int64(gate))
}
