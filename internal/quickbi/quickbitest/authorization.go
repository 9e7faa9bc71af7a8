package quickbitest

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// permanentPoints is the level that does not expire.
const permanentPoints = 11

// authorizable are the ResourceTypes of the AddWorksAuthorization page.
var authorizable = []string{
	TypeDashboard, TypeReport, TypeDashboardOfflineQuery, TypeCube, TypeDatasource, TypeScreen, TypeAnalysis, TypeDataForm,
}

// workGrant is a well-formed call about the authorization of one work.
type workGrant struct {
	workType, work string
	holder         Principal
	points         int
	lastDay        string // empty is for ever
	until          time.Time
}

func readAddAuthorization(f *form) order {
	f.only("ResourceType", "ResourceId", "AuthorizedId", "AuthorizeScope", "ExpireDay", "AuthPoints")
	a := workGrant{workType: f.workType(), work: f.id("ResourceId")}
	a.holder = f.principal("AuthorizeScope", "AuthorizedId", 0, 1, 2, 3)
	a.points = int(f.oneOf("AuthPoints", 1, 3, permanentPoints))
	if f.bad == nil && a.points != permanentPoints {
		a.lastDay, a.until = f.lastDay()
	}
	return about([]string{f.values["AuthorizedId"]}, resource{kindWork, a.work}, a.add)
}

func (f *form) workType() string {
	t := f.required("ResourceType")
	if t != "" && !slices.Contains(authorizable, t) {
		f.wrongf("ResourceType %q", t)
	}
	return t
}

// lastDay reads ExpireDay, which is at least the day after today, and returns
// when it is over, too.
func (f *form) lastDay() (day string, end time.Time) {
	day = f.values["ExpireDay"]
	start, err := time.ParseInLocation(time.DateOnly, day, f.opts.Location)
	switch {
	case day == "":
		f.wrongf("ExpireDay is mandatory unless AuthPoints is 11")
	case err != nil:
		f.wrongf("ExpireDay %q is not a day", day)
	case day <= f.opts.today(f.now):
		f.wrongf("ExpireDay %s is not after today", day)
	}
	return day, start.AddDate(0, 0, 1)
}

func (a workGrant) add(s *scene) (outcome, *refusal) {
	if w, ok := s.works[a.work]; !ok || w.Type != a.workType {
		return outcome{}, &refusal{code: "Work.Not.Exist", message: "The work does not exist."}
	}
	if bad := s.needAuthorized(a.holder); bad != nil {
		return outcome{}, bad
	}
	id, ok := s.authorizations.add(entry{
		id: entryID("authorization", s.requestID), work: a.work, holder: a.holder, points: a.points,
		until: a.until, lastDay: a.lastDay, at: s.now, requestID: s.requestID,
	}, s.opts.RepeatedGrant)
	if !ok {
		return outcome{}, &refusal{code: "Invalid.Parameter.Error", message: textInvalidParameter + "the authorization exists already"}
	}
	return outcome{result: id}, nil
}

// needAuthorized refuses a principal who does not exist, with public codes: the
// page itself has none for it.
func (s *scene) needAuthorized(p Principal) *refusal {
	switch {
	case p.Type == PrincipalUser:
		return s.needUser(p.ID)
	case s.exists(p):
		return nil
	case p.Type == PrincipalOrganization:
		return &refusal{code: "Invalid.Organization", message: "The specified organizational unit does not exist."}
	default:
		return &refusal{code: "Invalid.Parameter.Error", message: textInvalidParameter + "AuthorizedId"}
	}
}

func readDeleteAuthorization(f *form) order {
	f.only("ResourceType", "ResourceId", "QbiUserId")
	a := workGrant{workType: f.workType(), work: f.id("ResourceId")}
	a.holder = Principal{PrincipalUser, f.id("QbiUserId")}
	return about([]string{a.holder.ID}, resource{kindWork, a.work}, a.remove)
}

// workGone are the codes of the DeleteAuthorizationByUserId page for works that
// do not exist; the third is for all other types.
var workGone = map[string]refusal{
	TypeCube:       {code: "Cube.Not.Exist", message: "The dataset does not exist."},
	TypeDatasource: {code: "Datasource.NotFound.Error", message: "The data source does not exist."},
	"":             {code: "Report.NotExist.Error", message: "This work does not exist. It may have been deleted. Work ID is %s."},
}

func noSuchWork(workType, id string) *refusal {
	gone, ok := workGone[workType]
	if !ok {
		gone = workGone[""]
	}
	gone.message = naming(gone.message, id)
	return &gone
}

func (a workGrant) remove(s *scene) (outcome, *refusal) {
	if w, ok := s.works[a.work]; !ok || w.Type != a.workType {
		return outcome{}, noSuchWork(a.workType, a.work)
	}
	if bad := cmp.Or(s.needOwnUser(a.holder.ID), s.refuseInherited(a.holder.ID, a.work)); bad != nil {
		return outcome{}, bad
	}
	return s.removed(s.authorizations.remove(a.holder, a.work, s.now))
}

// refuseInherited refuses to take a work from a user who would keep it. Nothing
// is published for a work that is authorized to the whole organisation.
func (s *scene) refuseInherited(user, work string) *refusal {
	inherits := func(t PrincipalType, id string) bool {
		return len(s.authorizations.of(Principal{t, id}, work, s.now)) > 0
	}
	for _, id := range slices.Sorted(maps.Keys(s.workspaces)) {
		if s.workspaces[id].members[user] != nil && inherits(PrincipalWorkspace, id) {
			return &refusal{
				code:    "DeletePermission.ExistWorkspaceRecord.Error",
				message: "The work is authorized to all members of the workspace.",
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.groups)) {
		if s.groups[id][user] && inherits(PrincipalGroup, id) {
			return &refusal{
				code:    "DeletePermission.UserBelongsToUsergroup.Error",
				message: "The user belongs to a user group that is authorized: " + id + ".",
			}
		}
	}
	return nil
}

// removed answers a removal: of something, or as [Options.NothingToRevoke] says.
func (s *scene) removed(something bool) (outcome, *refusal) {
	switch {
	case something || s.opts.NothingToRevoke == NothingSucceeds:
		return done, nil
	case s.opts.NothingToRevoke == NothingFalse:
		return outcome{result: false}, nil
	default:
		return outcome{}, &refusal{code: codeNoObject, message: textNoObject}
	}
}

// needOwnUser refuses a user who does not exist as the share pages and that of
// DeleteAuthorizationByUserId do.
func (s *scene) needOwnUser(id string) *refusal {
	if s.users[id] {
		return nil
	}
	return &refusal{code: "Invalid.User.Organization", message: "The user is not in your organization."}
}
