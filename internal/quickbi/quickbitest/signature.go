package quickbitest

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The headers of signature version 3 (ACS3-HMAC-SHA256), as the page "V3
// request structure and signature" of Alibaba Cloud lists them.
const (
	headerAction  = "X-Acs-Action"
	headerVersion = "X-Acs-Version"
	headerDate    = "X-Acs-Date"
	headerNonce   = "X-Acs-Signature-Nonce"
	headerSHA256  = "X-Acs-Content-Sha256"
	headerKeyID   = "X-Acs-Accesskey-Id"
	headerToken   = "X-Acs-Security-Token" //nolint:gosec // the name of a header

	algorithm  = "ACS3-HMAC-SHA256"
	dateLayout = "2006-01-02T15:04:05Z"
	maxSkew    = 15 * time.Minute
)

// credentials are the only ones let in. token is empty for a lasting pair.
type credentials struct{ keyID, secret, token string }

// verify checks what the gateway checks before it looks at the action, all but
// the nonce.
func (c credentials) verify(r *http.Request, body []byte, now time.Time) *refusal {
	if bad := checkRequired(r.Header); bad != nil {
		return bad
	}
	auth, bad := parseAuthorization(r.Header.Get("Authorization"))
	if bad != nil {
		return bad
	}
	return cmp.Or(
		c.checkKey(auth.keyID, r.Header),
		checkDate(r.Header.Get(headerDate), now),
		checkSigned(auth.signed, r.Header),
		checkBody(body, r.Header.Get(headerSHA256)),
		c.checkSignature(auth, r),
	)
}

func badSignature(code, message string) *refusal {
	return &refusal{code: code, message: message, broke: RuleSignature}
}

// checkRequired names the first missing header in the manner of the gateway,
// Missing{Param}.
func checkRequired(h http.Header) *refusal {
	for _, required := range []struct{ header, param string }{
		{headerAction, "Action"},
		{headerVersion, "Version"},
		{headerDate, "TimeStamp"},
		{headerNonce, "SignatureNonce"},
		{headerSHA256, "ContentSha256"},
	} {
		if h.Get(required.header) == "" {
			return badSignature("Missing"+required.param, "The header "+strings.ToLower(required.header)+" is mandatory.")
		}
	}
	return nil
}

type authorization struct{ keyID, signed, signature string }

// authorizationForm has no spaces after its commas, and lower-case hex.
var authorizationForm = regexp.MustCompile(`^` + algorithm + ` Credential=([^,\s]+),SignedHeaders=([a-z0-9;-]+),Signature=([0-9a-f]{64})$`)

func parseAuthorization(header string) (authorization, *refusal) {
	m := authorizationForm.FindStringSubmatch(header)
	if m == nil {
		return authorization{}, badSignature("IncompleteSignature", "The request signature does not conform to Aliyun standards.")
	}
	return authorization{keyID: m[1], signed: m[2], signature: m[3]}, nil
}

func (c credentials) checkKey(keyID string, h http.Header) *refusal {
	token, repeated := h.Get(headerToken), h.Get(headerKeyID)
	switch {
	case keyID != c.keyID:
		return &refusal{status: http.StatusNotFound, code: "InvalidAccessKeyId.NotFound", message: "Specified access key is not found.", broke: RuleSignature}
	case c.token != "" && token == "":
		return badSignature("MissingSecurityToken", "SecurityToken is mandatory for this access key.")
	case c.token != token:
		return badSignature("InvalidSecurityToken.MismatchWithAccessKey", "Specified SecurityToken does not match the access key.")
	case token != "" && repeated == "", repeated != "" && repeated != keyID:
		return badSignature("InvalidAccessKeyId", "x-acs-accesskey-id must repeat the access key of a security token.")
	}
	return nil
}

func checkDate(date string, now time.Time) *refusal {
	sent, err := time.Parse(dateLayout, date)
	switch {
	case err != nil:
		return &refusal{code: "InvalidTimeStamp.Format", message: "Specified time stamp or date value is not well formatted.", broke: RuleDate}
	case now.Sub(sent).Abs() > maxSkew:
		return &refusal{code: "InvalidTimeStamp.Expired", message: "Specified time stamp or date value is expired.", broke: RuleDate}
	}
	return nil
}

// checkSigned demands exactly the headers that the signature is defined over.
func checkSigned(signed string, h http.Header) *refusal {
	want := []string{"host"}
	for name := range h {
		name = strings.ToLower(name)
		if name == "content-type" || strings.HasPrefix(name, "x-acs-") {
			want = append(want, name)
		}
	}
	slices.Sort(want)
	if list := strings.Join(want, ";"); signed != list {
		return badSignature("IncompleteSignature", "SignedHeaders must be "+list)
	}
	return nil
}

func checkBody(body []byte, announced string) *refusal {
	if hexSHA256(body) != announced {
		return badSignature("SignatureDoesNotMatch", "x-acs-content-sha256 is not the hash of the body.")
	}
	return nil
}

// checkSignature tells a caller who signed wrongly the string to sign, as the
// gateway does. It holds a hash only, and neither the parameters nor a token.
func (c credentials) checkSignature(auth authorization, r *http.Request) *refusal {
	toSign := algorithm + "\n" + hexSHA256([]byte(canonicalRequest(r, auth.signed)))
	mac := hmac.New(sha256.New, []byte(c.secret))
	mac.Write([]byte(toSign))
	if want := hex.EncodeToString(mac.Sum(nil)); !hmac.Equal([]byte(want), []byte(auth.signature)) {
		return badSignature("SignatureDoesNotMatch", "Specified signature is not matched with our calculation. server string to sign is:"+toSign)
	}
	return nil
}

func canonicalRequest(r *http.Request, signed string) string {
	var headers strings.Builder
	for name := range strings.SplitSeq(signed, ";") {
		value := strings.Join(r.Header.Values(name), ",")
		if name == "host" {
			value = r.Host
		}
		headers.WriteString(name + ":" + strings.TrimSpace(value) + "\n")
	}
	return strings.Join([]string{
		r.Method, r.URL.EscapedPath(), canonicalQuery(r.URL.Query()), headers.String(), signed, r.Header.Get(headerSHA256),
	}, "\n")
}

// canonicalQuery sorts by name and encodes as RFC 3986 has it.
func canonicalQuery(query url.Values) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(query)) {
		for _, value := range slices.Sorted(slices.Values(query[name])) {
			parts = append(parts, escape(name)+"="+escape(value))
		}
	}
	return strings.Join(parts, "&")
}

// escape differs from a form's encoding in nothing but the space.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func hexSHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
