package access

import (
	"slices"
	"strconv"
)

// The roles and levels of an input row.
const (
	RoleView       = "view"
	RoleViewExport = "view_export"
	RoleEdit       = "edit"

	RoleAdmin     = "admin"
	RoleDeveloper = "developer"
	RoleAnalyst   = "analyst"
	RoleViewer    = "viewer"
)

// expiryRule says what a grant's expiry must be.
type expiryRule int

const (
	expiryNeeded expiryRule = iota
	expiryUnlessEdit
	expiryNone
)

// rule is what Quick BI can do for one kind of resource.
type rule struct {
	what          string // in messages
	grant, revoke Action
	grantTo       []PrincipalType
	revokeFrom    []PrincipalType
	roles         []string // of a grant; nil: none
	otherRoles    bool     // besides roles, ids and names that an organization made itself
	expiry        expiryRule
	noticeDays    int // an expiry is at least that many days ahead
}

var (
	smartQ = rule{
		what: "Smart Q access", grant: SmartqAuthorize, revoke: SmartqAuthorize,
		grantTo: []PrincipalType{User}, revokeFrom: []PrincipalType{User}, expiry: expiryNeeded,
	}

	// AddWorksAuthorization: ExpireDay is required unless AuthPoints is 11, and
	// then ignored; it must lie at least one day after the day of the grant.
	// DeleteAuthorizationByUserId takes users only, and no operation takes back
	// what was given to a group, an organization or a workspace.
	work = rule{
		what: "access to a work", grant: AddWorksAuthorization, revoke: DeleteAuthorizationByUserID,
		grantTo: []PrincipalType{User, Group, Organization, Workspace}, revokeFrom: []PrincipalType{User},
		roles: []string{RoleView, RoleViewExport, RoleEdit}, expiry: expiryUnlessEdit, noticeDays: 1,
	}

	share = rule{
		what: "a share", grant: AddShareReport, revoke: CancelReportShare,
		grantTo: []PrincipalType{User, Group, Organization}, revokeFrom: []PrincipalType{User, Group, Organization},
		roles: []string{RoleView, RoleViewExport}, expiry: expiryNeeded,
	}

	membership = rule{
		what: "a place in a workspace", grant: AddUserToWorkspace, revoke: DeleteUserFromWorkspace,
		grantTo: []PrincipalType{User}, revokeFrom: []PrincipalType{User},
		roles: []string{RoleAdmin, RoleDeveloper, RoleAnalyst, RoleViewer}, otherRoles: true, expiry: expiryNone,
	}
)

var rules = map[ResourceType]rule{
	QAResource: smartQ, QATheme: smartQ, Dataset: smartQ,
	Dashboard: work, Report: work, OfflineQuery: work, Cube: work, Datasource: work, Screen: work, Analysis: work, DataForm: work,
	Share: share, Membership: membership,
}

// presetRoles are the ids of the workspace roles that every organization has.
var presetRoles = map[string]int64{RoleAdmin: 25, RoleDeveloper: 26, RoleAnalyst: 27, RoleViewer: 30}

// WorkspaceRole returns the id of a workspace role given by name or id. known is
// false for the name of a role that an organization made itself: only Quick BI
// can tell its id.
func WorkspaceRole(role string) (id int64, known bool) {
	if id, known = presetRoles[role]; known {
		return id, true
	}
	id, err := strconv.ParseInt(role, 10, 64)
	return id, err == nil && id > 0
}

// IsPresetRole reports whether id is a workspace role that every organization
// has. AddWorkspaceUsers documents no others.
func IsPresetRole(id int64) bool {
	for _, preset := range presetRoles {
		if preset == id {
			return true
		}
	}
	return false
}

// IsWork reports whether t is a type of work, given by AddWorksAuthorization.
func (t ResourceType) IsWork() bool { return rules[t].grant == AddWorksAuthorization }

// TakesExpiry reports whether c is a grant that ends on a day. It is false for
// resource types that are not known.
func (c Change) TakesExpiry() bool {
	r, known := rules[c.Resource.Type]
	switch {
	case !known || c.Operation != Grant:
		return false
	case r.expiry == expiryUnlessEdit:
		return c.Terms.Role != RoleEdit
	default:
		return r.expiry == expiryNeeded
	}
}

func (r rule) allows(op Operation, p PrincipalType) bool {
	if op == Revoke {
		return slices.Contains(r.revokeFrom, p)
	}
	return slices.Contains(r.grantTo, p)
}
