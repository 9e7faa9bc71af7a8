package serve

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// control does what stands after the colon: POST /v1/jobs/{id}:cancel.
func (s *Server) control(w http.ResponseWriter, r *http.Request, by store.Token) error {
	id, verb, _ := strings.Cut(r.PathValue("id"), ":")
	verbs := map[string]func(http.ResponseWriter, *http.Request, ordered) error{
		"cancel": s.cancel, "pause": s.pause, "resume": s.resume, "retry": s.retry,
	}
	do, known := verbs[verb]
	if !known {
		return problemf(http.StatusNotFound, "not_found", "a job can be asked to :cancel, :pause, :resume and :retry")
	}
	if _, err := s.ownNamed(r, id, by); err != nil {
		return err
	}
	return do(w, r, ordered{job: id, by: by})
}

// ordered is a job and who asks something of it.
type ordered struct {
	job string
	by  store.Token
}

// because is why something is asked for.
type because struct {
	Reason string `json:"reason"`
}

// orderOf reads why something is asked for, of a job that the token may change.
func (s *Server) orderOf(w http.ResponseWriter, r *http.Request, o ordered) (store.Order, error) {
	if err := s.mayChange(r.Context(), o); err != nil {
		return store.Order{}, err
	}
	var why because
	if err := s.order(w, r, &why); err != nil {
		return store.Order{}, err
	}
	reason, err := textParam("reason", why.Reason)
	return store.Order{Actor: actor(o.by), Reason: reason}, err
}

// mayChange refuses to change what the token could not have submitted itself:
// somebody else of the same source did.
func (s *Server) mayChange(ctx context.Context, o ordered) error {
	job, err := s.options.Store.Job(ctx, o.job)
	if err != nil {
		return err
	}
	if err := mayUse(o.by, job.Lane); err != nil || mayAll(o.by) {
		return err
	}
	beyond, err := s.options.Store.AsksBeyond(ctx, o.job, o.by.Operations)
	if beyond && err == nil {
		return problemf(http.StatusForbidden, codeNotAllowed, "the job asks for what the token may not ask for; nothing was changed")
	}
	return err
}

// mayAll reports whether rows of the token may ask for everything.
func mayAll(by store.Token) bool {
	return slices.Contains(by.Operations, access.Grant) && slices.Contains(by.Operations, access.Revoke)
}

func (s *Server) cancel(w http.ResponseWriter, r *http.Request, o ordered) error {
	order, err := s.orderOf(w, r, o)
	if err != nil {
		return err
	}
	done, err := s.options.Store.Cancel(r.Context(), store.OfJob(o.job), order)
	if err != nil {
		return err
	}
	return s.changed(w, r, o.job, done.Jobs > 0)
}

func (s *Server) pause(w http.ResponseWriter, r *http.Request, o ordered) error {
	order, err := s.orderOf(w, r, o)
	if err != nil {
		return err
	}
	changed, err := s.options.Store.Pause(r.Context(), store.OfJob(o.job), order)
	if err != nil {
		return err
	}
	return s.changed(w, r, o.job, changed)
}

// resume queues at once what waited. Where the queue is away, workers do it.
func (s *Server) resume(w http.ResponseWriter, r *http.Request, o ordered) error {
	order, err := s.orderOf(w, r, o)
	if err != nil {
		return err
	}
	if err := s.mayResume(r.Context(), o); err != nil {
		return err
	}
	changed, err := s.options.Store.Resume(r.Context(), store.OfJob(o.job), order)
	if err != nil {
		return err
	}
	if changed {
		_, _ = s.options.Submitter.Requeue(r.Context(), store.OfJob(o.job)) // what it leaves undone workers do
	}
	return s.changed(w, r, o.job, changed)
}

// mayResume refuses to take back what an operator paused.
func (s *Server) mayResume(ctx context.Context, o ordered) error {
	pauses, err := s.options.Store.PausesOf(ctx, o.job)
	if err != nil {
		return err
	}
	for _, p := range pauses {
		if p.Scope == store.ScopeJob && p.Guard == "" && !strings.HasPrefix(p.Actor, actorPrefix) {
			return problemf(http.StatusForbidden, "paused_by_operator", "an operator paused the job, and resumes it: enqueue resume %s", o.job)
		}
	}
	return nil
}

func (s *Server) changed(w http.ResponseWriter, r *http.Request, id string, changed bool) error {
	d, err := s.document(r.Context(), id)
	if err != nil {
		return err
	}
	d.Changed = &changed
	return reply(w, http.StatusOK, d)
}

// again says which failures to send once more.
type again struct {
	Reason      string `json:"reason"`
	RequestedBy string `json:"requested_by"`
	Code        string `json:"code"`
	All         bool   `json:"all"`
}

// retry submits failed rows once more. Asking twice for the same gives the same
// job, so that it needs no key.
func (s *Server) retry(w http.ResponseWriter, r *http.Request, o ordered) error {
	var a again
	if err := s.order(w, r, &a); err != nil {
		return err
	}
	if a.RequestedBy == "" {
		a.RequestedBy = actor(o.by)
	} else if _, err := requesterParam(a.RequestedBy); err != nil {
		return err
	}
	for name, text := range map[string]string{"reason": a.Reason, "requested_by": a.RequestedBy, "code": a.Code} {
		if _, err := textParam(name, text); err != nil {
			return err
		}
	}
	if err := s.mayRetry(r.Context(), o); err != nil {
		return err
	}
	leave, err := s.room.large.enter(r.Context(), o.by.Name) // its rows are in memory, however short the request is
	if err != nil {
		return err
	}
	defer leave()
	again, err := s.options.Submitter.RetryOf(r.Context(), tasks.RetryRequest{
		JobID: o.job, RequestedBy: a.RequestedBy, Reason: a.Reason, Token: o.by.Name, Filter: store.RetryFilter{Code: a.Code, All: a.All},
		Today: access.DateOf(s.options.Now().In(s.options.Location)),
	})
	if err != nil {
		return err
	}
	return s.Accept(w, r, Submission{Submission: again, By: o.by})
}

// mayRetry refuses the lane that the token could not have used itself: somebody
// else of the same source did.
func (s *Server) mayRetry(ctx context.Context, o ordered) error {
	job, err := s.options.Store.Job(ctx, o.job)
	if err != nil {
		return err
	}
	return mayUse(o.by, job.Lane)
}
