// Package access holds the nouns that every other package speaks: what a
// change of access is, what one API call can carry, and what makes either
// invalid. It imports nothing of ours, asks no clock and touches no network.
package access

import (
	"errors"
	"fmt"
	"strings"
)

// Operation says in which direction a change goes.
type Operation string

// The two operations, as they stand in the action column of an input row.
const (
	Grant  Operation = "grant"
	Revoke Operation = "revoke"
)

// Action is the name of a Quick BI API operation. It is the unit of rate
// limiting: every action has a limit, a queue and a server of its own.
type Action string

// SmartqAuthorize grants and revokes Q&A resources, themes and datasets.
const SmartqAuthorize Action = "SmartqAuthorize"

// Actions lists every action that changes can lead to, in a fixed order.
func Actions() []Action { return []Action{SmartqAuthorize} }

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

// The resource types, with the SmartqAuthorize parameter that carries each.
const (
	QAResource ResourceType = "qa_resource" // LlmCubes
	QATheme    ResourceType = "qa_theme"    // LlmCubeThemes
	Dataset    ResourceType = "dataset"     // CubeIds
)

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

// Action returns the API operation that carries c out. It is empty for a
// resource type this product does not know, which [Change.Problems] reports.
func (c Change) Action() Action {
	switch c.Resource.Type {
	case QAResource, QATheme, Dataset:
		return SmartqAuthorize
	default:
		return ""
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
