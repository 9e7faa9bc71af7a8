package tasks

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/limit"
	"github.com/usher-bi/usher/internal/quickbi"
	"github.com/usher-bi/usher/internal/store"
)

// step is one call that a task makes. Most tasks make one; some look something
// up before it or after it. Every call is paced, written down and recorded in
// the same way.
type step struct {
	action access.Action
	send   func(ctx context.Context) (outcome, error)
	judge  func(r reply) verdict
}

// outcome is what a call that was carried out brought back.
type outcome struct {
	quickbi.Receipt

	result   string                  // to be kept with the answer
	failures []quickbi.SmartqFailure // refused parts of what was asked for
	role     quickbi.WorkspaceRole   // of QueryUserRoleInfoInWorkspace
	roles    []quickbi.WorkspaceRole // of ListWorkspaceRoles
	works    []quickbi.SharedWork    // of QuerySharesToUserList
	shares   []quickbi.Share         // of QueryShareList
}

// reply is how one call for a task ended.
type reply struct {
	outcome

	answer    store.Answer          // for the record
	overtakes *store.OlderCallError // as in [store.Begun]
	turn      *limit.Turn           // that it had
	err       error                 // nil: carried out, in whole or in part
}

// The operations that tasks look things up with. No change leads to them, so
// they have no queue, but each has its own rate.
const (
	queryShareList          access.Action = "QueryShareList"
	queryRoleInWorkspace    access.Action = "QueryUserRoleInfoInWorkspace"
	listWorkspaceRoles      access.Action = "ListWorkspaceRoles"
	updateWorkspaceUserRole access.Action = "UpdateWorkspaceUserRole"
)

// paced lists every operation that is called, and so has a limiter.
func paced() []access.Action {
	return append(access.Actions(), queryShareList, queryRoleInWorkspace, listWorkspaceRoles, updateWorkspaceUserRole, QueryUserInfoByAccount)
}

// first returns the call with which a task begins.
func (h *handler) first(task store.Task) step {
	switch task.Action {
	case access.AddWorksAuthorization, access.AddShareReport:
		if task.Unsure { // repeating these may double them: look first
			return h.lookFor(task, func(f finding) verdict { return h.resend(task, f) })
		}
		return h.give(task)
	case access.DeleteAuthorizationByUserID, access.CancelReportShare:
		return h.take(task)
	case access.AddUserToWorkspace:
		return h.join(task)
	case access.AddWorkspaceUsers:
		return h.joinTogether(task)
	case access.DeleteUserFromWorkspace:
		return h.leave(task)
	case access.QuerySharesToUserList:
		if _, asked := one(task); asked.Type == access.Membership {
			return h.readRole(task)
		}
		return h.read(task)
	default:
		return h.authorize(task)
	}
}

// repeatable reports whether a task may be sent again when nobody knows what
// became of it. Smart Q grants set the same expiry again, revokes of what is
// gone and memberships that stand are refused as such. What a second
// authorization or share of a work does is not published.
func repeatable(action access.Action) bool {
	return action != access.AddWorksAuthorization && action != access.AddShareReport
}

// authorize is the Smart Q call of a whole rectangle.
func (h *handler) authorize(task store.Task) step {
	return step{
		action: access.SmartqAuthorize,
		send: func(ctx context.Context) (outcome, error) {
			resp, err := h.quickbi.SmartqAuthorize(ctx, smartqRequest(task.Rectangle))
			return outcome{Receipt: quickbi.Receipt{RequestID: resp.RequestID, HTTPStatus: resp.HTTPStatus}, failures: resp.Failures}, err
		},
		judge: func(r reply) verdict { return h.judge(task, r) },
	}
}

// smartqRequest is the SmartqAuthorize call of a rectangle.
func smartqRequest(r access.Rectangle) quickbi.SmartqAuthorizeRequest {
	req := quickbi.SmartqAuthorizeRequest{
		Operation: quickbi.SmartqGrant, UserIDs: byPrincipal.names(r), ExpireDay: r.Terms.ExpiresOn.String(),
	}
	if r.Operation == access.Revoke {
		req.Operation = quickbi.SmartqRevoke
	}
	for _, res := range r.Resources {
		switch res.Type {
		case access.QAResource:
			req.LlmCubes = append(req.LlmCubes, res.ID)
		case access.QATheme:
			req.LlmCubeThemes = append(req.LlmCubeThemes, res.ID)
		case access.Dataset:
			req.CubeIDs = append(req.CubeIDs, res.ID)
		default: // no other type is planned for this action
		}
	}
	return req
}

// scopes are the kinds of principal as the API numbers them.
var scopes = map[access.PrincipalType]quickbi.Scope{
	access.User: quickbi.ScopeUser, access.Group: quickbi.ScopeGroup,
	access.Organization: quickbi.ScopeOrganization, access.Workspace: quickbi.ScopeWorkspace,
}

// levels are the roles of works and shares as the API numbers them.
var levels = map[string]quickbi.Level{
	access.RoleView: quickbi.LevelView, access.RoleViewExport: quickbi.LevelExport, access.RoleEdit: quickbi.LevelEdit,
}

// one returns the only principal and resource of a task that holds one change.
func one(task store.Task) (access.Principal, access.Resource) {
	return task.Principals[0], task.Resources[0]
}

// give grants one principal one work, as an authorization or as a share.
func (h *handler) give(task store.Task) step {
	principal, resource := one(task)
	s := step{action: task.Action, judge: func(r reply) verdict { return h.judge(task, r) }}
	if task.Action == access.AddShareReport {
		s.send = func(ctx context.Context) (outcome, error) {
			receipt, err := h.quickbi.AddShareReport(ctx, quickbi.AddShareReportRequest{
				WorksID: resource.ID, ShareToID: principal.ID, ShareToType: scopes[principal.Type],
				AuthPoint: levels[task.Terms.Role], ExpireDate: h.endOf(task.Terms.ExpiresOn),
			})
			return outcome{Receipt: receipt}, err
		}
		return s
	}
	s.send = func(ctx context.Context) (outcome, error) {
		resp, err := h.quickbi.AddWorksAuthorization(ctx, quickbi.AddWorksAuthorizationRequest{
			ResourceType: string(resource.Type), ResourceID: resource.ID, AuthorizedID: principal.ID, Scope: scopes[principal.Type],
			AuthPoints: levels[task.Terms.Role], ExpireDay: task.Terms.ExpiresOn.String(),
		})
		return outcome{Receipt: resp.Receipt, result: resp.AuthorizationID}, err
	}
	return s
}

// take revokes an authorization or a share.
func (h *handler) take(task store.Task) step {
	principal, resource := one(task)
	return step{
		action: task.Action,
		send: func(ctx context.Context) (outcome, error) {
			var receipt quickbi.Receipt
			var err error
			if task.Action == access.CancelReportShare {
				receipt, err = h.quickbi.CancelReportShare(ctx, quickbi.CancelReportShareRequest{
					ReportID: resource.ID, ShareToID: principal.ID, ShareToType: scopes[principal.Type],
				})
			} else {
				receipt, err = h.quickbi.DeleteAuthorizationByUserID(ctx, quickbi.DeleteAuthorizationRequest{
					ResourceType: string(resource.Type), ResourceID: resource.ID, QbiUserID: principal.ID,
				})
			}
			return outcome{Receipt: receipt}, err
		},
		judge: func(r reply) verdict {
			m := quickbi.Explain(r.err)
			if m.Class != quickbi.ClassWorkGone {
				return h.judge(task, r)
			}
			// Under another id or type the access would stay: look.
			return verdict{kind: another, next: h.lookFor(task, func(f finding) verdict {
				e := exception(m, r)
				if f == absent {
					e.Status = store.NoChange
				}
				return verdict{kind: finish, exceptions: everyCell(task.Rectangle, e)}
			})}
		},
	}
}

// finding is what a look at Quick BI tells of a work given to a principal.
type finding int

const (
	present finding = iota + 1
	absent
	unclear // the lists do not tell
)

// lookFor finds out whether the principal of a task has its work, and goes on
// with then. The list of a user's works does not say why a work is on it, so a
// work that is there is looked up once more among the shares: only if the user
// has no share of it, it is there by authorization.
func (h *handler) lookFor(task store.Task, then func(finding) verdict) step {
	principal, resource := one(task)
	if resource.Type == access.Share || principal.Type != access.User {
		return h.lookAtShares(task, func(f finding, _ bool) verdict {
			if resource.Type != access.Share { // a list of shares need not tell of authorizations
				f = unclear
			}
			return then(f)
		})
	}
	return step{
		action: access.QuerySharesToUserList,
		send: func(ctx context.Context) (outcome, error) {
			resp, err := h.quickbi.QuerySharesToUserList(ctx, principal.ID)
			return outcome{Receipt: resp.Receipt, works: resp.Works}, err
		},
		judge: func(r reply) verdict {
			if r.err != nil {
				return h.judgeLook(task, r, then)
			}
			if f := findWork(resource, r.works); f != present {
				return then(f)
			}
			return verdict{kind: another, next: h.lookAtShares(task, func(f finding, told bool) verdict {
				if f == present && told || task.Regrant {
					return then(unclear)
				}
				return then(present)
			})}
		},
	}
}

// lookAtShares looks for the principal of a task among those its work is shared
// with. told is false where Quick BI does not offer the list.
func (h *handler) lookAtShares(task store.Task, then func(f finding, told bool) verdict) step {
	_, resource := one(task)
	return step{
		action: queryShareList,
		send: func(ctx context.Context) (outcome, error) {
			resp, err := h.quickbi.QueryShareList(ctx, resource.ID)
			return outcome{Receipt: resp.Receipt, shares: resp.Shares}, err
		},
		judge: func(r reply) verdict {
			if r.err != nil {
				return h.judgeLook(task, r, func(f finding) verdict { return then(f, false) })
			}
			return then(h.findShare(task, r.shares), true)
		},
	}
}

// CodeNotOffered is quickbi's code for an operation that the endpoint does not
// know.
const CodeNotOffered = "endpoint_rejected"

// judgeLook judges a look that found nothing out. What may pass is tried again
// with the task; what does not pass leaves the question open.
func (h *handler) judgeLook(task store.Task, r reply, then func(finding) verdict) verdict {
	m := quickbi.Explain(r.err)
	switch m.Class {
	case quickbi.ClassUserGone:
		return then(absent) // who is not there has nothing
	case quickbi.ClassThrottled:
		return h.judge(task, r)
	case quickbi.ClassAccount:
		if m.Code != CodeNotOffered {
			return h.judge(task, r)
		}
	case quickbi.ClassTransient, quickbi.ClassUnknownOutcome: // a look changes nothing
		if task.Strikes+1 < h.options.MaxStrikes {
			return verdict{kind: repeat, again: store.Again{Delay: h.delay(r, task.Strikes), Counts: true}}
		}
	default: // it does not pass
	}
	return then(unclear)
}

// findShare looks for the principal of a task among those a work is shared
// with; for a share that is to be given, one on other terms is another one. The
// list leaves out what gives leave to edit.
func (h *handler) findShare(task store.Task, shares []quickbi.Share) finding {
	principal, _ := one(task)
	for _, s := range shares {
		if s.ShareToID == principal.ID && (s.ShareToType == "" || s.ShareToType == strconv.Itoa(int(scopes[principal.Type]))) && h.asAsked(task, s) {
			return present
		}
	}
	if task.Terms.Role == access.RoleEdit {
		return unclear
	}
	return absent
}

// asAsked reports whether a share can be the one that a task gives. What the
// list does not tell is taken to be so.
func (h *handler) asAsked(task store.Task, s quickbi.Share) bool {
	if _, resource := one(task); resource.Type != access.Share || task.Operation != access.Grant {
		return true
	}
	return (s.AuthPoint == "" || s.AuthPoint == strconv.Itoa(int(levels[task.Terms.Role]))) &&
		(s.Expires.IsZero() || s.Expires.Truncate(time.Second).Equal(h.endOf(task.Terms.ExpiresOn).Truncate(time.Second)))
}

// findWork looks for a work among those a user was given.
func findWork(resource access.Resource, works []quickbi.SharedWork) finding {
	if slices.ContainsFunc(works, func(w quickbi.SharedWork) bool { return w.WorksID == resource.ID }) {
		return present
	}
	if !Listed(resource.Type) {
		return unclear
	}
	return absent
}

// Listed reports whether the list of a user's works, as it is published, has
// works of a type. Datasets, data sources, screens and ad-hoc analyses it has
// not, so it cannot tell that one of these is not there.
func Listed(typ access.ResourceType) bool {
	return !slices.Contains([]access.ResourceType{access.Cube, access.Datasource, access.Screen, access.Analysis}, typ)
}

// provable reports whether Quick BI's lists can tell that the grant of a task is
// not there.
func provable(task store.Task) bool {
	principal, resource := one(task)
	return resource.Type == access.Share || principal.Type == access.User && Listed(resource.Type)
}

// resend goes on with a grant of a work that was sent and never answered.
func (h *handler) resend(task store.Task, f finding) verdict {
	switch f {
	case present:
		return verdict{kind: finish}
	case absent:
		return verdict{kind: another, next: h.give(task)}
	default:
		e := store.Exception{
			Status: store.Unknown, Code: codeOutcomeUnknown, Retryable: true,
			Message: "sent, never answered, and Quick BI's lists do not tell whether it was carried out",
		}
		return verdict{kind: finish, exceptions: everyCell(task.Rectangle, e)}
	}
}

// read takes down every work that a user was given.
func (h *handler) read(task store.Task) step {
	user, asked := one(task)
	return step{
		action: access.QuerySharesToUserList,
		send: func(ctx context.Context) (outcome, error) {
			resp, err := h.quickbi.QuerySharesToUserList(ctx, user.ID)
			return outcome{Receipt: resp.Receipt, works: resp.Works}, err
		},
		judge: func(r reply) verdict {
			if r.err != nil && asked.Type == access.Remains {
				return h.judgeRemains(task, r)
			}
			if r.err != nil {
				return h.judge(task, r)
			}
			v := verdict{kind: finish}
			for _, w := range r.works {
				v.works = append(v.works, snapshot(user.ID, w))
			}
			return v
		},
	}
}

func snapshot(user string, w quickbi.SharedWork) store.SharedWork {
	out := store.SharedWork{
		UserID: user, WorksID: w.WorksID, WorkName: w.WorkName, WorkType: w.WorkType, Status: w.Status,
		ThirdPartAuthFlag: w.ThirdPartAuthFlag, SecurityLevel: w.SecurityLevel, Description: w.Description,
		WorkspaceID: w.WorkspaceID, WorkspaceName: w.WorkspaceName, OwnerID: w.OwnerID, OwnerName: w.OwnerName, ModifyName: w.ModifyName,
		DirectoryID: w.Directory.ID, DirectoryName: w.Directory.Name, DirectoryPathID: w.Directory.PathID, DirectoryPathName: w.Directory.PathName,
	}
	if t := w.Created(); !t.IsZero() {
		out.CreateTime = &t
	}
	if t := w.Modified(); !t.IsZero() {
		out.ModifyTime = &t
	}
	return out
}
