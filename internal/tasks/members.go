package tasks

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/quickbi"
	"github.com/usher-bi/usher/internal/store"
)

// The failure codes of memberships that only a look can tell.
const (
	codeOtherRole   = "member_with_other_role"
	codeRoleUnknown = "workspace_role_not_exist"
)

// join makes one user a member of a workspace. The id of a role that an
// organization made itself is looked up by its name first.
func (h *handler) join(task store.Task) step {
	if id, known := access.WorkspaceRole(task.Terms.Role); known {
		return h.joinAs(task, id)
	}
	_, workspace := one(task)
	return step{
		action: listWorkspaceRoles,
		send: func(ctx context.Context) (outcome, error) {
			resp, err := h.quickbi.ListWorkspaceRoles(ctx, workspace.ID)
			return outcome{Receipt: resp.Receipt, roles: resp.Roles}, err
		},
		judge: func(r reply) verdict {
			if r.err != nil {
				return h.judge(task, r)
			}
			at := slices.IndexFunc(r.roles, func(role quickbi.WorkspaceRole) bool {
				return strings.EqualFold(role.RoleName, task.Terms.Role) || role.RoleCode == task.Terms.Role
			})
			if at < 0 {
				return failedAs(task, r, codeRoleUnknown, fmt.Sprintf("the workspace has no role %q", task.Terms.Role))
			}
			return verdict{kind: another, next: h.joinAs(task, r.roles[at].RoleID)}
		},
	}
}

func (h *handler) joinAs(task store.Task, role int64) step {
	user, workspace := one(task)
	return step{
		action: access.AddUserToWorkspace,
		send: func(ctx context.Context) (outcome, error) {
			receipt, err := h.quickbi.AddUserToWorkspace(ctx, quickbi.AddUserToWorkspaceRequest{
				WorkspaceID: workspace.ID, UserID: user.ID, RoleID: role,
			})
			return outcome{Receipt: receipt}, err
		},
		judge: func(r reply) verdict {
			if quickbi.Classify(r.err) == quickbi.ClassMember {
				return verdict{kind: another, next: h.compareRole(task, role, r)}
			}
			return h.judge(task, r)
		},
	}
}

// compareRole looks up which role a member has already.
func (h *handler) compareRole(task store.Task, role int64, refused reply) step {
	user, workspace := one(task)
	who := quickbi.WorkspaceUser{WorkspaceID: workspace.ID, UserID: user.ID}
	return step{
		action: queryRoleInWorkspace,
		send: func(ctx context.Context) (outcome, error) {
			resp, err := h.quickbi.QueryUserRoleInfoInWorkspace(ctx, who)
			return outcome{Receipt: resp.Receipt, role: resp.Role}, err
		},
		judge: func(r reply) verdict {
			switch {
			case r.err != nil:
				return h.judgeRoleLook(task, r, refused)
			case r.role.RoleID == role:
				m := quickbi.Explain(refused.err)
				m.Class = quickbi.ClassSatisfied
				return alreadySo(task, refused, m)
			case task.UpdateRole:
				return verdict{kind: another, next: h.changeRole(task, who, role)}
			default:
				return failedAs(task, refused, codeOtherRole, fmt.Sprintf(
					"the user is in the workspace already, as %s; asked for was %s", roleText(r.role), task.Terms.Role))
			}
		},
	}
}

// judgeRoleLook judges a look that did not tell the role.
func (h *handler) judgeRoleLook(task store.Task, r, refused reply) verdict {
	switch quickbi.Classify(r.err) {
	case quickbi.ClassThrottled, quickbi.ClassAccount, quickbi.ClassTransient, quickbi.ClassUnknownOutcome:
		return h.judge(task, r)
	default:
		return failedAs(task, refused, codeOtherRole, "the user is in the workspace already, with a role that Quick BI does not tell; asked for was "+task.Terms.Role)
	}
}

func roleText(r quickbi.WorkspaceRole) string {
	for _, name := range []string{access.RoleAdmin, access.RoleDeveloper, access.RoleAnalyst, access.RoleViewer} {
		if id, _ := access.WorkspaceRole(name); id == r.RoleID {
			return name
		}
	}
	switch {
	case r.RoleName != "":
		return fmt.Sprintf("%s (role %d)", r.RoleName, r.RoleID)
	case r.RoleID == 0:
		return "a role that Quick BI does not tell"
	default:
		return fmt.Sprintf("role %d", r.RoleID)
	}
}

// changeRole gives a member the role that was asked for in place of all others.
func (h *handler) changeRole(task store.Task, who quickbi.WorkspaceUser, role int64) step {
	return step{
		action: updateWorkspaceUserRole,
		send: func(ctx context.Context) (outcome, error) {
			receipt, err := h.quickbi.UpdateWorkspaceUserRole(ctx, quickbi.UpdateWorkspaceUserRoleRequest{WorkspaceUser: who, RoleIDs: []int64{role}})
			return outcome{Receipt: receipt}, err
		},
		judge: func(r reply) verdict { return h.judge(task, r) },
	}
}

// leave takes a user out of a workspace.
func (h *handler) leave(task store.Task) step {
	user, workspace := one(task)
	return step{
		action: access.DeleteUserFromWorkspace,
		send: func(ctx context.Context) (outcome, error) {
			receipt, err := h.quickbi.DeleteUserFromWorkspace(ctx, quickbi.WorkspaceUser{WorkspaceID: workspace.ID, UserID: user.ID})
			return outcome{Receipt: receipt}, err
		},
		judge: func(r reply) verdict { return h.judge(task, r) },
	}
}

// joinTogether makes several users members with one call. Whoever it does not
// settle is sent alone, where the answer says more: those who are members
// already, and everybody if the account may not use this operation.
func (h *handler) joinTogether(task store.Task) step {
	_, workspace := one(task)
	role, _ := access.WorkspaceRole(task.Terms.Role)
	return step{
		action: access.AddWorkspaceUsers,
		send: func(ctx context.Context) (outcome, error) {
			resp, err := h.quickbi.AddWorkspaceUsers(ctx, quickbi.AddWorkspaceUsersRequest{
				WorkspaceID: workspace.ID, UserIDs: byPrincipal.names(task.Rectangle), RoleID: role,
			})
			out := outcome{Receipt: resp.Receipt}
			for user, detail := range resp.FailureDetail {
				out.failures = append(out.failures, quickbi.SmartqFailure{UserID: user, DetailMessage: detail})
			}
			return out, err
		},
		judge: func(r reply) verdict {
			switch {
			case quickbi.Classify(r.err) == quickbi.ClassAccount:
				return verdict{kind: cut, parts: alone(task.Rectangle, func(int) bool { return true })}.unsure(task.Unsure)
			case r.err != nil:
				return singly(h.judge(task, r))
			default:
				return settleMembers(task, r).unsure(task.Unsure)
			}
		},
	}
}

// settleMembers judges the failure rows of several users who joined together.
// A row whose key names nobody of the call may mean anybody.
func settleMembers(task store.Task, r reply) verdict {
	byUser := map[string]quickbi.SmartqFailure{}
	for _, f := range r.failures {
		byUser[f.UserID] = f
	}
	users := byPrincipal.names(task.Rectangle)
	named := 0
	again := make([]bool, len(users))
	var exceptions []store.CellException
	for i, user := range users {
		f, failed := byUser[user]
		if !failed {
			continue
		}
		named++
		m := quickbi.MeaningOfDetail(f.DetailMessage)
		if m.Class == quickbi.ClassMember || m.Class == quickbi.ClassSatisfied {
			again[i] = true
			continue
		}
		e := exception(m, r)
		e.Message, e.APICode = f.DetailMessage, quickbi.CodeOfDetail(f.DetailMessage)
		exceptions = append(exceptions, store.CellException{Principal: user, Resource: task.Resources[0], Exception: e})
	}
	if named < len(byUser) {
		return verdict{kind: cut, parts: alone(task.Rectangle, func(int) bool { return true })}
	}
	if !slices.Contains(again, true) {
		return verdict{kind: finish, exceptions: exceptions}
	}
	parts := alone(task.Rectangle, func(i int) bool { return again[i] })
	if over := byPrincipal.keep(task.Rectangle, func(i int) bool { return !again[i] }); over.Cells() > 0 {
		parts = append(parts, store.Part{Rectangle: over, Done: true, Exceptions: exceptions})
	}
	return verdict{kind: cut, parts: parts}
}

// alone makes of each chosen user of r a part of its own, by the operation for
// one user.
func alone(r access.Rectangle, chosen func(i int) bool) []store.Part {
	var parts []store.Part
	for i := range r.Principals {
		if chosen(i) {
			single := r
			single.Action, single.Principals = access.AddUserToWorkspace, r.Principals[i:i+1]
			parts = append(parts, store.Part{Rectangle: single})
		}
	}
	return parts
}

// singly turns the parts of one user that a cut left over into calls for one.
func singly(v verdict) verdict {
	for i, p := range v.parts {
		if p.Cells() == 1 {
			v.parts[i].Action = access.AddUserToWorkspace
		}
	}
	return v
}

// failedAs fails every change of a task with a code and a message of ours,
// beside what the API said.
func failedAs(task store.Task, r reply, code, message string) verdict {
	e := store.Exception{
		Status: store.Failed, Code: code, Message: message, APICode: r.answer.APICode, RequestID: r.answer.RequestID,
	}
	return verdict{kind: finish, exceptions: everyCell(task.Rectangle, e)}
}
