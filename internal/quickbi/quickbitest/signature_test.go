package quickbitest_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

const emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

type credentials struct{ id, secret string }

var vectorKey = credentials{"YourAccessKeyId", "YourAccessKeySecret"}

// vector is a request whose signature was computed elsewhere.
type vector struct {
	name, host, query, body string
	header                  map[string]string
	signed, signature       string
	token                   string
	wantCode                string // how the call ends once its signature is accepted
}

func vectors() []vector {
	const params = "ExpireDay=2099-12-31&LlmCubes=c1&OperationType=0&UserIds=u1%2Cu2"
	plain := map[string]string{
		"x-acs-action": "SmartqAuthorize", "x-acs-version": "2022-01-01", "x-acs-date": "2026-01-02T03:04:05Z",
		"x-acs-signature-nonce": "00000000000000000000000000000001", "x-acs-content-sha256": emptySHA256,
	}
	with := func(more map[string]string) map[string]string {
		out := map[string]string{}
		for _, m := range []map[string]string{plain, more} {
			maps.Copy(out, m)
		}
		return out
	}
	const host = "quickbi-public.cn-hangzhou.aliyuncs.com"
	const names = "x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version"
	return []vector{
		{
			name: "published by Alibaba Cloud", host: "ecs.cn-shanghai.aliyuncs.com",
			query: "ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai",
			header: with(map[string]string{
				"x-acs-action": "RunInstances", "x-acs-version": "2014-05-26", "x-acs-date": "2023-10-26T10:22:32Z",
				"x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d",
			}),
			signed: "host;" + names, signature: "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0",
			wantCode: "InvalidApi.NotFound",
		},
		{
			name: "parameters in the query", host: host, query: params, header: plain,
			signed: "host;" + names, signature: "9d54514effb209830ab1bde82a5ba3e1bcf8de48b6c20a93075c14c66d77d1d2",
		},
		{
			name: "parameters in the body", host: host, body: params,
			header: with(map[string]string{
				"content-type":         "application/x-www-form-urlencoded",
				"x-acs-content-sha256": "5b30eb91bad98435a82acb934a13eb5ef06ba5ca4fd258d02d1cfd8116e76e26",
			}),
			signed: "content-type;host;" + names, signature: "0421c73219f8a6ef77088470bcd9b5d201722710ed3cfaa7b0708879f340d494",
		},
		{
			name: "temporary key pair", host: host, query: params, token: "YourSecurityToken",
			header:    with(map[string]string{"x-acs-accesskey-id": vectorKey.id, "x-acs-security-token": "YourSecurityToken"}),
			signed:    "host;x-acs-accesskey-id;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-security-token;x-acs-signature-nonce;x-acs-version",
			signature: "423f2987037481cbb86065b600fcb2f2f058cbfcc7fb0d23cfcd4a387782bc00",
		},
	}
}

func (v vector) request(t *testing.T) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+v.host+"/?"+v.query, strings.NewReader(v.body))
	r.Header.Set("Accept", "application/json")
	for name, value := range v.header {
		r.Header.Set(name, value)
	}
	r.Header.Set("Authorization", "ACS3-HMAC-SHA256 Credential="+vectorKey.id+",SignedHeaders="+v.signed+",Signature="+v.signature)
	return r
}

// answerTo serves r by an organisation of the vectors, when they were made.
func answerTo(t *testing.T, v vector, r *http.Request, key credentials) document {
	t.Helper()
	date, err := time.Parse(time.RFC3339, v.header["x-acs-date"])
	if err != nil {
		t.Fatal(err)
	}
	s := quickbitest.New(&quickbitest.Options{
		AccessKeyID: key.id, AccessKeySecret: key.secret, SecurityToken: v.token,
		Users: []string{"u1", "u2"}, QAResources: []string{"c1"}, Now: func() time.Time { return date },
	})
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	var doc document
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatalf("answer %q: %v", w.Body, err)
	}
	if got := len(s.Grants()); doc.Code != "" && got > 0 {
		t.Errorf("%d grants after a refusal", got)
	}
	return doc
}

func TestSignatureVectors(t *testing.T) {
	t.Parallel()

	for _, v := range vectors() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()

			if got := answerTo(t, v, v.request(t), vectorKey); got.Code != v.wantCode || got.Success != (v.wantCode == "") || len(got.Result) > 0 {
				t.Errorf("answer = %+v, want code %q", got, v.wantCode)
			}
		})
	}
}

// golden is one request of testdata/acs3_golden.json, signed by the vendor's own
// Go library: odd characters, empty values, bodies, tokens.
//
//nolint:tagliatelle // the names are the file's
type golden struct {
	Host            string            `json:"Host"`
	AccessKeyID     string            `json:"AccessKeyID"`
	AccessKeySecret string            `json:"AccessKeySecret"`
	Date            string            `json:"Date"`
	Nonce           string            `json:"Nonce"`
	Payload         string            `json:"Payload"`
	PayloadSHA256   string            `json:"PayloadSHA256"`
	Authorization   string            `json:"Authorization"`
	Headers         map[string]string `json:"Headers"`
	Query           map[string]string `json:"Query"`
}

func TestGoldenSignatures(t *testing.T) {
	t.Parallel()

	text, err := os.ReadFile("testdata/acs3_golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []golden
	if err := json.Unmarshal(text, &all); err != nil || len(all) == 0 {
		t.Fatalf("%d vectors, %v", len(all), err)
	}
	for _, g := range all {
		t.Run(g.Nonce, func(t *testing.T) {
			t.Parallel()

			// The parameters mean nothing to the action, so they are refused
			// once the signature has been accepted.
			if code := g.send(t, g.AccessKeySecret); strings.Contains(code, "Signature") || code == "" {
				t.Errorf("code = %q", code)
			}
			if code := g.send(t, "another secret"); code != "SignatureDoesNotMatch" {
				t.Errorf("code under another secret = %q", code)
			}
		})
	}
}

func (g golden) send(t *testing.T, secret string) (code string) {
	t.Helper()
	query := url.Values{}
	for name, value := range g.Query {
		query.Set(name, value)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+g.Host+"/?"+query.Encode(), strings.NewReader(g.Payload))
	for name, value := range g.Headers {
		r.Header.Set(name, value)
	}
	for name, value := range map[string]string{
		"accept": "application/json", "authorization": g.Authorization,
		"x-acs-date": g.Date, "x-acs-signature-nonce": g.Nonce, "x-acs-content-sha256": g.PayloadSHA256,
	} {
		r.Header.Set(name, value)
	}
	v := vector{header: map[string]string{"x-acs-date": g.Date}, token: g.Headers["x-acs-security-token"]}
	return answerTo(t, v, r, credentials{g.AccessKeyID, secret}).Code
}

// TestTampering changes one thing a vector signed, or was required to sign.
func TestTampering(t *testing.T) {
	t.Parallel()

	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	replace := func(old, fresh string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, fresh, 1))
		}
	}
	tests := []struct {
		name     string
		tamper   func(*http.Request)
		wantCode string
	}{
		{"query", func(r *http.Request) { r.URL.RawQuery += "&x=1" }, "SignatureDoesNotMatch"},
		{"host", func(r *http.Request) { r.Host = "elsewhere" }, "SignatureDoesNotMatch"},
		{"action", set("X-Acs-Action", "DeleteUser"), "SignatureDoesNotMatch"},
		{"nonce", set("X-Acs-Signature-Nonce", "other"), "SignatureDoesNotMatch"},
		{"body hash", set("X-Acs-Content-Sha256", strings.Repeat("0", 64)), "SignatureDoesNotMatch"},
		{"body", func(r *http.Request) { r.Body = http.NoBody }, "SignatureDoesNotMatch"},
		{"signature", replace("Signature=04", "Signature=05"), "SignatureDoesNotMatch"},
		{"upper-case hex", replace("Signature=0421c", "Signature=0421C"), "IncompleteSignature"},
		{"space after a comma", replace(",SignedHeaders", ", SignedHeaders"), "IncompleteSignature"},
		{"host not signed", replace("host;", ""), "IncompleteSignature"},
		{"a further x-acs header not signed", set("X-Acs-Retry-Attempts", "1"), "IncompleteSignature"},
		{"content type not signed", replace("content-type;", ""), "IncompleteSignature"},
		{"no authorization", func(r *http.Request) { r.Header.Del("Authorization") }, "IncompleteSignature"},
		{"another key", replace(vectorKey.id, "SomebodyElse"), "InvalidAccessKeyId.NotFound"},
		{"no action", func(r *http.Request) { r.Header.Del("X-Acs-Action") }, "MissingAction"},
		{"no version", func(r *http.Request) { r.Header.Del("X-Acs-Version") }, "MissingVersion"},
		{"no date", func(r *http.Request) { r.Header.Del("X-Acs-Date") }, "MissingTimeStamp"},
		{"no nonce", func(r *http.Request) { r.Header.Del("X-Acs-Signature-Nonce") }, "MissingSignatureNonce"},
		{"no body hash", func(r *http.Request) { r.Header.Del("X-Acs-Content-Sha256") }, "MissingContentSha256"},
		{"token of nobody", set("X-Acs-Security-Token", "x"), "InvalidSecurityToken.MismatchWithAccessKey"},
		{"date of another form", set("X-Acs-Date", "Fri, 02 Jan 2026 03:04:05 GMT"), "InvalidTimeStamp.Format"},
		{"query that cannot be read", func(r *http.Request) { r.URL.RawQuery = "a=%zz" }, "InvalidParameter"},
		{"method", func(r *http.Request) { r.Method = http.MethodPut }, "UnsupportedHTTPMethod"},
		{"path", func(r *http.Request) { r.URL.Path = "/openapi" }, "InvalidApi.NotFound"},
		{"no JSON wanted", func(r *http.Request) { r.Header.Del("Accept") }, "InvalidFormat"},
	}
	body := vectors()[2]
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			r := body.request(t)
			tt.tamper(r)
			if got := answerTo(t, body, r, vectorKey); got.Code != tt.wantCode {
				t.Errorf("answer = %+v, want code %q", got, tt.wantCode)
			}
		})
	}
}

func TestTemporaryKeyPairIsSentWhole(t *testing.T) {
	t.Parallel()

	o := organisation()
	o.AccessKeyID, o.AccessKeySecret, o.SecurityToken = "STS.k", "s", "t+/=="
	b := setup(t, o)
	send := func(s sealing) reply {
		r := b.signed(grant("u1", "LlmCubes=r1"))
		s.keyID, s.secret, s.date, s.nonce = "STS.k", "s", b.now(), "own-"+s.nonce
		seal(r, s)
		return b.do(r)
	}
	send(sealing{nonce: "1", token: "t+/=="}).want(t, "")
	send(sealing{nonce: "2"}).want(t, "MissingSecurityToken")
	send(sealing{nonce: "3", token: "old"}).want(t, "InvalidSecurityToken.MismatchWithAccessKey")

	r := b.signed(grant("u1", "LlmCubes=r1"))
	seal(r, sealing{keyID: "STS.k", secret: "s", token: "t+/==", date: b.now(), nonce: "4"})
	r.Header.Del("X-Acs-Accesskey-Id")
	b.do(r).want(t, "InvalidAccessKeyId")
}

func TestDateMayBeFifteenMinutesOff(t *testing.T) {
	t.Parallel()

	tests := []struct {
		off  time.Duration
		code string
	}{
		{15 * time.Minute, ""},
		{-15 * time.Minute, ""},
		{15*time.Minute + time.Second, "InvalidTimeStamp.Expired"},
		{-15*time.Minute - time.Second, "InvalidTimeStamp.Expired"},
	}
	for _, tt := range tests {
		t.Run(tt.off.String(), func(t *testing.T) {
			t.Parallel()

			b := setup(t, organisation())
			r := b.signed(grant("u1", "LlmCubes=r1"))
			seal(r, sealing{date: start.Add(tt.off), nonce: "n"})
			b.do(r).want(t, tt.code)
		})
	}
}

func TestNonceIsUsedOnce(t *testing.T) {
	t.Parallel()

	b := setup(t, organisation())
	send := func(nonce, params string) reply {
		r := b.signed(params)
		seal(r, sealing{date: b.now(), nonce: nonce})
		return b.do(r)
	}
	send("refused", "OperationType=7").want(t, "MissingUserIds")
	send("refused", grant("u1", "LlmCubes=r1")).want(t, "SignatureNonceUsed")
	send("fine", grant("u1", "LlmCubes=r1")).want(t, "")
	send("fine", grant("u1", "LlmCubes=r1")).want(t, "SignatureNonceUsed")
	b.turn(5 * time.Minute)
	send("later", grant("u1", "LlmCubes=r1")).want(t, "")
	b.turn(30 * time.Minute) // a call dated 15 minutes ahead could be replayed until now
	send("another", grant("u1", "LlmCubes=r1")).want(t, "")
	send("later", grant("u1", "LlmCubes=r1")).want(t, "SignatureNonceUsed")
	b.turn(2 * time.Hour)
	send("fine", grant("u1", "LlmCubes=r1")).want(t, "")

	if got := len(b.Violations()); got != 4 {
		t.Errorf("%d violations, want 4: %+v", got, b.Violations())
	}
	if got := b.Violations()[1].Violation; got != quickbitest.RuleNonce {
		t.Errorf("second violation = %q", got)
	}
}

// TestForgedNonceIsNotUsedUp keeps strangers from burning the nonces of others.
func TestForgedNonceIsNotUsedUp(t *testing.T) {
	t.Parallel()

	b := setup(t, organisation())
	r := b.signed(grant("u1", "LlmCubes=r1"))
	seal(r, sealing{date: b.now(), nonce: "n", keyID: "sandbox-access-key-id", secret: "guessed"})
	b.do(r).want(t, "SignatureDoesNotMatch")
	r = b.signed(grant("u1", "LlmCubes=r1"))
	seal(r, sealing{date: b.now(), nonce: "n"})
	b.do(r).want(t, "")
}

func TestVersion(t *testing.T) {
	t.Parallel()

	b := setup(t, organisation())
	r := b.signed(grant("u1", "LlmCubes=r1"))
	seal(r, sealing{date: b.now(), nonce: "n", version: "2020-07-31"})
	b.do(r).want(t, "InvalidVersion")
}
