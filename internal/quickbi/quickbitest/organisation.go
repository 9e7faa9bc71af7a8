package quickbitest

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// ResourceKind says what a grant is about.
type ResourceKind string

// The kinds of resource that can be granted. A dataset is granted as its Q&A
// resource.
const (
	QAResource ResourceKind = "qa_resource" // sent in LlmCubes or, as a dataset, in CubeIds
	QATheme    ResourceKind = "qa_theme"    // sent in LlmCubeThemes
	dataset    ResourceKind = "dataset"     // as sent in CubeIds
)

// Grant is one access in force.
type Grant struct {
	User      string       `json:"user"`
	Kind      ResourceKind `json:"kind"`
	Resource  string       `json:"resource"`
	ExpiresOn string       `json:"expires_on"` // the last day, YYYY-MM-DD
	GrantedAt time.Time    `json:"granted_at"` // the last time
	Times     int          `json:"times"`      // how often it was granted since it began
	RequestID string       `json:"request_id"` // of the call that granted it last
}

// Resources are things that access is given to, by id. Datasets leads from
// datasets to their Q&A resources, which thereby exist.
type Resources struct {
	QAResources []string          `json:"qa_resources,omitempty"`
	QAThemes    []string          `json:"qa_themes,omitempty"`
	Datasets    map[string]string `json:"datasets,omitempty"`
}

// resource is what a call names, and what a grant is about once a dataset has
// been converted.
type resource struct {
	kind ResourceKind
	id   string
}

type holding struct {
	resource

	user string
}

// organisation is who and what exists, and who has been granted what. Its
// owner guards it.
type organisation struct {
	id        string
	users     map[string]bool
	userTypes map[string]UserType
	accounts  []Account
	groups    map[string]map[string]bool // id to its users
	resources map[resource]bool
	datasets  map[string]string
	grants    map[holding]Grant

	works          map[string]Work
	workspaces     map[string]*workspace
	authorizations ledger
	shares         ledger
}

func newOrganisation(o *Options) *organisation {
	g := &organisation{
		id: o.Organization, users: map[string]bool{}, userTypes: map[string]UserType{},
		groups: map[string]map[string]bool{}, resources: map[resource]bool{},
		datasets: map[string]string{}, grants: map[holding]Grant{}, works: map[string]Work{},
		workspaces: map[string]*workspace{}, authorizations: ledger{}, shares: ledger{},
	}
	g.addUsers(o.Users)
	maps.Copy(g.userTypes, o.UserTypes)
	g.accounts = slices.Clone(o.Accounts)
	g.addGroups(o.Groups)
	g.addResources(o.resources())
	g.addWorkspaces(o.Workspaces)
	g.addWorks(o.Works)
	return g
}

func (g *organisation) addUsers(ids []string) {
	for _, id := range ids {
		g.users[id] = true
	}
}

func (g *organisation) removeUsers(ids []string) {
	for _, id := range ids {
		delete(g.users, id)
		delete(g.userTypes, id)
		g.accounts = slices.DeleteFunc(g.accounts, func(a Account) bool { return a.User == id })
		for _, members := range g.groups {
			delete(members, id)
		}
		for _, ws := range g.workspaces {
			delete(ws.members, id)
		}
	}
	maps.DeleteFunc(g.grants, func(h holding, _ Grant) bool { return slices.Contains(ids, h.user) })
	g.dropHolders(PrincipalUser, ids)
}

// addGroups makes groups of these users, in place of groups with the same ids.
func (g *organisation) addGroups(groups map[string][]string) {
	for id, users := range groups {
		g.groups[id] = map[string]bool{}
		for _, user := range users {
			g.groups[id][user] = true
		}
	}
}

func (g *organisation) removeGroups(ids []string) {
	for _, id := range ids {
		delete(g.groups, id)
	}
	g.dropHolders(PrincipalGroup, ids)
}

func (g *organisation) dropHolders(t PrincipalType, ids []string) {
	g.authorizations.dropHolders(t, ids)
	g.shares.dropHolders(t, ids)
}

// exists reports whether a principal other than a user does.
func (g *organisation) exists(p Principal) bool {
	switch p.Type {
	case PrincipalGroup:
		return g.groups[p.ID] != nil
	case PrincipalOrganization:
		return g.id == p.ID
	default:
		return g.workspaces[p.ID] != nil
	}
}

func (g *organisation) addResources(r Resources) {
	for _, id := range slices.Concat(r.QAResources, slices.Collect(maps.Values(r.Datasets))) {
		g.resources[resource{QAResource, id}] = true
	}
	for _, id := range r.QAThemes {
		g.resources[resource{QATheme, id}] = true
	}
	maps.Copy(g.datasets, r.Datasets)
}

func (g *organisation) removeResources(ids []string) {
	for _, id := range ids {
		delete(g.datasets, id)
	}
	maps.DeleteFunc(g.resources, func(r resource, _ bool) bool { return slices.Contains(ids, r.id) })
	maps.DeleteFunc(g.grants, func(h holding, _ Grant) bool { return slices.Contains(ids, h.id) })
}

// resolve returns what a grant of r is about. For a dataset without a Q&A
// resource that is nothing with an id.
func (g *organisation) resolve(r resource) (_ resource, exists bool) {
	if r.kind == dataset {
		r = resource{QAResource, g.datasets[r.id]}
	}
	return r, g.resources[r]
}

// grant puts fresh in force, in place of a like grant before it.
func (g *organisation) grant(fresh Grant, today string) {
	h := holding{resource: resource{fresh.Kind, fresh.Resource}, user: fresh.User}
	if old := g.grants[h]; old.ExpiresOn >= today {
		fresh.Times = old.Times
	}
	fresh.Times++
	g.grants[h] = fresh
}

func (g *organisation) revoke(user string, r resource) {
	delete(g.grants, holding{resource: r, user: user})
}

// inForce lists the grants that have not expired.
func (g *organisation) inForce(today string) []Grant {
	out := []Grant{} // an empty JSON list rather than null
	for _, grant := range g.grants {
		if grant.ExpiresOn >= today {
			out = append(out, grant)
		}
	}
	slices.SortFunc(out, func(a, b Grant) int {
		return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Resource, b.Resource))
	})
	return out
}

// Grants returns what is in force now, ordered by user, kind and resource.
func (s *Server) Grants() []Grant {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.org.inForce(s.opts.today(s.opts.Now()))
}

// AddUsers lets users join the organisation.
func (s *Server) AddUsers(ids ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.org.addUsers(ids)
}

// AddGroups makes user groups of users exist, or replaces those with the same
// ids. If one of them cannot be, it returns an error and adds none.
func (s *Server) AddGroups(groups map[string][]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := checkGroups(groups, func(id string) bool { return s.org.users[id] }); err != nil {
		return err
	}
	s.org.addGroups(groups)
	return nil
}

// RemoveGroups deletes user groups. What was given to them is gone.
func (s *Server) RemoveGroups(ids ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.org.removeGroups(ids)
}

// RemoveUsers lets users leave the organisation, their groups and their
// workspaces. What was given to them is gone.
func (s *Server) RemoveUsers(ids ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.org.removeUsers(ids)
}

// AddResources makes resources exist.
func (s *Server) AddResources(r Resources) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.org.addResources(r)
}

// RemoveResources deletes the Q&A resources, themes and datasets with these
// ids. Grants on them are gone.
func (s *Server) RemoveResources(ids ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.org.removeResources(ids)
}
