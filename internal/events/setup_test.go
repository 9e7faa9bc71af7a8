package events_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/events"
	"github.com/usher-bi/usher/internal/people"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
	"github.com/usher-bi/usher/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// world is a deployment without Quick BI: tests end tasks themselves.
type world struct {
	*store.Store

	submits *tasks.Submitter
	applier *events.Applier
	sql     *pgx.Conn
	url     string // of Postgres
}

func (w *world) connect(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), w.url)
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// granting is a submission that grants u these Q&A resources.
func granting(key string, resources ...string) tasks.Submission {
	var rows tasks.RowList
	for i, r := range resources {
		rows = append(rows, tasks.SubmittedRow{Row: store.Row{Line: i + 1, RowID: r, Change: access.Change{
			Operation: access.Grant, Principal: access.Principal{Type: access.User, ID: "u"}, Resource: access.Resource{Type: access.QAResource, ID: r},
			Terms: access.Terms{ExpiresOn: access.Date{Year: 2099, Month: 1, Day: 1}},
		}}})
	}
	return tasks.Submission{
		Source: "nightly", RequestedBy: "n", Lane: store.Bulk, Key: key, Fingerprint: key, Header: []string{"a"}, Input: store.Input{Rows: len(rows)}, Rows: rows,
	}
}

// submit returns the new job.
func (w *world) submit(t *testing.T, sub tasks.Submission) string {
	t.Helper()
	done, err := w.submits.Submit(t.Context(), sub)
	if err != nil {
		t.Fatal(err)
	}
	return done.JobID
}

const profiles = `
version: "1"
expires_in: 90d
profiles:
  analyst:
    resources:
      - {type: qa_resource, id: both}
      - {type: qa_resource, id: old}
      - {type: workspace, id: room, role: viewer}
  lead:
    resources:
      - {type: qa_resource, id: both, expires_in: 365d}
      - {type: dashboard, id: new, role: view}
      - {type: workspace, id: room, role: admin}
  guest:
    resources:
      - {type: qa_resource, id: lobby}
`

func setup(t *testing.T) *world {
	t.Helper()
	url := testenv.Postgres(t)
	s, err := store.Open(t.Context(), url, 8)
	if err != nil {
		t.Fatalf("opening the store: %v", err)
	}
	t.Cleanup(s.Close)
	client, err := tasks.OpenRedis(t.Context(), testenv.Redis(t))
	if err != nil {
		t.Fatalf("opening Redis: %v", err)
	}
	t.Cleanup(func() { _ = client.Close() })
	w := &world{Store: s, submits: tasks.NewSubmitter(s, tasks.NewQueue(client)), url: url}
	w.sql = w.connect(t)
	w.applier = events.NewApplier(s, w.submits, events.Options{Log: testenv.Logger(t)})
	w.load(t, profiles)
	return w
}

func (w *world) load(t *testing.T, text string) {
	t.Helper()
	p, err := people.ParseProfiles([]byte(text))
	if err != nil {
		t.Fatalf("ParseProfiles: %v", err)
	}
	if _, _, err := w.LoadProfiles(t.Context(), store.NewProfiles{Profiles: p, Content: []byte(text)}, store.Order{Actor: "tester"}); err != nil {
		t.Fatalf("LoadProfiles: %v", err)
	}
}

func (w *world) exec(tb testing.TB, sql string, args ...any) {
	tb.Helper()
	if _, err := w.sql.Exec(context.Background(), sql, args...); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
}

// fact is an event as a feed writes it, effective that many minutes from noon of
// the first day of 2026. fields are its type, principal and profile.
func fact(id string, minutes int, fields ...string) string {
	fields = append(fields, "", "")
	at := time.Date(2026, time.January, 1, 12, minutes, 0, 0, time.UTC)
	profile := ""
	if fields[2] != "" {
		profile = fmt.Sprintf(`,"profile":%q`, fields[2])
	}
	return fmt.Sprintf(`{"event_id":%q,"type":%q,"principal":%q%s,"effective_at":%q}`, id, fields[0], fields[1], profile, at.Format(time.RFC3339))
}

func (w *world) accept(tb testing.TB, lines ...string) []store.AcceptedEvent {
	tb.Helper()
	out, err := events.Accept(context.Background(), w, events.Document{Body: strings.NewReader(strings.Join(lines, "\n")), Source: "hr", RequestedBy: "feed"})
	if err != nil {
		tb.Fatalf("Accept: %v", err)
	}
	return out
}

func (w *world) round(tb testing.TB) {
	tb.Helper()
	if err := w.applier.Round(context.Background()); err != nil {
		tb.Fatalf("Round: %v", err)
	}
}

// soon makes everything due that waits for its time.
func (w *world) soon(tb testing.TB) {
	tb.Helper()
	w.exec(tb, `UPDATE person_events SET look_at = now(), again_at = now() WHERE status = 'waiting' OR open`)
}

// end ends all tasks that wait, and has the changes of the named resources end
// with a status.
func (w *world) end(tb testing.TB, status store.Status, resources ...string) {
	tb.Helper()
	w.exec(tb, `
INSERT INTO exceptions (job_id, change_no, task_no, status, code, message, retryable)
SELECT c.job_id, c.no, c.task_no, $1, 'c', 'm', true FROM changes c JOIN tasks t ON t.job_id = c.job_id AND t.no = c.task_no
WHERE t.state = 'ready' AND c.resource_id = ANY ($2)`, string(status), resources)
	w.exec(tb, `UPDATE tasks SET state = 'done', finished_at = now() WHERE state = 'ready'`)
	rows, err := w.sql.Query(context.Background(), `SELECT id FROM jobs WHERE status IN ('queued', 'running')`)
	if err != nil {
		tb.Fatal(err)
	}
	ended, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	for _, job := range ended {
		err = errors.Join(err, w.Finalize(context.Background(), job))
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// closes sees to it that an event is closed, of which everything is done.
func (w *world) closes(tb testing.TB, principal, id string) {
	tb.Helper()
	w.soon(tb)
	w.round(tb)
	if e := w.event(tb, principal, id); e.ClosedAt == nil || e.Open {
		tb.Errorf("%s is not closed: %+v", id, e)
	}
}

// event is an event of the person, by its id.
func (w *world) event(tb testing.TB, principal, id string) store.PersonEvent {
	tb.Helper()
	found, err := w.EventsOf(context.Background(), principal)
	if err != nil {
		tb.Fatalf("EventsOf: %v", err)
	}
	i := slices.IndexFunc(found, func(e store.PersonEvent) bool { return e.ID == id })
	if i < 0 {
		tb.Fatalf("no event %s of %s among %+v", id, principal, found)
	}
	return found[i]
}

// changes are what a job asks for, sorted: "grant both", "revoke old".
func (w *world) changes(t *testing.T, job string) []string {
	t.Helper()
	out := []string{}
	err := w.Results(t.Context(), job, nil, func(r store.Result) error {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Change.Operation, r.Change.Resource.ID, r.Change.Terms.Role)))
		if r.Reason == "" || r.Ticket == "" {
			t.Errorf("row %s says not why: %+v", r.RowID, r)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("Results: %v", err)
	}
	slices.Sort(out)
	return out
}

// wanted is what a person is going to have: the newest change of each access, but
// for what was refused.
func (w *world) wanted(tb testing.TB, principal string) []string {
	tb.Helper()
	out := []string{}
	err := w.Granted(context.Background(), store.GrantedFilter{Principal: access.Principal{Type: access.User, ID: principal}}, func(g store.Granted) error {
		if newest, _ := g.Newest(); newest.Operation == access.Grant && g.State != store.Gone {
			out = append(out, strings.TrimSpace(g.Resource.ID+" "+newest.Terms.Role))
		}
		return nil
	})
	if err != nil {
		tb.Fatalf("Granted: %v", err)
	}
	slices.Sort(out)
	return out
}
