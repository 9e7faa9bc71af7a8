// Package access holds the nouns that every other package speaks: what a
// change of access is, what one API call can carry, and what makes either
// invalid. It imports nothing of ours, asks no clock and touches no network.
package access

import (
	"errors"
	"fmt"
	"strings"
)

// Operation says what a row asks for.
type Operation string

// The operations. Grant and revoke stand in the action column of an input row;
// a read changes nothing.
const (
	Grant  Operation = "grant"
	Revoke Operation = "revoke"
	Read   Operation = "read"
)

// Action is the name of a Quick BI API operation. It is the unit of rate
// limiting: every action has a limit, a queue and a server of its own.
type Action string

// The actions that changes lead to.
const (
	SmartqAuthorize             Action = "SmartqAuthorize" // grants and revokes
	AddWorksAuthorization       Action = "AddWorksAuthorization"
	DeleteAuthorizationByUserID Action = "DeleteAuthorizationByUserId"
	AddShareReport              Action = "AddShareReport"
	CancelReportShare           Action = "CancelReportShare"
	AddUserToWorkspace          Action = "AddUserToWorkspace"
	AddWorkspaceUsers           Action = "AddWorkspaceUsers" // several users, one workspace, one preset role
	DeleteUserFromWorkspace     Action = "DeleteUserFromWorkspace"
	QuerySharesToUserList       Action = "QuerySharesToUserList" // reads what a user has
)

// Actions lists every action that tasks are made for, in a fixed order.
func Actions() []Action {
	return []Action{
		SmartqAuthorize, AddWorksAuthorization, DeleteAuthorizationByUserID, AddShareReport, CancelReportShare,
		AddUserToWorkspace, AddWorkspaceUsers, DeleteUserFromWorkspace, QuerySharesToUserList,
	}
}

// PrincipalType says what kind of thing is given access.
type PrincipalType string

// The kinds of principal. Which of them an action takes is its own affair.
const (
	User         PrincipalType = "user"
	Group        PrincipalType = "group"
	Organization PrincipalType = "organization"
	Workspace    PrincipalType = "workspace"
)

// Principal is who is given access, by Quick BI id (not the Alibaba Cloud UID).
type Principal struct {
	Type PrincipalType
	ID   string
}

// ResourceType says what kind of thing access is given to.
type ResourceType string

// The resource types, as they stand in an input row.
const (
	QAResource ResourceType = "qa_resource" // LlmCubes of SmartqAuthorize
	QATheme    ResourceType = "qa_theme"    // LlmCubeThemes
	Dataset    ResourceType = "dataset"     // CubeIds

	Dashboard    ResourceType = "dashboard" // this and the next seven are works, named as AddWorksAuthorization names them
	Report       ResourceType = "report"
	OfflineQuery ResourceType = "dashboardOfflineQuery"
	Cube         ResourceType = "cube"
	Datasource   ResourceType = "datasource"
	Screen       ResourceType = "screen"
	Analysis     ResourceType = "ANALYSIS"
	DataForm     ResourceType = "dataForm"

	// Share is a work as AddShareReport shares it, Membership a place in a
	// workspace.
	Share      ResourceType = "share"
	Membership ResourceType = "workspace"

	// Shares is what a read is about: everything a user was given. Remains is that
	// of somebody who left, of whom nothing is expected to be there.
	Shares  ResourceType = "shares"
	Remains ResourceType = "remains"
)

// ResourceTypes lists the types that an input row may name.
func ResourceTypes() []ResourceType {
	return []ResourceType{
		QAResource, QATheme, Dataset, Dashboard, Report, OfflineQuery, Cube, Datasource, Screen, Analysis, DataForm, Share, Membership,
	}
}

// Resource is what access is given to.
type Resource struct {
	Type ResourceType
	ID   string
}

// String returns "type:id", the form in which resources are stored in arrays.
// ParseResource reads it back.
func (r Resource) String() string { return string(r.Type) + ":" + r.ID }

// ErrResource means that a text is not of the form "type:id".
var ErrResource = errors.New("not a type:id resource")

// ParseResource is the inverse of [Resource.String]. Types hold no colon, so
// an id may.
func ParseResource(s string) (Resource, error) {
	typ, id, ok := strings.Cut(s, ":")
	if !ok || typ == "" || id == "" {
		return Resource{}, fmt.Errorf("%w: %q", ErrResource, s)
	}
	return Resource{Type: ResourceType(typ), ID: id}, nil
}

// Terms are the conditions under which access is given. The zero value is
// right for every revoke.
type Terms struct {
	ExpiresOn Date   // last day of access; zero where the action takes none
	Role      string // level or role; empty for Smart Q
}

// Change is one requested change of access: one row of the input.
type Change struct {
	Operation Operation
	Principal Principal
	Resource  Resource
	Terms     Terms
}

// Action returns the API operation that carries c out alone. It is empty for a
// resource type that this product does not know, which [Change.Problems]
// reports.
func (c Change) Action() Action {
	r, known := rules[c.Resource.Type]
	switch {
	case c.Operation == Read: // also of a place in a workspace, for which no queue of its own is worth while
		return QuerySharesToUserList
	case !known:
		return ""
	case c.Operation == Revoke:
		return r.revoke
	default:
		return r.grant
	}
}

// Pair is the (principal, resource) of a change, without its direction and
// terms: two changes of one pair are about the same access.
type Pair struct {
	Principal Principal
	Resource  Resource
}

// Pair returns what c is about.
func (c Change) Pair() Pair { return Pair{Principal: c.Principal, Resource: c.Resource} }

// MaxCells bounds users × resources of one SmartqAuthorize call. The API page
// says that users × (Q&A resources + analysis subjects) cannot exceed 100;
// datasets are converted to Q&A resources and counted like them.
const MaxCells = 100

// Rectangle is what one API call asks for: every principal × every resource,
// in one direction, under the same terms.
type Rectangle struct {
	Action     Action
	Operation  Operation
	Terms      Terms
	Principals []Principal
	Resources  []Resource
}

// Cells returns the number of changes that r carries.
func (r Rectangle) Cells() int { return len(r.Principals) * len(r.Resources) }

// Halves cuts r in two along its longer side, so that a culprit among its
// principals or resources is found in few calls. Together they hold exactly
// the cells of r. It must not be called on a rectangle of one cell.
func (r Rectangle) Halves() (first, second Rectangle) {
	first, second = r, r
	if len(r.Principals) >= len(r.Resources) {
		at := len(r.Principals) / 2
		first.Principals, second.Principals = r.Principals[:at], r.Principals[at:]
		return first, second
	}
	at := len(r.Resources) / 2
	first.Resources, second.Resources = r.Resources[:at], r.Resources[at:]
	return first, second
}
