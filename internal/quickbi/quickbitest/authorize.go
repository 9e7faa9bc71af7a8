package quickbitest

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"
)

// What is said of ids that do not exist. The code and its text are published;
// the texts of failure rows are not, and are modelled on those of sister calls.
const (
	codeNotInOrganisation = "User.Not.In.Organization"
	textNotInOrganisation = "The specified user is not in the organizational unit."
	codeNoObject          = "Application.Object.NotExist"
	textNoObject          = "The specified object does not exist or has been deleted."
	rowNoUser             = "AE0550010002: The user does not exist in the organization."
	rowNoResource         = "AE0550010007: The Q&A resource does not exist."
	rowScripted           = "AE0550019999: The authorization failed."
)

// row is one failed pair, in the API's own spelling.
//
//nolint:tagliatelle // the names are the API's
type row struct {
	UserID        string `json:"UserId"`
	LlmCube       string `json:"LlmCube,omitempty"`
	LlmCubeTheme  string `json:"LlmCubeTheme,omitempty"`
	DetailMessage string `json:"DetailMessage"`
}

// authorize carries o out and returns the pairs that failed, or why nothing was
// done. A Rows fault makes the pairs that it selects fail.
func (s *Server) authorize(o order, requestID string, fault Fault) ([]row, *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if bad := cmp.Or(s.refuseMissingUser(o.users), s.refuseMissingResource(o.resources)); bad != nil {
		return nil, bad
	}
	now := s.opts.Now()
	failed := []row{}
	for _, user := range o.users {
		for _, sent := range o.resources {
			r, exists := s.org.resolve(sent)
			switch {
			case !s.org.users[user]:
				failed = append(failed, newRow(user, r, rowNoUser))
			case !exists:
				failed = append(failed, newRow(user, r, rowNoResource))
			case fault.Kind == Rows && fault.Match.selects(user, sent, r):
				failed = append(failed, newRow(user, r, naming(cmp.Or(fault.Message, rowScripted), user)))
			case o.revoke:
				s.org.revoke(user, r)
			default:
				s.org.grant(Grant{
					User: user, Kind: r.kind, Resource: r.id,
					ExpiresOn: o.expiresOn, GrantedAt: now, RequestID: requestID,
				}, s.opts.today(now))
			}
		}
	}
	return failed, nil
}

// newRow fills the one field that fits, and none for a dataset without a Q&A
// resource.
func newRow(user string, r resource, detail string) row {
	out := row{UserID: user, DetailMessage: detail}
	if r.kind == QATheme {
		out.LlmCubeTheme = r.id
	} else {
		out.LlmCube = r.id
	}
	return out
}

func (s *Server) refuseMissingUser(users []string) *refusal {
	i := slices.IndexFunc(users, func(id string) bool { return !s.org.users[id] })
	if i < 0 || s.opts.MissingUser == MissingRow {
		return nil
	}
	bad := &refusal{status: http.StatusBadRequest, code: codeNotInOrganisation, message: textNotInOrganisation}
	if s.opts.MissingUser == MissingRefusalNaming {
		bad.message = "The specified user " + users[i] + " is not in the organizational unit."
	}
	return bad
}

func (s *Server) refuseMissingResource(resources []resource) *refusal {
	i := slices.IndexFunc(resources, func(r resource) bool { _, exists := s.org.resolve(r); return !exists })
	if i < 0 || s.opts.MissingResource == MissingRow {
		return nil
	}
	bad := &refusal{status: http.StatusBadRequest, code: codeNoObject, message: textNoObject}
	if s.opts.MissingResource == MissingRefusalNaming {
		bad.message = "The specified object " + resources[i].id + " does not exist or has been deleted."
	}
	return bad
}

// selects reports whether m holds the pair of user and the resource that was
// sent, or what it was converted to.
func (m Match) selects(user string, sent, converted resource) bool {
	return (len(m.Users) == 0 || slices.Contains(m.Users, user)) &&
		(len(m.Resources) == 0 || slices.Contains(m.Resources, sent.id) || slices.Contains(m.Resources, converted.id))
}

// find returns the id that m is about in o: the first user it lists, else the
// first resource, else the first user of the call.
func (m Match) find(o order, g *organisation) (id string, found bool) {
	for _, user := range o.users {
		for _, sent := range o.resources {
			converted, _ := g.resolve(sent)
			switch {
			case !m.selects(user, sent, converted):
			case len(m.Users) == 0 && len(m.Resources) > 0:
				return sent.id, true
			default:
				return user, true
			}
		}
	}
	return "", false
}

func naming(message, id string) string { return strings.ReplaceAll(message, "%s", id) }

// later waits until d has passed or done is closed, and reports the former.
func later(done <-chan struct{}, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-done:
		return false
	}
}
