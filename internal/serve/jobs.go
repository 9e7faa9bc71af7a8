package serve

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
	"github.com/usher-bi/usher/internal/view"
)

// jobDocument is a job, as "enqueue status --json" prints it. Its JSON is API.
type jobDocument struct {
	store.Job

	Replayed *bool                `json:"replayed,omitempty"` // of what submits
	Warnings *[]string            `json:"warnings,omitempty"` // of what submits
	Changed  *bool                `json:"changed,omitempty"`  // of what pauses, resumes and cancels
	Paused   []store.Pause        `json:"paused,omitempty"`   // what keeps it, or tasks of it, from being sent
	Stopped  []view.StoppedAction `json:"stopped_actions,omitempty"`
	Limits   []view.Limit         `json:"limits,omitempty"` // of the actions that it still needs
}

// jobsDocument is a page of jobs. Its JSON is API.
type jobsDocument struct {
	Jobs   []store.Job   `json:"jobs"`
	Next   *string       `json:"next"` // the cursor of the next page; null at the end
	Paused []store.Pause `json:"paused,omitempty"`
}

// reply answers with a JSON document.
func reply(w http.ResponseWriter, status int, document any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	return out.Encode(document)
}

// own returns the id in the path, if it is of a job of the token's source. Of
// others it says no more than of those that are not there.
func (s *Server) own(r *http.Request, by store.Token) (string, error) {
	return s.ownNamed(r, r.PathValue("id"), by)
}

func (s *Server) ownNamed(r *http.Request, id string, by store.Token) (string, error) {
	if !isULID(id) {
		return "", noJob()
	}
	source, err := s.options.Store.SourceOf(r.Context(), id)
	if err == nil && source != by.Source {
		err = noJob()
	}
	observed(r.Context()).job = id
	return id, err
}

func isULID(id string) bool {
	return len(id) == 26 && strings.Trim(id, "0123456789ABCDEFGHJKMNPQRSTVWXYZ") == ""
}

// show answers with a job, or with 304 if it is as the client knows it.
func (s *Server) show(w http.ResponseWriter, r *http.Request, by store.Token) error {
	id, err := s.own(r, by)
	if err != nil {
		return err
	}
	d, err := s.document(r.Context(), id)
	if err != nil {
		return err
	}
	tag, err := tagOf(d)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "private, no-cache")
	if knows(r.Header.Values("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return reply(w, http.StatusOK, d)
}

// document reads a job and what holds it up.
func (s *Server) document(ctx context.Context, id string) (d jobDocument, err error) {
	if d.Job, err = s.options.Store.Job(ctx, id); err != nil {
		return d, err
	}
	outlook := s.options.Lookout.Tell(ctx, &d.Job)
	d.Limits = view.Limits(outlook.RatesOf(id))
	if d.Status.Final() {
		return d, nil
	}
	stops, err := s.options.Store.Stops(ctx)
	if err != nil {
		return d, err
	}
	d.Stopped = view.Stopped(stops)
	d.Paused, err = s.options.Store.PausesOf(ctx, id)
	return d, err
}

// tagOf is a weak tag of a job. What is measured anew each time, and says nothing
// of the job itself, does not count.
func tagOf(d jobDocument) (string, error) {
	d.Progress.ETA, d.Limits = nil, nil
	text, err := json.Marshal(d)
	if err != nil {
		return "", fmt.Errorf("tagging the job: %w", err)
	}
	sum := sha256.Sum256(text)
	return `W/"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`, nil
}

// knows reports whether a tag is among those that a client names.
func knows(named []string, tag string) bool {
	for _, list := range named {
		for one := range strings.SplitSeq(list, ",") {
			if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == strings.TrimPrefix(tag, "W/") {
				return true
			}
		}
	}
	return false
}

const mostJobs = 1000

// list answers with the jobs of the token's source, the newest first.
func (s *Server) list(w http.ResponseWriter, r *http.Request, by store.Token) error {
	f, err := s.filterOf(r, by)
	if err != nil {
		return err
	}
	limit := f.Limit
	f.Limit++ // one more tells whether there are more
	found, err := s.options.Store.Jobs(r.Context(), f)
	if err != nil {
		return err
	}
	d := jobsDocument{Jobs: append([]store.Job{}, found[:min(limit, len(found))]...)}
	if len(found) > limit {
		d.Next = new(cursorOf(found[limit-1].ID))
		query := r.URL.Query()
		query.Set("cursor", *d.Next)
		w.Header().Set("Link", "</v1/jobs?"+query.Encode()+`>; rel="next"`)
	}
	pauses, err := s.options.Store.Pauses(r.Context())
	if err != nil {
		return err
	}
	d.Paused = slices.DeleteFunc(pauses, func(p store.Pause) bool {
		return p.Scope == store.ScopeJob || p.Scope == store.ScopeSource && p.Name != by.Source
	})
	var told []*store.Job
	for i := range d.Jobs {
		told = append(told, &d.Jobs[i])
	}
	s.options.Lookout.Tell(r.Context(), told...)
	return reply(w, http.StatusOK, d)
}

func (s *Server) filterOf(r *http.Request, by store.Token) (store.JobFilter, error) {
	f := store.JobFilter{Source: by.Source, Limit: 50}
	statuses := []store.JobStatus{
		store.JobQueued, store.JobRunning, store.JobPaused, store.JobCanceling, store.JobCompleted, store.JobCanceled, store.JobFailed,
	}
	query, err := queryOf(r)
	if err != nil {
		return f, err
	}
	for name, value := range query {
		switch name {
		case "status":
			f.Status = store.JobStatus(value)
			if !slices.Contains(statuses, f.Status) {
				return f, badParam(name, "%.40q is no status of a job", value)
			}
		case "limit":
			f.Limit, err = strconv.Atoi(value)
			if err != nil || f.Limit < 1 || f.Limit > mostJobs {
				return f, badParam(name, "limit is no number from 1 to %d", mostJobs)
			}
		case "cursor":
			if f.Before, err = s.ownNamed(r, jobAt(value), by); err != nil && meaning(err).Status == http.StatusNotFound {
				err = badParam(name, "the cursor is not the \"next\" of a page of this list")
			}
			if err != nil {
				return f, err
			}
		default:
			return f, badParam(name, "%.40q is not a parameter; use status, limit, cursor", name)
		}
	}
	return f, nil
}

// cursorOf writes after which job a page begins. Clients take it as it is.
func cursorOf(id string) string { return base64.RawURLEncoding.EncodeToString([]byte("1" + id)) }

// jobAt reads it; "" if it is none.
func jobAt(cursor string) string {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(text) == 0 || text[0] != '1' {
		return ""
	}
	return string(text[1:])
}

// failures answers with why rows of a job failed, by cause.
func (s *Server) failures(w http.ResponseWriter, r *http.Request, by store.Token) error {
	id, err := s.own(r, by)
	if err != nil {
		return err
	}
	groups, err := s.options.Store.FailureGroups(r.Context(), id, 0)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, view.FailuresOf(groups))
}

// limits answers with how many calls a second are sent of each action.
func (s *Server) limits(w http.ResponseWriter, r *http.Request, _ store.Token) error {
	outlook, err := s.options.Lookout.Look(r.Context(), tasks.Operations()...)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, view.LimitsDocument{Limits: view.Limits(outlook.Rates())})
}

// results streams what became of each row, as CSV or as NDJSON.
func (s *Server) results(w http.ResponseWriter, r *http.Request, by store.Token) error {
	id, err := s.own(r, by)
	if err != nil {
		return err
	}
	res := view.Results{Store: s.options.Store, JobID: id}
	if res.Statuses, err = statusesOf(r); err != nil {
		return err
	}
	if res.Header, err = s.options.Store.Header(r.Context(), id); err != nil {
		return err
	}
	ndjson, err := wantsNDJSON(r)
	if err != nil {
		return err
	}
	leave, err := s.beginExport()
	if err != nil {
		return err
	}
	defer leave()
	w.Header().Set("Vary", "Accept")
	out := bufio.NewWriterSize(w, 64<<10)
	if ndjson {
		w.Header().Set("Content-Type", "application/x-ndjson")
		err = writeNDJSON(r.Context(), out, res)
	} else {
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		w.Header().Set("Content-Disposition", `attachment; filename="`+id+`.csv"`)
		_, err = res.WriteCSV(r.Context(), out)
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

// beginExport takes one of the places for those who download, so that connections
// to Postgres remain for those who submit.
func (s *Server) beginExport() (leave func(), err error) {
	select {
	case s.exports <- struct{}{}:
		return func() { <-s.exports }, nil
	default:
		return nil, &Problem{
			Status: http.StatusServiceUnavailable, Code: "busy", RetryAfter: comeBack,
			Detail: "too many results are being downloaded; repeat the request later",
		}
	}
}

func writeNDJSON(ctx context.Context, w io.Writer, res view.Results) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	layout := intake.LayoutOf(res.Header)
	return res.Each(ctx, func(row store.Result) error { return out.Encode(res.Document(layout, row)) })
}

func statusesOf(r *http.Request) ([]store.Status, error) {
	query, err := queryOf(r)
	var out []store.Status
	for name, list := range query {
		if name != "status" {
			return nil, badParam(name, "%.40q is not a parameter; use status", name)
		}
		for word := range strings.SplitSeq(list, ",") {
			if !slices.Contains(store.Statuses(), store.Status(word)) {
				return nil, badParam(name, "%.40q is no status of a row", word)
			}
			out = append(out, store.Status(word))
		}
	}
	return out, err
}

// wantsNDJSON decides by the Accept header. The type that is named first is
// given, and CSV to whoever names none.
func wantsNDJSON(r *http.Request) (bool, error) {
	named := strings.Join(r.Header.Values("Accept"), ",")
	if strings.TrimSpace(named) == "" {
		return false, nil
	}
	for one := range strings.SplitSeq(named, ",") {
		kind, _, _ := strings.Cut(one, ";")
		switch strings.ToLower(strings.TrimSpace(kind)) {
		case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/*":
			return true, nil
		case "text/csv", "text/*", "*/*":
			return false, nil
		}
	}
	return false, problemf(http.StatusNotAcceptable, "not_acceptable", "results come as text/csv or application/x-ndjson")
}
