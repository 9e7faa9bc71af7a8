package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/submit"
	"github.com/usher-bi/usher/internal/tasks"
)

// acceptWithin bounds how long a job may take to be committed once it was read.
const acceptWithin = 5 * time.Minute

// create accepts a job. It is committed before it is answered.
func (s *Server) create(w http.ResponseWriter, r *http.Request, by store.Token) error {
	key, err := keyOf(r)
	if err != nil {
		return err
	}
	p, err := paramsOf(r, by)
	if err != nil {
		return err
	}
	leave, err := s.flights.enter(flight{source: by.Source, key: key})
	if err != nil {
		return err
	}
	defer leave()
	in, err := s.openBody(w, r, by)
	if err != nil {
		return err
	}
	defer in.Close()
	batch, err := s.read(w, r, reading{body: in, params: &p})
	if err != nil {
		return err
	}
	if err := s.resolve(r.Context(), batch); err != nil {
		return err
	}
	warnings, err := judge(batch, p.skipInvalid)
	if err != nil {
		return err
	}
	lane, err := p.laneFor(by)
	if err != nil {
		return err
	}
	return s.Accept(w, r, Submission{
		By: by, Warnings: warnings,
		Submission: submit.Submission(batch, submit.Request{
			Source: by.Source, RequestedBy: p.requestedBy, Reason: p.reason, Key: key, Lane: lane, UpdateRole: p.updateRole, Token: by.Name,
			Guards: s.options.Guards,
		}),
	})
}

// reading is a body to read, and what it may say of itself.
type reading struct {
	body   *body
	params *params
}

// read makes rows of a body.
func (s *Server) read(w http.ResponseWriter, r *http.Request, in reading) (*intake.Batch, error) {
	o := intake.Options{
		Today: access.DateOf(s.options.Now().In(s.options.Location)), DefaultExpiryDays: in.params.expiryDays,
		MaxRows: s.options.MaxRows, MaxBytes: s.options.MaxBytes, MostErrors: mostErrors, DropInvalid: !in.params.skipInvalid,
	}
	batch, err := readAs(mediaType(r), in, o)
	var refused *intake.FileError
	switch {
	case errors.Is(err, errMediaType):
		return nil, wrongType(w, mediaType(r), "text/csv, application/x-ndjson, application/json")
	case errors.As(err, &refused) && refused.Code == intake.CodeFileTooLarge:
		return nil, tooLargeProblem(o.MaxBytes)
	case errors.As(err, &refused) && refused.Code == intake.CodeTooManyRows:
		p := problemf(http.StatusRequestEntityTooLarge, refused.Code, "there are more than %d rows; nothing was accepted. Split them", o.MaxRows)
		p.Limit = int64(o.MaxRows)
		return nil, p
	}
	return batch, err
}

var errMediaType = errors.New("unknown media type")

func readAs(kind string, in reading, o intake.Options) (*intake.Batch, error) {
	switch kind {
	case "text/csv":
		return intake.ReadCSV(in.body, o)
	case "application/x-ndjson", "application/ndjson", "application/jsonl":
		return intake.ReadNDJSON(in.body, o)
	case "application/json":
		document, err := intake.ReadDocument(in.body, o)
		if err != nil {
			return nil, err
		}
		if err := in.params.setAll(document.Beside); err != nil {
			return nil, err
		}
		o.DefaultExpiryDays, o.DropInvalid = in.params.expiryDays, !in.params.skipInvalid
		return document.Batch(o)
	default:
		return nil, errMediaType
	}
}

// resolve puts users in the place of the accounts that rows name.
func (s *Server) resolve(ctx context.Context, batch *intake.Batch) error {
	if s.options.Accounts != nil {
		ctx, cancel := context.WithTimeout(ctx, acceptWithin)
		defer cancel()
		return s.options.Accounts.Resolve(ctx, batch)
	}
	batch.Resolve(nil)
	if len(batch.Accounts()) > 0 {
		return noAccounts()
	}
	return nil
}

// judge decides whether rows may be submitted, and returns what is to be
// remarked.
func judge(batch *intake.Batch, skipInvalid bool) (warnings []string, err error) {
	warnings = append([]string{}, batch.Warnings...)
	if batch.Wrong() == 0 {
		return warnings, nil
	}
	if !skipInvalid || batch.Len() == 0 {
		p := problemf(http.StatusUnprocessableEntity, codeRejected, "%s; nothing was accepted. %s", wrongRows(batch), advice(batch)).
			with(batch.Total(), batch.Errors)
		p.Omitted = batch.Problems() - len(p.Errors)
		return nil, p
	}
	return append(warnings, wrongRows(batch)+"; they are recorded as failures and not sent"), nil
}

func wrongRows(b *intake.Batch) string {
	if b.Total() == 1 {
		return "the only row is wrong"
	}
	if b.Wrong() == 1 {
		return fmt.Sprintf("1 of %d rows is wrong", b.Total())
	}
	return fmt.Sprintf("%d of %d rows are wrong", b.Wrong(), b.Total())
}

// advice says what to do about wrong rows. Where all are, none can be submitted.
func advice(b *intake.Batch) string {
	if b.Len() == 0 {
		return "Correct them"
	}
	return "Correct them, or send skip_invalid=true to submit the others"
}

// Submission is a job to accept for whoever holds a token.
type Submission struct {
	tasks.Submission

	By       store.Token
	Warnings []string
}

// Accept commits a job, if the token allows what it asks for and there is room,
// and answers with it: 202, or 200 if it was accepted before. The error is one
// for an [Endpoint] to return.
func (s *Server) Accept(w http.ResponseWriter, r *http.Request, sub Submission) error {
	if err := allowed(sub); err != nil {
		return err
	}
	if err := s.fullness.admit(r.Context(), sub.Lane, s.options.MaxBacklog); err != nil && !s.knows(r.Context(), sub) {
		return err
	}
	// Whoever leaves now will ask again, and be told what became of it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), acceptWithin)
	defer cancel()
	done, err := s.options.Submitter.Submit(ctx, sub.Submission)
	if err != nil {
		return err
	}
	if !done.Replayed {
		s.metrics.rows.Add(float64(sub.Input.Rows))
	}
	if done.Delayed {
		sub.Warnings = append(sub.Warnings, "the queue was lost after the job was accepted; a worker queues the rest of its tasks within a minute")
	}
	return s.accepted(w, r, done, sub.Warnings)
}

// knows reports whether the key of a submission stands for a job already, so that
// the submission adds nothing to the queue.
func (s *Server) knows(ctx context.Context, sub Submission) bool {
	_, err := s.options.Store.JobOfKey(ctx, sub.Source, cmp.Or(sub.Key, sub.Fingerprint))
	return err == nil
}

// accepted answers with a new job, or one that was there before.
func (s *Server) accepted(w http.ResponseWriter, r *http.Request, done tasks.Submitted, warnings []string) error {
	observed(r.Context()).job = done.JobID
	d := jobDocument{Replayed: &done.Replayed, Warnings: new(append([]string{}, warnings...))}
	if done.New != nil {
		d.Job, d.Paused = done.New.Job, done.New.Pauses
	} else if err := s.lookUp(context.WithoutCancel(r.Context()), done.JobID, &d); err != nil {
		return err
	}
	status := http.StatusAccepted
	if done.Replayed {
		status = http.StatusOK
		w.Header().Set("Idempotent-Replayed", "true")
	}
	w.Header().Set("Location", "/v1/jobs/"+done.JobID)
	return reply(w, status, d)
}

// lookUp fills in how a job stands, and what keeps it from being sent.
func (s *Server) lookUp(ctx context.Context, id string, d *jobDocument) (err error) {
	if d.Job, err = s.options.Store.Job(ctx, id); err != nil {
		return err
	}
	d.Paused, err = s.options.Store.PausesOf(ctx, id)
	return err
}

// allowed refuses rows that the token may not ask for.
func allowed(sub Submission) error {
	if mayAll(sub.By) {
		return nil
	}
	permitted := permitOf(sub.By)
	columns := sub.Rows.Columns()
	if !slices.ContainsFunc(columns.Changes.Kinds, func(k access.Kind) bool { return !permitted.may[k.Operation] }) {
		return nil
	}
	for i := range columns.Len {
		if row := sub.Rows.Row(i); row.Settled == nil {
			permitted.judge(row.Row)
		}
	}
	return permitted.refusal(columns.Len)
}

// permit is what a token may ask for, and what was asked beyond it.
type permit struct {
	may    map[access.Operation]bool
	bad    []intake.RowError // the first of them
	beyond int               // how many there are
}

func permitOf(by store.Token) *permit {
	p := &permit{may: map[access.Operation]bool{}}
	for _, o := range by.Operations {
		p.may[o] = true
	}
	return p
}

func (p *permit) judge(row store.Row) {
	if p.may[row.Change.Operation] {
		return
	}
	if p.beyond++; p.beyond <= mostErrors {
		p.bad = append(p.bad, intake.RowError{
			Line: row.Line, Column: "action", RowID: row.RowID, Code: codeNotAllowed, Message: "the token may not " + string(row.Change.Operation),
		})
	}
}

// refusal is nil where nothing was asked beyond what the token may.
func (p *permit) refusal(rows int) error {
	if p.beyond == 0 {
		return nil
	}
	refused := problemf(http.StatusForbidden, codeNotAllowed, "the token may not do what is asked for in %s; nothing was accepted", plural(p.beyond, "row")).
		with(rows, p.bad)
	refused.Omitted = p.beyond - len(refused.Errors)
	return refused
}

const codeNotAllowed = "action_not_allowed"

// flights are the submissions under way in this process. Those of another one
// wait for each other in Postgres.
type flights struct{ keys sync.Map }

// flight is an idempotency key, which is unique within its source.
type flight struct{ source, key string }

func (f *flights) enter(key flight) (leave func(), err error) {
	if _, there := f.keys.LoadOrStore(key, true); there {
		p := problemf(http.StatusConflict, "idempotency_key_in_flight", "a submission with this key is being worked on; ask again to learn what became of it")
		p.RetryAfter = time.Second
		return nil, p
	}
	return func() { f.keys.Delete(key) }, nil
}

// fullness knows, to the second, how many tasks wait.
type fullness struct {
	count func(context.Context) (int, error)
	now   func() time.Time

	mu    sync.Mutex
	at    time.Time
	tasks int
}

// admit refuses all but urgent jobs while more than so many tasks wait.
func (f *fullness) admit(ctx context.Context, lane store.Lane, most int) error {
	if lane == store.Urgent {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.now(); now.Sub(f.at) >= time.Second || now.Before(f.at) {
		n, err := f.count(ctx)
		if err != nil {
			return err
		}
		f.tasks, f.at = n, now
	}
	if f.tasks < most {
		return nil
	}
	return &Problem{
		Status: http.StatusServiceUnavailable, Code: "queue_full", RetryAfter: time.Minute, Limit: int64(most),
		Detail: "too many tasks wait, so that only urgent jobs are accepted; nothing was accepted. Repeat the request with the same key",
	}
}
