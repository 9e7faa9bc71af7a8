package quickbitest

import (
	"slices"
	"time"
)

// The actions that are served.
const (
	actionSmartqAuthorize = "SmartqAuthorize"
	actionAddShareReport  = "AddShareReport"
)

// action is how the calls of one name are read and answered.
type action struct {
	read  func(*form) order
	shape shape
	most  bool // the number of pairs is bounded
}

var actions = map[string]action{
	actionSmartqAuthorize:               {read: readSmartq, shape: shapeRows, most: true},
	"QueryLlmCubeWithThemeListByUserId": {read: readSmartqList, shape: shapeObject},
	"AddWorksAuthorization":             {read: readAddAuthorization, shape: shapeText},
	"DeleteAuthorizationByUserId":       {read: readDeleteAuthorization, shape: shapeFlag},
	actionAddShareReport:                {read: readAddShare, shape: shapeFlag},
	"CancelReportShare":                 {read: readCancelShare, shape: shapeFlag},
	"QueryShareList":                    {read: readShareList, shape: shapeList},
	"QuerySharesToUserList":             {read: readWorksOfUser, shape: shapeList},
	"AddUserToWorkspace":                {read: readAddMember, shape: shapeFlag},
	"AddWorkspaceUsers":                 {read: readAddMembers, shape: shapeCounts},
	"DeleteUserFromWorkspace":           {read: readRemoveMember, shape: shapeFlag},
	"UpdateWorkspaceUserRole":           {read: readChangeRoles, shape: shapeFlag},
	"QueryUserRoleInfoInWorkspace":      {read: readRoleOfMember, shape: shapeObject},
	"ListWorkspaceRoles":                {read: readRoles, shape: shapeList},
	"QueryUserInfoByAccount":            {read: readAccount, shape: shapeObject},
}

func known(name string) bool { _, ok := actions[name]; return ok }

// shape is what the Result of an answer looks like.
type shape int

const (
	shapeRows shape = iota // a list of failed pairs
	shapeCounts
	shapeFlag
	shapeText
	shapeList
	shapeObject
)

// failsByItem reports whether an answer can tell of one failed item among many.
func (s shape) failsByItem() bool { return s == shapeRows || s == shapeCounts }

// blank is a Result that tells nothing beyond success.
func (s shape) blank(success bool) any {
	switch s {
	case shapeFlag:
		return success
	case shapeText:
		return ""
	case shapeObject:
		return struct{}{}
	case shapeCounts:
		return newCounts(0, nil)
	default:
		return []any{}
	}
}

// order is a well-formed call: whom it names, what it is about as sent, and
// what it does.
type order struct {
	users     []string // principals of any type
	resources []resource
	do        func(*scene) (outcome, *refusal)
}

// about is the order of a call that names these users and one resource. Empty
// ids are left out: they are those of a malformed call, or of one that takes
// none.
func about(users []string, r resource, do func(*scene) (outcome, *refusal)) order {
	o := order{users: slices.DeleteFunc(slices.Clone(users), func(id string) bool { return id == "" }), do: do}
	if r.id != "" {
		o.resources = []resource{r}
	}
	return o
}

// outcome is the Result of a call that was carried out, and how many of its
// items failed.
type outcome struct {
	result any
	failed int
}

// done is the outcome of most calls that change something.
var done = outcome{result: true}

// scene is what a call is carried out on. Server.mu is held meanwhile.
type scene struct {
	*organisation

	opts      *Options
	now       time.Time
	requestID string
	fault     Fault // only Rows is for the call to mind
}

func (s *scene) today() string { return s.opts.today(s.now) }

func (o *order) pairs() int { return len(o.users) * len(o.resources) }

// checkSize refuses what exceeds the published bound. Which code the API
// answers then is not published.
func (o *order) checkSize(most int) *refusal {
	if o.pairs() <= most {
		return nil
	}
	bad := malformed("UserIds: %d users x %d resources are more than %d", len(o.users), len(o.resources), most)
	bad.broke = RulePairs
	return bad
}
