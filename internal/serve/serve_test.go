package serve_test

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/serve"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// submitted is what a submission answers with, as far as tests look.
type submitted struct {
	store.Job

	Replayed bool     `json:"replayed"`
	Warnings []string `json:"warnings"`
	Changed  bool     `json:"changed"`
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestJobsAreAcceptedInEveryFormat(t *testing.T) {
	t.Parallel()

	const object = `{"row_id":"a","action":"grant","principal":"user-1","resource_type":"qa_resource","resource_id":"res-1","expires_on":"2026-12-31"}`
	w := setup(t)
	for name, tt := range map[string]struct {
		query, body string
		header      map[string]string
	}{
		"csv":     {"?lane=bulk&reason=Q4%20%E5%AE%A1%E8%AE%A1&requested_by=ann", "row_id,action,principal,resource_type,resource_id,expires_on\na,grant,user-1,qa_resource,res-1,2026-12-31\n", nil},
		"ndjson":  {"?lane=bulk&reason=Q4%20%E5%AE%A1%E8%AE%A1&requested_by=ann", object + "\n", map[string]string{"Content-Type": "application/x-ndjson"}},
		"json":    {"", `{"rows":[` + object + `],"lane":"bulk","reason":"Q4 审计","requested_by":"ann"}`, map[string]string{"Content-Type": "application/json; charset=utf-8"}},
		"gzipped": {"?lane=bulk&reason=Q4%20%E5%AE%A1%E8%AE%A1&requested_by=ann", zipped(t, object), map[string]string{"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}},
		"quoted":  {"?lane=bulk&reason=Q4%20%E5%AE%A1%E8%AE%A1&requested_by=ann", object, map[string]string{"Content-Type": "application/x-ndjson", "Idempotency-Key": `"quoted"`}},
	} {
		header := map[string]string{"Content-Type": "text/csv", "Idempotency-Key": name}
		maps.Copy(header, tt.header)
		a := w.do(asked{method: "POST", path: "/v1/jobs" + tt.query, body: tt.body, header: header}).want(t, http.StatusAccepted)
		job := decode[submitted](t, a)
		want := store.Job{
			Status: store.JobQueued, Outcome: store.OutcomeNone, Source: "hr", RequestedBy: "ann", Reason: "Q4 审计", Lane: store.Bulk,
			Counts: store.Counts{Total: 1, Pending: 1}, Tasks: store.TaskCounts{Total: 1}, IdempotencyKey: name,
		}
		if diff := cmp.Diff(want, job.Job, cmpopts.IgnoreFields(store.Job{}, "ID", "CreatedAt", "Input")); diff != "" {
			t.Errorf("%s: the job (-want +got):\n%s", name, diff)
		}
		if a.Header.Get("Location") != "/v1/jobs/"+job.ID || job.Replayed || job.Warnings == nil {
			t.Errorf("%s: location %q, %+v", name, a.Header.Get("Location"), job)
		}
		// It is committed.
		if stored, err := w.store.Job(t.Context(), job.ID); err != nil || stored.ID != job.ID {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeysMakeASubmissionSafeToRepeat(t *testing.T) {
	t.Parallel()

	w := setup(t)
	first := decode[submitted](t, w.post("nightly", threeRows, nil).want(t, http.StatusAccepted))
	again := w.post("nightly", threeRows, nil).want(t, http.StatusOK)
	if job := decode[submitted](t, again); job.ID != first.ID || !job.Replayed || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("the same again is %+v", job)
	}
	w.post("nightly", strings.ReplaceAll(threeRows, "user-1", "user-9"), nil).problem(t, http.StatusUnprocessableEntity, "idempotency_key_reused")
	other := w.newToken(store.Token{Name: "other", Source: "crm", LaneMost: store.Normal})
	if job := decode[submitted](t, w.post("nightly", threeRows, map[string]string{"Authorization": "Bearer " + other}).want(t, http.StatusAccepted)); job.ID == first.ID {
		t.Error("another source got the same job")
	}
	w.do(asked{method: "POST", path: "/v1/jobs", body: threeRows, header: map[string]string{"Content-Type": "text/csv"}, raw: true}).
		problem(t, http.StatusBadRequest, "idempotency_key_missing")
	w.do(asked{method: "POST", path: "/v1/jobs", body: threeRows, header: map[string]string{"Content-Type": "text/csv", "Idempotency-Key": strings.Repeat("k", 300)}, raw: true}).
		problem(t, http.StatusBadRequest, "invalid_idempotency_key")
}

func TestRowsAtFaultAreListed(t *testing.T) {
	t.Parallel()

	w := setup(t)
	bad := threeRows + "d,grnat,u,qa_resource,r,2026-12-31,\ne,grant,\"u,v\",qa_resource,r,2020-01-01,\n"
	p := w.post("k", bad, nil).problem(t, http.StatusUnprocessableEntity, "input_rejected")
	var got []string
	for _, e := range p.Errors {
		got = append(got, strings.Join([]string{e.RowID, e.Column, e.Code}, " "))
	}
	want := []string{"d action unknown_action", "e principal invalid_id", "e expires_on expiry_in_the_past"}
	if diff := cmp.Diff(want, got); diff != "" || p.Rows != 5 || p.Errors[0].Line != 5 || p.Omitted != 0 {
		t.Errorf("%+v (-want +got):\n%s", p, diff)
	}
	many := "action,principal,resource_type,resource_id\n" + strings.Repeat("grnat,u,dataset,d\n", 250)
	for _, query := range []string{"", "?skip_invalid=true"} {
		p := w.do(asked{method: "POST", path: "/v1/jobs" + query, body: many, header: map[string]string{"Content-Type": "text/csv", "Idempotency-Key": "k"}}).
			problem(t, http.StatusUnprocessableEntity, "input_rejected")
		if len(p.Errors) != 100 || p.Omitted != 150 || p.Rows != 250 {
			t.Errorf("of %d rows %d errors are listed, %d omitted", p.Rows, len(p.Errors), p.Omitted)
		}
		if !strings.HasPrefix(p.Detail, "250 of 250 rows are wrong;") || strings.Contains(p.Detail, "skip_invalid") {
			t.Errorf("where no row is left to submit, it says %q", p.Detail)
		}
	}
	for kind, body := range map[string]string{
		"text/csv": "name,mail\nbo,b@x\n", "application/x-ndjson": threeRows, "application/json": `{"rows":[`,
	} {
		p := w.do(asked{method: "POST", path: "/v1/jobs", body: body, header: map[string]string{"Content-Type": kind, "Idempotency-Key": "k"}, raw: true}).
			problem(t, http.StatusUnprocessableEntity, "input_rejected")
		if len(p.Errors) != 1 || p.Errors[0].Line != 0 {
			t.Errorf("%s: %+v", kind, p.Errors)
		}
	}
	job := decode[submitted](t, w.do(asked{method: "POST", path: "/v1/jobs?skip_invalid=true&lane=urgent", body: bad, header: map[string]string{"Content-Type": "text/csv", "Idempotency-Key": "k"}}).
		want(t, http.StatusAccepted))
	if diff := cmp.Diff(store.Counts{Total: 5, Failed: 2, Pending: 3}, job.Counts); diff != "" || job.Outcome != store.OutcomeNone ||
		!strings.Contains(strings.Join(job.Warnings, " "), "2 of 5 rows are wrong; they are recorded as failures") {
		t.Errorf("warnings %q, counts (-want +got):\n%s", job.Warnings, diff)
	}
}

func TestTokensAreScoped(t *testing.T) {
	t.Parallel()

	w := setup(t)
	id := w.job("k")
	grants := w.newToken(store.Token{Name: "grants", Source: "hr", LaneMost: store.Bulk, Operations: []access.Operation{access.Grant}})
	other := w.newToken(store.Token{Name: "crm", Source: "crm", LaneMost: store.Urgent})
	as := func(token string) map[string]string { return map[string]string{"Authorization": "Bearer " + token} }

	p := w.post("k2", threeRows, as(grants)).problem(t, http.StatusForbidden, "action_not_allowed")
	if len(p.Errors) != 1 || p.Errors[0].RowID != "c" || p.Errors[0].Line != 4 {
		t.Errorf("the rows at fault are %+v", p.Errors)
	}
	r := w.post("k3", strings.Replace(strings.ReplaceAll(threeRows, "user", "other"), "c,revoke,other-3,qa_theme,theme-1,,\n", "", 1), as(grants)).want(t, http.StatusAccepted)
	if job := decode[submitted](t, r); job.Lane != store.Bulk || job.RequestedBy != "token:grants" {
		t.Errorf("without a lane the job is %+v", job.Job)
	}
	w.do(asked{method: "POST", path: "/v1/jobs?lane=normal", body: threeRows, header: map[string]string{"Content-Type": "text/csv", "Idempotency-Key": "k4", "Authorization": "Bearer " + grants}}).
		problem(t, http.StatusForbidden, "lane_not_allowed")
	for _, path := range []string{"GET /v1/jobs/" + id, "GET /v1/jobs/" + id + "/results", "GET /v1/jobs/" + id + "/failures", "POST /v1/jobs/" + id + ":cancel", "POST /v1/jobs/" + id + ":retry"} {
		method, path, _ := strings.Cut(path, " ")
		w.do(asked{method: method, path: path, header: as(other)}).problem(t, http.StatusNotFound, "job_not_found")
	}
	if jobs := decode[struct{ Jobs []store.Job }](t, w.do(asked{method: "GET", path: "/v1/jobs", header: as(other)}).want(t, http.StatusOK)); len(jobs.Jobs) != 0 {
		t.Errorf("another source sees %d jobs", len(jobs.Jobs))
	}
	w.work("user-1", "user-3")
	w.do(asked{method: "POST", path: "/v1/jobs/" + id + ":retry", header: as(grants)}).problem(t, http.StatusForbidden, "lane_not_allowed")
	normal := w.newToken(store.Token{Name: "normal", Source: "hr", LaneMost: store.Normal, Operations: []access.Operation{access.Grant, access.Grant}})
	w.do(asked{method: "POST", path: "/v1/jobs/" + id + ":retry", header: as(normal)}).problem(t, http.StatusForbidden, "action_not_allowed")
}

func TestTokensChangeWhatTheyCouldHaveSubmitted(t *testing.T) {
	t.Parallel()

	w := setup(t)
	id := w.job("k")
	ask := func(token, verb string) answered {
		return w.do(asked{method: "POST", path: "/v1/jobs/" + id + ":" + verb, header: map[string]string{"Authorization": "Bearer " + token}})
	}
	twice := w.newToken(store.Token{Name: "grants", Source: "hr", LaneMost: store.Normal, Operations: []access.Operation{access.Grant, access.Grant}})
	bulk := w.newToken(store.Token{Name: "bulk", Source: "hr", LaneMost: store.Bulk})
	normal := w.newToken(store.Token{Name: "normal", Source: "hr", LaneMost: store.Normal})
	for _, verb := range []string{"cancel", "pause", "resume"} {
		ask(twice, verb).problem(t, http.StatusForbidden, "action_not_allowed")
		ask(bulk, verb).problem(t, http.StatusForbidden, "lane_not_allowed")
	}
	if job, err := w.store.Job(t.Context(), id); err != nil || job.Status != store.JobQueued {
		t.Fatalf("the job is %s, %v", job.Status, err)
	}
	if _, err := w.store.Pause(t.Context(), store.OfJob(id), store.Order{Actor: "ops"}); err != nil {
		t.Fatal(err)
	}
	ask(normal, "resume").problem(t, http.StatusForbidden, "paused_by_operator")
	if _, err := w.store.Resume(t.Context(), store.OfJob(id), store.Order{Actor: "ops"}); err != nil {
		t.Fatal(err)
	}
	ask(w.token, "pause").want(t, http.StatusOK)
	ask(normal, "resume").want(t, http.StatusOK) // as another token paused it
	ask(normal, "cancel").want(t, http.StatusOK)
	id = decode[submitted](t, w.post("grants", strings.Join(strings.SplitAfter(threeRows, "\n")[:3], ""), nil).want(t, http.StatusAccepted)).ID
	ask(twice, "cancel").want(t, http.StatusOK)
}

// held submits more revokes than a guard lets pass.
func (w *world) held(by *tasks.Submitter) (id string) {
	w.t.Helper()
	var rows tasks.RowList
	for _, user := range []string{"user-1", "user-2"} {
		rows = append(rows, tasks.SubmittedRow{Row: store.Row{Line: len(rows) + 2, RowID: user, Change: access.Change{
			Operation: access.Revoke, Principal: access.Principal{Type: access.User, ID: user}, Resource: access.Resource{Type: access.QATheme, ID: "theme-1"},
		}}})
	}
	done, err := by.Submit(w.t.Context(), tasks.Submission{
		Source: "hr", RequestedBy: "ann", Key: "held", Fingerprint: "held", Header: []string{"row_id"}, Lane: store.Normal, Guards: store.Guards{MaxRevokes: 1},
		Input: store.Input{Rows: len(rows)}, Rows: rows,
	})
	if err != nil || !done.Held {
		w.t.Fatalf("held %t, %v", done.Held, err)
	}
	return done.JobID
}

func TestAJobThatAGuardHoldsIsNotResumed(t *testing.T) {
	t.Parallel()

	var by *tasks.Submitter
	w := setup(t, func(o *serve.Options) { by = o.Submitter })
	id := w.held(by)
	w.do(asked{method: "POST", path: "/v1/jobs/" + id + ":resume"}).problem(t, http.StatusConflict, "held_by_guard")
	w.do(asked{method: "POST", path: "/v1/jobs/" + id + ":cancel"}).want(t, http.StatusOK)
}

func TestTokensThatAreRefused(t *testing.T) {
	t.Parallel()

	w := setup(t)
	strange, _ := serve.NewToken()
	revoked := w.newToken(store.Token{Name: "old", Source: "hr", LaneMost: store.Normal})
	if changed, err := w.store.RevokeToken(t.Context(), "old", store.Order{Actor: "ops"}); err != nil || !changed {
		t.Fatal(changed, err)
	}
	for header, want := range map[string]string{
		"": "token_missing", "Bearer": "token_missing", "Bearer  ": "token_missing", "Basic " + w.token: "token_missing",
		"Bearer x": "token_invalid", "Bearer " + strange: "token_invalid", "Bearer " + revoked: "token_invalid", "Bearer " + w.token + "x": "token_invalid",
		"Bearer " + strings.ToLower(w.token): "token_invalid",
	} {
		for _, path := range []string{"GET /v1/jobs", "GET /v1/limits", "GET /v1/jobs/" + strings.Repeat("0", 26)} {
			method, path, _ := strings.Cut(path, " ")
			a := w.do(asked{method: method, path: path, header: map[string]string{"Authorization": header}})
			a.problem(t, http.StatusUnauthorized, want)
			if !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%q: no challenge", header)
			}
		}
	}
	w.do(asked{method: "GET", path: "/v1/jobs", header: map[string]string{"Authorization": "bearer " + w.token}}).want(t, http.StatusOK)
	tokens, err := w.store.Tokens(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, token := range tokens {
		used[token.Name] = token.LastUsedAt != nil
	}
	if diff := cmp.Diff(map[string]bool{"feed": true, "old": false}, used); diff != "" {
		t.Errorf("tokens were used (-want +got):\n%s", diff)
	}
}

func TestAJobIsFollowed(t *testing.T) {
	t.Parallel()

	w := setup(t)
	id := w.job("k")
	path := "/v1/jobs/" + id
	a := w.do(asked{method: "GET", path: path}).want(t, http.StatusOK)
	tag := a.Header.Get("ETag")
	same := w.do(asked{method: "GET", path: path, header: map[string]string{"If-None-Match": `"x", ` + tag}}).want(t, http.StatusNotModified)
	if same.body != "" || same.Header.Get("ETag") != tag {
		t.Errorf("304 with tag %q, want %q, and the body %q", same.Header.Get("ETag"), tag, same.body)
	}
	w.work("user-1")
	a = w.do(asked{method: "GET", path: path, header: map[string]string{"If-None-Match": tag}}).want(t, http.StatusOK)
	job := decode[submitted](t, a)
	if diff := cmp.Diff(store.Counts{Total: 3, Succeeded: 2, Failed: 1}, job.Counts); diff != "" || job.Outcome != store.OutcomePartial {
		t.Errorf("outcome %s, counts (-want +got):\n%s", job.Outcome, diff)
	}
	failures := decode[struct {
		Groups []struct {
			Code, Hint  string
			Count       int
			SampleLines []int `json:"sample_lines"`
		} `json:"failure_groups"`
	}](t, w.do(asked{method: "GET", path: path + "/failures"}).want(t, http.StatusOK))
	if len(failures.Groups) != 1 || failures.Groups[0].Code != "server_error" || failures.Groups[0].Hint == "" || !slices.Equal(failures.Groups[0].SampleLines, []int{2}) {
		t.Errorf("failures are %+v", failures)
	}
	for _, path := range []string{"/v1/jobs/" + strings.Repeat("0", 26), "/v1/jobs/" + strings.Repeat("0", 26) + "/results"} {
		w.do(asked{method: "GET", path: path}).problem(t, http.StatusNotFound, "job_not_found")
	}
	w.do(asked{method: "GET", path: "/v1/jobs/nope", raw: true}).problem(t, http.StatusNotFound, "job_not_found")
	w.do(asked{method: "GET", path: "/v1/limits"}).want(t, http.StatusOK)
}

func TestResultsComeAsAsked(t *testing.T) {
	t.Parallel()

	w := setup(t)
	id := w.job("k")
	w.work("user-1")
	path := "/v1/jobs/" + id + "/results"
	a := w.do(asked{method: "GET", path: path}).want(t, http.StatusOK)
	rows, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
	if err != nil || len(rows) != 4 || rows[1][6] != "'=7" || rows[1][8] != "failed" || rows[2][8] != "succeeded" {
		t.Errorf("%v, results are %q", err, rows)
	}
	// They go back in as they are.
	w.post("again", a.body, nil).want(t, http.StatusAccepted)

	a = w.do(asked{method: "GET", path: path + "?status=failed,unknown", header: map[string]string{"Accept": "application/x-ndjson, text/csv;q=0.5"}}).want(t, http.StatusOK)
	lines := strings.Split(strings.TrimSpace(a.body), "\n")
	var row map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &row); err != nil || len(lines) != 1 || row["row_id"] != "a" || row["status"] != "failed" {
		t.Errorf("%v, the failed rows are %q", err, lines)
	}
	w.do(asked{method: "GET", path: path, header: map[string]string{"Accept": "image/png"}}).problem(t, http.StatusNotAcceptable, "not_acceptable")
	w.do(asked{method: "GET", path: path + "?status=odd"}).problem(t, http.StatusBadRequest, "invalid_parameter")
}

func TestJobsAreListedInPages(t *testing.T) {
	t.Parallel()

	w := setup(t)
	var ids []string
	for _, key := range []string{"a", "b", "c"} {
		ids = append([]string{w.job(key)}, ids...)
	}
	type page struct {
		Jobs []store.Job
		Next *string
	}
	var got []string
	path := "/v1/jobs?limit=2"
	for path != "" {
		p := decode[page](t, w.do(asked{method: "GET", path: path}).want(t, http.StatusOK))
		for _, job := range p.Jobs {
			got = append(got, job.ID)
		}
		path = ""
		if p.Next != nil {
			path = "/v1/jobs?limit=2&cursor=" + *p.Next
		}
	}
	if diff := cmp.Diff(ids, got); diff != "" {
		t.Errorf("the pages list (-want +got):\n%s", diff)
	}
	if p := decode[page](t, w.do(asked{method: "GET", path: "/v1/jobs?status=completed"}).want(t, http.StatusOK)); len(p.Jobs) != 0 || p.Next != nil {
		t.Errorf("completed are %+v", p)
	}
	for _, query := range []string{"status=done", "limit=0", "limit=x", "cursor=zzz", "cursor=MQ", "sort=id"} {
		w.do(asked{method: "GET", path: "/v1/jobs?" + query, raw: true}).problem(t, http.StatusBadRequest, "invalid_parameter")
	}
}

func TestJobsAreControlled(t *testing.T) {
	t.Parallel()

	w := setup(t)
	id := w.job("k")
	order := map[string]string{"Content-Type": "application/json"}
	ask := func(verb, body string) answered {
		header := order
		if body == "" {
			header = nil
		}
		return w.do(asked{method: "POST", path: "/v1/jobs/" + id + ":" + verb, body: body, header: header})
	}
	for _, step := range []struct {
		verb, body string
		changed    bool
		status     store.JobStatus
	}{
		{"pause", `{"reason":"wrong file?"}`, true, store.JobPaused},
		{"pause", "", false, store.JobPaused},
		{"resume", "{}", true, store.JobQueued},
		{"resume", "", false, store.JobQueued},
	} {
		if job := decode[submitted](t, ask(step.verb, step.body).want(t, http.StatusOK)); job.Changed != step.changed || job.Status != step.status {
			t.Errorf("%s: changed %t, %s; want %t, %s", step.verb, job.Changed, job.Status, step.changed, step.status)
		}
	}
	ask("retry", "").problem(t, http.StatusConflict, "nothing_to_retry")
	w.work("user-1")
	a := ask("retry", `{"reason":"again","code":"server_error"}`).want(t, http.StatusAccepted)
	second := decode[submitted](t, a)
	if second.ParentID == nil || *second.ParentID != id || second.Counts.Total != 1 || a.Header.Get("Location") != "/v1/jobs/"+second.ID {
		t.Errorf("the retry is %+v", second)
	}
	if job := decode[submitted](t, ask("retry", `{"reason":"again","code":"server_error"}`).want(t, http.StatusOK)); job.ID != second.ID || !job.Replayed {
		t.Errorf("asking again gives %+v", job)
	}
	ask("pause", "").problem(t, http.StatusConflict, "job_ended")
	id = second.ID
	if job := decode[submitted](t, ask("cancel", "").want(t, http.StatusOK)); job.Status != store.JobCanceled || !job.Changed {
		t.Errorf("canceled it is %+v", job)
	}
	if job := decode[submitted](t, ask("cancel", "").want(t, http.StatusOK)); job.Changed {
		t.Error("canceling twice changed something")
	}
	for body, code := range map[string]string{`{"why":"x"}`: "invalid_json", `[1`: "invalid_json", `{} {}`: "invalid_json", `{"reason":[]}`: "invalid_json", `{"reason":"a\u0000"}`: "invalid_parameter"} {
		w.do(asked{method: "POST", path: "/v1/jobs/" + id + ":cancel", body: body, header: order, raw: true}).problem(t, http.StatusBadRequest, code)
	}
	for body, want := range map[string]string{`[]`: "it is of the type array", `{"reason":7}`: `"reason" has a value of the type number`, `{"why":"x"}`: `unknown field "why"`} {
		p := w.do(asked{method: "POST", path: "/v1/jobs/" + id + ":cancel", body: body, header: order, raw: true}).problem(t, http.StatusBadRequest, "invalid_json")
		if !strings.Contains(p.Detail, want) || strings.Contains(p.Detail, "Go") || strings.Contains(p.Detail, "json:") {
			t.Errorf("%s: it says %q, want %q", body, p.Detail, want)
		}
	}
	w.do(asked{method: "POST", path: "/v1/jobs/" + id + ":retry", body: `{"requested_by":"token:other"}`, header: order}).problem(t, http.StatusBadRequest, "invalid_parameter")
	w.do(asked{method: "POST", path: "/v1/jobs/" + id + ":explode", raw: true}).problem(t, http.StatusNotFound, "not_found")
	w.do(asked{method: "POST", path: "/v1/jobs/" + id, raw: true}).problem(t, http.StatusNotFound, "not_found")
	w.do(asked{method: "POST", path: "/v1/jobs/" + id + ":cancel", body: "reason=x", header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, raw: true}).
		problem(t, http.StatusUnsupportedMediaType, "content_type")
}
