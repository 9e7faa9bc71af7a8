package quickbitest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// form reads the parameters of a call. It keeps the first thing that is wrong
// with them and goes on, so that the record of the call is as full as can be.
type form struct {
	values map[string]string
	now    time.Time
	opts   *Options

	share bool // refuse with the codes of the AddShareReport page
	bad   *refusal
}

// only refuses every parameter but these, and empty ones.
func (f *form) only(names ...string) {
	for _, name := range slices.Sorted(maps.Keys(f.values)) {
		switch {
		case !slices.Contains(names, name):
			f.wrongf("%s is not a parameter of this action", name)
		case f.values[name] == "":
			f.wrongf("%s is empty", name)
		}
	}
}

func (f *form) has(name string) bool { return f.values[name] != "" }

func (f *form) wrongf(format string, args ...any) {
	switch {
	case f.bad != nil:
	case f.share:
		f.bad = &refusal{code: "Invalid.Param.Error", message: "The parameter is invalid.", broke: RuleParameters}
	default:
		f.bad = malformed(format, args...)
	}
}

// required returns the value of a parameter that has to be there.
func (f *form) required(name string) string {
	value := f.values[name]
	switch {
	case value != "" || f.bad != nil:
	case f.share:
		f.bad = &refusal{code: "System.Param.Empty", message: "You must specify the " + name + " parameter.", broke: RuleParameters}
	default:
		f.bad = missing(name)
	}
	return value
}

func (f *form) id(name string) string {
	value := f.required(name)
	if value != "" && !validID(value) {
		f.wrongf("%s holds %q, which is malformed", name, value)
	}
	return value
}

func (f *form) ids(name string) []string {
	value := f.required(name)
	if value == "" {
		return nil
	}
	ids, bad := splitList(name, value)
	if bad != nil {
		f.wrongf("%s", strings.TrimPrefix(bad.message, textInvalidParameter))
	}
	return ids
}

func (f *form) number(name string) int64 {
	value := f.required(name)
	n, err := strconv.ParseInt(value, 10, 64)
	if value != "" && err != nil {
		f.wrongf("%s %q is not a number", name, value)
	}
	return n
}

func (f *form) oneOf(name string, allowed ...int64) int64 {
	n := f.number(name)
	if !slices.Contains(allowed, n) {
		f.wrongf("%s %d: want one of %v", name, n, allowed)
	}
	return n
}

// principal reads a type and an id.
func (f *form) principal(typeName, idName string, types ...int64) Principal {
	i := f.oneOf(typeName, types...)
	p := Principal{ID: f.id(idName)}
	if f.bad == nil {
		p.Type = principalTypes[i]
	}
	return p
}

const textInvalidParameter = "The parameter is invalid:"

func malformed(format string, args ...any) *refusal {
	return &refusal{code: "Invalid.Parameter.Error", message: textInvalidParameter + fmt.Sprintf(format, args...), broke: RuleParameters}
}

// missing is said by the gateway, whatever the age of the pages.
func missing(name string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: "Missing" + name, message: name + " is mandatory for this action.", broke: RuleParameters}
}

// splitList reads a comma list of ids that differ.
func splitList(name, value string) ([]string, *refusal) {
	ids := strings.Split(value, ",")
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		if !validID(id) || seen[id] {
			return nil, malformed("%s holds %q, which is malformed or repeated", name, id)
		}
		seen[id] = true
	}
	return ids, nil
}
