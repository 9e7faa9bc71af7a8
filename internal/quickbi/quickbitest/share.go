package quickbitest

import (
	"slices"
	"time"
)

// share is a well-formed call about the share of one work.
type share struct {
	work   string
	holder Principal
	points int
	until  time.Time
}

func readAddShare(f *form) order {
	f.share = true
	f.only("WorksId", "ShareToId", "ShareToType", "AuthPoint", "ExpireDate")
	h := share{work: f.id("WorksId"), holder: f.principal("ShareToType", "ShareToId", 0, 1, 2)}
	h.points = int(f.oneOf("AuthPoint", 1, 3))
	h.until = time.UnixMilli(f.number("ExpireDate"))
	if !h.until.After(f.now) { // seconds instead of milliseconds are long past
		f.wrongf("ExpireDate is not in the future")
	}
	return about([]string{f.values["ShareToId"]}, resource{kindWork, h.work}, h.add)
}

func (h share) add(s *scene) (outcome, *refusal) {
	if bad := s.needShared(h); bad != nil {
		return outcome{}, bad
	}
	if ws := s.workspaces[s.works[h.work].Workspace]; ws != nil && ws.AllowShare != nil && !*ws.AllowShare {
		return outcome{}, &refusal{code: "Workspace.Share.Forbidden", message: "Content in the current group workspace cannot be shared."}
	}
	_, ok := s.shares.add(entry{
		id: entryID("share", s.requestID), work: h.work, holder: h.holder, points: h.points,
		until: h.until, at: s.now, requestID: s.requestID,
	}, s.opts.RepeatedGrant)
	if !ok {
		return outcome{}, &refusal{code: "Invalid.Param.Error", message: "The parameter is invalid."}
	}
	return done, nil
}

// needShared refuses a work or principal that does not exist.
func (s *scene) needShared(h share) *refusal {
	if !s.shareable(h.work) {
		return noSuchWork("", h.work)
	}
	switch {
	case h.holder.Type == PrincipalUser:
		return s.needOwnUser(h.holder.ID)
	case s.exists(h.holder):
		return nil
	case h.holder.Type == PrincipalGroup:
		return &refusal{code: "Usergroup.Not.Exist", message: "The user group does not exist."}
	default:
		return &refusal{code: "Invalid.Organization", message: "The specified organizational unit does not exist."}
	}
}

// shareable leaves out what the page does not count among the works.
func (s *scene) shareable(id string) bool {
	w, ok := s.works[id]
	return ok && w.Type != TypeCube && w.Type != TypeDatasource
}

// readCancelShare takes one id in ShareToIds: that it may be a list is said
// nowhere.
func readCancelShare(f *form) order {
	f.share = true
	f.only("ReportId", "ShareToIds", "ShareToType")
	h := share{work: f.id("ReportId"), holder: f.principal("ShareToType", "ShareToIds", 0, 1, 2)}
	return about([]string{f.values["ShareToIds"]}, resource{kindWork, h.work}, func(s *scene) (outcome, *refusal) {
		if bad := s.needShared(h); bad != nil {
			return outcome{}, bad
		}
		return s.removed(s.shares.remove(h.holder, h.work, s.now))
	})
}

// sharedTo is one item of QueryShareList.
//
//nolint:tagliatelle // the names are the API's
type sharedTo struct {
	ShareID     string `json:"ShareId"`
	ReportID    string `json:"ReportId"`
	ShareToID   string `json:"ShareToId"`
	ShareToName string `json:"ShareToName"`
	ShareToType int    `json:"ShareToType"`
	ShareType   string `json:"ShareType"`
	AuthPoint   int    `json:"AuthPoint"`
	ExpireDate  int64  `json:"ExpireDate"`
}

func readShareList(f *form) order {
	f.only("ReportId")
	work := f.id("ReportId")
	return about(nil, resource{kindWork, work}, func(s *scene) (outcome, *refusal) {
		if !s.shareable(work) {
			return outcome{}, noSuchWork("", work)
		}
		return outcome{result: s.sharesOf(work)}, nil
	})
}

// sharesOf lists the shares of a work and, where asked for, its authorizations
// to view and to export, which end at the midnight after their last day.
func (s *scene) sharesOf(work string) []sharedTo {
	entries := s.shares.onWork(work, s.now)
	if s.opts.ListAuthorizations {
		authorized := s.authorizations.onWork(work, s.now)
		entries = append(entries, slices.DeleteFunc(authorized, func(e entry) bool { return e.points == permanentPoints })...)
	}
	shareType := s.works[work].Type
	if other, ok := shareTypes[shareType]; ok {
		shareType = other
	}
	out := make([]sharedTo, 0, len(entries))
	for _, e := range ordered(entries) {
		out = append(out, sharedTo{
			ShareID: e.id, ReportID: work, ShareToID: e.holder.ID, ShareToName: e.holder.ID,
			ShareToType: e.holder.Type.number(), ShareType: shareType, AuthPoint: e.points, ExpireDate: e.until.UnixMilli(),
		})
	}
	return out
}
