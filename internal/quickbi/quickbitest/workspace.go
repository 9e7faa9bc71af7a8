package quickbitest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// UserType is the kind of seat that a user has, which bounds the roles that the
// user can hold.
type UserType int

// The user types, as the API numbers them. Who has none is a developer.
const (
	Developer UserType = 1
	Viewer    UserType = 2
	Analyst   UserType = 3
)

// The preset roles of every workspace.
const (
	RoleAdmin     int64 = 25
	RoleDeveloper int64 = 26
	RoleAnalyst   int64 = 27
	RoleViewer    int64 = 30
)

// Only the code of the first is published.
var presetRoles = []Role{
	{ID: RoleAdmin, Code: "role_workspace_admin", Name: "Workspace Administrator"},
	{ID: RoleDeveloper, Code: "role_workspace_developer", Name: "Workspace Developer"},
	{ID: RoleAnalyst, Code: "role_workspace_analyst", Name: "Workspace Analyst"},
	{ID: RoleViewer, Code: "role_workspace_viewer", Name: "Workspace Viewer"},
}

// Role is a custom role of one workspace.
type Role struct {
	ID   int64  `json:"id"`
	Code string `json:"code,omitempty"`
	Name string `json:"name,omitempty"`

	// ForbidAnalysts marks a role with rights that analysts cannot have.
	// Viewers cannot have any custom role.
	ForbidAnalysts bool `json:"forbid_analysts,omitempty"`
}

// Workspace is a group workspace. All but ID may be left out.
type Workspace struct {
	ID    string `json:"id"`
	Name  string `json:"name,omitempty"`  // default: the id
	Owner string `json:"owner,omitempty"` // a user, who is an administrator unless Members says otherwise

	// Roles are the custom roles, beside the preset ones.
	Roles []Role `json:"roles,omitempty"`

	// AllowShare false forbids to share its works. Nil is true.
	AllowShare *bool `json:"allow_share,omitempty"`

	// Members leads from users to their one role at the start.
	Members map[string]int64 `json:"members,omitempty"`

	// Foreign marks a workspace of another organisation, Personal one that is
	// nobody else's: calls about them are refused.
	Foreign  bool `json:"foreign,omitempty"`
	Personal bool `json:"personal,omitempty"`
}

// Member is one membership of a workspace.
type Member struct {
	Workspace string    `json:"workspace"`
	User      string    `json:"user"`
	Roles     []int64   `json:"roles"` // at least one, in the order they were sent
	ChangedAt time.Time `json:"changed_at,omitzero"`
	Times     int       `json:"times"`                // how often a call set it since it began; 0 for one from the start
	RequestID string    `json:"request_id,omitempty"` // of the call that set it last
}

// workspace is a Workspace and who is in it now, by user.
type workspace struct {
	Workspace

	members map[string]*Member
}

// Members returns who is in which workspace, ordered by workspace and user.
func (s *Server) Members() []Member {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []Member{} // an empty JSON list rather than null
	for _, id := range slices.Sorted(maps.Keys(s.org.workspaces)) {
		ws := s.org.workspaces[id]
		for _, user := range slices.Sorted(maps.Keys(ws.members)) {
			m := *ws.members[user]
			m.Roles = slices.Clone(m.Roles)
			out = append(out, m)
		}
	}
	return out
}

// AddWorkspaces makes workspaces exist, or replaces those with the same ids,
// members included. If one of them cannot be, it returns an error and adds none.
func (s *Server) AddWorkspaces(workspaces ...Workspace) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := checkWorkspaces(workspaces, func(id string) bool { return s.org.users[id] }); err != nil {
		return err
	}
	s.org.addWorkspaces(workspaces)
	return nil
}

// RemoveWorkspaces deletes workspaces with the works in them. What was
// authorized to their members is gone.
func (s *Server) RemoveWorkspaces(ids ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.org.removeWorkspaces(ids)
}

func (g *organisation) addWorkspaces(workspaces []Workspace) {
	for _, w := range workspaces {
		ws := &workspace{Workspace: w, members: map[string]*Member{}}
		if w.Owner != "" {
			ws.members[w.Owner] = &Member{Workspace: w.ID, User: w.Owner, Roles: []int64{RoleAdmin}}
		}
		for user, role := range w.Members {
			ws.members[user] = &Member{Workspace: w.ID, User: user, Roles: []int64{role}}
		}
		g.workspaces[w.ID] = ws
	}
}

func (g *organisation) removeWorkspaces(ids []string) {
	for _, id := range ids {
		delete(g.workspaces, id)
	}
	var works []string
	for id, w := range g.works {
		if slices.Contains(ids, w.Workspace) {
			works = append(works, id)
		}
	}
	g.removeWorks(works)
	g.authorizations.dropHolders(PrincipalWorkspace, ids)
}

// role returns a role that can be had in the workspace.
func (w *Workspace) role(id int64) (role Role, preset, ok bool) {
	has := func(r Role) bool { return r.ID == id }
	if i := slices.IndexFunc(presetRoles, has); i >= 0 {
		return presetRoles[i], true, true
	}
	if i := slices.IndexFunc(w.Roles, has); i >= 0 {
		return w.Roles[i], false, true
	}
	return Role{}, false, false
}

func checkWorkspaces(workspaces []Workspace, hasUser func(string) bool) error {
	var errs []error
	seen := map[string]bool{}
	for i, w := range workspaces {
		err := cmp.Or(w.check(hasUser), w.checkRoles())
		if err == nil && seen[w.ID] {
			err = errors.New("the id is there already")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("workspaces[%d] %q: %w", i, w.ID, err))
		}
		seen[w.ID] = true
	}
	return errors.Join(errs...)
}

func (w *Workspace) check(hasUser func(string) bool) error {
	if !validID(w.ID) {
		return checkIDs("id", []string{w.ID})
	}
	if w.Owner != "" && !hasUser(w.Owner) {
		return fmt.Errorf("owner %q is not a user", w.Owner)
	}
	for _, user := range slices.Sorted(maps.Keys(w.Members)) {
		if !hasUser(user) {
			return fmt.Errorf("members: %q is not a user", user)
		}
		if _, _, ok := w.role(w.Members[user]); !ok {
			return fmt.Errorf("members: %q has role %d, which the workspace has not", user, w.Members[user])
		}
	}
	return nil
}

func (w *Workspace) checkRoles() error {
	none := Workspace{}
	seen := map[int64]bool{}
	for _, r := range w.Roles {
		if _, preset, _ := none.role(r.ID); preset || r.ID <= 0 || seen[r.ID] {
			return fmt.Errorf("roles: %d: want numbers above 0 that differ from each other and from the preset roles", r.ID)
		}
		seen[r.ID] = true
	}
	return nil
}
