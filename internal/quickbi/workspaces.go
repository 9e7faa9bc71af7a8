package quickbi

import (
	"context"
	"strconv"
	"strings"
)

const (
	addUserToWorkspace      = "AddUserToWorkspace"
	deleteUserFromWorkspace = "DeleteUserFromWorkspace"
	updateWorkspaceUserRole = "UpdateWorkspaceUserRole"
)

// The preset roles of workspaces. Organizations add roles of their own.
const (
	RoleAdministrator int64 = 25
	RoleDeveloper     int64 = 26
	RoleAnalyst       int64 = 27
	RoleViewer        int64 = 30
)

// AddUserToWorkspaceRequest makes one user a member of a workspace.
type AddUserToWorkspaceRequest struct {
	WorkspaceID string
	UserID      string
	RoleID      int64 // preset or the organization's own
}

// AddUserToWorkspace adds a member to a workspace
// (https://www.alibabacloud.com/help/en/quick-bi/developer-reference/api-quickbi-public-2022-01-01-addusertoworkspace).
// A repeat changes nothing: members are refused, see [ClassSatisfied] and
// [ClassMember].
func (c *Client) AddUserToWorkspace(ctx context.Context, r AddUserToWorkspaceRequest) (Receipt, error) {
	if err := firstBroken(addUserToWorkspace,
		anID("WorkspaceID", r.WorkspaceID), anID("UserID", r.UserID), aRole("RoleID", r.RoleID)); err != nil {
		return Receipt{}, err
	}
	return c.order(ctx, addUserToWorkspace, map[string]string{
		"WorkspaceId": r.WorkspaceID, "UserId": r.UserID, "RoleId": strconv.FormatInt(r.RoleID, 10),
	})
}

func aRole(field string, ids ...int64) rule {
	r := rule{field, len(ids) == 0, "is not the id of a role"}
	for _, id := range ids {
		r.broken = r.broken || id <= 0
	}
	return r
}

// WorkspaceUser is one user in one workspace.
type WorkspaceUser struct {
	WorkspaceID string
	UserID      string
}

func (u WorkspaceUser) check(action string, more ...rule) error {
	return firstBroken(action, append([]rule{anID("WorkspaceID", u.WorkspaceID), anID("UserID", u.UserID)}, more...)...)
}

func (u WorkspaceUser) params() map[string]string {
	return map[string]string{"WorkspaceId": u.WorkspaceID, "UserId": u.UserID}
}

// DeleteUserFromWorkspace removes a member from a workspace
// (https://www.alibabacloud.com/help/en/quick-bi/developer-reference/api-quickbi-public-2022-01-01-deleteuserfromworkspace).
// A repeat changes nothing, see [ClassNotMember].
func (c *Client) DeleteUserFromWorkspace(ctx context.Context, u WorkspaceUser) (Receipt, error) {
	if err := u.check(deleteUserFromWorkspace); err != nil {
		return Receipt{}, err
	}
	return c.order(ctx, deleteUserFromWorkspace, u.params())
}

// UpdateWorkspaceUserRoleRequest gives a member other roles.
type UpdateWorkspaceUserRoleRequest struct {
	WorkspaceUser

	RoleIDs []int64 // they replace all that the member has
}

// UpdateWorkspaceUserRole replaces the roles of a member
// (https://www.alibabacloud.com/help/en/quick-bi/developer-reference/api-quickbi-public-2022-01-01-updateworkspaceuserrole).
// It may be repeated.
func (c *Client) UpdateWorkspaceUserRole(ctx context.Context, r UpdateWorkspaceUserRoleRequest) (Receipt, error) {
	if err := r.check(updateWorkspaceUserRole, aRole("RoleIDs", r.RoleIDs...)); err != nil {
		return Receipt{}, err
	}
	ids := make([]string, len(r.RoleIDs))
	for i, id := range r.RoleIDs {
		ids[i] = strconv.FormatInt(id, 10)
	}
	params := r.params()
	params["RoleIds"] = strings.Join(ids, ",")
	return c.order(ctx, updateWorkspaceUserRole, params)
}
