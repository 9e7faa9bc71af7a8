package quickbitest

import (
	"maps"
	"slices"
	"time"
)

// defaultLifetime is how many days a grant without ExpireDay lasts, as the
// SmartqAuthorize page has it.
const defaultLifetime = 7

// The operation types of the page.
const (
	operationGrant  = "0"
	operationDelete = "1"
)

// resourceLists are the parameters that name resources, and of which kind.
var resourceLists = map[string]ResourceKind{"LlmCubes": QAResource, "LlmCubeThemes": QATheme, "CubeIds": dataset}

// smartq is a SmartqAuthorize call that is well-formed: every user × every
// resource, to be granted or revoked.
type smartq struct {
	revoke    bool
	users     []string
	resources []resource // as sent
	expiresOn string     // the last day of a grant
}

func readSmartq(f *form) order {
	o, bad := parseSmartq(f.values, f.opts.today(f.now))
	f.bad = bad
	return order{users: o.users, resources: o.resources, do: o.authorize}
}

// parseSmartq reads the parameters of the page. When the lists could be read
// but something else is wrong it returns the order too, for the record.
func parseSmartq(params map[string]string, today string) (smartq, *refusal) {
	var o smartq
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if bad := o.readList(name, params[name]); bad != nil {
			return smartq{}, bad
		}
	}
	for _, required := range []string{"OperationType", "UserIds"} {
		if params[required] == "" {
			return o, missing(required)
		}
	}
	if len(o.resources) == 0 {
		return o, malformed("LlmCubes, LlmCubeThemes and CubeIds are all missing")
	}
	switch params["OperationType"] {
	case operationGrant:
	case operationDelete:
		o.revoke = true
	default:
		return o, malformed("OperationType %q", params["OperationType"])
	}
	day, bad := o.readExpiry(params["ExpireDay"], today)
	o.expiresOn = day
	return o, bad
}

// readList takes in one parameter if it is a list, and refuses what the page
// does not know.
func (o *smartq) readList(name, value string) *refusal {
	if value == "" {
		return malformed("%s is empty", name)
	}
	kind := resourceLists[name]
	switch {
	case name == "OperationType", name == "ExpireDay":
		return nil
	case name != "UserIds" && kind == "":
		return malformed("%s is not a parameter of this action", name)
	}
	ids, bad := splitList(name, value)
	for _, id := range ids {
		if kind == "" {
			o.users = append(o.users, id)
		} else {
			o.resources = append(o.resources, resource{kind, id})
		}
	}
	return bad
}

func (o *smartq) readExpiry(day, today string) (string, *refusal) {
	if day == "" {
		start, _ := time.Parse(time.DateOnly, today)
		return start.AddDate(0, 0, defaultLifetime).Format(time.DateOnly), nil
	}
	switch _, err := time.Parse(time.DateOnly, day); {
	case err != nil:
		return "", &refusal{code: "Date.Format.Error", message: "Date format conversion error.", broke: RuleParameters}
	case day < today && !o.revoke:
		return "", &refusal{code: "Share.ExpireDate.Error", message: "The expire date is illegal.", broke: RuleParameters}
	}
	return day, nil
}

// smartqList is the Result of QueryLlmCubeWithThemeListByUserId. A Q&A resource
// shows as its datasets, and not at all when it has none.
//
//nolint:tagliatelle // the names are the API's
type smartqList struct {
	CubeIDs  map[string]string `json:"CubeIds"`
	ThemeIDs map[string]string `json:"ThemeIds"`
}

func readSmartqList(f *form) order {
	f.only("UserId")
	user := f.id("UserId")
	return about([]string{user}, resource{}, func(s *scene) (outcome, *refusal) {
		if bad := s.needUser(user); bad != nil {
			return outcome{}, bad
		}
		return outcome{result: s.smartqOf(user)}, nil
	})
}

// smartqOf names everything by its id: names are nothing to this organisation.
func (s *scene) smartqOf(user string) smartqList {
	list := smartqList{CubeIDs: map[string]string{}, ThemeIDs: map[string]string{}}
	has := func(r resource) bool {
		grant, ok := s.grants[holding{resource: r, user: user}]
		return ok && grant.ExpiresOn >= s.today()
	}
	for id, qa := range s.datasets {
		if has(resource{QAResource, qa}) {
			list.CubeIDs[id] = id
		}
	}
	for r := range s.resources {
		if r.kind == QATheme && has(r) {
			list.ThemeIDs[r.id] = r.id
		}
	}
	return list
}
