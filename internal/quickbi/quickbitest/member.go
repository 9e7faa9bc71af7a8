package quickbitest

import (
	"cmp"
	"slices"
	"strconv"
)

// membership is a well-formed call about one workspace and, mostly, one user.
type membership struct {
	workspace, user string
	roles           []int64
}

func readAddMember(f *form) order {
	f.only("WorkspaceId", "UserId", "RoleId")
	m := membership{workspace: f.id("WorkspaceId"), user: f.id("UserId"), roles: []int64{f.number("RoleId")}}
	return about([]string{m.user}, resource{kindWorkspace, m.workspace}, m.add)
}

func (m membership) add(s *scene) (outcome, *refusal) {
	ws, bad := s.workspace(m.workspace)
	if bad = cmp.Or(bad, s.needUser(m.user)); bad != nil {
		return outcome{}, bad
	}
	if bad = s.refuseRole(ws, m.user, m.roles[0]); bad != nil {
		return outcome{}, bad
	}
	switch there := ws.members[m.user]; {
	case there == nil:
		s.set(ws, m.user, m.roles)
		return done, nil
	case slices.Contains(there.Roles, m.roles[0]):
		return outcome{}, &refusal{code: "User.AlreadyIn.Role", message: "The user is already assigned this role."}
	default:
		return outcome{}, &refusal{code: "User.AlreadyIn.Workspace", message: "This user already exists."}
	}
}

func readRemoveMember(f *form) order {
	f.only("WorkspaceId", "UserId")
	m := membership{workspace: f.id("WorkspaceId"), user: f.id("UserId")}
	return about([]string{m.user}, resource{kindWorkspace, m.workspace}, m.remove)
}

func (m membership) remove(s *scene) (outcome, *refusal) {
	ws, bad := s.memberOf(m)
	switch {
	case bad != nil:
		return outcome{}, bad
	case ws.Owner == m.user:
		return outcome{}, &refusal{code: "CanNot.Remove.WorkspaceOwner", message: "The owner of the workspace cannot be removed."}
	}
	delete(ws.members, m.user)
	return done, nil
}

// readChangeRoles reads RoleIds, which wins, or the deprecated RoleId.
func readChangeRoles(f *form) order {
	f.only("WorkspaceId", "UserId", "RoleIds", "RoleId")
	m := membership{workspace: f.id("WorkspaceId"), user: f.id("UserId")}
	if f.has("RoleId") && !f.has("RoleIds") {
		m.roles = []int64{f.number("RoleId")}
	} else {
		m.roles = f.numbers("RoleIds")
	}
	return about([]string{m.user}, resource{kindWorkspace, m.workspace}, m.change)
}

func (f *form) numbers(name string) []int64 {
	ids := f.ids(name)
	numbers := make([]int64, 0, len(ids))
	for _, id := range ids {
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil || slices.Contains(numbers, n) {
			f.wrongf("%s holds %q, which is not a number or repeated", name, id)
		}
		numbers = append(numbers, n)
	}
	return numbers
}

func (m membership) change(s *scene) (outcome, *refusal) {
	ws, bad := s.memberOf(m)
	if bad != nil {
		return outcome{}, bad
	}
	for _, role := range m.roles {
		if bad := s.refuseRole(ws, m.user, role); bad != nil {
			return outcome{}, bad
		}
	}
	s.set(ws, m.user, m.roles)
	return done, nil
}

// roleOfMember is the Result of QueryUserRoleInfoInWorkspace.
//
//nolint:tagliatelle // the names are the API's
type roleOfMember struct {
	RoleID   int64  `json:"RoleId"`
	RoleCode string `json:"RoleCode"`
	RoleName string `json:"RoleName"`
}

func readRoleOfMember(f *form) order {
	f.only("WorkspaceId", "UserId")
	m := membership{workspace: f.id("WorkspaceId"), user: f.id("UserId")}
	return about([]string{m.user}, resource{kindWorkspace, m.workspace}, func(s *scene) (outcome, *refusal) {
		ws, bad := s.memberOf(m)
		if bad != nil {
			return outcome{}, bad
		}
		role, _, _ := ws.role(ws.members[m.user].Roles[0]) // of several, one is told
		return outcome{result: roleOfMember{RoleID: role.ID, RoleCode: role.Code, RoleName: role.Name}}, nil
	})
}

// listedRole is one item of ListWorkspaceRoles, without its configuration.
//
//nolint:tagliatelle // the names are the API's
type listedRole struct {
	RoleID       int64  `json:"RoleId"`
	RoleName     string `json:"RoleName"`
	IsSystemRole bool   `json:"IsSystemRole"`
}

func readRoles(f *form) order {
	f.only("WorkspaceId")
	id := f.id("WorkspaceId")
	return about(nil, resource{kindWorkspace, id}, func(s *scene) (outcome, *refusal) {
		ws, bad := s.workspace(id)
		if bad != nil {
			return outcome{}, bad
		}
		roles := make([]listedRole, 0, len(presetRoles)+len(ws.Roles))
		for i, r := range slices.Concat(presetRoles, ws.Roles) {
			roles = append(roles, listedRole{RoleID: r.ID, RoleName: r.Name, IsSystemRole: i < len(presetRoles)})
		}
		return outcome{result: roles}, nil
	})
}

// set gives user these roles in place of those before.
func (s *scene) set(ws *workspace, user string, roles []int64) {
	fresh := &Member{Workspace: ws.ID, User: user, Roles: roles, ChangedAt: s.now, Times: 1, RequestID: s.requestID}
	if there := ws.members[user]; there != nil {
		fresh.Times += there.Times
	}
	ws.members[user] = fresh
}

// workspace returns one that calls can be about.
func (s *scene) workspace(id string) (*workspace, *refusal) {
	ws := s.workspaces[id]
	switch {
	case ws == nil:
		return nil, &refusal{code: "Workspace.Not.Exist", message: "The group workspace does not exist."}
	case ws.Foreign:
		return nil, &refusal{code: "Workspace.NotIn.Organization", message: "The workspace is not owned by the organization."}
	case ws.Personal:
		return nil, &refusal{code: "Workspace.Type.Error", message: "The type of group workspace is invalid."}
	}
	return ws, nil
}

// memberOf returns a workspace that the user is in.
func (s *scene) memberOf(m membership) (*workspace, *refusal) {
	ws, bad := s.workspace(m.workspace)
	if bad = cmp.Or(bad, s.needUser(m.user)); bad != nil {
		return nil, bad
	}
	if ws.members[m.user] == nil {
		return nil, &refusal{code: "User.NotIn.Workspace", message: "The user is not a member of the group workspace."}
	}
	return ws, nil
}

// refuseRole refuses a role that does not exist or that user cannot hold.
func (s *scene) refuseRole(ws *workspace, user string, id int64) *refusal {
	role, preset, ok := ws.role(id)
	if !ok {
		return s.noRole(id)
	}
	admin := id == RoleAdmin || id == RoleDeveloper
	switch kind := s.userTypes[user]; {
	case kind == Viewer && !preset:
		return &refusal{code: "Viewer.CannotHave.CustomRole", message: "Organization viewer cannot have custom roles."}
	case kind == Viewer && id != RoleViewer:
		return &refusal{code: "Viewer.AddInTo.Workspace", message: "Organization members with viewer type are not allowed to add to workspace: " + ws.ID + "."}
	case kind == Analyst && admin:
		return &refusal{code: "AnalystUser.NotSupport.AdminOrDevRole", message: "Analyst users do not support granting workspace administrator or developer roles."}
	case kind == Analyst && role.ForbidAnalysts:
		return &refusal{code: "UserAnalyst.NotSupport.ThisRole", message: "This role has permissions that analysts cannot grant."}
	}
	return nil
}

// noRole tells a custom role of some other workspace from a number that is
// nowhere a role.
func (s *scene) noRole(id int64) *refusal {
	for _, ws := range s.workspaces {
		if _, _, ok := ws.role(id); ok {
			return &refusal{code: "BindRole.NotExist.Error", message: "Bind role not exist, " + strconv.FormatInt(id, 10) + "."}
		}
	}
	return &refusal{code: "User.RoleType.Valid", message: "The role ID is invalid."}
}
