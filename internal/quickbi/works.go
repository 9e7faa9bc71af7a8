package quickbi

import (
	"context"
	"slices"
	"strconv"
	"time"
)

const (
	addWorksAuthorization       = "AddWorksAuthorization"
	deleteAuthorizationByUserID = "DeleteAuthorizationByUserId"
)

// Scope is the kind of principal that an id names: AuthorizeScope of
// AddWorksAuthorization and ShareToType of the shares.
type Scope int

// The scopes. Reports cannot be shared with a workspace.
const (
	ScopeUser         Scope = 0
	ScopeGroup        Scope = 1
	ScopeOrganization Scope = 2 // all its members
	ScopeWorkspace    Scope = 3 // all its members
)

// Level is how much is granted: AuthPoints of AddWorksAuthorization and
// AuthPoint of the shares.
type Level int

// The levels. Reports cannot be shared for editing.
const (
	LevelView   Level = 1
	LevelExport Level = 3  // view and export
	LevelEdit   Level = 11 // edit, view and export; never expires
)

// worksTypes are the values of ResourceType.
var worksTypes = []string{"dashboard", "report", "dashboardOfflineQuery", "cube", "datasource", "screen", "ANALYSIS", "dataForm"}

// AddWorksAuthorizationRequest authorises one principal on one work.
type AddWorksAuthorizationRequest struct {
	ResourceType string // dashboard, report, dashboardOfflineQuery, cube, datasource, screen, ANALYSIS or dataForm
	ResourceID   string
	AuthorizedID string // of the kind that Scope says
	Scope        Scope
	AuthPoints   Level
	ExpireDay    string // YYYY-MM-DD, a day ahead or more; empty for LevelEdit, which would ignore it
}

// AddWorksAuthorizationResponse is the answer to a call that was carried out.
type AddWorksAuthorizationResponse struct {
	Receipt

	AuthorizationID string // never empty; no operation takes it
}

// AddWorksAuthorization authorises a principal on a work
// (https://www.alibabacloud.com/help/en/quick-bi/developer-reference/api-quickbi-public-2022-01-01-addworksauthorization).
//
// What a repeat does is not published: look with [Client.QuerySharesToUserList]
// or [Client.QueryShareList] before sending again what may have been done.
func (c *Client) AddWorksAuthorization(ctx context.Context, r AddWorksAuthorizationRequest) (AddWorksAuthorizationResponse, error) {
	if err := r.check(); err != nil {
		return AddWorksAuthorizationResponse{}, err
	}
	a, err := c.call(ctx, addWorksAuthorization, r.params())
	if err != nil {
		return AddWorksAuthorizationResponse{}, err
	}
	return worksResponse(a)
}

func (r AddWorksAuthorizationRequest) check() error {
	_, noDay := time.Parse(time.DateOnly, r.ExpireDay)
	return firstBroken(addWorksAuthorization,
		rule{"ResourceType", !slices.Contains(worksTypes, r.ResourceType), "is not a type of work that can be authorised"},
		anID("ResourceID", r.ResourceID),
		anID("AuthorizedID", r.AuthorizedID),
		rule{"Scope", r.Scope < ScopeUser || r.Scope > ScopeWorkspace, "is none of user, group, organization and workspace"},
		rule{"AuthPoints", r.AuthPoints != LevelView && r.AuthPoints != LevelExport && r.AuthPoints != LevelEdit, "is none of view, export and edit"},
		rule{"ExpireDay", r.AuthPoints == LevelEdit && r.ExpireDay != "", "is set, but editing never expires"},
		rule{"ExpireDay", r.AuthPoints != LevelEdit && noDay != nil, "is not a date of the form YYYY-MM-DD"},
	)
}

func (r AddWorksAuthorizationRequest) params() map[string]string {
	params := map[string]string{
		"ResourceType":   r.ResourceType,
		"ResourceId":     r.ResourceID,
		"AuthorizedId":   r.AuthorizedID,
		"AuthorizeScope": strconv.Itoa(int(r.Scope)),
		"AuthPoints":     strconv.Itoa(int(r.AuthPoints)),
	}
	if r.ExpireDay != "" {
		params["ExpireDay"] = r.ExpireDay
	}
	return params
}

// worksResponse takes no yes without the id of the authorization. False, in
// the place of an id, is a no.
func worksResponse(a answer) (AddWorksAuthorizationResponse, error) {
	var (
		said flag
		id   text
	)
	result := payload(a.result)
	_ = said.UnmarshalJSON(result)
	_ = id.UnmarshalJSON(result)
	name := clean(string(id), maxMessage)
	switch {
	case said == no:
		return AddWorksAuthorizationResponse{}, a.denial
	case said == yes || name == "":
		return AddWorksAuthorizationResponse{}, a.unreadable()
	}
	return AddWorksAuthorizationResponse{Receipt: a.receipt(), AuthorizationID: name}, nil
}

// DeleteAuthorizationRequest takes a user's own authorization on a work away.
type DeleteAuthorizationRequest struct {
	ResourceType string // as in AddWorksAuthorizationRequest
	ResourceID   string
	QbiUserID    string
}

// DeleteAuthorizationByUserID deletes the authorization of one user on a work
// (https://www.alibabacloud.com/help/en/quick-bi/developer-reference/api-quickbi-public-2022-01-01-deleteauthorizationbyuserid).
// Authorizations of groups, organizations and workspaces cannot be deleted by
// any operation that is published. What a repeat is answered is not published.
func (c *Client) DeleteAuthorizationByUserID(ctx context.Context, r DeleteAuthorizationRequest) (Receipt, error) {
	if err := firstBroken(deleteAuthorizationByUserID,
		rule{"ResourceType", !slices.Contains(worksTypes, r.ResourceType), "is not a type of work that can be authorised"},
		anID("ResourceID", r.ResourceID),
		anID("QbiUserID", r.QbiUserID),
	); err != nil {
		return Receipt{}, err
	}
	return c.order(ctx, deleteAuthorizationByUserID, map[string]string{
		"ResourceType": r.ResourceType, "ResourceId": r.ResourceID, "QbiUserId": r.QbiUserID,
	})
}
