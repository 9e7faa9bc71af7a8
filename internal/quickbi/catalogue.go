package quickbi

import (
	"cmp"
	"slices"
)

// Codes of ours that more than the catalogue refers to. All of them are API.
const (
	codeAnalystRole         = "analyst_role"
	codeClockSkew           = "clock_skew"
	codeCredentialsRejected = "credentials_rejected"
	codeInvalidExpiry       = "invalid_expiry"
	codeInvalidParameter    = "invalid_parameter"
	codeMissingParameter    = "missing_parameter"
	codeNoCredentials       = "credentials_unavailable"
	codeNotQuickBI          = "endpoint_rejected"
	codeOutcomeUnknown      = "outcome_unknown"
	codeRAMDenied           = "ram_denied"
	codeRefused             = "refused_by_quickbi"
	codeResourceNotExist    = "resource_not_exist"
	codeRevokeRefused       = "revoke_refused"
	codeServerError         = "server_error"
	codeServiceUnavailable  = "service_unavailable"
	codeSignatureRejected   = "signature_rejected"
	codeThrottled           = "throttled"
	codeTooLarge            = "request_too_large"
	codeUnreachable         = "quickbi_unreachable"
	codeUnrecognised        = "unrecognised_refusal"
	codeUserGone            = "user_not_in_organization"
	codeUserHasRole         = "user_already_has_role"
	codeUserInWorkspace     = "user_already_in_workspace"
	codeUserLacksFunction   = "user_lacks_permission"
	codeUserNotExist        = "user_not_exist"
	codeUserNotInWorkspace  = "user_not_in_workspace"
	codeViewerCustomRole    = "viewer_custom_role"
	codeViewerNotAllowed    = "viewer_not_allowed"
)

// entry is one meaning and every API code that has it.
type entry struct {
	class    Class
	code     string
	api      []string
	orCaller []string // API codes too, which are also said of the owner of the AccessKey
	hint     string
	hintZH   string
}

// catalogue holds every code of the pages of our operations and of the
// operations that undo and read back what they do, of the product's list of
// common errors and of the gateway's, spelled as the API spells them. The
// classes are our reading: the pages give a sentence at most.
var catalogue = slices.Concat(aboutPrincipals, aboutResources, aboutRequests, aboutAccounts, aboutMoments, aboutTheRest)

// Entry is one line of the catalogue.
type Entry struct {
	// Meaning has MayBeCaller set if it holds for any of APICodes; which of
	// them, [MeaningOf] says.
	Meaning

	APICodes []string // sorted; empty where something else than a code tells
	Families []string // codes known by their beginning: "Throttling*", "Missing<Parameter>"
}

// Catalogue lists everything that [MeaningOf], [MeaningOfDetail] and [Explain]
// can say of a failure, sorted by our code.
func Catalogue() []Entry {
	entries := make([]Entry, 0, len(catalogue))
	for _, e := range catalogue {
		entry := Entry{Meaning: e.meaning(), APICodes: slices.Sorted(slices.Values(slices.Concat(e.api, e.orCaller)))}
		entry.MayBeCaller = len(e.orCaller) > 0
		for _, rule := range prefixes {
			if rule.code == e.code {
				entry.Families = append(entry.Families, rule.prefix+"*")
			}
		}
		for _, rule := range parameterPrefixes {
			if rule.code == e.code {
				entry.Families = append(entry.Families, rule.prefix+"<Parameter>")
			}
		}
		entries = append(entries, entry)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Code, b.Code) })
	return entries
}

func (e entry) meaning() Meaning {
	return Meaning{Class: e.class, Code: e.code, Retryable: e.class.retryable(), Hint: e.hint, HintZH: e.hintZH}
}

// byCode and byAPICode are the catalogue, looked up from either side. Only by
// an API's code is a meaning about the caller, too.
var byCode, byAPICode = index(catalogue)

func index(entries []entry) (byCode, byAPICode map[string]Meaning) {
	byCode, byAPICode = map[string]Meaning{}, map[string]Meaning{}
	for _, e := range entries {
		m := e.meaning()
		byCode[e.code] = m
		for _, apiCode := range e.api {
			byAPICode[apiCode] = m
		}
		m.MayBeCaller = true
		for _, apiCode := range e.orCaller {
			byAPICode[apiCode] = m
		}
	}
	return byCode, byAPICode
}
