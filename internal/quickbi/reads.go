package quickbi

import (
	"context"
	"encoding/json"
)

const (
	queryUserRoleInfoInWorkspace = "QueryUserRoleInfoInWorkspace"
	listWorkspaceRoles           = "ListWorkspaceRoles"
	querySmartqAccess            = "QueryLlmCubeWithThemeListByUserId"
)

// WorkspaceRole is a role in a workspace.
type WorkspaceRole struct {
	RoleID   int64
	RoleCode string // such as role_workspace_admin; ListWorkspaceRoles gives none
	RoleName string
}

// roleRow is a WorkspaceRole on the wire.
type roleRow struct {
	RoleID             integer
	RoleCode, RoleName text
}

func (r roleRow) role() WorkspaceRole {
	return WorkspaceRole{RoleID: r.RoleID.value, RoleCode: line(r.RoleCode), RoleName: line(r.RoleName)}
}

// QueryUserRoleInfoInWorkspaceResponse is the role of a member.
type QueryUserRoleInfoInWorkspaceResponse struct {
	Receipt

	// Role has RoleID zero when the answer names none: the page promises
	// preset roles only, and does not say what users who are no members get.
	Role WorkspaceRole
}

// QueryUserRoleInfoInWorkspace looks up the role of a member
// (https://www.alibabacloud.com/help/en/quick-bi/developer-reference/api-quickbi-public-2022-01-01-queryuserroleinfoinworkspace).
func (c *Client) QueryUserRoleInfoInWorkspace(ctx context.Context, u WorkspaceUser) (QueryUserRoleInfoInWorkspaceResponse, error) {
	if err := u.check(queryUserRoleInfoInWorkspace); err != nil {
		return QueryUserRoleInfoInWorkspaceResponse{}, err
	}
	a, err := c.call(ctx, queryUserRoleInfoInWorkspace, u.params())
	if err != nil {
		return QueryUserRoleInfoInWorkspaceResponse{}, err
	}
	return roleResponse(a)
}

func roleResponse(a answer) (QueryUserRoleInfoInWorkspaceResponse, error) {
	row, ok := object[roleRow](a.result)
	if !ok || row.RoleID.or(0) < 0 {
		return QueryUserRoleInfoInWorkspaceResponse{}, a.unreadable()
	}
	return QueryUserRoleInfoInWorkspaceResponse{Receipt: a.receipt(), Role: row.role()}, nil
}

// ListWorkspaceRolesResponse is every role that members can be given.
type ListWorkspaceRolesResponse struct {
	Receipt

	Roles []WorkspaceRole // preset ones and the organization's own; RoleID is never zero
}

// ListWorkspaceRoles lists the roles of a workspace
// (https://www.alibabacloud.com/help/en/quick-bi/developer-reference/api-quickbi-public-2022-01-01-listworkspaceroles).
func (c *Client) ListWorkspaceRoles(ctx context.Context, workspaceID string) (ListWorkspaceRolesResponse, error) {
	if err := firstBroken(listWorkspaceRoles, anID("workspaceID", workspaceID)); err != nil {
		return ListWorkspaceRolesResponse{}, err
	}
	a, err := c.call(ctx, listWorkspaceRoles, map[string]string{"WorkspaceId": workspaceID})
	if err != nil {
		return ListWorkspaceRolesResponse{}, err
	}
	return rolesResponse(a)
}

func rolesResponse(a answer) (ListWorkspaceRolesResponse, error) {
	rows, ok := list[roleRow](a.result)
	if !ok {
		return ListWorkspaceRolesResponse{}, a.unreadable()
	}
	out := ListWorkspaceRolesResponse{Receipt: a.receipt()}
	for _, row := range rows {
		if row.RoleID.or(0) <= 0 {
			return ListWorkspaceRolesResponse{}, a.unreadable()
		}
		out.Roles = append(out.Roles, row.role())
	}
	return out, nil
}

// SmartqAccessResponse is what a user may ask questions about.
type SmartqAccessResponse struct {
	Receipt

	CubeIDs  map[string]string // names by the id of the dataset, not of its Q&A resource
	ThemeIDs map[string]string // names by the id of the analysis theme
}

// QueryLlmCubeWithThemeListByUserID lists a user's datasets and analysis themes
// of Smart Q, without their expiry
// (https://www.alibabacloud.com/help/en/quick-bi/developer-reference/api-quickbi-public-2022-01-01-queryllmcubewiththemelistbyuserid).
func (c *Client) QueryLlmCubeWithThemeListByUserID(ctx context.Context, userID string) (SmartqAccessResponse, error) {
	if err := firstBroken(querySmartqAccess, anID("userID", userID)); err != nil {
		return SmartqAccessResponse{}, err
	}
	a, err := c.call(ctx, querySmartqAccess, map[string]string{"UserId": userID})
	if err != nil {
		return SmartqAccessResponse{}, err
	}
	return smartqAccessResponse(a)
}

func smartqAccessResponse(a answer) (SmartqAccessResponse, error) {
	row, ok := object[struct{ CubeIDs, ThemeIDs json.RawMessage }](a.result)
	cubes, cubesOK := namesByID(row.CubeIDs)
	themes, themesOK := namesByID(row.ThemeIDs)
	if !ok || !cubesOK || !themesOK {
		return SmartqAccessResponse{}, a.unreadable()
	}
	return SmartqAccessResponse{Receipt: a.receipt(), CubeIDs: cubes, ThemeIDs: themes}, nil
}

// namesByID reads a map of ids and names. The page's sample has the only pair
// as a text under the name "key"; that is understood too.
func namesByID(raw json.RawMessage) (names map[string]string, ok bool) {
	fields, ok := object[map[string]text](raw)
	if sample, found := fields["key"]; found && len(fields) == 1 {
		var pairs map[string]text
		if json.Unmarshal([]byte("{"+string(sample)+"}"), &pairs) == nil {
			fields = pairs
		}
	}
	for id, name := range fields {
		if id == "" {
			return nil, false
		}
		if names == nil {
			names = make(map[string]string, len(fields))
		}
		names[clean(id, maxMessage)] = line(name)
	}
	return names, ok
}
