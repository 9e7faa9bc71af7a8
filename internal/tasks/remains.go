package tasks

import (
	"context"
	"fmt"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/quickbi"
	"github.com/usher-bi/usher/internal/store"
)

// RemainsRequest asks what somebody who left still has.
type RemainsRequest struct {
	User        string   // Quick BI id
	Works       bool     // read the works that the user was given
	Workspaces  []string // look whether the user is a member of these
	Source      string
	RequestedBy string
	Reason      string
	Ticket      string
	Key         string // idempotency key
	Fingerprint string
	ParentID    string // ULID of the job that revoked; "" for none
}

// remainsHeader are the columns of a job that reads what a leaver still has.
var remainsHeader = []string{"principal", "resource_type", "resource_id", "reason", "ticket"}

// ReadRemains submits a job that takes down what a user still has: with one call
// the works, and with one each the place in a workspace, which is kept as a work of
// the type workspace, named by its role. A row ends as no_change where Quick BI says
// that there is nothing, also because the user or the workspace is gone. Errors are
// those of [Submitter.Submit].
func (s *Submitter) ReadRemains(ctx context.Context, r RemainsRequest) (Submitted, error) {
	var asked []access.Resource
	if r.Works {
		asked = append(asked, access.Resource{Type: access.Remains, ID: "*"})
	}
	for _, id := range r.Workspaces {
		asked = append(asked, access.Resource{Type: access.Membership, ID: id})
	}
	rows := make(RowList, len(asked))
	for i, resource := range asked {
		rows[i].Row = store.Row{Line: i + 1, RowID: fmt.Sprintf("line-%d", i+1), Reason: r.Reason, Ticket: r.Ticket, Change: access.Change{
			Operation: access.Read, Principal: access.Principal{Type: access.User, ID: r.User}, Resource: resource,
		}}
	}
	return s.Submit(ctx, Submission{
		Source: r.Source, RequestedBy: r.RequestedBy, Reason: r.Reason, Lane: store.Normal, Key: r.Key, Fingerprint: r.Fingerprint, ParentID: r.ParentID,
		Header: remainsHeader, Input: store.Input{Rows: len(rows)}, Rows: rows,
	})
}

// readRole looks whether a user is still a member of a workspace.
func (h *handler) readRole(task store.Task) step {
	user, workspace := one(task)
	return step{
		action: queryRoleInWorkspace,
		send: func(ctx context.Context) (outcome, error) {
			resp, err := h.quickbi.QueryUserRoleInfoInWorkspace(ctx, quickbi.WorkspaceUser{WorkspaceID: workspace.ID, UserID: user.ID})
			return outcome{Receipt: resp.Receipt, role: resp.Role}, err
		},
		judge: func(r reply) verdict {
			if r.err != nil {
				return h.judgeRemains(task, r)
			}
			v := verdict{kind: finish}
			if r.role != (quickbi.WorkspaceRole{}) { // it is not published what it means if it is
				v.works = []store.SharedWork{{UserID: user.ID, WorksID: workspace.ID, WorkType: string(access.Membership), WorkName: roleText(r.role), WorkspaceID: workspace.ID}}
			}
			return v
		},
	}
}

// The codes of quickbi that say of a leaver that there is nothing.
const (
	codeUserUnknown   = "user_not_exist"
	codeWorkspaceGone = "workspace_not_exist"
)

// judgeRemains judges a look that did not tell what somebody has: who is gone, or
// no member, or was a member of what is gone, has nothing.
func (h *handler) judgeRemains(task store.Task, r reply) verdict {
	m := quickbi.Explain(r.err)
	_, asked := one(task)
	switch {
	case m.Class == quickbi.ClassUserGone, m.Class == quickbi.ClassNotMember, m.Code == codeUserUnknown, m.Code == codeWorkspaceGone:
		e := exception(m, r)
		e.Status = store.NoChange
		return verdict{kind: finish, exceptions: everyCell(task.Rectangle, e)}
	case m.Code == CodeNotOffered && asked.Type == access.Membership: // which is no reason to stop reading works
		return failedAs(task, r, CodeNotOffered, "Quick BI does not offer "+string(queryRoleInWorkspace)+" here")
	default:
		return h.judge(task, r)
	}
}
