package quickbitest

import (
	"cmp"
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

// authorize carries o out, all but the pairs that fail. A Rows fault makes the
// pairs that it selects fail.
func (o *smartq) authorize(s *scene) (outcome, *refusal) {
	if bad := cmp.Or(s.refuseMissingUser(o.users), s.refuseMissingResource(o.resources)); bad != nil {
		return outcome{}, bad
	}
	failed := []row{}
	for _, user := range o.users {
		for _, sent := range o.resources {
			r, exists := s.resolve(sent)
			switch {
			case !s.users[user]:
				failed = append(failed, newRow(user, r, rowNoUser))
			case !exists:
				failed = append(failed, newRow(user, r, rowNoResource))
			case s.fault.Kind == Rows && s.fault.Match.selects(user, sent, r):
				failed = append(failed, newRow(user, r, naming(cmp.Or(s.fault.Message, rowScripted), user)))
			case o.revoke:
				s.revoke(user, r)
			default:
				s.grant(Grant{
					User: user, Kind: r.kind, Resource: r.id,
					ExpiresOn: o.expiresOn, GrantedAt: s.now, RequestID: s.requestID,
				}, s.today())
			}
		}
	}
	return outcome{result: failed, failed: len(failed)}, nil
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

func (s *scene) refuseMissingUser(users []string) *refusal {
	i := slices.IndexFunc(users, func(id string) bool { return !s.users[id] })
	if i < 0 || s.opts.MissingUser == MissingRow {
		return nil
	}
	return s.needUser(users[i])
}

// needUser refuses a call about one user who does not exist.
func (s *scene) needUser(user string) *refusal {
	if s.users[user] {
		return nil
	}
	bad := &refusal{code: codeNotInOrganisation, message: textNotInOrganisation}
	if s.opts.MissingUser == MissingRefusalNaming {
		bad.message = "The specified user " + user + " is not in the organizational unit."
	}
	return bad
}

func (s *scene) refuseMissingResource(resources []resource) *refusal {
	i := slices.IndexFunc(resources, func(r resource) bool { _, exists := s.resolve(r); return !exists })
	if i < 0 || s.opts.MissingResource == MissingRow {
		return nil
	}
	bad := &refusal{code: codeNoObject, message: textNoObject}
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
// first resource, else the first user of the call. A call that names no users,
// or no resources, holds no selected one.
func (m Match) find(o order, g *organisation) (id string, found bool) {
	users, resources := orNone(o.users), orNone(o.resources)
	for _, user := range users {
		for _, sent := range resources {
			converted, _ := g.resolve(sent)
			switch {
			case !m.selects(user, sent, converted):
			case user == "", len(m.Users) == 0 && len(m.Resources) > 0:
				return sent.id, true
			default:
				return user, true
			}
		}
	}
	return "", false
}

// orNone is list, or one zero value when it is empty.
func orNone[T any](list []T) []T {
	if len(list) == 0 {
		return make([]T, 1)
	}
	return list
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
