package quickbitest

import "cmp"

// The texts of failed items of AddWorkspaceUsers. The first is published.
const (
	detailAlreadyIn = "AE0150010001: This user already exists."
	detailNoUser    = "AE0150010002: " + textNotInOrganisation
	detailRole      = "AE0150010003: "
	detailScripted  = "AE0150019999: The user could not be added."
)

// counts is the Result of AddWorkspaceUsers.
//
//nolint:tagliatelle // the names are the API's
type counts struct {
	Total         int               `json:"Total"`
	Success       int               `json:"Success"`
	Failure       int               `json:"Failure"`
	FailureDetail map[string]string `json:"FailureDetail"`
}

func newCounts(total int, failed map[string]string) counts {
	if failed == nil {
		failed = map[string]string{}
	}
	return counts{Total: total, Success: total - len(failed), Failure: len(failed), FailureDetail: failed}
}

// newcomers is a well-formed AddWorkspaceUsers call.
type newcomers struct {
	workspace string
	users     []string
	role      int64
}

func readAddMembers(f *form) order {
	f.only("WorkspaceId", "UserIds", "RoleId")
	n := newcomers{workspace: f.id("WorkspaceId"), users: f.ids("UserIds"), role: f.number("RoleId")}
	return about(n.users, resource{kindWorkspace, n.workspace}, n.add)
}

func (n newcomers) add(s *scene) (outcome, *refusal) {
	ws, bad := s.workspace(n.workspace)
	if bad = cmp.Or(s.refuseBatch(), bad, n.refuse(s, ws)); bad != nil {
		return outcome{}, bad
	}
	failed := map[string]string{}
	for _, user := range n.users {
		if detail := n.fails(s, ws, user); detail != "" {
			failed[user] = detail
		} else {
			s.set(ws, user, []int64{n.role})
		}
	}
	return outcome{result: newCounts(len(n.users), failed), failed: len(failed)}, nil
}

func (s *scene) refuseBatch() *refusal {
	if s.opts.BatchRefusal == "" {
		return nil
	}
	return &refusal{code: s.opts.BatchRefusal, message: "Access forbidden. Your instance version or access key is not allowed to call the API operation."}
}

// refuse refuses the whole batch: for a role that is not preset, as the page
// lists no other, and, unless items fail, for the first unfit user.
func (n newcomers) refuse(s *scene, ws *workspace) *refusal {
	if ws == nil {
		return nil
	}
	if _, preset, _ := ws.role(n.role); !preset {
		return &refusal{code: "User.RoleType.Valid", message: "The role ID is invalid."}
	}
	if s.opts.MissingUser == MissingRow {
		return nil
	}
	for _, user := range n.users {
		if bad := cmp.Or(s.needUser(user), s.refuseRole(ws, user, n.role)); bad != nil {
			return bad
		}
	}
	return nil
}

// fails returns why one user is not added, or nothing.
func (n newcomers) fails(s *scene, ws *workspace, user string) string {
	sent := resource{kindWorkspace, ws.ID}
	switch bad := s.refuseRole(ws, user, n.role); {
	case !s.users[user]:
		return detailNoUser
	case s.fault.Kind == Rows && s.fault.Match.selects(user, sent, sent):
		return naming(cmp.Or(s.fault.Message, detailScripted), user)
	case ws.members[user] != nil:
		return detailAlreadyIn
	case bad != nil:
		return detailRole + bad.message
	}
	return ""
}
