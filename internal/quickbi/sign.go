package quickbi

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The signature of Alibaba Cloud's V3 protocol, as described in "V3 request
// structure and signature" of its SDK documentation.
const (
	signatureAlgorithm = "ACS3-HMAC-SHA256"
	dateLayout         = "2006-01-02T15:04:05Z"
	formContentType    = "application/x-www-form-urlencoded"
)

// unsigned is everything about a request that its signature covers.
type unsigned struct {
	method, host, path string
	query              map[string]string
	header             map[string]string // x-acs-* and content-type; lower-case names
	bodySHA256         string            // lower-case hex
	date               time.Time
	nonce              string
	credentials        Credentials
}

// sign returns every header that u must be sent with, by lower-case name: those
// that are signed, and the authorization that proves it.
func sign(u unsigned) map[string]string {
	header := u.headerToSign()
	names := strings.Join(slices.Sorted(maps.Keys(header)), ";")
	digest := hexSHA256([]byte(u.canonical(header)))
	mac := hmac.New(sha256.New, []byte(u.credentials.AccessKeySecret))
	mac.Write([]byte(signatureAlgorithm + "\n" + digest))

	header["authorization"] = signatureAlgorithm +
		" Credential=" + u.credentials.AccessKeyID +
		",SignedHeaders=" + names +
		",Signature=" + hex.EncodeToString(mac.Sum(nil))
	return header
}

func (u unsigned) headerToSign() map[string]string {
	header := map[string]string{
		"host":                  u.host,
		"x-acs-content-sha256":  u.bodySHA256,
		"x-acs-date":            u.date.UTC().Format(dateLayout),
		"x-acs-signature-nonce": u.nonce,
	}
	if u.credentials.SecurityToken != "" {
		header["x-acs-accesskey-id"] = u.credentials.AccessKeyID
		header["x-acs-security-token"] = u.credentials.SecurityToken
	}
	maps.Copy(header, u.header)
	return header
}

// canonical is the text that the signature is over. Each header line ends in a
// newline and the block is followed by one more, hence the empty line.
func (u unsigned) canonical(header map[string]string) string {
	names := slices.Sorted(maps.Keys(header))
	var b strings.Builder
	b.WriteString(u.method + "\n" + u.path + "\n" + encode(u.query) + "\n")
	for _, name := range names {
		b.WriteString(name + ":" + strings.TrimSpace(header[name]) + "\n")
	}
	b.WriteString("\n" + strings.Join(names, ";") + "\n" + u.bodySHA256)
	return b.String()
}

// encode is the one encoding of parameters: in the canonical form, in the
// query and in a form body. Names are sorted, a parameter without a value keeps
// its equals sign.
func encode(params map[string]string) string {
	pairs := make([]string, 0, len(params))
	for _, name := range slices.Sorted(maps.Keys(params)) {
		pairs = append(pairs, escape(name)+"="+escape(params[name]))
	}
	return strings.Join(pairs, "&")
}

// escape percent-encodes as RFC 3986 does: only A-Z a-z 0-9 - _ . ~ stay.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func hexSHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
