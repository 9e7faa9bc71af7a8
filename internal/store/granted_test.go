package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

// asked is one change of a user's access to r1, in a job of its own, and how it
// ended: as a status, "sent" (superseded after it was sent) or "retry" (of the
// first one, and succeeded).
type asked struct {
	op      access.Operation
	ended   string
	expires access.Date
}

var lastYear = access.Date{Year: 2020, Month: time.January, Day: 1}

func (w world) ask(t *testing.T, user string, steps []asked) {
	t.Helper()
	var parent string
	for i, a := range steps {
		job := asking(a.op, fmt.Sprint(user, i), user)
		if !a.expires.IsZero() {
			job.Tasks[0].Terms.ExpiresOn, job.Changes[0].Change.Terms.ExpiresOn = a.expires, a.expires
		}
		if a.ended == "retry" {
			job.ParentID, job.Retry = parent, true
		}
		created := w.create(t, job)
		if parent == "" {
			parent = created.ID
		}
		end := store.CellException{Principal: user, Resource: qa("r1"), Exception: store.Exception{Status: store.Status(a.ended), Code: "c", Message: "m"}}
		switch a.ended {
		case "pending":
		case "canceled":
			w.exec(t, `UPDATE tasks SET state = 'canceled', finished_at = now() WHERE job_id = $1`, created.Number)
		case "succeeded":
			w.finish(t, first(created))
		case "retry":
			w.exec(t, `UPDATE tasks SET state = 'done', finished_at = now() WHERE job_id = $1`, created.Number)
		case "superseded": // by whoever would have sent it
			w.exec(t, `INSERT INTO exceptions (job_id, change_no, task_no, status, code, message, retryable) VALUES ($1, 1, 1, 'superseded', 'c', 'm', false)`, created.Number)
			w.exec(t, `UPDATE tasks SET state = 'done', finished_at = now() WHERE job_id = $1`, created.Number)
		case "sent":
			end.Status = store.Superseded
			w.finish(t, first(created), end)
		default:
			w.finish(t, first(created), end)
		}
	}
}

func TestGrantedTellsWhatIsInForce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const grant, revoke = access.Grant, access.Revoke
	none := access.Terms{}
	terms := access.Terms{ExpiresOn: expiry}
	later := access.Terms{ExpiresOn: expiry.AddDays(30)}
	type told struct {
		State  store.AccessState
		Terms  access.Terms
		Newest store.Status
		Asked  int
	}
	tests := map[string]struct {
		steps []asked
		want  told
	}{
		"granted":                       {[]asked{{grant, "succeeded", expiry}}, told{store.InForce, terms, store.Succeeded, 1}},
		"there-already":                 {[]asked{{grant, "no_change", expiry}}, told{store.InForce, terms, store.NoChange, 1}},
		"waiting":                       {[]asked{{grant, "pending", expiry}}, told{store.Granting, terms, store.Pending, 1}},
		"lost":                          {[]asked{{grant, "unknown", expiry}}, told{store.Unsure, terms, store.Unknown, 1}},
		"refused":                       {[]asked{{grant, "failed", expiry}}, told{store.Gone, none, store.Failed, 1}},
		"over":                          {[]asked{{grant, "succeeded", lastYear}}, told{store.Expired, access.Terms{ExpiresOn: lastYear}, store.Succeeded, 1}},
		"revoked":                       {[]asked{{grant, "succeeded", expiry}, {revoke, "succeeded", access.Date{}}}, told{store.Gone, none, store.Succeeded, 2}},
		"being-revoked":                 {[]asked{{grant, "succeeded", expiry}, {revoke, "pending", access.Date{}}}, told{store.Revoking, terms, store.Pending, 2}},
		"not-revoked":                   {[]asked{{grant, "succeeded", expiry}, {revoke, "failed", access.Date{}}}, told{store.InForce, terms, store.Failed, 2}},
		"perhaps-revoked":               {[]asked{{grant, "succeeded", expiry}, {revoke, "unknown", access.Date{}}}, told{store.Unsure, terms, store.Unknown, 2}},
		"extended":                      {[]asked{{grant, "succeeded", expiry}, {grant, "succeeded", later.ExpiresOn}}, told{store.InForce, later, store.Succeeded, 2}},
		"being-extended":                {[]asked{{grant, "succeeded", expiry}, {grant, "pending", later.ExpiresOn}}, told{store.Granting, terms, store.Pending, 2}},
		"not-extended":                  {[]asked{{grant, "succeeded", expiry}, {grant, "failed", later.ExpiresOn}}, told{store.InForce, terms, store.Failed, 2}},
		"withdrawn":                     {[]asked{{grant, "succeeded", expiry}, {revoke, "canceled", access.Date{}}}, told{store.InForce, terms, store.Succeeded, 2}},
		"dropped-unsent":                {[]asked{{grant, "superseded", expiry}, {revoke, "failed", access.Date{}}}, told{store.Gone, none, store.Failed, 2}},
		"dropped-sent":                  {[]asked{{grant, "sent", expiry}, {revoke, "failed", access.Date{}}}, told{store.Unsure, terms, store.Failed, 2}},
		"dropped-sent-then-revoked":     {[]asked{{grant, "sent", expiry}, {revoke, "succeeded", access.Date{}}}, told{store.Gone, none, store.Succeeded, 2}},
		"retried-after-what-came-later": {[]asked{{grant, "failed", expiry}, {revoke, "succeeded", access.Date{}}, {grant, "retry", expiry}}, told{store.Gone, none, store.Succeeded, 3}},
	}
	for user, tt := range tests {
		w.ask(t, user, tt.steps)
	}

	all := map[string]told{}
	collect := func(into map[string]told) func(store.Granted) error {
		return func(g store.Granted) error {
			newest, _ := g.Newest()
			into[g.Principal.ID] = told{g.State, g.Terms, newest.Status, len(g.Asked)}
			if g.Resource != qa("r1") || newest.Source != "test" || newest.Job == "" || newest.AcceptedAt.IsZero() {
				t.Errorf("%s: %+v", g.Principal.ID, g)
			}
			return nil
		}
	}
	if err := w.Granted(t.Context(), store.GrantedFilter{}, collect(all)); err != nil {
		t.Fatalf("Granted: %v", err)
	}
	if len(all) != len(tests) {
		t.Errorf("%d accesses, want %d", len(all), len(tests))
	}
	for user, tt := range tests {
		one := map[string]told{}
		f := store.GrantedFilter{Principal: access.Principal{Type: access.User, ID: user}}
		if err := w.Granted(t.Context(), f, collect(one)); err != nil {
			t.Fatalf("Granted: %v", err)
		}
		if diff := cmp.Diff(map[string]told{user: tt.want}, one); diff != "" {
			t.Errorf("%s alone (-want +got):\n%s", user, diff)
		}
		if diff := cmp.Diff(tt.want, all[user]); diff != "" {
			t.Errorf("%s among all (-want +got):\n%s", user, diff)
		}
	}

	for name, tt := range map[string]struct {
		filter store.GrantedFilter
		want   int
	}{
		"what ends soon":       {store.GrantedFilter{ExpiresBefore: expiry.AddDays(1), States: []store.AccessState{store.InForce}}, 5},
		"what ends sooner":     {store.GrantedFilter{ExpiresBefore: expiry}, 0},
		"what ends at all":     {store.GrantedFilter{ExpiresBefore: later.ExpiresOn.AddDays(1), States: []store.AccessState{store.InForce}}, 6},
		"what is gone":         {store.GrantedFilter{States: []store.AccessState{store.Gone}}, 5},
		"of the source":        {store.GrantedFilter{Source: "test"}, len(tests) - 1}, // what was refused is nobody's,
		"of another source":    {store.GrantedFilter{Source: "else"}, 0},
		"far to the east":      {store.GrantedFilter{Location: time.FixedZone("Asia/Shanghai", 8*3600), States: []store.AccessState{store.Expired}}, 1},
		"of a group":           {store.GrantedFilter{Principal: access.Principal{Type: access.Group, ID: "granted"}}, 0},
		"nobody's":             {store.GrantedFilter{Principal: access.Principal{Type: access.User, ID: "nobody"}}, 0},
		"of one, and in force": {store.GrantedFilter{Principal: access.Principal{Type: access.User, ID: "revoked"}, States: []store.AccessState{store.InForce}}, 0},
	} {
		got := 0
		err := w.Granted(t.Context(), tt.filter, func(store.Granted) error { got++; return nil })
		if err != nil || got != tt.want {
			t.Errorf("%s: %d accesses, %v; want %d", name, got, err, tt.want)
		}
	}
}

// Retention drops what was asked, and not what is in force of it.
func TestRetentionKeepsWhatIsInForce(t *testing.T) {
	t.Parallel()
	w, old := aged(t)
	w.seal(t, w.NewSealer())
	state := func(user string) (state store.AccessState, by string) {
		t.Helper()
		err := w.Granted(t.Context(), store.GrantedFilter{Principal: access.Principal{Type: access.User, ID: user}}, func(g store.Granted) error {
			newest, _ := g.Newest()
			state, by = g.State, newest.Job
			return nil
		})
		if err != nil {
			t.Fatalf("Granted: %v", err)
		}
		return state, by
	}
	for range 2 { // what was kept once is kept again
		if _, err := w.DropMonths(t.Context(), store.DropRequest{Before: monthsAgo(5), Actor: "archivist"}); err != nil {
			t.Fatalf("DropMonths: %v", err)
		}
	}
	if got, by := state("u2"); got != store.InForce || by != old.ID {
		t.Errorf("what was granted is %q by job %q, want in force by %s", got, by, old.ID)
	}
	if got, _ := state("u1"); got != "" {
		t.Errorf("what was refused is %q", got)
	}
	soon := 0
	f := store.GrantedFilter{ExpiresBefore: expiry.AddDays(1), States: []store.AccessState{store.InForce}}
	if err := w.Granted(t.Context(), f, func(store.Granted) error { soon++; return nil }); err != nil || soon != 1 {
		t.Errorf("%d of them end soon, %v; want 1", soon, err)
	}
	w.ask(t, "u2", []asked{{access.Revoke, "succeeded", access.Date{}}})
	if got, _ := state("u2"); got != store.Gone {
		t.Errorf("what was revoked later is %q", got)
	}
}

// What one person was granted, and what ends soon, is found by indexes among what
// everybody was.
func TestGrantedIsFoundByIndex(t *testing.T) {
	t.Parallel()
	w := setup(t)
	hers := []int64{w.create(t, crowd(600)).Number}
	w.create(t, asking(access.Grant, "late", "late"))
	w.exec(t, `VACUUM ANALYZE`) // which also summarizes what the index of expiries covers
	w.exec(t, strings.ReplaceAll(store.ByIndex, "true", "false"))
	soon := access.Date{Year: 2098, Month: time.January, Day: 2}
	for name, check := range map[string]struct {
		query string
		args  []any
		want  string // in the plan
		most  int    // pages; all changes are on more than a thousand
	}{
		"of one person":  {fmt.Sprintf(store.GrantedTo, store.OfTheJobs), []any{"UTC", "user", "user-000017", hers, hers, []int{18}}, "changes_", 100},
		"which is hers":  {store.ChangesAbout, []any{"user", "user-000017"}, "changes_", 100},
		"what ends soon": {fmt.Sprintf(store.GrantedUntil, store.OfAnyJob), []any{"UTC", soon.Time()}, "Bitmap Index Scan on changes_", 2000}, // those of the index many times over
	} {
		pages, _, plan := w.touched(t, check.query, check.args...)
		if pages > check.most || !strings.Contains(plan, check.want) || strings.Contains(plan, "Seq Scan on changes") {
			t.Errorf("%s: looks at %d pages:\n%s", name, pages, plan)
		}
	}
}

// crowd is a job of tasks of a hundred users each, one resource; the first ten
// users' access ends on the first day of 2098.
func crowd(tasks int) draft {
	job := draft{NewJob: store.NewJob{
		Source: "test", RequestedBy: "tester", Lane: store.Normal, IdempotencyKey: "crowd", Fingerprint: "crowd", Header: []string{"action"},
	}}
	for i := range tasks {
		users := make([]string, 100)
		for u := range users {
			users[u] = fmt.Sprintf("user-%06d", i*100+u)
		}
		part := asking(access.Grant, "", users...)
		part.Tasks[0].FirstChange = len(job.Changes)
		for n, c := range part.Changes {
			c.Task = i
			if i == 0 && n < 10 {
				c.Change.Terms.ExpiresOn = access.Date{Year: 2098, Month: time.January, Day: 1}
			}
			job.Changes = append(job.Changes, c)
		}
		job.Tasks = append(job.Tasks, part.Tasks...)
	}
	return job
}

// BenchmarkGranted reads what 100,000 accesses are, and one person's of them.
func BenchmarkGranted(b *testing.B) {
	w := setup(b)
	w.create(b, crowd(1000))
	w.exec(b, `ANALYZE`)
	for name, f := range map[string]store.GrantedFilter{
		"all": {}, "one": {Principal: access.Principal{Type: access.User, ID: "user-000017"}},
	} {
		b.Run(name, func(b *testing.B) {
			n := 0
			for b.Loop() {
				if err := w.Granted(b.Context(), f, func(store.Granted) error { n++; return nil }); err != nil || n == 0 {
					b.Fatal(n, err)
				}
			}
		})
	}
}
