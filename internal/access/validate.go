package access

import (
	"fmt"
	"slices"
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
	CodeMissingRole      = "missing_role"
	CodeUnknownRole      = "unknown_role"
	CodeRoleNotAllowed   = "role_not_allowed"
	CodeMissingExpiry    = "missing_expiry"
	CodeExpiryInThePast  = "expiry_in_the_past"
	CodeExpiryTooSoon    = "expiry_too_soon"
	CodeExpiryNotAllowed = "expiry_not_allowed"
)

const (
	maxIDBytes          = 256
	columnAction        = "action"
	columnPrincipal     = "principal"
	columnPrincipalType = "principal_type"
	columnResourceType  = "resource_type"
	columnResourceID    = "resource_id"
	columnRole          = "role"
	columnExpiresOn     = "expires_on"
)

// Problems returns every reason why c could never be sent, in the order of the
// input columns, and nil for a sound change. today is the current day where
// Quick BI counts expiry.
func (c Change) Problems(today Date) []Problem {
	var found problems
	switch c.Operation {
	case Grant, Revoke:
	case "":
		found.addf(columnAction, CodeMissingValue, "the action is empty; write grant or revoke")
	default:
		found.addf(columnAction, CodeUnknownAction, "%q is not an action; write grant or revoke", c.Operation)
	}
	found.checkID(columnPrincipal, c.Principal.ID)
	r, known := rules[c.Resource.Type]
	found.checkPrincipalType(c, r, known)
	switch {
	case c.Resource.Type == "":
		found.addf(columnResourceType, CodeMissingValue, "the resource type is empty; write one of %s", listed(ResourceTypes()))
	case !known:
		found.addf(columnResourceType, CodeUnknownType, "%q is not a resource type; write one of %s", c.Resource.Type, listed(ResourceTypes()))
	}
	found.checkID(columnResourceID, c.Resource.ID)
	if known {
		found.checkRole(c, r)
		found.checkExpiry(c, r, today)
	}
	return found
}

// problems collects what is wrong with one change.
type problems []Problem

func (p *problems) addf(column, code, format string, args ...any) {
	*p = append(*p, Problem{Column: column, Code: code, Message: fmt.Sprintf(format, args...)})
}

func (p *problems) checkPrincipalType(c Change, r rule, known bool) {
	switch t := c.Principal.Type; {
	case !slices.Contains([]PrincipalType{User, Group, Organization, Workspace}, t):
		p.addf(columnPrincipalType, CodeUnknownPrincipal, "%q is not a principal type; write user, group, organization or workspace, or leave it empty for user", t)
	case !known || r.allows(c.Operation, t):
	case r.allows(Grant, t):
		p.addf(columnPrincipalType, CodePrincipalType,
			"Quick BI cannot take %s back from a whole %s; revoke it from each user, or in the Quick BI console", r.what, t)
	default:
		p.addf(columnPrincipalType, CodePrincipalType, "%s is given to %s only; list the members of this %s one by one", r.what, listed(r.grantTo), t)
	}
}

// checkRole keeps a level that would be ignored from looking like one that
// counts.
func (p *problems) checkRole(c Change, r rule) {
	role := c.Terms.Role
	switch {
	case role == "" && c.Operation == Grant && r.roles != nil:
		p.addf(columnRole, CodeMissingRole, "a grant of %s needs a role; write one of %s", r.what, listed(r.roles))
	case role == "":
	case c.Operation == Revoke:
		p.addf(columnRole, CodeRoleNotAllowed, "a revoke takes all of it away, whatever the role; leave the column empty (found %q)", role)
	case r.roles == nil:
		p.addf(columnRole, CodeRoleNotAllowed, "%s has no role; leave the column empty (found %q)", r.what, role)
	case slices.Contains(r.roles, role):
	case !r.otherRoles, errorValue.MatchString(role):
		p.addf(columnRole, CodeUnknownRole, "%q is not a role of %s; write one of %s", role, r.what, listed(r.roles))
	case slices.Contains([]string{RoleView, RoleViewExport, RoleEdit}, role):
		p.addf(columnRole, CodeUnknownRole, "%q is a level of works, not a role in a workspace; write one of %s, or the id or name of a role of your own", role, listed(r.roles))
	case len(role) > maxIDBytes || strings.ContainsFunc(role, unicode.IsControl):
		p.addf(columnRole, CodeUnknownRole, "the role is too long or holds a control character; write one of %s, or the id or name of a role of your own", listed(r.roles))
	}
}

// checkExpiry guards against the silent surprises of the API: a grant without a
// date that lasts seven days, and a date that is ignored.
func (p *problems) checkExpiry(c Change, r rule, today Date) {
	expires := c.Terms.ExpiresOn
	permanent := !c.TakesExpiry()
	earliest := today.AddDays(r.noticeDays)
	switch {
	case c.Operation == Revoke && !expires.IsZero():
		p.addf(columnExpiresOn, CodeExpiryNotAllowed, "a revoke takes effect at once and has no expiry; leave the column empty (found %s)", expires)
	case c.Operation != Grant:
	case permanent && !expires.IsZero():
		p.addf(columnExpiresOn, CodeExpiryNotAllowed, "%s lasts until it is revoked, and Quick BI would ignore the date; leave the column empty (found %s)", permanentWhat(r), expires)
	case permanent:
	case expires.IsZero():
		p.addf(columnExpiresOn, CodeMissingExpiry, "a grant of %s needs an expiry, lest Quick BI choose one; write YYYY-MM-DD, for example %s, or give --default-expiry 90d", r.what, exampleDay(today))
	case expires.Before(today):
		p.addf(columnExpiresOn, CodeExpiryInThePast, "%s is in the past (today is %s); write a later day", expires, today)
	case expires.Before(earliest):
		p.addf(columnExpiresOn, CodeExpiryTooSoon, "%s is too soon: %s must last at least until %s", expires, r.what, earliest)
	}
}

func permanentWhat(r rule) string {
	if r.expiry == expiryUnlessEdit {
		return "the role edit"
	}
	return r.what
}

// exampleDay is a day that would be right, for messages.
func exampleDay(today Date) Date {
	if today.IsZero() {
		return Date{Year: 2099, Month: 12, Day: 31}
	}
	return today.AddDays(90)
}

// listed writes "a, b or c".
func listed[S ~string](words []S) string {
	var b strings.Builder
	for i, w := range words {
		switch {
		case i == 0:
		case i == len(words)-1:
			b.WriteString(" or ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(string(w))
	}
	return b.String()
}

// checkID reports why id cannot be an id. The API separates ids by comma, and
// white space or control characters in an id mean that a file was damaged on
// its way. Nothing else is assumed: ids come as 32 hex digits, with dashes, and
// as plain digits.
func (p *problems) checkID(column, id string) {
	switch {
	case id == "":
		p.addf(column, CodeMissingValue, "the %s is empty; write its Quick BI id", strings.ReplaceAll(column, "_", " "))
		return
	case !utf8.ValidString(id):
		p.addf(column, CodeInvalidID, "the id holds bytes that are not text; export the file again as UTF-8")
		return
	case len(id) > maxIDBytes:
		p.addf(column, CodeInvalidID, "the id is %d bytes long; no Quick BI id is longer than %d", len(id), maxIDBytes)
		return
	}
	if what := mangled(id); what != "" {
		p.addf(column, CodeMangledID, "%q looks like an id that a spreadsheet turned into %s; format the column as text and export again", id, what)
		return
	}
	if strings.Contains(id, ",") {
		p.addf(column, CodeInvalidID, "%q holds a comma, which separates ids in the API; write one row an id", id)
		return
	}
	for _, r := range id {
		if unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			p.addf(column, CodeInvalidID, "%q holds white space or an invisible character (%U); remove it", id, r)
			return
		}
		if isTypography(r) {
			p.addf(column, CodeInvalidID, "%q holds the typographic character %q (%U); type the id in plain letters and digits", id, r, r)
			return
		}
	}
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
