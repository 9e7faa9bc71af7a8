package access

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Problem is one reason why a change can never be sent.
type Problem struct {
	Column  string // the input column at fault
	Code    string // stable snake_case; switch on this
	Message string // what is wrong and what to do about it, for a person
}

// The codes of problems. They are API: scripts switch on them.
const (
	CodeMissingValue     = "missing_value"
	CodeUnknownAction    = "unknown_action"
	CodeUnknownType      = "unknown_resource_type"
	CodeUnknownPrincipal = "unknown_principal_type"
	CodePrincipalType    = "principal_type_not_supported"
	CodeInvalidID        = "invalid_id"
	CodeMangledID        = "excel_mangled_id"
	CodeRoleNotAllowed   = "role_not_allowed"
	CodeMissingExpiry    = "missing_expiry"
	CodeExpiryInThePast  = "expiry_in_the_past"
	CodeExpiryNotAllowed = "expiry_not_allowed"
	maxIDBytes           = 256
	exampleExpiry        = "2026-12-31"
	columnAction         = "action"
	columnPrincipal      = "principal"
	columnPrincipalType  = "principal_type"
	columnResourceType   = "resource_type"
	columnResourceID     = "resource_id"
	columnRole           = "role"
	columnExpiresOn      = "expires_on"
)

// Problems returns every reason why c could never be sent, in the order of the
// input columns, and nil for a sound change. today is the current day where
// Quick BI counts expiry.
func (c Change) Problems(today Date) []Problem {
	var out []Problem
	add := func(column, code, format string, args ...any) {
		out = append(out, Problem{Column: column, Code: code, Message: fmt.Sprintf(format, args...)})
	}
	switch c.Operation {
	case Grant, Revoke:
	case "":
		add(columnAction, CodeMissingValue, "the action is empty; write grant or revoke")
	default:
		add(columnAction, CodeUnknownAction, "%q is not an action; write grant or revoke", c.Operation)
	}
	if p := checkID(columnPrincipal, c.Principal.ID); p != nil {
		out = append(out, *p)
	}
	switch c.Principal.Type {
	case User:
	case Group, Organization, Workspace:
		add(columnPrincipalType, CodePrincipalType, "Smart Q access is given to users only; list the users of this %s one by one", c.Principal.Type)
	default:
		add(columnPrincipalType, CodeUnknownPrincipal, "%q is not a principal type; leave it empty for user", c.Principal.Type)
	}
	switch {
	case c.Resource.Type == "":
		add(columnResourceType, CodeMissingValue, "the resource type is empty; write qa_resource, qa_theme or dataset")
	case c.Action() == "":
		add(columnResourceType, CodeUnknownType, "%q is not a resource type of this version; use qa_resource, qa_theme or dataset", c.Resource.Type)
	}
	if p := checkID(columnResourceID, c.Resource.ID); p != nil {
		out = append(out, *p)
	}
	if c.Terms.Role != "" {
		add(columnRole, CodeRoleNotAllowed, "Smart Q access has no role; leave the column empty (found %q)", c.Terms.Role)
	}
	return append(out, c.expiryProblems(today)...)
}

// expiryProblems guards against the two silent surprises of the API: a grant
// without a date lasts seven days, and a date on a revoke is ignored.
func (c Change) expiryProblems(today Date) []Problem {
	at := func(code, format string, args ...any) []Problem {
		return []Problem{{Column: columnExpiresOn, Code: code, Message: fmt.Sprintf(format, args...)}}
	}
	expires := c.Terms.ExpiresOn
	switch {
	case c.Operation == Revoke && !expires.IsZero():
		return at(CodeExpiryNotAllowed, "a revoke takes effect at once and has no expiry; leave the column empty (found %s)", expires)
	case c.Operation == Grant && expires.IsZero():
		return at(CodeMissingExpiry, "a grant needs an expiry, else Quick BI silently uses seven days; write YYYY-MM-DD, for example %s, or give --default-expiry 90d", exampleExpiry)
	case c.Operation == Grant && expires.Before(today):
		return at(CodeExpiryInThePast, "%s is in the past (today is %s); write a later day", expires, today)
	default:
		return nil
	}
}

// scientific matches what a spreadsheet makes of a long digit string.
var scientific = regexp.MustCompile(`^[0-9](\.[0-9]+)?[eE]\+[0-9]+$`)

// checkID reports why id cannot be an id, or nil. The API separates ids by
// comma, and white space or control characters in an id mean that a file was
// damaged on its way. Nothing else is assumed: ids come as 32 hex digits, with
// dashes, and as plain digits.
func checkID(column, id string) *Problem {
	problem := func(code, format string, args ...any) *Problem {
		return &Problem{Column: column, Code: code, Message: fmt.Sprintf(format, args...)}
	}
	switch {
	case id == "":
		return problem(CodeMissingValue, "the %s is empty; write its Quick BI id", strings.ReplaceAll(column, "_", " "))
	case !utf8.ValidString(id):
		return problem(CodeInvalidID, "the id holds bytes that are not text; export the file again as UTF-8")
	case len(id) > maxIDBytes:
		return problem(CodeInvalidID, "the id is %d bytes long; no Quick BI id is longer than %d", len(id), maxIDBytes)
	case strings.Contains(id, "+") && scientific.MatchString(id):
		return problem(CodeMangledID, "%q looks like an id that a spreadsheet turned into a number; format the column as text and export again", id)
	case strings.Contains(id, ","):
		return problem(CodeInvalidID, "%q holds a comma, which separates ids in the API; write one row an id", id)
	}
	for _, r := range id {
		if unicode.IsSpace(r) || unicode.IsControl(r) || r == '\ufeff' || r == '\u200b' {
			return problem(CodeInvalidID, "%q holds white space or an invisible character (%U); remove it", id, r)
		}
	}
	return nil
}

// LooksLikeUID reports whether id has the shape of an Alibaba Cloud UID: 16
// digits. A Quick BI user id may look like that too, so it is worth a warning
// and no more.
func LooksLikeUID(id string) bool {
	if len(id) != 16 {
		return false
	}
	return strings.Trim(id, "0123456789") == ""
}
