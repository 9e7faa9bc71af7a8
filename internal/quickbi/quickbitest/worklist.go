package quickbitest

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
)

// listedWork is one item of QuerySharesToUserList, with the types of its page.
//
//nolint:tagliatelle // the names are the API's
type listedWork struct {
	Status            int              `json:"Status"`
	ThirdPartAuthFlag int              `json:"ThirdPartAuthFlag"`
	WorksID           string           `json:"WorksId"`
	CreateTime        string           `json:"CreateTime"`
	WorkType          string           `json:"WorkType"`
	OwnerName         string           `json:"OwnerName"`
	WorkspaceName     string           `json:"WorkspaceName"`
	OwnerID           string           `json:"OwnerId"`
	ModifyName        string           `json:"ModifyName"`
	WorkspaceID       string           `json:"WorkspaceId"`
	SecurityLevel     string           `json:"SecurityLevel"`
	Description       string           `json:"Description"`
	WorkName          string           `json:"WorkName"`
	ModifyTime        string           `json:"ModifyTime"`
	Directory         *listedDirectory `json:"Directory,omitempty"`
}

//nolint:tagliatelle // the names are the API's
type listedDirectory struct {
	PathID   string `json:"PathId"`
	PathName string `json:"PathName"`
	Name     string `json:"Name"`
	ID       string `json:"Id"`
}

func readWorksOfUser(f *form) order {
	f.only("UserId")
	user := f.id("UserId")
	return about([]string{user}, resource{}, func(s *scene) (outcome, *refusal) {
		if bad := s.needUser(user); bad != nil {
			return outcome{}, bad
		}
		return outcome{result: s.worksOf(user)}, nil
	})
}

// worksOf lists each work once that was authorized to or shared with user.
func (s *scene) worksOf(user string) []listedWork {
	found := map[string]bool{}
	for _, p := range s.principalsOf(user) {
		s.authorizations.worksOf(p, s.now, found)
		s.shares.worksOf(p, s.now, found)
	}
	out := []listedWork{}
	for _, id := range slices.Sorted(maps.Keys(found)) {
		if w := s.works[id]; !slices.Contains(s.opts.UnlistedTypes, w.Type) {
			out = append(out, s.list(w))
		}
	}
	return out
}

// principalsOf is the user, and whatever the user belongs to if that is listed.
func (s *scene) principalsOf(user string) []Principal {
	out := []Principal{{PrincipalUser, user}}
	if !s.opts.ListInherited {
		return out
	}
	out = append(out, Principal{PrincipalOrganization, s.opts.Organization})
	for id, members := range s.groups {
		if members[user] {
			out = append(out, Principal{PrincipalGroup, id})
		}
	}
	for id, ws := range s.workspaces {
		if ws.members[user] != nil {
			out = append(out, Principal{PrincipalWorkspace, id})
		}
	}
	return out
}

func (s *scene) list(w Work) listedWork {
	out := listedWork{
		Status: 1, WorksID: w.ID, WorkType: workTypes[w.Type], WorkName: cmp.Or(w.Name, w.ID),
		OwnerID: w.Owner, OwnerName: w.OwnerName, ModifyName: w.ModifierName,
		WorkspaceID: w.Workspace, SecurityLevel: cmp.Or(w.SecurityLevel, "0"), Description: w.Description,
		CreateTime: strconv.FormatInt(w.CreatedAt, 10), ModifyTime: strconv.FormatInt(w.ModifiedAt, 10),
	}
	if w.Status != nil {
		out.Status = *w.Status
	}
	if w.Embedded {
		out.ThirdPartAuthFlag = 1
	}
	if ws := s.workspaces[w.Workspace]; ws != nil {
		out.WorkspaceName = cmp.Or(ws.Name, ws.ID)
	}
	if d := w.Directory; d != nil {
		out.Directory = &listedDirectory{PathID: d.PathID, PathName: d.PathName, Name: d.Name, ID: d.ID}
	}
	return out
}
