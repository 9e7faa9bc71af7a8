package quickbi

import "strings"

// Meaning is what a refusal comes to, for programs and for people.
type Meaning struct {
	Class     Class
	Code      string // ours: stable snake_case; the API's own stands beside it
	Retryable bool   // the same change can succeed later without being corrected
	Hint      string // one sentence: what the person should do
	HintZH    string // the same in Chinese

	// MayBeCaller: the API says the same of the owner of the AccessKey. When
	// every call fails like this, whoever it is about, suspect the account.
	MayBeCaller bool
}

// MeaningOf explains a code of the API. Codes that the catalogue lacks are
// judged by the gateway's naming rules, and what no rule covers is
// "unrecognised_refusal", which fails closed. The code is compared as it is:
// the API misspells some, but always in the same way.
func MeaningOf(apiCode string) Meaning {
	if m, ok := byAPICode[apiCode]; ok {
		return m
	}
	for _, rule := range prefixes {
		if strings.HasPrefix(apiCode, rule.prefix) {
			return byCode[rule.code]
		}
	}
	for _, rule := range parameterPrefixes {
		if rest, ok := strings.CutPrefix(apiCode, rule.prefix); ok && startsUpper(rest) {
			return byCode[rule.code]
		}
	}
	return byCode[codeUnrecognised]
}

// HintFor returns the hint for a code of ours, or "" for one that is not of
// this package.
func HintFor(code string) string { return byCode[code].Hint }

// HintZHFor is [HintFor] in Chinese.
func HintZHFor(code string) string { return byCode[code].HintZH }

// prefixes are families whose members the vendor does not list in full.
var prefixes = []struct{ prefix, code string }{
	{"Throttling", codeThrottled},
	{"InvalidAccessKeyId", codeCredentialsRejected},
	{"InvalidSecurityToken", codeCredentialsRejected},
	{"InvalidSignature", codeSignatureRejected},
	{"InvalidTimeStamp", codeClockSkew},
	{"InvalidApi", codeNotQuickBI},
	{"InvalidAction", codeNotQuickBI},
	{"InvalidProduct", codeNotQuickBI},
	{"InvalidVersion", codeNotQuickBI},
	{"InvalidProtocol", codeNotQuickBI},
	{"Forbidden", codeRAMDenied},
	{"NoPermission", codeRAMDenied},
	{"DeletePermission.", codeRevokeRefused},
	{"ServiceUnavailable", codeServiceUnavailable},
	{"InternalError", codeServerError},
}

// parameterPrefixes stand right before the name of a parameter, as in
// MissingUserIds. Quick BI's own codes have a dot there, so Invalid.Something
// is a code to learn, not a parameter.
var parameterPrefixes = []struct{ prefix, code string }{
	{"Missing", codeMissingParameter},
	{"Invalid", codeInvalidParameter},
}

func startsUpper(s string) bool { return s != "" && s[0] >= 'A' && s[0] <= 'Z' }
