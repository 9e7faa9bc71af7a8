package quickbitest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// actionSmartqAuthorize is the one action that this version stands in for.
const actionSmartqAuthorize = "SmartqAuthorize"

func known(action string) bool { return action == actionSmartqAuthorize }

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

// order is a SmartqAuthorize call that is well-formed: every user × every
// resource, to be granted or revoked.
type order struct {
	revoke    bool
	users     []string
	resources []resource // as sent
	expiresOn string     // the last day of a grant
}

func malformed(format string, args ...any) *refusal {
	return &refusal{code: "Invalid.Parameter.Error", message: "The parameter is invalid:" + fmt.Sprintf(format, args...), broke: RuleParameters}
}

// parseOrder reads the parameters of the page. When the lists could be read
// but something else is wrong it returns the order too, for the record.
func parseOrder(params map[string]string, today string) (order, *refusal) {
	var o order
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if bad := o.readList(name, params[name]); bad != nil {
			return order{}, bad
		}
	}
	for _, required := range []string{"OperationType", "UserIds"} {
		if params[required] == "" {
			return o, &refusal{code: "Missing" + required, message: required + " is mandatory for this action.", broke: RuleParameters}
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
func (o *order) readList(name, value string) *refusal {
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
	seen := map[string]bool{}
	for id := range strings.SplitSeq(value, ",") {
		if !validID(id) || seen[id] {
			return malformed("%s holds %q, which is malformed or repeated", name, id)
		}
		seen[id] = true
		if kind == "" {
			o.users = append(o.users, id)
		} else {
			o.resources = append(o.resources, resource{kind, id})
		}
	}
	return nil
}

func (o *order) readExpiry(day, today string) (string, *refusal) {
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
