package quickbitest

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// The types of work, as AddWorksAuthorization spells them.
const (
	TypeDashboard             = "dashboard"
	TypeReport                = "report"
	TypeDashboardOfflineQuery = "dashboardOfflineQuery"
	TypeCube                  = "cube"
	TypeDatasource            = "datasource"
	TypeScreen                = "screen"
	TypeAnalysis              = "ANALYSIS"
	TypeDataForm              = "dataForm"
	TypePortal                = "DATAPRODUCT" // can be shared and not authorized
)

// workTypes leads from the types of work to their spelling in
// QuerySharesToUserList, as far as it is published; the others are guesses of
// the same style.
var workTypes = map[string]string{
	TypeDashboard: "PAGE", TypeReport: "REPORT", TypeDashboardOfflineQuery: "dashboardOfflineQuery", TypeCube: "CUBE",
	TypeDatasource: "DATASOURCE", TypeScreen: "SCREEN", TypeAnalysis: "ANALYSIS", TypeDataForm: "DATAFORM", TypePortal: "DATAPRODUCT",
}

// shareTypes are the spellings of QueryShareList that differ.
var shareTypes = map[string]string{TypePortal: "product", TypeReport: "worksheet"}

// kindWork and kindWorkspace are resources that fault matches find by id.
const (
	kindWork      ResourceKind = "work"
	kindWorkspace ResourceKind = "workspace"
)

// Work is a dashboard, workbook, dataset or the like. All but ID and Type may
// be left out. Most of it only shows in QuerySharesToUserList.
type Work struct {
	ID            string     `json:"id"`
	Type          string     `json:"type"`                 // one of the Type constants
	Workspace     string     `json:"workspace,omitempty"`  // the id of one that exists
	Name          string     `json:"name,omitempty"`       // default: the id
	Owner         string     `json:"owner,omitempty"`      // the id of a user
	OwnerName     string     `json:"owner_name,omitempty"` // an account name
	ModifierName  string     `json:"modifier_name,omitempty"`
	Description   string     `json:"description,omitempty"`
	Status        *int       `json:"status,omitempty"`         // 0 to 3, default 1, published
	Embedded      bool       `json:"embedded,omitempty"`       // in a third-party page
	SecurityLevel string     `json:"security_level,omitempty"` // 0, 1, 11 or 12, default 0, private
	CreatedAt     int64      `json:"created_at,omitempty"`     // milliseconds since 1970
	ModifiedAt    int64      `json:"modified_at,omitempty"`    // milliseconds since 1970
	Directory     *Directory `json:"directory,omitempty"`      // nil is none
}

// Directory is where a work lies.
type Directory struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	PathID   string `json:"path_id"`   // from the root, with slashes
	PathName string `json:"path_name"` // likewise
}

// Authorization is one AddWorksAuthorization in force.
type Authorization struct {
	ID            string        `json:"id"`
	ResourceType  string        `json:"resource_type"`
	Resource      string        `json:"resource"`
	PrincipalType PrincipalType `json:"principal_type"`
	Principal     string        `json:"principal"`
	Points        int           `json:"points"`               // 1, 3 or 11
	ExpiresOn     string        `json:"expires_on,omitempty"` // the last day, YYYY-MM-DD; empty is for ever
	GrantedAt     time.Time     `json:"granted_at"`           // the last time
	Times         int           `json:"times"`                // how often it was applied since it began
	RequestID     string        `json:"request_id"`           // of the call that applied it last
}

// Share is one AddShareReport in force.
type Share struct {
	ID            string        `json:"id"`
	Work          string        `json:"work"`
	PrincipalType PrincipalType `json:"principal_type"`
	Principal     string        `json:"principal"`
	Points        int           `json:"points"`     // 1 or 3
	ExpiresAt     int64         `json:"expires_at"` // milliseconds since 1970
	SharedAt      time.Time     `json:"shared_at"`  // the last time
	Times         int           `json:"times"`      // how often it was applied since it began
	RequestID     string        `json:"request_id"` // of the call that applied it last
}

// Authorizations returns the work authorizations in force now, ordered by
// work, principal and age.
func (s *Server) Authorizations() []Authorization {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries := s.org.authorizations.inForce(s.opts.Now())
	out := make([]Authorization, 0, len(entries))
	for _, e := range entries {
		out = append(out, Authorization{
			ID: e.id, ResourceType: s.org.works[e.work].Type, Resource: e.work,
			PrincipalType: e.holder.Type, Principal: e.holder.ID, Points: e.points,
			ExpiresOn: e.lastDay, GrantedAt: e.at, Times: e.times, RequestID: e.requestID,
		})
	}
	return out
}

// Shares returns the shares in force now, ordered by work, principal and age.
func (s *Server) Shares() []Share {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries := s.org.shares.inForce(s.opts.Now())
	out := make([]Share, 0, len(entries))
	for _, e := range entries {
		out = append(out, Share{
			ID: e.id, Work: e.work, PrincipalType: e.holder.Type, Principal: e.holder.ID, Points: e.points,
			ExpiresAt: e.until.UnixMilli(), SharedAt: e.at, Times: e.times, RequestID: e.requestID,
		})
	}
	return out
}

// AddWorks makes works exist, or replaces those with the same ids. If one of
// them cannot be, it returns an error and adds none.
func (s *Server) AddWorks(works ...Work) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := checkWorks(works, func(id string) bool { return s.org.workspaces[id] != nil }); err != nil {
		return err
	}
	s.org.addWorks(works)
	return nil
}

// RemoveWorks deletes works. What was authorized or shared of them is gone.
func (s *Server) RemoveWorks(ids ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.org.removeWorks(ids)
}

func (g *organisation) addWorks(works []Work) {
	for _, w := range works {
		g.works[w.ID] = w
	}
}

func (g *organisation) removeWorks(ids []string) {
	for _, id := range ids {
		delete(g.works, id)
	}
	g.authorizations.dropWorks(ids)
	g.shares.dropWorks(ids)
}

func checkWorks(works []Work, hasWorkspace func(string) bool) error {
	var errs []error
	seen := map[string]bool{}
	for i, w := range works {
		err := w.check(hasWorkspace)
		if err == nil && seen[w.ID] {
			err = errors.New("the id is there already")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("works[%d] %q: %w", i, w.ID, err))
		}
		seen[w.ID] = true
	}
	return errors.Join(errs...)
}

func (w *Work) check(hasWorkspace func(string) bool) error {
	switch {
	case !validID(w.ID):
		return checkIDs("id", []string{w.ID})
	case workTypes[w.Type] == "":
		return fmt.Errorf("type %q is not one of the API's", w.Type)
	case w.Workspace != "" && !hasWorkspace(w.Workspace):
		return fmt.Errorf("workspace %q does not exist", w.Workspace)
	case w.Status != nil && (*w.Status < 0 || *w.Status > 3):
		return fmt.Errorf("status %d: want 0 to 3", *w.Status)
	case !slices.Contains([]string{"", "0", "1", "11", "12"}, w.SecurityLevel):
		return fmt.Errorf("security_level %q: want 0, 1, 11 or 12", w.SecurityLevel)
	}
	return nil
}
