package quickbi

import (
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// Whatever arrives, reading it ends in a success that was spelled out or in an
// error that says what happened in one short line.
func FuzzDecodeAnswer(f *testing.F) {
	for _, body := range []string{
		"", "{}", "null", "[]", "<html>", `{"Success":true,"Result":[{"UserId":"u"}]}`, `{"success":"TRUE","RESULT":"[]"}`,
		`{"Code":"Throttling","Message":"m","RequestId":"r"}`, `{"Success":false`, `{"Success":true}x`, "\ufeff{}",
		`{"Code":"a\u0000b","RequestId":"` + strings.Repeat("é", 200) + `"}`, `{"Success":true,"Result":{"UserId":1}}`,
	} {
		f.Add(200, "R", body)
		f.Add(400, "", body)
	}
	saysYes := regexp.MustCompile(`(?i)"?\\?(?:true|1|\\u00)`)

	f.Fuzz(func(t *testing.T, status int, header, body string) {
		a, err := decodeAnswer(reply{
			action: "A", status: status, body: []byte(body), maxBody: 1 << 20,
			header: http.Header{"X-Acs-Request-Id": {header}},
		})
		if err == nil {
			if status/100 != 2 || !saysYes.MatchString(body) {
				t.Fatalf("HTTP %d %q passed for a success", status, body)
			}
			_, err = smartqResponse(a)
		}
		if err == nil {
			return
		}
		if class := Classify(err); class == ClassOK {
			t.Errorf("%v is classified as ok", err)
		}
		_, isRefusal := errors.AsType[*Error](err)
		_, isUnusable := errors.AsType[*AnswerError](err)
		if isRefusal == isUnusable {
			t.Errorf("%v is neither a refusal nor an unusable answer", err)
		}
		text := err.Error()
		if len(text) > 512 || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
			t.Errorf("%q is not fit for a log", text)
		}
	})
}
